"""Plots of the studies and of pre-training, from the results."""

import statistics
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from .experiments import Run, Study
from .results import Results
from .tables import lines_of, score_of

plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "precode"})
COLORS = ["#9a9a9a", "#3b6ea5", "#c8553d", "#6a994e", "#7b5ea7", "#d4a017"]


def plot_study(study: Study, results: Results, path: Path, score: str = "macro_f1") -> bool:
    """Plot the test scores of a study, with one panel per corpus and error bars over the seeds.

    The x-axis is the axis of the study. A study without an axis has one point per variant.

    Returns:
        Whether there was anything to plot.
    """
    found: dict[str, dict[tuple[str, Any], list[float]]] = {}
    for (corpus, variant, value), run in study.runs.items():
        lines = lines_of(run, results)
        if lines and "test" in lines[0]["scores"]:
            found.setdefault(corpus, {})[variant, value] = [100 * score_of(line, "test", score) for line in lines]
    if not found:
        return False
    # The variants are the labels of the y-axis, once for all panels.
    figure, panels = plt.subplots(
        1, len(found), figsize=(3.1 * len(found), 2.9), squeeze=False, layout="constrained", sharey=study.axis is None
    )
    for panel, (corpus, values) in zip(panels[0], found.items(), strict=True):
        variants = list(dict.fromkeys(variant for variant, _ in values))
        if study.axis is None:
            heights = [statistics.mean(values[variant, None]) for variant in variants]
            errors = [_deviation(values[variant, None]) for variant in variants]
            for mean, variant, error in zip(heights, variants, errors, strict=True):
                color = COLORS[study.variants.index(variant) % len(COLORS)]
                panel.errorbar(mean, variant, xerr=error, color=color, marker="o", capsize=3)
            panel.margins(y=0.3)
            panel.set_xlabel(f"{score.replace('_f1', ' F1')} on test")
        else:
            for variant, color in zip(variants, COLORS[1:], strict=False):
                points = {value: scores for (name, value), scores in values.items() if name == variant}
                places = range(len(points))
                means = [statistics.mean(scores) for scores in points.values()]
                errors = [_deviation(scores) for scores in points.values()]
                panel.errorbar(places, means, errors, label=variant, color=color, marker="o", capsize=3, markersize=4)
                panel.set_xticks(places, [str(value) for value in points])
            panel.set_xlabel(study.axis.replace("_", " "))
            panel.set_ylabel(f"{score.replace('_f1', ' F1')} on test")
        panel.set_title(corpus)
    if study.axis is None:
        panels[0, 0].invert_yaxis()
    else:
        panels[0, 0].legend(frameon=False)
    save_plot(figure, path)
    return True


def plot_epochs(study: Study, results: Results, path: Path) -> bool:
    """Plot the score on the validation split over the epochs, with one panel per corpus.

    Error bars are over the seeds.

    Returns:
        Whether there was anything to plot.
    """
    found: dict[str, dict[str, list[list[float]]]] = {}
    for (corpus, variant, _), run in study.runs.items():
        curves = [line["dev_by_epoch"] for line in lines_of(run, results) if "dev_by_epoch" in line]
        if curves:
            found.setdefault(corpus, {})[variant] = curves
    if not found:
        return False
    figure, panels = plt.subplots(1, len(found), figsize=(3.4 * len(found), 2.7), squeeze=False, layout="constrained")
    for panel, (corpus, by_variant) in zip(panels[0], found.items(), strict=True):
        for variant, curves in by_variant.items():
            epochs = [[100 * score for score in scores] for scores in zip(*curves, strict=False)]
            panel.errorbar(
                range(1, len(epochs) + 1),
                [statistics.mean(scores) for scores in epochs],
                [_deviation(scores) for scores in epochs],
                label=variant,
                color=COLORS[study.variants.index(variant) % len(COLORS)],
                marker="o",
                capsize=3,
            )
        panel.set_xticks(range(1, max(len(curve) for curves in by_variant.values() for curve in curves) + 1))
        panel.set_xlabel("epoch")
        panel.set_title(corpus)
    panels[0, 0].set_ylabel("score on the validation split, %")
    panels[0, 0].legend(frameon=False)
    save_plot(figure, path)
    return True


def plot_completion(pretraining: dict[str, Run], results: Results, path: Path) -> bool:
    """Plot the recall on the validation films over the minutes of training."""
    figure, panel = plt.subplots(figsize=(7, 3.1), layout="constrained")
    panel.set_prop_cycle(color=plt.get_cmap("tab20").colors)
    drawn = False
    for name, run in pretraining.items():
        for line in lines_of(run, results):
            minutes = [record["seconds"] / 60 for record in line["history"]]
            panel.plot(minutes, [100 * record["R_11@1"] for record in line["history"]], marker=".", label=name)
            drawn = True
    panel.set_xlabel("minutes")
    panel.set_ylabel("R_11@1 on validation films, %")
    if drawn:
        figure.legend(frameon=False, loc="outside right center")
        save_plot(figure, path)
    plt.close(figure)
    return drawn


def _deviation(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def save_plot(figure: plt.Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)
