"""The x-axis of the plots of a dialogue: the times of its utterances where it has them, else their numbers."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from data_scripts.formats.times import seconds_of

from .excerpts import Excerpt, day_and_clock

MINUTE = 60.0


@dataclass
class Axis:
    """Where each utterance is on the axis, from 0 to 1, and what is written at its two ends."""

    positions: list[float]
    start: str
    end: str
    is_time: bool


def axis_of(excerpt: Excerpt) -> Axis:
    """The times, if every utterance has one and they are not all the same."""
    seconds = [seconds_of(time) for time in excerpt.times]
    known = [second for second in seconds if second is not None]
    if len(known) == len(seconds) and len(set(known)) > 1:
        spread = spread_out(known)
        first, length = min(spread), max(spread) - min(spread)
        return Axis([(second - first) / length for second in spread], *ends(excerpt, known), is_time=True)
    count = len(excerpt.turns)
    positions = [(place + 0.5) / count for place in range(count)]
    return Axis(positions, str(excerpt.first), str(excerpt.last), is_time=False)


def spread_out(seconds: Sequence[float]) -> list[float]:
    """Utterances of the same minute, or of the same second in finer times, one after another within it.

    A chat's times are to the minute; its messages would be on top of one another.
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


def ends(excerpt: Excerpt, seconds: Sequence[float]) -> tuple[str, str]:
    """The earliest and the latest time; with month and day where they are of different days."""
    first, last = (seconds.index(choose(seconds)) for choose in (min, max))
    (first_day, start), (last_day, end) = (day_and_clock(excerpt.times[place]) for place in (first, last))
    if first_day == last_day:
        return start, end
    return f"{first_day[5:]} {start}", f"{last_day[5:]} {end}"
