"""The model card of a checkpoint: a template, filled in with the facts of the run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from data_scripts.inspection.description import markdown_table
from data_scripts.sharing.dataset_card import bullets, fill_template, language_of, license_of
from data_scripts.tools.whole_files import whole_file

from ..evaluation.citation import CITATION
from .language import language_name
from .local_names import local_name
from .run_summary import FROM_SCRATCH, RunSummary

TEMPLATE = Path(__file__).with_name("model_card_template.md")
# `library_name` names the library that loads a checkpoint. For a registered library, the Hub shows a code snippet. The
# snippet of `transformers` depends on `pipeline_tag` and fails here: a `feature-extraction` pipeline passes one text to
# the model, not a dialogue. `precode` is not registered, so the Hub shows no snippet. The section Use of the card has
# one that works. The Hub counts downloads by `config.json` in either case. `pipeline_tag` is the task under which
# people search for a model.
LIBRARY = "precode"
# The `pipeline_tag`, the title and the tags of each task.
TASKS = {
    "convcom": ("feature-extraction", "Conversation Completion", ["conversation-completion"]),
    "erc": (
        "text-classification",
        "Emotion Recognition in Conversations",
        ["emotion-recognition-in-conversations", "text-classification"],
    ),
}
# The ids of published corpora on the Hub, from their authors or from the team of `datasets`.
HUB_DATASETS = {"meld": "declare-lab/MELD", "dailydialog": "li2017dailydialog/daily_dialog"}
# The type and the title on the Hub of the metrics in the metadata, by the start of their names. The text has all
# metrics.
HUB_METRICS = {
    "accuracy": ("accuracy", "Accuracy"),
    "weighted_f1": ("f1", "Weighted F1"),
    "macro_f1": ("f1", "Macro F1"),
    "micro_f1_without_": ("f1", "Micro F1 without "),
    "R_5@1": ("recall", "R_5@1"),
    "R_11@1": ("recall", "R_11@1"),
}


def write_model_card(folder: str | Path, name: str, task: str, summary: RunSummary) -> None:
    """Write `README.md` into a checkpoint's folder.

    Args:
        folder: The checkpoint's folder.
        name: The name on the Hub by which the card loads the checkpoint. For a local path, only the last part is
            written.
        task: `"convcom"` (Conversation Completion) or `"erc"` (emotion recognition in conversations).
        summary: The record of the run.
    """
    with whole_file(Path(folder, "README.md")) as path:
        path.write_text(str(model_card(name, task, summary)), encoding="utf-8")


def model_card(name: str, task: str, summary: RunSummary) -> ModelCard:
    """Create the card of a checkpoint. The arguments are those of [`write_model_card`]."""
    name = local_name(name)
    language = _language(summary)
    return fill_template(
        ModelCard,
        TEMPLATE,
        metadata(name, task, summary),
        name=name,
        title=Path(name).name,
        task=task,
        language=language and {**language, "name": language_name(language["code"])},
        model=summary.model or {},
        text_encoder=_text_encoder(summary),
        text_mode=_text_mode(summary),
        corpora=[{**_corpus(run), "is_start": run is not summary} for run in summary.lineage() if run.corpus],
        head=summary.head,
        run=_run(summary),
        settings=_settings(summary),
        scores=_scores(summary),
        corpus_scores=dict(_corpus_scores(summary)),
        seeds=_seeds(summary),
        calibration=_calibration(summary),
        label_scores=dict(_label_scores(summary)),
        leakage={what: bullets(figures) for run in summary.lineage() for what, figures in (run.leakage or {}).items()},
        citations="\n\n".join(
            dict.fromkeys([CITATION, *(_facts(run)["citation"] for run in summary.lineage())])
        ).strip(),
    )


def metadata(name: str, task: str, summary: RunSummary) -> ModelCardData:
    """Create the header of a card, which the Hub reads. The arguments are those of [`write_model_card`]."""
    licenses = {_facts(run)["licence"]: _facts(run)["homepage"] for run in summary.lineage()}
    if encoder := _text_encoder(summary):
        licenses.setdefault(encoder["licence"], "")
    # With corpora of different licenses, there is no single license.
    license_fields: dict[str, Any] = {"license": "other", "license_name": "several"}
    if len(licenses) == 1:
        license_fields = dict(license_of(*licenses.popitem()))
    pipeline_tag, _, tags = TASKS[task]
    results = list(_results(task, summary))
    language = _language(summary)
    is_on_hub = summary.start != FROM_SCRATCH and summary.start.count("/") == 1
    return ModelCardData(
        language=None if language is None else language["code"],
        **license_fields,
        library_name=LIBRARY,
        pipeline_tag=pipeline_tag,
        tags=["precode", "conversation", *tags],
        datasets=[found for run in summary.lineage() if (found := _dataset_id(run.corpus))] or None,
        metrics=sorted({result.metric_type for result in results}) or None,
        base_model=summary.start if is_on_hub else None,
        model_name=Path(name).name if results else None,
        eval_results=results or None,
    )


def _results(task: str, summary: RunSummary) -> Iterator[EvalResult]:
    """The scores of the test split for which the Hub has a metric type."""
    task_type, task_name, _ = TASKS[task]
    for metric, value in summary.scores.get("test", {}).items():
        for beginning, (kind, title) in HUB_METRICS.items():
            if metric == beginning or beginning.endswith("_") and metric.startswith(beginning):
                yield EvalResult(
                    task_type=task_type,
                    task_name=task_name,
                    dataset_type=_dataset_id(summary.head or summary.corpus) or "custom",
                    dataset_name=summary.head or summary.corpus,
                    dataset_split="test",
                    metric_type=kind,
                    metric_name=title + metric.removeprefix(beginning),
                    metric_value=value,
                )


def _dataset_id(corpus: str) -> str | None:
    """The id of a corpus on the Hub, if it has one. In a summary, the name of a folder has no slash."""
    return HUB_DATASETS.get(corpus, corpus if corpus.count("/") == 1 else None)


def _language(summary: RunSummary) -> dict[str, Any] | None:
    """The language of the corpus. For a published corpus, it is also known for older checkpoints."""
    if summary.language is None and (known := language_of(summary.corpus, {})):
        return {"code": known, "is_guess": False}
    return summary.language


def _text_encoder(summary: RunSummary) -> dict[str, str] | None:
    """The text encoder of the run, or of the run that it started from. Without a recorded name, only its type."""
    if encoder := next((run.text_encoder for run in summary.lineage() if run.text_encoder), None):
        return encoder
    kind = (summary.model or {}).get("text_encoder")
    return kind and {"name": kind, "licence": ""}


def _text_mode(summary: RunSummary) -> str | None:
    """The text mode of the word-level tokenizer, from the run that built its vocabulary; None if it is unknown."""
    settings = (run.settings or {} for run in summary.lineage())
    return next((found["text_mode"] for found in settings if "text_mode" in found), None)


def _facts(run: RunSummary) -> dict[str, Any]:
    """The facts about the corpus of a run. Older checkpoints have only the license."""
    licence = run.licence.replace("licence unknown", "")
    return run.facts or {"licence": licence, "homepage": "", "citation": "", "splits": {}}


def _corpus(run: RunSummary) -> dict[str, Any]:
    facts = _facts(run)
    splits = facts["splits"]
    rows = [["", *splits]]
    rows += [[what, *(f"{split[what]:,}" for split in splits.values())] for what in ("dialogues", "utterances")]
    first: dict[str, Any] = next(iter(splits.values()), {})
    labels = first.get("labels", {})
    rows += [
        [f"labeled {label}", *(f"{split.get('labels', {}).get(label, 0):,}" for split in splits.values())]
        for label in labels
    ]
    counts = markdown_table(rows) if splits else ""
    return {"may_be_passed_on": True, **facts, "name": run.corpus, "counts": counts}


def _run(summary: RunSummary) -> str:
    if not summary.corpus:
        return ""
    facts = {
        "Start": summary.start,
        "Selection": summary.selection,
        "Seed": summary.seed,
        "Command": summary.command and f"`{summary.command}`",
        "Versions": ", ".join(f"{package} {number}" for package, number in summary.versions.items()),
    }
    return bullets(f"{name}: {value}" for name, value in facts.items() if value not in (None, ""))


def _settings(summary: RunSummary) -> str:
    rows = [[f"`{name}`", f"`{value}`"] for name, value in (summary.settings or {}).items()]
    return markdown_table([["setting", "value"], *rows]) if rows else ""


def _scores(summary: RunSummary) -> str:
    scores = summary.scores
    metrics = [metric for metric, value in next(iter(scores.values()), {}).items() if isinstance(value, int | float)]
    rows = [[metric, *(_number(scores[split].get(metric)) for split in scores)] for metric in metrics]
    return markdown_table([["", *scores], *rows]) if rows else ""


def _corpus_scores(summary: RunSummary) -> Iterator[tuple[str, str]]:
    """For each split of several corpora, the scores of each corpus."""
    for split, scores in summary.scores.items():
        if corpora := scores.get("corpora"):
            yield split, _scores(RunSummary(scores=corpora))


def _seeds(summary: RunSummary) -> dict[str, Any] | None:
    seeds = summary.seeds
    if not seeds:
        return None
    rows = [[metric, _number(mean), _number(seeds["deviation"][metric])] for metric, mean in seeds["mean"].items()]
    return {**seeds, "table": markdown_table([["", "mean", "deviation"], *rows])}


def _calibration(summary: RunSummary) -> dict[str, Any] | None:
    """The `temperature`, the `fitted` temperature if it is not used, and a `table` of the splits."""
    found = summary.calibration
    if not found:
        return None
    splits = {split: figures for split, figures in found.items() if split not in ("temperature", "cross_fit")}
    # Older checkpoints have no cross-fit. They use the fitted temperature.
    fitted = None if found.get("cross_fit", {}).get("helps", True) else f"{found['cross_fit']['fitted']:.4f}"
    if fitted is None:
        header = ["", "ECE without", "ECE with", "NLL without", "NLL with"]
        columns = [("before", "ece"), ("after", "ece"), ("before", "nll"), ("after", "nll")]
    else:
        header, columns = ["", "ECE", "NLL"], [("before", "ece"), ("before", "nll")]
    rows = [[split, *(_number(figures[when][name]) for when, name in columns)] for split, figures in splits.items()]
    return {"temperature": f"{found['temperature']:.4f}", "fitted": fitted, "table": markdown_table([header, *rows])}


def _label_scores(summary: RunSummary) -> Iterator[tuple[str, str]]:
    for split, found in summary.scores.items():
        if labels := found.get("per_label"):
            # Only focused labels have `focused_f1`.
            columns = list(dict.fromkeys(column for values in labels.values() for column in values))
            rows = [[label, *(_number(values.get(column)) for column in columns)] for label, values in labels.items()]
            yield split, markdown_table([["", *columns], *rows])


def _number(value: float | int | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
