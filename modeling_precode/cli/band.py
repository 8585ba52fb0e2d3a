"""The plots of a dialogue: all probabilities as one stacked band, and a curve for each label."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .axis import Axis
from .excerpts import Excerpt, day_and_clock
from .palette import is_neutral

# The maximum number of columns and of points. In a longer dialogue, each is the mean of several utterances.
MOST_POINTS = 80
# With more columns than this, only the highest column of each label has a shape.
MOST_SHAPES = 40
# The minimum height of a part of a column with a shape.
ROOM_FOR_SHAPE = 0.2
BAND_WIDTH, BAND_HEIGHT = 1000, 100
PLOT_WIDTH, PLOT_HEIGHT = 300, 60


@dataclass
class Column:
    """One utterance, or several, as the mean of their probabilities.

    Attributes:
        position: The position on the axis, from 0 to 1.
        left, right: The edges of the column, halfway to its neighbors.
        places: The indices of the utterances in the excerpt, from 0.
        shares: The probability of each label.
        name: The name in texts, such as `utterance 3, 17:45` or `utterances 6 to 10`.
        href: A link to the first utterance.
    """

    position: float
    left: float
    right: float
    places: list[int]
    shares: list[float]
    name: str
    href: str

    def best(self) -> int:
        """The index of the most probable label."""
        return max(range(len(self.shares)), key=self.shares.__getitem__)


@dataclass
class Shape:
    """The position of the shape of a label in the band, from 0 to 1."""

    label: int
    left: float
    top: float


@dataclass
class Band:
    """The stacked probabilities: a path for each label, the lines between columns, the shapes, and a description."""

    columns: list[Column]
    layers: list[tuple[int, str]]
    gaps: str
    shapes: list[Shape]
    description: str


@dataclass
class Curve:
    """The probability of one label over the dialogue.

    Attributes:
        label: The number of the label.
        points: The points of a polyline, from edge to edge.
        chosen: The number of utterances with this label.
        total: The number of all utterances.
        marks: Links to the utterances with this label: address, position, height and name. Empty if points are means.
        summary: A description of the curve.
    """

    label: int
    points: str
    chosen: int
    total: int
    marks: list[tuple[str, float, float, str]]
    summary: str


def utterances_per_point(excerpt: Excerpt) -> int:
    """The number of utterances in a column of the band, and in a point of a curve."""
    return max(math.ceil(len(excerpt.turns) / MOST_POINTS), 1)


def columns_of(excerpt: Excerpt, axis: Axis, labels: Sequence[str]) -> list[Column]:
    """The columns, in the order of the axis. In a long dialogue, a column has several utterances."""
    step = utterances_per_point(excerpt)
    order = sorted(range(len(excerpt.turns)), key=axis.positions.__getitem__)
    groups = [order[start : start + step] for start in range(0, len(order), step)]
    positions = [sum(axis.positions[place] for place in places) / len(places) for places in groups]
    edges = [0.0, *((before + after) / 2 for before, after in zip(positions, positions[1:], strict=False)), 1.0]
    columns = []
    for number, places in enumerate(groups):
        shares = [
            sum(excerpt.turns[place]["distribution"][label] for place in places) / len(places) for label in labels
        ]
        first = min(places)
        columns.append(
            Column(
                positions[number],
                edges[number],
                edges[number + 1],
                places,
                shares,
                name_of(excerpt, places),
                f"#d{excerpt.number}u{excerpt.first + first}",
            )
        )
    return columns


def name_of(excerpt: Excerpt, places: Sequence[int]) -> str:
    """The name of utterances in texts: `utterance 3, 17:45` or `utterances 6 to 10`."""
    first, last = min(places), max(places)
    if first != last:
        return f"utterances {excerpt.first + first:,} to {excerpt.first + last:,}"
    clock = day_and_clock(excerpt.times[first])[1]
    return f"utterance {excerpt.first + first:,}" + (f", {clock}" if clock else "")


def stacking_order(labels: Sequence[str]) -> list[int]:
    """The labels from the top of the band to the bottom. Neutral labels are above the emotions."""
    return sorted(range(len(labels)), key=lambda index: not is_neutral(labels[index]))


def band_of(columns: Sequence[Column], labels: Sequence[str]) -> Band:
    """The band of columns."""
    order = stacking_order(labels)
    # The upper edge of every label in every column, from 0 at the top, and last the lower edge.
    edges = [[0.0] * len(columns)]
    for index in order:
        edges.append([above + column.shares[index] for above, column in zip(edges[-1], columns, strict=True)])
    layers = [
        (index, layer(columns, upper, lower)) for index, upper, lower in zip(order, edges, edges[1:], strict=False)
    ]
    gaps = "".join(f"M{BAND_WIDTH * column.left:.1f} 0V{BAND_HEIGHT}" for column in columns[1:])
    shapes = [
        Shape(index, (columns[place].left + columns[place].right) / 2, (upper[place] + lower[place]) / 2)
        for index, upper, lower in zip(order, edges, edges[1:], strict=False)
        for place in places_of_shapes(columns, index)
        if not is_neutral(labels[index])
    ]
    has_gaps = len(columns) <= MOST_SHAPES
    return Band(list(columns), layers, gaps if has_gaps else "", shapes, description(columns, labels))


def layer(columns: Sequence[Column], upper: Sequence[float], lower: Sequence[float]) -> str:
    """The outline of the part of a label: along the top of its columns, and back along the bottom."""
    forth = [
        f"V{BAND_HEIGHT * y:.1f}H{BAND_WIDTH * column.right:.1f}" for column, y in zip(columns, upper, strict=True)
    ]
    back = [
        f"V{BAND_HEIGHT * y:.1f}H{BAND_WIDTH * column.left:.1f}"
        for column, y in zip(reversed(columns), reversed(lower), strict=True)
    ]
    return f"M0 0{''.join(forth + back)}Z" if columns else ""


def places_of_shapes(columns: Sequence[Column], index: int) -> list[int]:
    """The columns in which a label has a shape."""
    found = [place for place, column in enumerate(columns) if column.shares[index] >= ROOM_FOR_SHAPE]
    if len(columns) <= MOST_SHAPES or not found:
        return found
    return [max(found, key=lambda place: columns[place].shares[index])]


def description(columns: Sequence[Column], labels: Sequence[str]) -> str:
    """A description of the band."""
    if not columns:
        return "no utterance"
    peaks = []
    for index, label in enumerate(labels):
        peak = max(columns, key=lambda column: column.shares[index])
        peaks.append(f"{label} {peak.shares[index]:.0%} at {peak.name}")
    return f"Stacked probabilities of {len(labels)} labels. The highest of each: {'; '.join(peaks)}."


def curves_of(excerpt: Excerpt, axis: Axis, labels: Sequence[str]) -> list[Curve]:
    """The curves of all labels."""
    columns = columns_of(excerpt, axis, labels)
    return [curve_of(excerpt, axis, columns, index, label) for index, label in enumerate(labels)]


def curve_of(excerpt: Excerpt, axis: Axis, columns: Sequence[Column], index: int, label: str) -> Curve:
    """The curve of one label. If each point is one utterance, marks link to the utterances with this label."""
    means = [(column.position, column.shares[index]) for column in columns]
    drawn = [(0.0, means[0][1]), *means, (1.0, means[-1][1])] if means else []
    chosen = [place for place, turn in enumerate(excerpt.turns) if turn["label"] == label]
    marks = []
    for place in chosen if utterances_per_point(excerpt) == 1 else []:
        share = excerpt.turns[place]["distribution"][label]
        href = f"#d{excerpt.number}u{excerpt.first + place}"
        marks.append((href, axis.positions[place], 1 - share, f"{name_of(excerpt, [place])}: {label} {share:.0%}"))
    peak = max(range(len(excerpt.turns)), key=lambda place: excerpt.turns[place]["distribution"][label], default=None)
    summary = "no utterance"
    if peak is not None:
        summary = f"peak {excerpt.turns[peak]['distribution'][label]:.0%} at {name_of(excerpt, [peak])}"
    points = " ".join(f"{PLOT_WIDTH * x:.1f},{PLOT_HEIGHT * (1 - y):.1f}" for x, y in drawn)
    return Curve(index, points, len(chosen), len(excerpt.turns), marks, summary)
