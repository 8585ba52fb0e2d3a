"""A dialogue on a web page: the values for its template."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from .axis import Axis, axis_of, order_axis
from .band import Band, Curve, band_of, columns_of, curves_of, utterances_per_point
from .excerpts import Excerpt, day_and_clock
from .explanation import Explanation, explanation_of
from .summary import Speaker, Summary, initials, summary_of

# The number of tints for speakers. More speakers share them.
SPEAKER_TINTS = 8


@dataclass
class Utterance:
    """An utterance in the list of a page.

    Attributes:
        id: The id for links, such as `d1u3`.
        number: The number in the dialogue, from 1.
        day: The day if it is a new one, else empty.
        speaker: The speaker if it is another one than before, else None.
        tint: The number of the speaker's tint.
        is_reply: Whether it is on the other side, because it is from the second of two speakers.
        clock: The time, or empty.
        text: The text.
        label: The number of the label.
        name: The name of the label.
        score: The probability of the label.
        runner_up: The next label and its probability, if the probability of the label is less than half.
        explanation: The explanation of the label, if there is one.
    """

    id: str
    number: int
    day: str
    speaker: Speaker | None
    tint: int
    is_reply: bool
    clock: str
    text: str
    label: int
    name: str
    score: float
    runner_up: tuple[str, float] | None
    explanation: Explanation | None


@dataclass
class Row:
    """An utterance in the table of all numbers: for each label, the probability and whether it is the chosen one."""

    number: int
    time: str
    shares: list[tuple[float, bool]]


@dataclass
class Section:
    """A dialogue, or a part of it, on a page.

    Attributes:
        number: The number of the dialogue, from 1.
        facts: The text of the heading.
        summary: The summary of the utterances.
        utterances: All utterances.
        axis: The x-axis of the curves.
        order: The x-axis of the band.
        band: The stacked probabilities.
        curves: The probability of each label.
        rows: All numbers of the plots, for people who cannot see the plots or want exact numbers.
        per_point: The number of utterances in a column of the band and in a point of a curve.
        has_times: Whether any utterance has a time.
    """

    number: int
    facts: str
    summary: Summary
    utterances: list[Utterance]
    axis: Axis
    order: Axis
    band: Band
    curves: list[Curve]
    rows: list[Row]
    per_point: int
    has_times: bool

    @property
    def is_explained(self) -> bool:
        """Whether any label has an explanation."""
        return any(utterance.explanation for utterance in self.utterances)


def section_of(excerpt: Excerpt, labels: Sequence[str]) -> Section:
    """The section of an excerpt."""
    axis = axis_of(excerpt)
    order = order_axis(excerpt, axis)
    return Section(
        number=excerpt.number,
        facts=heading_text(excerpt),
        summary=summary_of([excerpt], labels),
        utterances=list(utterances_of(excerpt, labels)),
        axis=axis,
        order=order,
        band=band_of(columns_of(excerpt, order, labels), labels),
        curves=curves_of(excerpt, axis, labels),
        rows=rows_of(excerpt, labels),
        per_point=utterances_per_point(excerpt),
        has_times=any(time is not None for time in excerpt.times),
    )


def heading_text(excerpt: Excerpt) -> str:
    """The text of the heading of a dialogue."""
    speakers = {turn["speaker"] for turn in excerpt.turns if turn.get("speaker")}
    found = [f"id {excerpt.dialogue_id}"] if excerpt.dialogue_id != str(excerpt.number) else []
    found += [excerpt.period] if excerpt.period else []
    if excerpt.is_whole:
        found.append(f"{excerpt.total:,} utterance{'s' * (excerpt.total != 1)}")
    else:
        found.append(f"utterances {excerpt.first:,} to {excerpt.last:,} of {excerpt.total:,}")
    if speakers:
        found.append(f"{len(speakers)} speaker{'s' * (len(speakers) != 1)}")
    return " · ".join(found)


def utterances_of(excerpt: Excerpt, labels: Sequence[str]) -> Iterator[Utterance]:
    """Yield every utterance. Speakers and days are set only where they change."""
    names = list(dict.fromkeys(turn["speaker"] for turn in excerpt.turns if turn.get("speaker")))
    days = {day_and_clock(time)[0] for time in excerpt.times}
    shown_day = days.pop() if len(days) == 1 else ""  # the heading has it

    def day_and_speaker(place: int) -> tuple[str, str]:
        return day_and_clock(excerpt.times[place])[0], excerpt.turns[place].get("speaker") or ""

    for (day, name), places in groupby(range(len(excerpt.turns)), day_and_speaker):
        number = names.index(name) if name else 0
        speaker = Speaker(number, name, initials(name), 0, []) if names else None
        new_day, shown_day = (day if day != shown_day else ""), day
        for place in places:
            turn = excerpt.turns[place]
            yield Utterance(
                id=f"d{excerpt.number}u{excerpt.first + place}",
                number=excerpt.first + place,
                day=new_day,
                speaker=speaker,
                tint=number % SPEAKER_TINTS,
                is_reply=len(names) == 2 and name == names[1],
                clock=day_and_clock(excerpt.times[place])[1],
                text=turn["text"],
                label=labels.index(turn["label"]),
                name=turn["label"],
                score=turn["score"],
                runner_up=runner_up(turn),
                explanation=explanation_of(excerpt, place),
            )
            speaker, new_day = None, ""


def runner_up(turn: dict) -> tuple[str, float] | None:
    """The second most probable label and its probability; None if the first has at least half."""
    others = {label: share for label, share in turn["distribution"].items() if label != turn["label"]}
    if turn["score"] >= 0.5 or not others:
        return None
    second = max(others, key=others.__getitem__)
    return second, others[second]


def rows_of(excerpt: Excerpt, labels: Sequence[str]) -> list[Row]:
    """The rows of the table of all numbers."""
    return [
        Row(
            number,
            " ".join(day_and_clock(time)).strip(),
            [(turn["distribution"][label], label == turn["label"]) for label in labels],
        )
        for number, (turn, time) in enumerate(zip(excerpt.turns, excerpt.times, strict=True), start=excerpt.first)
    ]
