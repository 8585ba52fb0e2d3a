"""Reads the dialogues of a file in any supported format.

`read_dialogues` detects the format, and logs what was left out.
"""

import logging
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..building.dialogues import Dialogue, Utterance
from .detection import detect
from .encodings import doubly_encoded
from .input_file import InputFile
from .limits import Limits, limited_time
from .options import ReadingOptions
from .times import seconds_of

logger = logging.getLogger(__name__)

PLURALS = re.compile(
    r"\b(line|message|row|caption|note|style|sound|attachment|cue|segment|turn|chat|utterance|sheet|speaker|dialogue"
    r"|date|time|credit|reaction|recording)s\b"
)


def read_dialogues(path: str | Path, **options: Any) -> Iterator[Dialogue]:
    """Read the dialogues of a file: a chat, a transcript, captions, a table or JSON.

    The format is detected from the content. The log names it first. At the end, the log says what was left out, such as
    system lines and omitted media. docs/inputs.md describes the formats.

    Args:
        path: The file. Text may be compressed (`.gz`).
        options: Fields of [`ReadingOptions`], such as `text_column="words"`, `rows="dialogue"`, `max_silence=3600`
            or `input_format="txt"`.

    Returns:
        The dialogues, one after another, each with its id and its utterances. An utterance has `text`, `speaker`,
        `label`, `start` and `end`. Other information in the file is in `extra`.

    Raises:
        FileNotFoundError: The file does not exist.
        IsADirectoryError: The path is a folder.
        ValueError: An option is unknown, the format is unknown or uncertain, or the file has invalid content.
        ImportError: The file is an Excel workbook, and openpyxl is not installed.
    """
    path = Path(path)
    if unknown := options.keys() - {*ReadingOptions.__dataclass_fields__}:
        # The limits, which few files need, come last.
        known = ", ".join(sorted(ReadingOptions.__dataclass_fields__, key=Limits.__dataclass_fields__.__contains__))
        raise ValueError(f"unknown option; got {', '.join(sorted(unknown))}; known: {known}")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; give a file in it")
    return read_file(InputFile(path, ReadingOptions(**options), keeps_columns=True))


def read_file(file: InputFile, is_silent: bool = False) -> Iterator[Dialogue]:
    """Read the dialogues of a file. The log names the format first, and at the end what was read and left out.

    Args:
        file: The file with its options.
        is_silent: Log these lines at the level DEBUG instead of INFO.

    Raises:
        ValueError: The file contains no dialogues or cannot be read.
    """
    log = logger.debug if is_silent else logger.info
    name = file.path.name if file.name == str(file.path) else file.name
    dialogues = utterances = unnamed = empty = 0
    speakers: set[str] = set()
    found = detect(file)
    log("%s: detected format: %s", name, found.title)
    for dialogue in with_ids(file, limited_time(found.read(file), file.options, file.name)):
        yield dialogue
        dialogues += 1
        utterances += len(dialogue.utterances)
        speakers.update(turn.speaker for turn in dialogue.utterances if turn.speaker)
        unnamed += sum(not turn.speaker for turn in dialogue.utterances)
        empty += sum(not turn.text.strip() for turn in dialogue.utterances)
    if not dialogues:
        left_out = f" left out: {shown_counts(file)};" if file.left_out else ""
        size = file.path.stat().st_size
        raise ValueError(
            f"{file.name}: contains no dialogues; got a file of {size} bytes;{left_out} add dialogues or remove it"
        )
    counts = [
        count_with_noun(dialogues, "dialogues"),
        count_with_noun(utterances, "utterances"),
        count_with_noun(len(speakers), "speakers"),
    ]
    if speakers and unnamed:
        counts.append(f"{count_with_noun(unnamed, 'utterances')} without a speaker")
    if empty:
        counts.append(count_with_noun(empty, "utterances") + " without a text")
    left_out = f"; left out: {shown_counts(file)}" if file.left_out else ""
    log("%s: %s, %s%s", name, found.title, ", ".join([*counts, *remarks(file)]), left_out)


def remarks(file: InputFile) -> list[str]:
    """Remarks for the user on how a file was read, such as an encoding other than UTF-8. Each appears once."""
    is_text = "encoding" in vars(file)
    found = [*dict.fromkeys(file.remarks)]
    if is_text and not file.encoding.startswith("utf-8"):
        found.append(f"read as {file.encoding}")
    if is_text and (letter := doubly_encoded("\n".join(file.sample))):
        found.append(f"encoded twice, with letters such as {letter!r}: save the file again from its source as UTF-8")
    return found


def shown_counts(file: InputFile) -> str:
    """The counts of what was left out, as text: `3 system lines, 1 empty message`."""
    return ", ".join(count_with_noun(count, what) for what, count in file.left_out.items())


def count_with_noun(count: int, what: str) -> str:
    """A count with its noun, in the singular for 1: `1 empty message`, `2,000 empty messages`."""
    what = what.replace("entries that are not messages", "entry that is not a message") if count == 1 else what
    return f"{count:,} {PLURALS.sub(lambda word: word[1], what, count=1) if count == 1 else what}"


def with_ids(file: InputFile, dialogues: Iterator[Dialogue]) -> Iterator[Dialogue]:
    """Cut dialogues at silences. A dialogue without an id is numbered: 1, 2, 3."""
    number = 0
    for dialogue in dialogues:
        turns = dialogue.utterances
        if file.options.empty == "skip":
            turns = [turn for turn in turns if turn.text.strip()]
            if len(turns) < len(dialogue.utterances):
                file.leave_out("empty utterances", len(dialogue.utterances) - len(turns))
        runs = list(dialogues_at_silences(turns, max_silence(file))) if turns else []
        if len(runs) > 1:
            remark = f"cut at silences of more than {shown_duration(max_silence(file))}"
            file.remarks += [remark] if remark not in file.remarks else []
        for part, run in enumerate(runs, start=1):
            number += 1
            own = f"{dialogue.dialogue_id}-{part}" if len(runs) > 1 else dialogue.dialogue_id
            yield dialogue._replace(dialogue_id=own if dialogue.dialogue_id else str(number), utterances=run)


def max_silence(file: InputFile) -> float | None:
    """The silence that ends a dialogue, in seconds: the option, or else the default of the format.

    None means that silence ends no dialogue.
    """
    silence = file.options.max_silence
    return file.default_silence if silence is None else float(silence)


def shown_duration(seconds: float | None) -> str:
    """A duration as text, in hours from one hour on: `8 hours`, `90 seconds`."""
    count, noun = ((seconds or 0) / 3600, "hour") if (seconds or 0) >= 3600 else (seconds or 0, "second")
    return f"{count:g} {noun}{'s' * (count != 1)}"


def dialogues_at_silences(turns: list[Utterance], longest: float | None) -> Iterator[list[Utterance]]:
    """Split utterances wherever the silence between two of them is too long."""
    if longest is None:
        yield turns
        return
    run = turns[:1]
    for earlier, later in pairwise(turns):
        before = seconds_of(earlier.start if earlier.end is None else earlier.end)
        after = seconds_of(later.start)
        if before is not None and after is not None and after - before > longest:
            yield run
            run = []
        run.append(later)
    yield run
