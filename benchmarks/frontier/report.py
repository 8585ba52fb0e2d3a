"""The table and the plot of speed against weighted F1."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.documents import insert, table
from benchmarks.evidence.plots import COLORS, plt, save_plot
from benchmarks.evidence.results import Results

Lines = list[dict[str, Any]]
OURS, RIVAL = COLORS[1], COLORS[2]
# How a model is run, as its name in the table ends, and the mark for it in the plot.
PLAIN = "float32"
MARKS = {PLAIN: "o", "bfloat16": "s", "ONNX": "^", "ONNX int8": "D"}


def groups_of(results: Results, utterances: int, threads: int) -> dict[str, Lines]:
    """The lines of one size of run, by whether the model has seen MELD. The last line of a name counts."""
    latest = {
        (line["name"], line["train"]): line
        for line in results.lines.values()
        if line["utterances"] == utterances and line["threads"] == threads
    }
    groups: dict[str, Lines] = {"Trained on MELD": [], "Trained on other text": []}
    for line in sorted(latest.values(), key=lambda line: -line["utterances_per_second"]):
        is_seen = "meld" in re.split(r", ", line["train"])
        groups["Trained on MELD" if is_seen else "Trained on other text"].append(line)
    return {title: lines for title, lines in groups.items() if lines}


def weighted_f1(line: dict[str, Any]) -> float:
    return 100 * line["scores"]["weighted_f1"]


def frontier(lines: Lines) -> Lines:
    """The lines that no other line beats in both speed and weighted F1, the fastest first."""
    kept: Lines = []
    for line in sorted(lines, key=lambda line: (-line["utterances_per_second"], -weighted_f1(line))):
        if not kept or weighted_f1(line) > weighted_f1(kept[-1]):
            kept.append(line)
    return kept


def frontier_tables(groups: dict[str, Lines]) -> str:
    """A table for each group. Names on the frontier are bold."""
    header = ["", "trained on", "utterances/s", "weighted F1", "macro F1", "peak MB", "MB on disk", "seconds to load"]
    parts = []
    for title, lines in groups.items():
        best = frontier(lines)
        rows = [
            [
                f"**{line['name']}**" if line in best else line["name"],
                line["train"],
                f"{line['utterances_per_second']:,.0f}",
                f"{weighted_f1(line):.1f}",
                f"{100 * line['scores']['macro_f1']:.1f}",
                f"{line['peak_megabytes']:,.0f}",
                f"{line['disk_megabytes']:,.1f}",
                f"{line['load_seconds']:.1f}",
            ]
            for line in lines
        ]
        parts.append(f"{title}:\n\n{table(header, rows)}")
    return "\n\n".join(parts)


def summary_table(groups: dict[str, Lines]) -> str:
    """The models of the first group that no other beats in both, and everything that is not of this library."""
    lines = next(iter(groups.values()))
    best = frontier(lines)
    rows = [
        [
            line["name"] if not line["is_ours"] else f"**{line['name']}**",
            f"{line['utterances_per_second']:,.0f}",
            f"{weighted_f1(line):.1f}",
            f"{line['disk_megabytes']:,.1f}",
        ]
        for line in lines
        if line in best or not line["is_ours"]
    ]
    return table(["", "utterances/s", "weighted F1", "MB on disk"], rows)


def plot_frontier(groups: dict[str, Lines], path: Path) -> None:
    """Plot speed (logarithmic) against weighted F1, with one panel per group and a line along the frontier."""
    figure, panels = plt.subplots(1, len(groups), figsize=(5.6 * len(groups), 4), squeeze=False, layout="constrained")
    for panel, (title, lines) in zip(panels[0], groups.items(), strict=True):
        best = points(frontier(lines))
        panel.step([x for x, _ in best], [y for _, y in best], where="post", color=COLORS[0], lw=1)
        for line, (x, y) in zip(lines, points(lines), strict=True):
            panel.scatter(x, y, 28, OURS if line["is_ours"] else RIVAL, MARKS[model_and_form(line)[1]], zorder=3)
        for name, x, y, offset in model_names(lines):
            panel.annotate(name, (x, y), xytext=(0, offset), textcoords="offset points", fontsize=7, ha="center")
        panel.set_xscale("log")
        panel.margins(0.25, 0.15)
        panel.set_title(title)
        panel.set_xlabel("utterances per second")
        panel.set_ylabel("weighted F1 on MELD's test split, %")
    for color, label in ((OURS, "this library"), (RIVAL, "others")):
        panels[0, 0].scatter([], [], color=color, label=label)
    for form, mark in MARKS.items():
        panels[0, 0].scatter([], [], color="none", edgecolors=COLORS[0], marker=mark, label=form)
    panels[0, 0].legend(frameon=False, fontsize=7, loc="lower left")
    save_plot(figure, path)


def model_and_form(line: dict[str, Any]) -> tuple[str, str]:
    """The name of a model without the way in which it is run, and that way."""
    model, _, form = line["name"].rpartition(", ")
    return (model, form) if form in MARKS else (line["name"], PLAIN)


def model_names(lines: Lines) -> list[tuple[str, float, float, int]]:
    """The name of each model, the point next to which it is written, and the distance from it, up or down."""
    models: dict[str, list[tuple[float, float]]] = {}
    for line, point in zip(lines, points(lines), strict=True):
        models.setdefault(model_and_form(line)[0], []).append(point)
    spots = {
        name: (math.exp(sum(math.log(x) for x, _ in places) / len(places)), max(y for _, y in places))
        for name, places in models.items()
    }
    found = []
    for name, (x, y) in spots.items():
        # Below the point if a model of about the same speed is a little better.
        is_below = any(abs(math.log10(x / other)) < 1 and 0 < height - y < 2 for other, height in spots.values())
        found.append((name.removesuffix(", logistic regression"), x, y, -13 if is_below else 6))
    return found


def points(lines: Iterable[dict[str, Any]]) -> list[tuple[float, float]]:
    return [(line["utterances_per_second"], weighted_f1(line)) for line in lines]


def sections(groups: dict[str, Lines]) -> dict[str, str]:
    """The tables by the names of the lines in a document between which they belong."""
    return {"frontier": frontier_tables(groups), "frontier, summary": summary_table(groups)}


def write_report(groups: dict[str, Lines], documents: list[Path], plot: Path) -> None:
    """Print the tables, or insert them into documents and save the plot.

    Raises:
        ValueError: A document has no lines `<!-- frontier -->` or `<!-- frontier, summary -->`.
    """
    tables = sections(groups)
    if not documents:
        print(f"\n{tables['frontier']}")
        return
    for document in documents:
        text = document.read_text(encoding="utf-8")
        for name in [name for name in tables if f"<!-- {name} -->" in text] or ["frontier"]:
            insert(document, name, tables[name])
    plot_frontier(groups, plot)
