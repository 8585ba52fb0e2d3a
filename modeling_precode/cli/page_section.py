"""A dialogue on a web page: what was said, with its emotions in color, and the course of each emotion."""

import html
import math
from collections.abc import Sequence
from itertools import groupby

from data_scripts.tools.console import printable

from .axis import Axis, axis_of
from .excerpts import Excerpt, day_and_clock

# Points of a plot; a longer dialogue's are the mean of several utterances each.
MOST_POINTS = 80
PLOT_WIDTH, PLOT_HEIGHT = 300, 60
BEST = ' class="best"'


def section(excerpt: Excerpt, labels: Sequence[str]) -> str:
    axis = axis_of(excerpt)
    plots = "".join(plot(excerpt, axis, index, label) for index, label in enumerate(labels))
    step = a_point(excerpt)
    meaning = "a point where it is the likeliest" if step == 1 else f"means of {step} utterances each"
    over = "time" if axis.is_time else "the utterances"
    number = excerpt.number
    return f"""<section aria-labeledby="d{number}">
<h2 id="d{number}">Dialogue {number} <small dir="auto">{escape(facts(excerpt))}</small></h2>
<div class="columns">
<div class="plots" role="group" aria-label="Course of each emotion">
<p>Probability of each emotion, from 0 to 100%, over {over}; {meaning}.</p>
{plots}</div>
<ol class="dialogue{" timed" * any(time is not None for time in excerpt.times)}">
{utterances(excerpt, labels)}</ol>
</div>
{table(excerpt, labels)}</section>
"""


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


def utterances(excerpt: Excerpt, labels: Sequence[str]) -> str:
    """One list item per utterance. A speaker is named where another one begins, and of several days, each."""
    items = []
    said = list(zip(range(excerpt.first, excerpt.last + 1), excerpt.times, excerpt.turns, strict=True))
    named = any(turn.get("speaker") for turn in excerpt.turns)
    days = {day_and_clock(time)[0] for time in excerpt.times}
    shown_day = days.pop() if len(days) == 1 else ""  # the heading says it
    for (day, speaker), group in groupby(said, lambda one: (day_and_clock(one[1])[0], one[2].get("speaker", ""))):
        above = f'<p class="day">{escape(day)}</p>\n' if day and day != shown_day else ""
        above += f'<p class="speaker">{escape(speaker) or "–"}</p>\n' if named else ""
        shown_day = day
        for index, time, turn in group:
            items.append(utterance(excerpt.number, index, time, turn, labels.index(turn["label"]), above))
            above = ""
    return "".join(items)


def utterance(number: int, index: int, time: float | str | None, turn: dict, label: int, above: str) -> str:
    clock = day_and_clock(time)[1]
    place = f'<span class="time">{escape(clock)}</span> ' if clock else ""
    return (
        f'<li id="d{number}u{index}" class="e{label}" value="{index}">\n{above}'
        f'<p class="text" dir="auto">{escape(turn["text"]) or "<i>nothing said</i>"}</p>\n'
        f'<p class="label"><span class="dot"></span><span>{escape(turn["label"])} {turn["score"]:.0%}'
        f'{runner_up(turn)}</span><span class="place">{place}<span class="number">{index}</span></span></p>\n</li>\n'
    )


def runner_up(turn: dict) -> str:
    """What else it may be, where the label has less than half of the probability."""
    others = {label: share for label, share in turn["distribution"].items() if label != turn["label"]}
    if turn["score"] >= 0.5 or not others:
        return ""
    second = max(others, key=others.__getitem__)
    return f", or&nbsp;{escape(second)}&nbsp;{others[second]:.0%}"


def plot(excerpt: Excerpt, axis: Axis, index: int, label: str) -> str:
    """The probability of one emotion, from 0 to 1, over the axis. Where there is room, points lead to the utterances
    of which it is the likeliest."""
    turns = excerpt.turns
    values = [turn["distribution"][label] for turn in turns]
    line = curve(axis, values, a_point(excerpt))
    chosen = [place for place, turn in enumerate(turns) if turn["label"] == label]
    points = "".join(
        f'<a href="#d{excerpt.number}u{excerpt.first + place}" '
        f'style="left:{axis.positions[place]:.2%};top:{1 - values[place]:.2%}" '
        f'aria-label="{where(excerpt, place)}: {escape(label)} {values[place]:.0%}"></a>'
        for place in (chosen if a_point(excerpt) == 1 else [])
    )
    peak = max(range(len(values)), key=values.__getitem__, default=0)
    summary = f"peak {values[peak]:.0%} at {where(excerpt, peak)}" if values else "no utterance"
    ends = f"<span>{escape(axis.start)}</span><span>{escape(axis.end)}</span>" if values else ""
    return f"""<figure class="e{index}">
<figcaption><span class="dot"></span>{escape(label)} <small>{len(chosen)} of {len(turns)}</small></figcaption>
<div class="plot"><svg viewBox="0 0 {PLOT_WIDTH} {PLOT_HEIGHT}" preserveAspectRatio="none" role="img"
aria-label="{escape(label)} over the dialogue: {summary}"><path class="middle" d="M0 {PLOT_HEIGHT / 2}H{PLOT_WIDTH}"/>
<polygon points="0,{PLOT_HEIGHT} {line} {PLOT_WIDTH},{PLOT_HEIGHT}"/><polyline points="{line}"/></svg>{points}</div>
<p class="axis">{ends}</p>
</figure>
"""


def curve(axis: Axis, values: Sequence[float], step: int) -> str:
    """The points of a line through the means of `step` utterances each, from edge to edge."""
    pairs = sorted(zip(axis.positions, values, strict=True), key=lambda pair: pair[0])
    parts = [pairs[start : start + step] for start in range(0, len(pairs), step)]
    means = [tuple(sum(column) / len(part) for column in zip(*part, strict=True)) for part in parts]
    drawn = [(0.0, means[0][1]), *means, (1.0, means[-1][1])] if means else []
    return " ".join(f"{PLOT_WIDTH * x:.1f},{PLOT_HEIGHT * (1 - y):.1f}" for x, y in drawn)


def where(excerpt: Excerpt, place: int) -> str:
    clock = day_and_clock(excerpt.times[place])[1]
    return f"utterance {excerpt.first + place}" + (f", {escape(clock)}" if clock else "")


def a_point(excerpt: Excerpt) -> int:
    """How many utterances a point of a plot stands for."""
    return max(math.ceil(len(excerpt.turns) / MOST_POINTS), 1)


def table(excerpt: Excerpt, labels: Sequence[str]) -> str:
    """Every number of the plots, for one who cannot see them or wants them exactly."""
    has_times = any(time is not None for time in excerpt.times)
    head = '<th scope="col">time</th>' * has_times
    head += "".join(f'<th scope="col">{escape(label)}</th>' for label in labels)
    rows = []
    for index, (turn, time) in enumerate(zip(excerpt.turns, excerpt.times, strict=True), start=excerpt.first):
        cells = f"<td>{escape(' '.join(day_and_clock(time)).strip())}</td>" * has_times
        shares = turn["distribution"].items()
        cells += "".join(f"<td{BEST * (label == turn['label'])}>{share:.0%}</td>" for label, share in shares)
        rows.append(f'<tr><th scope="row">{index}</th>{cells}</tr>\n')
    return f"""<details><summary>All numbers</summary>
<div class="scroll" tabindex="0" role="region" aria-label="All numbers"><table>
<thead><tr><th scope="col">utterance</th>{head}</tr></thead>
<tbody>
{"".join(rows)}</tbody></table></div></details>
"""


def escape(text: str) -> str:
    """Text within the page: neither markup nor control characters."""
    return html.escape(printable(text))
