"""Reads plain text: one utterance per line, possibly as `Speaker: utterance`, with blank lines between dialogues."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from ..building.dialogues import Dialogue, Utterance
from .input_file import InputFile, stripped
from .names import TITLE, long_name, people_of, remarks_on, speaker_and_text
from .unknown_forms import is_rule, refuse_unknown_form

# The names of fields in the head of a transcript. They stand before a colon, as speakers do.
FIELDS = {
    *("attendees", "author", "cc", "channel", "date", "directed by", "duration", "file", "from", "interview"),
    *("interview id", "interviewee", "language", "location", "meeting", "meeting id", "participants"),
    *("place", "present", "project", "recorded", "recording", "sent", "session", "source", "subject", "time"),
    *("title", "to", "topic", "transcribed by", "transcript", "written by"),
}
NOTE = re.compile(r"\[[^\[\]]{1,160}\]|\([^()]{1,160}\)|(?:page\s)?\d{1,4}(?:\s(?:of|/)\s\d{1,4})?", re.IGNORECASE)
ENDS_SENTENCE = re.compile(r"""[.!?…。！？][)"'”’\]]*$""")
LONGEST_TITLE, SHORTEST_FULL_LINE = 80, 60


class Layout(NamedTuple):
    """How a text is laid out: the last line of its head (0 without one), and how often each name begins a line."""

    head: int
    names: Counter[str]

    @property
    def has_speakers(self) -> bool:
        """Whether two people or more speak."""
        return len(self.names) > 1


def read_plain_text(file: InputFile) -> Iterator[Dialogue]:
    """Read plain text, one dialogue per paragraph, without a check of its form. Every line is an utterance."""
    file.options.refuse_columns(file.name)
    yield from paragraphs(file, enumerate(map(stripped, file.lines()), start=1), file_names(file))


def read_detected_text(file: InputFile) -> Iterator[Dialogue]:
    """Read text that was detected as plain text. Its head, rules, and notes between turns are left out.

    Raises:
        ValueError: The text looks like a transcript in an unknown form.
    """
    file.options.refuse_columns(file.name)
    known = file_names(file)
    refuse_unknown_form(file, known)
    layout = layout_of(file, known)
    is_one = is_one_dialogue(file, known, layout)
    people = people_of(layout.names)
    file.remarks += remarks_on(people)
    found = paragraphs(file, spoken_lines(file, known, layout, file.left_out), known, people)
    if not is_one:
        yield from found
    elif utterances := [turn for dialogue in found for turn in dialogue.utterances]:
        yield Dialogue("", utterances)


def paragraphs(
    file: InputFile, lines: Iterable[tuple[int, str]], known: frozenset[str], people: Mapping[str, str] | None = None
) -> Iterator[Dialogue]:
    """Yield one dialogue per paragraph.

    Args:
        file: The file.
        lines: The stripped lines with their numbers.
        known: The long names of the file.
        people: The person of each name that is not only a name.
    """
    people = people or {}
    for is_dialogue, numbered in groupby(lines, key=lambda pair: bool(pair[1])):
        if is_dialogue:
            turns = [(number, *speaker_and_text(line, known)) for number, line in numbered]
            yield Dialogue(
                "",
                [
                    Utterance(text, people.get(speaker, speaker), where=f"{file.name}:{number}")
                    for number, speaker, text in turns
                ],
            )


def file_names(file: InputFile) -> frozenset[str]:
    """Find the names of more than three words that begin lines of a file.

    A name counts if it recurs, if it has a title, or if every line begins with a name.
    """
    counts: Counter[str] = Counter()
    has_other = False
    for line in map(stripped, file.lines()):
        name = long_name(line) if ":" in line or "：" in line else ""
        if name:
            counts[name] += 1
        elif line and not has_other:
            has_other = not speaker_and_text(line)[0]
    return frozenset(name for name, count in counts.items() if count > 1 or TITLE.search(name) or not has_other)


def layout_of(file: InputFile, known: frozenset[str]) -> Layout:
    """Find the head of a text: fields such as `Date: ...`, or a title above turns that all have a speaker."""
    last_field = first_turn = 0
    is_title, has_other = True, False
    fields: set[str] = set()
    names: Counter[str] = Counter()
    for number, line in enumerate(map(stripped, file.lines()), start=1):
        if not line or is_rule(line):
            continue
        speaker = speaker_and_text(line, known)[0]
        if speaker.casefold() in FIELDS and not names and not has_other:
            last_field = number
            fields.add(speaker)
        elif speaker:
            names[speaker] += 1
            first_turn = first_turn or number
        elif names:
            is_title &= bool(NOTE.fullmatch(line))
        else:
            is_title &= len(line) <= LONGEST_TITLE and not ENDS_SENTENCE.search(line)
            has_other = has_other or not is_title
    if fields & names.keys() or not (names or has_other):  # a person, or a file of nothing else
        return Layout(0, names + Counter(fields))
    return Layout(first_turn - 1 if is_title and len(names) > 1 else last_field, names)


def spoken_lines(
    file: InputFile, known: frozenset[str], layout: Layout, left_out: Counter[str]
) -> Iterator[tuple[int, str]]:
    """Yield the lines that somebody said, and blank ones, with their numbers. The others are counted in `left_out`.

    A rule such as `---` separates dialogues like a blank line. In a text with speakers, a line in brackets and the
    number of a page are notes, and a line that continues a full line above it in lower case is a part of it.
    """
    previous: tuple[int, str] | None = None
    for number, line in enumerate(map(stripped, file.lines()), start=1):
        if is_rule(line):
            left_out["separator lines"] += 1
            line = ""
        elif line and number <= layout.head:
            left_out["lines above the first turn"] += 1
            continue
        elif layout.has_speakers and NOTE.fullmatch(line):
            left_out["notes"] += 1
            continue
        if layout.has_speakers and previous and continues(previous[1], line, known):
            previous = (previous[0], f"{previous[1]} {line}")
            continue
        if previous is not None:
            yield previous
        previous = (number, line)
    if previous is not None:
        yield previous


def continues(above: str, line: str, known: frozenset[str]) -> bool:
    """Whether a line is the rest of the line above it, which an editor wrapped."""
    is_open = len(above) >= SHORTEST_FULL_LINE and not ENDS_SENTENCE.search(above)
    return is_open and line[:1].islower() and not speaker_and_text(line, known)[0]


def is_one_dialogue(file: InputFile, known: frozenset[str], layout: Layout) -> bool:
    """Whether the file is one dialogue: each turn is a line followed by a blank line, and at least two people speak."""
    speakers, previous = set(), ""
    for _, line in spoken_lines(file, known, layout, Counter()):
        speaker = speaker_and_text(line, known)[0] if line else ""
        if line and (previous or not speaker):
            return False
        speakers |= {speaker} - {""}
        previous = line
    return len(speakers) > 1
