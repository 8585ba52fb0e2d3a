"""Labeled dialogues in the portions that a web page has room for: whole dialogues, or parts of a long one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from data_scripts.building.dialogues import Dialogue
from data_scripts.formats.times import shown_time

# A page of 2,000 utterances has 1 to 2 MB, and one of 500 short dialogues, each with its plots, 6 MB.
MOST_UTTERANCES = 2_000
MOST_DIALOGUES = 500


@dataclass
class Excerpt:
    """A dialogue, or those of its utterances that are on one page.

    Attributes:
        number: Of the dialogue in its file, from 1.
        dialogue_id: Of the dialogue.
        turns: `text`, `speaker` if there is one, `label`, `score` and `distribution` of each utterance, as the pipeline
            returns them.
        times: The start of each utterance: seconds of a recording, a date in ISO 8601, or None.
        first: The number of the first of these utterances in the dialogue, from 1.
        total: The number of utterances of the whole dialogue.
    """

    number: int
    dialogue_id: str
    turns: list[dict]
    times: list[float | str | None]
    first: int
    total: int

    @property
    def is_whole(self) -> bool:
        return len(self.turns) == self.total

    @property
    def last(self) -> int:
        return self.first + len(self.turns) - 1

    @property
    def period(self) -> str:
        """From when to when, for people; empty without times."""
        if not self.times:
            return ""
        (first_day, first), (last_day, last) = day_and_clock(self.times[0]), day_and_clock(self.times[-1])
        start = f"{first_day} {first}".strip()
        end = last if first_day == last_day else f"{last_day} {last}".strip()
        return f"{start} – {end}" if start and end and end != first else start or end


def day_and_clock(time: float | str | None) -> tuple[str, str]:
    """The day of a date and its time of the day; a time of a recording has no day."""
    if not isinstance(time, str):
        return "", shown_time(time)
    day, _, clock = shown_time(time).partition(" ")
    return day, clock


def excerpts(labeled: Iterable[tuple[Dialogue, list[dict]]]) -> Iterator[Excerpt]:
    """Every dialogue, in several excerpts where it is longer than a page."""
    for number, (dialogue, turns) in enumerate(labeled, start=1):
        times = [utterance.start for utterance in dialogue.utterances]
        for start in range(0, max(len(turns), 1), MOST_UTTERANCES):
            part = slice(start, start + MOST_UTTERANCES)
            yield Excerpt(number, dialogue.dialogue_id, turns[part], times[part], start + 1, len(turns))


def in_pages(labeled: Iterable[tuple[Dialogue, list[dict]]]) -> Iterator[list[Excerpt]]:
    """What is on each page. No more than a page and a dialogue are in memory."""
    page: list[Excerpt] = []
    room = MOST_UTTERANCES
    for excerpt in excerpts(labeled):
        if page and (len(excerpt.turns) > room or len(page) == MOST_DIALOGUES):
            yield page
            page, room = [], MOST_UTTERANCES
        page.append(excerpt)
        room -= len(excerpt.turns)
    if page:
        yield page
