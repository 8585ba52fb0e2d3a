"""Reads plain text: one utterance per line, possibly as `Speaker: utterance`, with blank lines between dialogues."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby

from ..building.dialogues import Dialogue, Utterance
from .input_file import InputFile
from .names import TITLE, long_name, speaker_and_text

ADVICE = (
    "use input_format=txt to read every line as an utterance, with the name before a colon as its speaker, "
    "or write one utterance per line as `Name: text` (precode predict: --input_format txt)"
)
BEGINS_WITH_TIME = re.compile(r"\W{0,3}(?:\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b|\d{1,3}:\d{2}(?::\d{2})?\b)")
ENDS_WITH_TIME = re.compile(r".{0,60}\W\d{1,2}:\d{2}(?::\d{2})?(?:\s?[AaPp]\.?[Mm]\.?)?\W{0,2}$")
FEW = 0.5


def read_plain_text(file: InputFile, known: frozenset[str] | None = None) -> Iterator[Dialogue]:
    """Read plain text, one dialogue per paragraph, without a check of its form.

    Args:
        file: The file.
        known: The long names of the file; by default they are searched.
    """
    file.options.refuse_columns(file.name)
    known = file_names(file) if known is None else known
    lines = enumerate(map(str.strip, file.lines()), start=1)
    for is_dialogue, numbered in groupby(lines, key=lambda pair: bool(pair[1])):
        if is_dialogue:
            turns = [(number, *speaker_and_text(line, known)) for number, line in numbered]
            yield Dialogue(
                "", [Utterance(text, speaker, where=f"{file.name}:{number}") for number, speaker, text in turns]
            )


def read_detected_text(file: InputFile) -> Iterator[Dialogue]:
    """Read text that was detected as plain text.

    Raises:
        ValueError: The text looks like a transcript in an unknown form.
    """
    known = file_names(file)
    refuse_unknown_transcript(file, known)
    if not is_one_dialogue(file, known):
        yield from read_plain_text(file, known)
        return
    utterances = [turn for dialogue in read_plain_text(file, known) for turn in dialogue.utterances]
    yield Dialogue("", utterances)


def file_names(file: InputFile) -> frozenset[str]:
    """Find the names of more than three words that begin lines of a file.

    A name counts if it recurs, if it has a title, or if every line begins with a name.
    """
    counts: Counter[str] = Counter()
    has_other = False
    for line in map(str.strip, file.lines()):
        name = long_name(line) if ":" in line or "：" in line else ""
        if name:
            counts[name] += 1
        elif line and not has_other:
            has_other = not speaker_and_text(line)[0]
    return frozenset(name for name, count in counts.items() if count > 1 or TITLE.search(name) or not has_other)


def is_one_dialogue(file: InputFile, known: frozenset[str]) -> bool:
    """Whether the file is one dialogue: each turn is a line followed by a blank line, and at least two people speak."""
    speakers, previous = set(), ""
    for line in map(str.strip, file.lines()):
        speaker = speaker_and_text(line, known)[0] if line else ""
        if line and (previous or not speaker):
            return False
        speakers |= {speaker} - {""}
        previous = line
    return len(speakers) > 1


def refuse_unknown_transcript(file: InputFile, known: frozenset[str]) -> None:
    """Raise a ValueError if many lines have a time or some have a speaker, as in a transcript."""
    names: Counter[str] = Counter()
    shown: list[str] = []
    lines = with_time = with_end = 0
    for line in map(str.strip, file.lines()):
        if not line:
            continue
        lines += 1
        shown.extend([line] if len(shown) < 2 else [])
        with_time += bool(BEGINS_WITH_TIME.match(line))
        with_end += bool(ENDS_WITH_TIME.match(line))
        if speaker := speaker_and_text(line, known)[0]:
            names[speaker] += 1
    with_speaker = names.total()
    if with_time > lines * FEW and lines > 1:
        reason = f"{with_time} of {lines} lines begin with a time"
    elif lines >= 4 and with_end >= lines / 3:
        reason = f"{with_end} of {lines} lines end with a time"
    elif 2 <= with_speaker < lines * FEW and (max(names.values()) > 1 or with_speaker > lines / 10):
        reason = f"{with_speaker} of {lines} lines have a speaker"
    else:
        return
    sample = " and ".join(repr(line[:80]) for line in shown)
    raise ValueError(f"{file.name}: looks like a transcript in an unknown form: {reason}; got {sample}; {ADVICE}")
