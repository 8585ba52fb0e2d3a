"""Divides labeled dialogues into the contents of web pages: whole dialogues, or parts of a long one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from data_scripts.building.dialogues import Dialogue
from data_scripts.formats.times import shown_time

# A page with 2,000 utterances has 1 to 2 MB. A page with 500 short dialogues, each with its plots, has 6 MB.
MOST_UTTERANCES = 2_000
MOST_DIALOGUES = 500


@dataclass
class Excerpt:
    """A dialogue, or the utterances of it that are on one page.

    Attributes:
        number: The number of the dialogue in its file, from 1.
        dialogue_id: The id of the dialogue.
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
        """Whether the excerpt is the whole dialogue."""
        return len(self.turns) == self.total

    @property
    def last(self) -> int:
        """The number of the last utterance, from 1."""
        return self.first + len(self.turns) - 1

    @property
    def period(self) -> str:
        """The first and the last time, as text; empty without times."""
        if not self.times:
            return ""
        (first_day, first), (last_day, last) = day_and_clock(self.times[0]), day_and_clock(self.times[-1])
        start = f"{first_day} {first}".strip()
        end = last if first_day == last_day else f"{last_day} {last}".strip()
        return f"{start} – {end}" if start and end and end != first else start or end


def day_and_clock(time: float | str | None) -> tuple[str, str]:
    """The day and the time of day of a date. The day is empty for a time in a recording."""
    if not isinstance(time, str):
        return "", shown_time(time)
    day, _, clock = shown_time(time).partition(" ")
    return day, clock


def excerpts(labeled: Iterable[tuple[Dialogue, list[dict]]]) -> Iterator[Excerpt]:
    """Yield every dialogue. A dialogue that is longer than a page becomes several excerpts."""
    for number, (dialogue, turns) in enumerate(labeled, start=1):
        times = [utterance.start for utterance in dialogue.utterances]
        for start in range(0, max(len(turns), 1), MOST_UTTERANCES):
            part = slice(start, start + MOST_UTTERANCES)
            yield Excerpt(number, dialogue.dialogue_id, turns[part], times[part], start + 1, len(turns))


def in_pages(labeled: Iterable[tuple[Dialogue, list[dict]]]) -> Iterator[list[Excerpt]]:
    """Yield the excerpts of each page. At most one page and one dialogue are in memory."""
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
