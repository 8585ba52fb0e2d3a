"""A web page of labeled dialogues: its frame, its style sheet and the colors of its labels.

A page needs no script, font or picture. All of a dialogue's text is escaped.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..default_model import DEFAULT, LIMITS
from .excerpts import Excerpt
from .page_section import escape, section

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


def page(title: str, model: str, labels: Sequence[str], excerpts: Iterable[Excerpt], links: str = "") -> Iterator[str]:
    """A page of dialogues, in pieces of HTML.

    Args:
        title: Of the page, such as the name of the file that was labeled.
        model: Which labeled it.
        labels: Names of all emotions.
        excerpts: The dialogues, or the parts of them, that are on this page.
        links: HTML with the links to other pages, for the top and the end of this one.
    """
    return document(title, model, labels, (section(excerpt, labels) for excerpt in excerpts), links)


def document(title: str, model: str, labels: Sequence[str], body: Iterable[str], links: str = "") -> Iterator[str]:
    """The frame of any of the pages, around pieces of HTML."""
    limits = f" {LIMITS}" if model == DEFAULT else ""
    yield f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(title)} · emotions</title>
<style>
{STYLE.read_text(encoding="utf-8")}{colors(labels)}</style>
</head>
<body>
<header class="page">
<h1 dir="auto">{escape(title)}</h1>
<p>An emotion for every utterance, from the whole dialogue, by <b>{escape(model)}</b>. These are guesses about text;
they say nothing certain about what a person feels.{limits}</p>
</header>
{links}<main>
"""
    yield from body
    yield f"</main>\n{links}</body>\n</html>\n"


def colors(labels: Sequence[str]) -> str:
    """A color for each label, in a light and in a dark page; gray for what is no emotion."""
    light, dark = [], []
    for number, label in enumerate(labels):
        known = label.lower() in HUES or label.lower() in COLOURLESS
        hue = HUES.get(label.lower(), 0) if known else round(number * GOLDEN_ANGLE) % 360
        chroma = 0.02 if label.lower() in COLOURLESS else 1
        light.append(f".e{number} {{ --emotion: hsl({hue} {72 * chroma:.0f}% 42%) }}")
        dark.append(f".e{number} {{ --emotion: hsl({hue} {74 * chroma:.0f}% 66%) }}")
    return "\n".join([*light, "@media (prefers-color-scheme: dark) {", *dark, "}", ""])
