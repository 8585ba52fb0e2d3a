"""The colors and shapes of the labels on a page. The shapes distinguish labels without color."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """The color of a label on a light and on a dark page, and the name of its shape in `page.css`."""

    light: str
    dark: str
    shape: str

    @property
    def is_neutral(self) -> bool:
        """Whether this is the look of a neutral label."""
        return self == NEUTRAL_LOOK

    @property
    def on_light(self) -> str:
        """The color of a shape on the light color."""
        return ink(self.light)

    @property
    def on_dark(self) -> str:
        """The color of a shape on the dark color."""
        return ink(self.dark)


# The colors also differ in lightness, so that color-blind people can distinguish them.
LOOKS = {
    "anger": Look("#d96f55", "#dd9088", "triangle"),
    "disgust": Look("#2d5c2b", "#1d8a20", "square"),
    "fear": Look("#632478", "#9456b1", "diamond"),
    "joy": Look("#efab22", "#f8d281", "circle"),
    "sadness": Look("#4171b7", "#65a6fe", "drop"),
    "surprise": Look("#30b0c2", "#5fdde4", "star"),
    "pride": Look("#b12b70", "#b581b0", "plus"),
}
NEUTRAL_LOOK = Look("#d9dbe1", "#4b4f5b", "dash")
NEUTRAL = {"neutral", "no emotion", "non-neutral", "other", "unknown"}
# Labels of the known corpora that look like one of those above.
SIMILAR = {
    "angry": "anger",
    "mad": "anger",
    "negative": "anger",
    "disgusted": "disgust",
    "frustrated": "disgust",
    "fearful": "fear",
    "scared": "fear",
    "happiness": "joy",
    "happy": "joy",
    "joyful": "joy",
    "sad": "sadness",
    "surprised": "surprise",
    "peaceful": "surprise",
    "positive": "surprise",
    "excited": "pride",
    "powerful": "pride",
}
# The angle between hues, in degrees, which spreads them evenly, for labels beyond the looks above.
GOLDEN_ANGLE = 137.5


def looks_of(labels: Sequence[str]) -> list[Look]:
    """The look of each label. Unknown labels get unused looks as long as there are any."""
    free = dict(LOOKS)
    found: dict[str, Look] = {}
    for label in labels:
        kind = SIMILAR.get(label.lower(), label.lower())
        if is_neutral(label):
            found[label] = NEUTRAL_LOOK
        elif kind in free:
            found[label] = free.pop(kind)
    shapes = [look.shape for look in LOOKS.values()]
    for number, label in enumerate(labels):
        if label not in found:
            unused = next(iter(free), None)
            found[label] = free.pop(unused) if unused else spread_look(number, shapes[number % len(shapes)])
    return [found[label] for label in labels]


def spread_look(number: int, shape: str) -> Look:
    """A look for a further label, with a hue that depends on its number."""
    hue = round(number * GOLDEN_ANGLE) % 360
    return Look(f"hsl({hue} 55% 42%)", f"hsl({hue} 65% 70%)", shape)


def is_neutral(label: str) -> bool:
    """Whether a label means that there is no emotion."""
    return label.lower() in NEUTRAL


def ink(color: str) -> str:
    """Black or white, whichever has more contrast with the color."""
    if not color.startswith("#"):
        return "#fff" if color.endswith("42%)") else "#16171b"
    red, green, blue = (int(color[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return "#16171b" if 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 > 0.3 else "#fff"
