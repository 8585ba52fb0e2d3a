"""Prints the tables and plots of all results, or inserts them into a document."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.documents import replace_between

from .experiments import Experiments, Study
from .plots import plot_completion, plot_epochs, plot_study
from .results import Results
from .summaries import study_summary, zero_shot_summary
from .tables import (
    comparison_table,
    completion_table,
    ensemble_table,
    label_table,
    lines_of,
    study_table,
    zero_shot_table,
)


def complete_studies(studies: list[Study], results: Results) -> list[Study]:
    """The studies that have a result for every variant."""
    return [
        study
        for study in studies
        if {variant for (_, variant, _), run in study.runs.items() if lines_of(run, results)} == set(study.variants)
    ]


def sections(experiments: Experiments, results: Results) -> dict[str, str]:
    """The tables of each section, by its name."""
    corpus = next(iter(experiments.pretraining.values())).corpus
    found = {"completion": completion_table(experiments.pretraining, results, experiments.corpora[corpus])}
    for scored in experiments.zero_shot:
        if rows := zero_shot_table(scored, results):
            found[scored.name] = rows
            found[f"{scored.name}, summary"] = zero_shot_summary(scored, results)
    for study in complete_studies(experiments.studies, results):
        found[study.name] = study_table(study, results, experiments.corpora, experiments.metrics)
        if study.compared:
            found[f"{study.name}, differences"] = comparison_table(study, results)
        if study.ensembles:
            found[f"{study.name}, ensembles"] = ensemble_table(study, results, experiments.metrics)
        if study.axis is None and study.compared:
            found[f"{study.name}, summary"] = study_summary(study, results, experiments.metrics)
            tables = [label_table(study, results, corpus) for corpus in study.corpora]
            found[f"{study.name}, labels"] = "\n\n".join(table for table in tables if table.count("\n") > 1)
    return found


def write_report(experiments: Experiments, results: Results, documents: Sequence[Path]) -> None:
    """Print the tables, or insert them into documents.

    In a document, a table replaces the text between its markers `<!-- NAME -->` and `<!-- /NAME -->`. The plots that
    the documents show are saved in the folder `plots` next to the results.
    """
    found = sections(experiments, results)
    if not documents:
        for name, tables in found.items():
            print(f"\n{name}\n\n{tables}")
    for document in documents:
        text = document.read_text(encoding="utf-8")
        for name, tables in found.items():
            text = replace_between(text, name, tables)
        document.write_text(text, encoding="utf-8")
        write_plots(experiments, results, text)


def write_plots(experiments: Experiments, results: Results, text: str) -> None:
    """Save the plots that the text of a document shows."""
    plots = results.path.parent / "plots"
    if "plots/completion.svg" in text:
        plot_completion(experiments.pretraining, results, plots / "completion.svg")
    for study in complete_studies(experiments.studies, results):
        for plot, kind in ((plot_study, ""), (plot_epochs, "_epochs")):
            name = f"{study.name.replace(' ', '_')}{kind}.svg"
            if f"plots/{name}" in text:
                plot(study, results, plots / name)
