"""Scores of a model on one or several corpora, as text for a terminal and as a picture."""

from pathlib import Path
from typing import Any

from data_scripts.inspection.description import COLORS, aligned_table, check_picture

from .scoring import SplitScores


def score_report(splits: list[SplitScores]) -> str:
    """A table of all corpora, and the scores by label and the confusion matrix of each."""
    return "\n\n".join([score_table(splits), *map(label_report, splits)])


def score_table(splits: list[SplitScores]) -> str:
    """A table with one row per corpus and its two baselines below it. Scores are from 0 to 1; a dash means no score."""
    excluded = {split.excluded_label for split in splits}
    # Corpora may have different names for the neutral label.
    neutral = excluded.pop() if len(excluded) == 1 else "neutral"
    micro = f"micro F1 without {neutral or 'neutral'}"
    rows = [["", "labeled", "accuracy", "weighted F1", "macro F1", micro, "calibration error"]]
    for split in splits:
        majority, prior = split.baselines["majority"], split.baselines["prior"]
        rows.append(
            [
                f"{split.corpus}, {split.split}",
                f"{split.utterances:,}",
                *_cells(split, split.scores),
                f"{split.calibration_error:.4f}",
            ]
        )
        rows.append([f"  always {majority['label']}", "", *_cells(split, majority), ""])
        rows.append(["  labels drawn by their shares", "", *_cells(split, prior), ""])
    return aligned_table(rows)


def _cells(split: SplitScores, scores: dict[str, Any]) -> list[str]:
    micro = scores.get(f"micro_f1_without_{split.excluded_label}")
    values = [scores["accuracy"], scores["weighted_f1"], scores["macro_f1"], micro]
    return ["-" if value is None else f"{value:.4f}" for value in values]


def label_report(split: SplitScores) -> str:
    """Scores by label, the confusion matrix, and notes on the labels."""
    columns = ["precision", "recall", "f1"]
    rows = [[f"{split.corpus}, {split.split}", *columns, "support"]]
    for name in split.labels:
        label = split.scores["per_label"][name]
        rows.append([name, *(f"{label[column]:.4f}" for column in columns), f"{label['support']:,}"])
    return "\n".join([aligned_table(rows), "", confusion_table(split), *notes(split)])


def confusion_table(split: SplitScores) -> str:
    """The confusion matrix in utterances: one row per true label, one column per predicted label."""
    rows = [["true \\ predicted", *split.labels]]
    for name, counts in zip(split.labels, split.scores["confusion_matrix"], strict=True):
        rows.append([name, *(f"{count:,}" for count in counts)])
    return aligned_table(rows)


def notes(split: SplitScores) -> list[str]:
    """Sentences on utterances and labels that the scores leave out or treat specially."""
    lines = []
    if split.unlabeled:
        lines.append(f"{split.unlabeled:,} utterances without a label are context and are not scored.")
    if split.lacking:
        lines.append(f"The model does not have the labels {_counts(split.lacking)}. They are counted as wrong.")
    if split.not_in_split:
        lines.append(
            f"The split does not have the predicted labels {_counts(split.not_in_split)}. The macro F1 is over the "
            f"labels that it has; with the predicted labels it is {split.scores['macro_f1_with_predicted']:.4f}."
        )
    return lines


def _counts(labels: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in labels.items())


def plot_scores(splits: list[SplitScores], path: str | Path, title: str = "") -> None:
    """Save a picture (`.png` or `.svg`) of the confusion matrix and the reliability diagram of every corpus.

    Raises:
        ValueError: The picture has another file extension.
        OSError: The folder does not exist.
        ImportError: matplotlib is not installed.
    """
    check_picture(path)
    from matplotlib.figure import Figure

    widest = max(len(split.labels) for split in splits)
    figure = Figure(figsize=(7.5 + 0.5 * widest, (2.4 + 0.42 * widest) * len(splits)), layout="constrained")
    axes = figure.subplots(len(splits), 2, squeeze=False, width_ratios=[1.3, 1])
    for split, (matrix, diagram) in zip(splits, axes, strict=True):
        _plot_confusion(split, matrix)
        _plot_reliability(split, diagram)
    figure.suptitle(title, fontweight="bold")
    figure.savefig(path, dpi=150)


def _plot_confusion(split: SplitScores, axis: Any) -> None:
    """Each row shows shares of its true label, with the counts."""
    counts = split.scores["confusion_matrix"]
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            color = "white" if shares[i][j] > 0.5 else "black"
            axis.text(j, i, f"{count:,}", ha="center", va="center", fontsize=8, color=color)
    positions = range(len(split.labels))
    axis.set_xticks(positions, split.labels, rotation=45, ha="right")
    axis.set_yticks(positions, split.labels)
    axis.set(title=f"{split.corpus}, {split.split}", xlabel="predicted", ylabel="true")


def _plot_reliability(split: SplitScores, axis: Any) -> None:
    """Accuracy by confidence. The area of a point shows its share of the utterances."""
    bins = split.reliability
    confidence, accuracy = ([point[name] for point in bins] for name in ("confidence", "accuracy"))
    sizes = [20 + 400 * point["utterances"] / split.utterances for point in bins]
    axis.plot([0, 1], [0, 1], color="gray", linewidth=1, linestyle="--")
    axis.plot(confidence, accuracy, color=COLORS[0], linewidth=1)
    axis.scatter(confidence, accuracy, s=sizes, color=COLORS[0], alpha=0.7, clip_on=False)
    axis.set(
        title=f"calibration error {split.calibration_error:.3f}",
        xlabel="confidence",
        ylabel="accuracy",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
