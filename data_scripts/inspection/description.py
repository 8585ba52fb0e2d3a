"""Statistics of a corpus: dialogues, utterances, words, speakers and labels of each split, as a table and as a plot."""

import math
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import Any

import datasets

from ..loading.corpora import label_names
from ..tools.console import printable

BATCH_SIZE = 1000
PICTURES = (".png", ".svg")
# The palette of Okabe and Ito, which is suitable for color-blind readers.
COLORS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"]


def markdown_table(rows: list[list[str]]) -> str:
    """Format rows of cells, the first of them the header, as a Markdown table. Cells are escaped."""
    cells = ([printable(" ".join(cell.split())).replace("|", r"\|") for cell in row] for row in rows)
    header, *body = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([header, f"|---{'|---:' * (len(rows[0]) - 1)}|", *body])


def aligned_table(rows: list[list[str]]) -> str:
    """Format rows of cells for a terminal. The first column is left-aligned, the others right-aligned."""
    rows = [list(map(printable, row)) for row in rows]
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))])
        for row in rows
    )


@dataclass
class SplitDescription:
    """The counts of one split. A histogram maps a length to its frequency."""

    utterances_per_dialogue: Counter[int] = field(default_factory=Counter)
    words_per_utterance: Counter[int] = field(default_factory=Counter)  # words are separated by white space
    speakers_per_dialogue: Counter[int] = field(default_factory=Counter)
    speakers: set[str] = field(default_factory=set)  # with a name
    labels: Counter[int] = field(default_factory=Counter)  # -1: utterances without a label

    def add(self, utterances: list[str], speakers: list[str] | None, labels: list[int]) -> None:
        """Count a dialogue.

        Args:
            utterances: The texts of its utterances.
            speakers: The speaker of each utterance; "" if unknown; None if no speaker is known.
            labels: The label id of each utterance; -1 for none.
        """
        named = {speaker for speaker in speakers or [] if speaker}
        self.utterances_per_dialogue[len(utterances)] += 1
        self.words_per_utterance.update(len(utterance.split()) for utterance in utterances)
        self.speakers_per_dialogue[len(named)] += 1
        self.speakers |= named
        self.labels.update(labels)

    @property
    def labeled(self) -> int:
        """The number of utterances with a label."""
        return self.labels.total() - self.labels[-1]


@dataclass
class Description:
    """The statistics of a corpus. `str` is a table for a terminal, `markdown` for a document; `plot` saves a plot."""

    labels: list[str]
    splits: dict[str, SplitDescription]

    def rows(self) -> list[list[str]]:
        """The rows of the table, the header first, as text."""
        splits = list(self.splits.values())
        rows = [
            ["", *self.splits],
            ["dialogues", *(f"{split.utterances_per_dialogue.total():,}" for split in splits)],
            ["utterances", *(f"{total(split.utterances_per_dialogue):,}" for split in splits)],
            ["words", *(f"{total(split.words_per_utterance):,}" for split in splits)],
            [
                "utterances per dialogue: mean, median, maximum",
                *(spread(split.utterances_per_dialogue) for split in splits),
            ],
            ["words per utterance: mean, median, maximum", *(spread(split.words_per_utterance) for split in splits)],
            ["named speakers", *(f"{len(split.speakers):,}" for split in splits)],
            ["named speakers per dialogue: mean", *(f"{mean(split.speakers_per_dialogue):.1f}" for split in splits)],
        ]
        if self.labels:
            rows += [
                [f"label {name}", *(count_and_share(split.labels[i], split.labeled) for split in splits)]
                for i, name in enumerate(self.labels)
            ]
            unlabeled = (count_and_share(split.labels[-1], split.labels.total()) for split in splits)
            rows.append(["utterances without a label", *unlabeled])
        return rows

    def __str__(self) -> str:
        return aligned_table(self.rows())

    def markdown(self) -> str:
        """The table in Markdown."""
        return markdown_table(self.rows())

    def plot(self, path: str | Path, title: str = "") -> None:
        """Save a plot of the label distribution and the lengths, as `.png` or `.svg`."""
        check_picture(path)
        from matplotlib.figure import Figure

        figure = Figure(figsize=(13 if self.labels else 9, max(4.4, 1.2 + 0.45 * len(self.labels))))
        figure.set_layout_engine("constrained", wspace=0.06)
        axes = list(figure.subplots(1, 3 if self.labels else 2))
        if self.labels:
            self.plot_labels(axes.pop(0))
        self.plot_lengths(axes[0], "utterances_per_dialogue", "Length of dialogues", "utterances")
        self.plot_lengths(axes[1], "words_per_utterance", "Length of utterances", "words")
        for axis in figure.axes:
            axis.spines[["top", "right"]].set_visible(False)
            axis.set_axisbelow(True)
        figure.suptitle(title, fontweight="bold")
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
        figure.savefig(path, dpi=150)

    def plot_labels(self, axis: Any) -> None:
        """Plot the share of each label, the most frequent on top. Shares are comparable between splits of any size."""
        every = sum((split.labels for split in self.splits.values()), Counter())
        order = sorted(range(len(self.labels)), key=lambda label: every[label])
        height = 0.84 / len(self.splits)
        for number, (split, color) in enumerate(zip(self.splits.values(), cycle(COLORS), strict=False)):
            shares = [100 * split.labels[label] / max(split.labeled, 1) for label in order]
            places = [place + 0.42 - (number + 0.5) * height for place in range(len(order))]
            bars = axis.barh(places, shares, 0.9 * height, color=color)
            axis.bar_label(bars, fmt="%.1f", fontsize=7, padding=2)
        axis.set_yticks(range(len(order)), [self.labels[label] for label in order])
        axis.set(title="Labels", xlabel="share of labeled utterances, %")
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x", alpha=0.3)

    def plot_lengths(self, axis: Any, histogram: str, title: str, unit: str) -> None:
        """Plot a histogram for each split. The last bin has the longest 1 %, which would compress the plot."""
        histograms = [getattr(split, histogram) for split in self.splits.values()]
        longest = max(max(lengths, default=0) for lengths in histograms)
        end = max(quantile(lengths, 0.99) for lengths in histograms)
        step = max(1, math.ceil(end / 20))
        n_steps = math.ceil(end / step)
        edges = [0.5 + number * step for number in range(n_steps + 1)]
        for lengths, name, color in zip(histograms, self.splits, cycle(COLORS), strict=False):
            counts = [0] * n_steps
            for length, count in lengths.items():
                counts[(min(max(length, 1), end) - 1) // step] += count
            shares = [100 * count / max(lengths.total(), 1) for count in counts]
            axis.stairs(shares, edges, color=color, label=name, linewidth=1.8)
        last = f"; the last bin is {(n_steps - 1) * step + 1} to {longest:,}" if longest > end else ""
        axis.set(title=title, xlabel=unit + last, ylabel="share, %", xlim=(0, None))
        axis.grid(axis="y", alpha=0.3)


def describe(corpus: datasets.DatasetDict) -> Description:
    """Count a corpus split by split, with no more than one batch in memory."""
    splits = {name: SplitDescription() for name in corpus}
    for name, rows in corpus.items():
        columns = [column for column in ("utterances", "speakers", "labels") if column in rows.column_names]
        for batch in rows.select_columns(columns).iter(BATCH_SIZE):
            labels = batch.get("labels", [[]] * len(batch["utterances"]))
            for dialogue in zip(batch["utterances"], batch["speakers"], labels, strict=True):
                splits[name].add(*dialogue)
    return Description(label_names(corpus) or [], splits)


def check_picture(path: str | Path) -> None:
    """Check that a plot can be saved to a path, before a long build.

    Raises:
        ValueError: The suffix is not that of a known image format.
        FileNotFoundError: The folder does not exist.
        ImportError: matplotlib is not installed.
    """
    if Path(path).suffix.lower() not in PICTURES:
        raise ValueError(f"{path}: unknown image format; got {Path(path).suffix!r}; known: {', '.join(PICTURES)}")
    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder does not exist; create it first")
    if find_spec("matplotlib") is None:
        raise ImportError(f"{path}: plotting needs matplotlib; pip install matplotlib")


def total(lengths: Counter[int]) -> int:
    """The sum of lengths, each counted as often as it occurs."""
    return sum(length * count for length, count in lengths.items())


def mean(lengths: Counter[int]) -> float:
    """The mean of lengths; 0 if there are none."""
    return total(lengths) / max(lengths.total(), 1)


def quantile(lengths: Counter[int], share: float) -> int:
    """The smallest length that at least this share of all lengths does not exceed."""
    rest = share * lengths.total()
    for length in sorted(lengths):
        rest -= lengths[length]
        if rest <= 0:
            return length
    return 0


def spread(lengths: Counter[int]) -> str:
    """The mean, median and maximum of lengths, as text."""
    return f"{mean(lengths):.1f}, {quantile(lengths, 0.5)}, {max(lengths, default=0)}"


def count_and_share(count: int, whole: int) -> str:
    """A count with its percentage, as text: `3 (25.0%)`."""
    return f"{count:,} ({count / max(whole, 1):.1%})"
