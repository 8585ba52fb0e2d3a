"""Labeled dialogues as one web page: what was said, with its emotions in color, and the course of each emotion.

The page needs nothing else: no script, no font, no picture. All of a dialogue's text is escaped.
"""

import html
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from data_scripts.tools.console import printable

STYLE = Path(__file__).with_name("page.css")
# Emotions of the known corpora: a hue, in degrees, of like kinds.
HUES = {
    "anger": 4,
    "angry": 4,
    "mad": 4,
    "frustrated": 24,
    "disgust": 90,
    "happiness": 42,
    "happy": 42,
    "joy": 42,
    "joyful": 42,
    "excited": 30,
    "positive": 145,
    "peaceful": 165,
    "surprise": 185,
    "sad": 215,
    "sadness": 215,
    "negative": 350,
    "fear": 275,
    "scared": 275,
    "powerful": 320,
}
COLOURLESS = {"neutral", "no emotion", "non-neutral", "other", "unknown"}
# An even spread for labels that nobody knows.
GOLDEN_ANGLE = 137.5
# Points of a plot; a longer dialogue's are the mean of several utterances each.
MOST_POINTS = 80
PLOT_WIDTH, PLOT_HEIGHT = 300, 60
BEST = ' class="best"'


def page(title: str, model: str, labels: Sequence[str], dialogues: Iterable[tuple[str, list[dict]]]) -> Iterator[str]:
    """The page in pieces, so that no more than one dialogue need be in memory.

    Args:
        title: of the page; the name of the file that was labeled, say.
        model: which labeled it.
        labels: names of all emotions.
        dialogues: an id and, for each utterance, `text`, `speaker` if there is one, `label`, `score` and
            `distribution`, as the pipeline gives them.
    """
    yield f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(title)} · emotions</title>
<style>
{STYLE.read_text(encoding="utf-8")}{colours(labels)}</style>
</head>
<body>
<header class="page">
<h1>{escape(title)}</h1>
<p>An emotion for every utterance, from the whole dialogue, by <b>{escape(model)}</b>. These are guesses about text;
they say nothing certain about what a person feels.</p>
</header>
<main>
"""
    for number, (dialogue_id, turns) in enumerate(dialogues, start=1):
        yield section(number, dialogue_id, turns, labels)
    yield "</main>\n</body>\n</html>\n"


def escape(text: str) -> str:
    """Text within the page: neither markup nor control characters."""
    return html.escape(printable(text))


def colours(labels: Sequence[str]) -> str:
    """A color for each label, in a light and in a dark page; gray for what is no emotion."""
    light, dark = [], []
    for number, label in enumerate(labels):
        known = label.lower() in HUES or label.lower() in COLOURLESS
        hue = HUES.get(label.lower(), 0) if known else round(number * GOLDEN_ANGLE) % 360
        chroma = 0.02 if label.lower() in COLOURLESS else 1
        light.append(f".e{number} {{ --emotion: hsl({hue} {72 * chroma:.0f}% 42%) }}")
        dark.append(f".e{number} {{ --emotion: hsl({hue} {74 * chroma:.0f}% 66%) }}")
    return "\n".join([*light, "@media (prefers-color-scheme: dark) {", *dark, "}", ""])


def section(number: int, dialogue_id: str, turns: list[dict], labels: Sequence[str]) -> str:
    plots = "".join(plot(number, index, label, turns) for index, label in enumerate(labels))
    speakers = dict.fromkeys(turn["speaker"] for turn in turns if turn.get("speaker"))
    facts = [f"id {escape(dialogue_id)}"] if dialogue_id != str(number) else []
    facts.append(f"{len(turns):,} utterance{'s' * (len(turns) != 1)}")
    if speakers:
        facts.append(f"{len(speakers)} speaker{'s' * (len(speakers) != 1)}")
    step = a_point(turns)
    meaning = "a point where it is the likeliest" if step == 1 else f"means of {step} utterances each"
    return f"""<section aria-labelledby="d{number}">
<h2 id="d{number}">Dialogue {number} <small>{" · ".join(facts)}</small></h2>
<div class="columns">
<div class="plots" role="group" aria-label="Course of each emotion">
<p>Probability of each emotion, from 0 to 100%, over the dialogue; {meaning}.</p>
{plots}</div>
<ol class="dialogue">
{utterances(number, turns, labels)}</ol>
</div>
{table(turns, labels)}</section>
"""


def utterances(number: int, turns: list[dict], labels: Sequence[str]) -> str:
    """One list item an utterance; a speaker is named where another one begins."""
    items = []
    index = 0
    named = any(turn.get("speaker") for turn in turns)
    for speaker, said in groupby(turns, key=lambda turn: turn.get("speaker", "")):
        for first, turn in zip([True, *[False] * len(turns)], said, strict=False):
            index += 1
            name = f'<p class="speaker">{escape(speaker) or "–"}</p>\n' if named and first else ""
            items.append(
                f'<li id="d{number}u{index}" class="e{labels.index(turn["label"])}" value="{index}">\n{name}'
                f'<p class="text" dir="auto">{escape(turn["text"]) or "<i>nothing said</i>"}</p>\n'
                f'<p class="label"><span class="dot"></span><span>{escape(turn["label"])} {turn["score"]:.0%}'
                f'{runner_up(turn)}</span><span class="place">{index}</span></p>\n</li>\n'
            )
    return "".join(items)


def runner_up(turn: dict) -> str:
    """What else it may be, where the label has less than half of the probability."""
    others = {label: share for label, share in turn["distribution"].items() if label != turn["label"]}
    if turn["score"] >= 0.5 or not others:
        return ""
    second = max(others, key=others.__getitem__)
    return f", or&nbsp;{escape(second)}&nbsp;{others[second]:.0%}"


def plot(number: int, index: int, label: str, turns: list[dict]) -> str:
    """The probability of one emotion over the utterances, from 0 to 1; where there is room, points that lead to the
    utterances of which it is the likeliest."""
    values = [turn["distribution"][label] for turn in turns]
    step = a_point(turns)
    steps = [values[start : start + step] for start in range(0, len(values), step)]
    xs = [PLOT_WIDTH * (place + 0.5) / len(steps) for place in range(len(steps))]
    ys = [PLOT_HEIGHT * (1 - sum(part) / len(part)) for part in steps]
    ends = [(0, ys[0]), *zip(xs, ys, strict=True), (PLOT_WIDTH, ys[-1])] if values else []
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in ends)
    chosen = [place for place, turn in enumerate(turns) if turn["label"] == label]
    points = "".join(
        f'<a href="#d{number}u{place + 1}" style="left:{xs[place] / PLOT_WIDTH:.2%};top:{1 - values[place]:.2%}" '
        f'aria-label="utterance {place + 1}: {escape(label)} {values[place]:.0%}"></a>'
        for place in (chosen if step == 1 else [])
    )
    peak = max(range(len(values)), key=values.__getitem__, default=0)
    summary = f"peak {values[peak]:.0%} at utterance {peak + 1}" if values else "no utterance"
    return f"""<figure class="e{index}">
<figcaption><span class="dot"></span>{escape(label)} <small>{len(chosen)} of {len(turns)}</small></figcaption>
<div class="plot"><svg viewBox="0 0 {PLOT_WIDTH} {PLOT_HEIGHT}" preserveAspectRatio="none" role="img"
aria-label="{escape(label)} over the dialogue: {summary}"><path class="middle" d="M0 {PLOT_HEIGHT / 2}H{PLOT_WIDTH}"/>
<polygon points="0,{PLOT_HEIGHT} {line} {PLOT_WIDTH},{PLOT_HEIGHT}"/><polyline points="{line}"/></svg>{points}</div>
</figure>
"""


def a_point(turns: list[dict]) -> int:
    """How many utterances a point of a plot stands for."""
    return max(math.ceil(len(turns) / MOST_POINTS), 1)


def table(turns: list[dict], labels: Sequence[str]) -> str:
    """Every number of the plots, for one who cannot see them or wants them exactly."""
    head = "".join(f'<th scope="col">{escape(label)}</th>' for label in labels)
    rows = []
    for place, turn in enumerate(turns, start=1):
        shares = turn["distribution"].items()
        cells = (f"<td{BEST * (label == turn['label'])}>{share:.0%}</td>" for label, share in shares)
        rows.append(f'<tr><th scope="row">{place}</th>{"".join(cells)}</tr>\n')
    return f"""<details><summary>All numbers</summary>
<div class="scroll" tabindex="0" role="region" aria-label="All numbers"><table>
<thead><tr><th scope="col">utterance</th>{head}</tr></thead>
<tbody>
{"".join(rows)}</tbody></table></div></details>
"""
