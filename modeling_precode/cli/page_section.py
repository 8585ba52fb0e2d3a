"""A dialogue on a web page: the facts that its template shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from .axis import Axis, axis_of, order_axis
from .band import Band, Curve, band_of, columns_of, curves_of, utterances_per_point
from .excerpts import Excerpt, day_and_clock
from .explanation import Explanation, explanation_of
from .summary import Speaker, Summary, initials, summary_of

# Speakers have as many tints; more of them share these.
SPEAKER_TINTS = 8


@dataclass
class Utterance:
    """A list item of the page.

    Attributes:
        id: `d1u3`, for links.
        number: In the dialogue, from 1.
        day: Where a new day begins, else empty.
        speaker: Where another speaker begins, else None.
        tint: The number of the speaker's tint.
        is_reply: Whether it is on the other side, of the second of two speakers.
        clock: The time, or empty.
        text: What is said.
        label: The number of the label.
        name: The name of the label.
        score: Its probability.
        runner_up: The next label and its probability, where the label has less than half.
        explanation: Why it has this label, if that is known.
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
    """An utterance's probabilities in the table of all numbers: of each label, and whether it is the one chosen."""

    number: int
    time: str
    shares: list[tuple[float, bool]]


@dataclass
class Section:
    """A dialogue, or a part of it, on a page.

    Attributes:
        number: Of the dialogue, from 1.
        facts: What its heading says.
        summary: Its utterances as a whole.
        utterances: Every one of them.
        axis: The x-axis of the curves.
        order: The x-axis of the band.
        band: The stacked probabilities.
        curves: The probability of each label.
        rows: Every number of the plots, for people who cannot see them or want them exactly.
        per_point: How many utterances are in a column of the band and in a point of a curve.
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
        return any(utterance.explanation for utterance in self.utterances)


def section_of(excerpt: Excerpt, labels: Sequence[str]) -> Section:
    axis = axis_of(excerpt)
    order = order_axis(excerpt, axis)
    return Section(
        number=excerpt.number,
        facts=facts(excerpt),
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


def facts(excerpt: Excerpt) -> str:
    """What the heading of a dialogue says of it."""
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
    """Every utterance. A speaker is named where another one begins, and of several days, each."""
    names = list(dict.fromkeys(turn["speaker"] for turn in excerpt.turns if turn.get("speaker")))
    days = {day_and_clock(time)[0] for time in excerpt.times}
    shown_day = days.pop() if len(days) == 1 else ""  # the heading says it

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
    """What else it may be, where the label has less than half of the probability."""
    others = {label: share for label, share in turn["distribution"].items() if label != turn["label"]}
    if turn["score"] >= 0.5 or not others:
        return None
    second = max(others, key=others.__getitem__)
    return second, others[second]


def rows_of(excerpt: Excerpt, labels: Sequence[str]) -> list[Row]:
    return [
        Row(
            number,
            " ".join(day_and_clock(time)).strip(),
            [(turn["distribution"][label], label == turn["label"]) for label in labels],
        )
        for number, (turn, time) in enumerate(zip(excerpt.turns, excerpt.times, strict=True), start=excerpt.first)
    ]
