"""Tables in Markdown, from the results."""

import statistics
from collections.abc import Iterable
from typing import Any

from benchmarks.documents import table

from .experiments import Run, Study, comparison_key, ensemble_key
from .results import Results, key_of
from .zero_shot import ZeroShot

SCORES = {"weighted_f1": "weighted F1", "macro_f1": "macro F1", "WA": "WA", "UWA": "UWA"}


def lines_of(run: Run, results: Results) -> list[dict[str, Any]]:
    return [line for seed in run.seeds if (line := results.get(run.key, seed))]


def spread(values: list[float]) -> str:
    """The mean and the standard deviation, in percent."""
    if not values:
        return "–"
    mean = f"{100 * statistics.mean(values):.1f}"
    return f"{mean} ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else mean


def titles_of(names: Iterable[str]) -> list[str]:
    """The titles of the columns of scores."""
    return [SCORES.get(name, "micro F1 without neutral") for name in names]


def score_of(line: dict[str, Any], split: str, name: str) -> float:
    return line["scores"][split][name]


def study_table(study: Study, results: Results, corpora: dict[str, dict], metrics: dict[str, str]) -> str:
    """A table with one row per corpus, variant and value: the mean and the standard deviation over the seeds of the dev
    metric and, if the test split was scored, of the test scores. Compared variants are shown with the baselines. Where
    only the validation split was scored, the last column is the processor time of a seed."""
    found = {place: lines for place, run in study.runs.items() if (lines := lines_of(run, results))}
    tested = any("test" in line["scores"] for lines in found.values() for line in lines)
    names = list(SCORES) if tested else []
    if tested and (others := [metrics[corpus] for corpus, _, _ in found if metrics[corpus] not in SCORES]):
        names.append(others[0])
    rows = []
    for corpus in dict.fromkeys(corpus for corpus, _, _ in found):
        systems = {
            kind: [line]
            for kind in ("majority", "bag of words")
            if (line := results.get(key_of(kind, corpora[corpus])))
        }
        systems = systems if study.compared else {}
        for (name, variant, value), lines in found.items():
            if name == corpus:
                systems[variant if value is None else f"{variant}, {study.axis} {value}"] = lines
        for label, lines in systems.items():
            dev = spread([score_of(line, "validation", metrics[corpus]) for line in lines])
            tests = [
                spread([score for line in lines if (score := line["scores"]["test"].get(name)) is not None])
                for name in names
            ]
            seeds = str(len(lines)) if lines[0]["seed"] else ""
            times = [line["cpu_seconds"] / 60 for line in lines if line.get("cpu_seconds")]
            minutes = f"{statistics.mean(times):.1f}" if times else "–"
            rows.append([corpus, label, dev, *tests, seeds, *([] if tested else [minutes])])
    return table(["corpus", "model", "dev", *titles_of(names), "seeds", *([] if tested else ["core minutes"])], rows)


def label_table(study: Study, results: Results, corpus: str) -> str:
    """The F1 of each label on the test split, with one column per variant."""
    columns = {variant: lines_of(run, results) for (name, variant, _), run in study.runs.items() if name == corpus}
    columns = {variant: lines for variant, lines in columns.items() if lines}
    labels = {} if not columns else next(iter(columns.values()))[0]["scores"]["test"]["per_label"]
    rows = [
        [label, str(found["support"])]
        + [spread([line["scores"]["test"]["per_label"][label]["f1"] for line in lines]) for lines in columns.values()]
        for label, found in labels.items()
    ]
    return table([f"{corpus}: F1 of", "in test", *columns], rows)


def comparison_table(study: Study, results: Results) -> str:
    """The differences of the means over the seeds, with a paired bootstrap over dialogues."""
    rows = []
    for first, second in study.compared:
        for (corpus, variant, value), run in study.runs.items():
            other = study.runs.get((corpus, second, value))
            line = results.get(comparison_key(run, other)) if variant == first and other else None
            for name, found in (line["scores"] if line else {}).items():
                interval = f"{100 * found['low']:+.1f} to {100 * found['high']:+.1f}"
                what = f"{first} − {second}" + (f", {study.axis} {value}" if study.axis else "")
                p = f"{found['p']:.4f}" if found["p"] > 0.0002 else "< 0.0002"
                rows.append([corpus, what, *titles_of([name]), f"{100 * found['difference']:+.1f}", interval, p])
    return table(["corpus", "", "test", "difference", "95% interval", "p"], rows)


def ensemble_table(study: Study, results: Results, metrics: dict[str, str]) -> str:
    """A table with one row per ensemble of all seeds of a variant, and the gain over the mean of its seeds."""
    found = {
        (corpus, variant): (line, lines_of(run, results))
        for (corpus, variant, _), run in study.runs.items()
        if variant in study.ensembles and (line := results.get(ensemble_key(run)))
    }
    names = list(dict.fromkeys(["weighted_f1", "macro_f1", *(metrics[corpus] for corpus, _ in found)]))
    rows = []
    for (corpus, variant), (line, seeds) in found.items():
        cells = []
        for name in names:
            if (score := line["scores"]["test"].get(name)) is None:
                cells.append("–")
                continue
            gain = score - statistics.mean(score_of(seed, "test", name) for seed in seeds)
            cells.append(f"{100 * score:.1f} ({100 * gain:+.1f})")
        dev = f"{100 * score_of(line, 'validation', metrics[corpus]):.1f}"
        rows.append([corpus, variant, str(len(seeds)), dev, *cells])
    return table(["corpus", "ensemble of", "seeds", "dev", *titles_of(names)], rows)


def zero_shot_table(study: ZeroShot, results: Results) -> str:
    """A table with one row per system, and one column per corpus with weighted F1, macro F1 over the labels of the
    split, and accuracy. The last column is the mean macro F1, for systems with a result on every corpus."""
    found = {
        system: {
            corpus: line["scores"][study.split]
            for corpus in study.corpora
            if (line := results.get(study.key(system, corpus)))
        }
        for system in study.systems
    }
    shown = [corpus for corpus in study.corpora if any(corpus in scores for scores in found.values())]
    rows = []
    for system, scores in found.items():
        cells = [
            " / ".join(f"{100 * scores[corpus][name]:.1f}" for name in ("weighted_f1", "macro_f1", "accuracy"))
            if corpus in scores
            else "–"
            for corpus in shown
        ]
        whole = len(scores) == len(shown) > 0
        mean = f"{100 * statistics.mean(one['macro_f1'] for one in scores.values()):.1f}" if whole else "–"
        if scores:
            rows.append([system, *cells, mean])
    return table(["", *shown, "mean macro F1"], rows) if rows else ""


def completion_table(pretraining: dict[str, Run], results: Results, corpus: dict[str, Any]) -> str:
    """The recall on films outside of the training data, with one row per pre-training run."""
    rows = [["chance", "", "", "", "20.0", "40.0", "9.1", "18.2"]]
    if line := results.get(key_of("bag-of-words completion", corpus)):
        rows.append(["bag of words", "", "", "", *_recalls(line)])
    for name, run in pretraining.items():
        for line in lines_of(run, results):
            last = line["history"][-1]
            seconds = f"{last['seconds'] / 60:.0f} min" + (", GPU" if "gpu" in line["machine"] else "")
            dev = f"{100 * line['scores']['validation']['R_11@1']:.1f}"
            rows.append([name, f"{last['step']:,}", f"{last['utterances']:,}", seconds, *_recalls(line), dev])
    rows = [[*row, *[""] * (9 - len(row))] for row in rows]
    return table(["", "steps", "utterances", "time", "R_5@1", "R_5@2", "R_11@1", "R_11@2", "dev R_11@1"], rows)


def _recalls(line: dict[str, Any]) -> list[str]:
    return [f"{100 * line['scores']['test'][name]:.1f}" for name in ("R_5@1", "R_5@2", "R_11@1", "R_11@2")]
