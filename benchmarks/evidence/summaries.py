"""Short tables of the main results, for README.md and RESULTS.md."""

from benchmarks.documents import table

from .experiments import Study, comparison_key
from .results import Results
from .tables import lines_of, score_of, spread
from .zero_shot import ZeroShot

TITLES = {
    **{"meld": "MELD", "emorynlp": "EmoryNLP", "dailydialog": "DailyDialog", "iemocap": "IEMOCAP"},
    **{"friends": "Friends", "emotionpush": "EmotionPush", "mosei": "MOSEI"},
}
# A difference with a smaller p is shown in bold.
SIGNIFICANT = 0.01


def zero_shot_summary(study: ZeroShot, results: Results) -> str:
    """The default model and what it is compared with, on each corpus with results of all of them."""
    titles = {
        "majority": "always the most frequent label",
        f"bag of words, {study.training['corpus']}": f"a linear model over words, from {study.training['corpus']}",
        "default": "the default model, zero-shot",
    }
    titles = {system: title for system, title in titles.items() if system in study.systems}
    found = {corpus: [results.get(study.key(system, corpus)) for system in titles] for corpus in study.corpora}
    columns = {corpus: [line["scores"][study.split] for line in lines] for corpus, lines in found.items() if all(lines)}
    rows = [
        [
            title,
            *(
                " / ".join(f"{100 * scores[i][name]:.1f}" for name in ("weighted_f1", "macro_f1"))
                for scores in columns.values()
            ),
        ]
        for i, title in enumerate(titles.values())
    ]
    return table([f"weighted / macro F1 on {study.split}", *(TITLES.get(corpus, corpus) for corpus in columns)], rows)


def study_summary(study: Study, results: Results, metrics: dict[str, str]) -> str:
    """The test scores of the two variants that the study compares first, on each corpus with a comparison.

    The better score of two is in bold if the difference is significant.
    """
    first, second = study.compared[0]
    rows = []
    for corpus in study.corpora:
        better, other = (study.runs[corpus, variant, None] for variant in (first, second))
        comparison = results.get(comparison_key(better, other))
        if comparison is None:
            continue
        shown = dict.fromkeys(["weighted_f1", "macro_f1", metrics[corpus]])
        names = [name for name in shown if name in comparison["scores"]]
        for variant, run in ((second, other), (first, better)):
            cells = []
            for name in names:
                cell = spread([score_of(line, "test", name) for line in lines_of(run, results)])
                found = comparison["scores"][name]
                wins = (found["difference"] > 0) == (variant == first) and found["p"] < SIGNIFICANT
                cells.append(f"**{cell}**" if wins else cell)
            rows.append([TITLES.get(corpus, corpus), variant, *cells, *[""] * (3 - len(cells))])
    return table(["corpus", "start", "weighted F1", "macro F1", "micro F1 without neutral"], rows)
