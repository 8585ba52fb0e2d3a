"""The table and the plot of speed against weighted F1."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.documents import insert
from benchmarks.evidence.plots import COLORS, plt, save_plot
from benchmarks.evidence.results import Results
from benchmarks.evidence.tables import table

Lines = list[dict[str, Any]]
OURS, RIVAL = COLORS[1], COLORS[2]


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
    return table(["this library in bold", "utterances/s", "weighted F1", "MB on disk"], rows)


def plot_frontier(groups: dict[str, Lines], path: Path) -> None:
    """Plot speed (logarithmic) against weighted F1, with one panel per group and a line along the frontier."""
    figure, panels = plt.subplots(1, len(groups), figsize=(5.2 * len(groups), 3.8), squeeze=False, layout="constrained")
    for panel, (title, lines) in zip(panels[0], groups.items(), strict=True):
        best = frontier(lines)
        panel.step([x for x, _ in points(best)], [y for _, y in points(best)], where="post", color=COLORS[0], lw=1)
        for is_ours, color, label in ((True, OURS, "this library"), (False, RIVAL, "others")):
            chosen = [line for line in lines if line["is_ours"] is is_ours]
            if chosen:
                panel.scatter(*zip(*points(chosen), strict=True), color=color, label=label, zorder=3)
        for line, (x, y) in zip(lines, points(lines), strict=True):
            panel.annotate(line["name"], (x, y), xytext=(0, 5), textcoords="offset points", fontsize=7, ha="center")
        panel.set_xscale("log")
        panel.margins(0.2)
        panel.set_title(title)
        panel.set_xlabel("utterances per second")
        panel.set_ylabel("weighted F1 on MELD's test split, %")
    panels[0, 0].legend(frameon=False)
    save_plot(figure, path)


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
