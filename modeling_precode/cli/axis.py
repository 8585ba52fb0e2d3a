"""The x-axis of the plots of a dialogue: the times of its utterances, or their numbers if there are no times."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from data_scripts.formats.times import seconds_of, shown_time

from .excerpts import Excerpt, day_and_clock

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
# Possible distances between two ticks of a time axis, in seconds.
TIME_STEPS = (
    *(1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE),
    *(HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY, 100 * DAY, 365 * DAY),
)
NUMBER_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
MOST_TICKS = 6
# The minimum distance of a tick from the ticks at the ends, as a share of the axis.
CLOSEST = 0.12


@dataclass
class Tick:
    """A mark on the axis: its position, from 0 to 1, and its text."""

    position: float
    text: str


@dataclass
class Axis:
    """The position of each utterance on the axis, from 0 to 1, and the ticks, with one at each end."""

    positions: list[float]
    ticks: list[Tick]
    is_time: bool


def axis_of(excerpt: Excerpt) -> Axis:
    """The axis of an excerpt: the times if every utterance has one and they differ, else the numbers."""
    seconds = [seconds_of(time) for time in excerpt.times]
    known = [second for second in seconds if second is not None]
    if len(known) == len(seconds) and len(set(known)) > 1:
        spread = spread_out(known)
        first, length = min(spread), max(spread) - min(spread)
        return Axis([(second - first) / length for second in spread], time_ticks(excerpt, known, length), is_time=True)
    count = len(excerpt.turns)
    positions = [(place + 0.5) / count for place in range(count)]
    return Axis(positions, number_ticks(excerpt, positions), is_time=False)


def spread_out(seconds: Sequence[float]) -> list[float]:
    """Spread utterances with the same time over that minute, or over that second if the times have seconds.

    The times of a chat have no seconds. Without this, its messages would be at the same position.
    """
    together = defaultdict(list)
    for place, second in enumerate(seconds):
        together[second].append(place)
    moments = sorted(together)
    longest = MINUTE if all(moment % MINUTE == 0 for moment in moments) else 1.0
    result = [0.0] * len(seconds)
    for moment, following in zip(moments, [*moments[1:], math.inf], strict=True):
        places = together[moment]
        for order, place in enumerate(places):
            result[place] = moment + min(following - moment, longest) * order / len(places)
    return result


def time_ticks(excerpt: Excerpt, seconds: Sequence[float], length: float) -> list[Tick]:
    """Ticks at the earliest and the latest time, and at round times between them, with the date for several days."""
    start, end = (excerpt.times[seconds.index(choose(seconds))] for choose in (min, max))
    has_days = day_and_clock(start)[0] != day_and_clock(end)[0]
    step = step_of(TIME_STEPS, length, MOST_TICKS // 2 if has_days else MOST_TICKS)
    # Round times are times of day, in the time zone of the first message.
    offset = (seconds_of(start) or 0.0) if not isinstance(start, str) else seconds_since_midnight(start)
    between = [
        (number * step - offset) for number in range(math.ceil(offset / step), int((offset + length) / step) + 1)
    ]
    ticks = [Tick(after / length, tick_text(time_after(start, after), has_days)) for after in between]
    return with_ends(ticks, Tick(0.0, tick_text(start, has_days)), Tick(1.0, tick_text(end, has_days)))


def order_axis(excerpt: Excerpt, axis: Axis) -> Axis:
    """An axis on which all utterances have the same width, in the order of the dialogue. Its ticks are the times."""
    count = len(excerpt.turns)
    positions = [(place + 0.5) / count for place in range(count)]
    if not axis.is_time:
        return Axis(positions, number_ticks(excerpt, positions), is_time=False)
    has_days = day_and_clock(excerpt.times[0])[0] != day_and_clock(excerpt.times[-1])[0]
    most = min(MOST_TICKS // 2 if has_days else MOST_TICKS, count)
    places = sorted({round(part * (count - 1) / (most - 1)) for part in range(most)})
    return Axis(
        positions, [Tick(positions[place], tick_text(excerpt.times[place], has_days)) for place in places], True
    )


def number_ticks(excerpt: Excerpt, positions: Sequence[float]) -> list[Tick]:
    """Ticks at the numbers of the first and the last utterance, and at round numbers between them."""
    if not positions:
        return []
    step = int(step_of(NUMBER_STEPS, len(positions), MOST_TICKS))
    numbered = enumerate(positions, start=excerpt.first)
    ticks = [Tick(position, f"{number:,}") for number, position in numbered if number % step == 0]
    first = Tick(positions[0], f"{excerpt.first:,}")
    return with_ends(ticks, first, Tick(positions[-1], f"{excerpt.last:,}")) if len(positions) > 1 else [first]


def with_ends(ticks: Sequence[Tick], first: Tick, last: Tick) -> list[Tick]:
    """Ticks at both ends, and those between them that are not too close to an end."""
    low, high = first.position + CLOSEST, last.position - CLOSEST
    return [first, *(tick for tick in ticks if low <= tick.position <= high), last]


def step_of(steps: Sequence[float], length: float, most: int) -> float:
    """The smallest step that results in at most `most` ticks."""
    return next((step for step in steps if length / step <= most), length / most)


def seconds_since_midnight(date: str) -> float:
    """The time of day of a date in ISO 8601, in seconds."""
    moment = datetime.fromisoformat(date.replace("Z", "+00:00"))
    return moment.hour * HOUR + moment.minute * MINUTE + moment.second


def time_after(time: float | str | None, seconds: float) -> float | str:
    """A time, in seconds or as a date, plus a number of seconds."""
    if isinstance(time, str):
        return (datetime.fromisoformat(time.replace("Z", "+00:00")) + timedelta(seconds=seconds)).isoformat()
    return (time or 0.0) + seconds


def tick_text(time: float | str | None, has_days: bool) -> str:
    """The text of a time on the axis."""
    day, clock = day_and_clock(time)
    return f"{day[5:]} {clock}".strip() if has_days else clock or shown_time(time)
