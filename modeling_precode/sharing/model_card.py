"""The card that a checkpoint carries, written from the summary of its run."""

import os
import platform
import shlex
import sys
from collections.abc import Iterator
from dataclasses import fields
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from data_scripts import CORPORA
from data_scripts.inspection.description import markdown_table
from data_scripts.sharing.dataset_card import bullets, licence_of

from ..configuration_precode import PreCodeConfig
from ..evaluation.citation import CITATION
from .card_text import DIRECTION, SPEAKER_PREFIX, SPEAKERS, TASKS, TEXT_ENCODER

PACKAGES = ("torch", "transformers", "datasets", "accelerate", "tokenizers", "huggingface_hub")
# Arguments that say where a run happens and what it prints, and change no number.
NO_SETTINGS = {
    *("output_dir", "overwrite_output_dir", "report_to", "push_to_hub", "hub_model_id", "hub_private_repo", "model"),
    *("text_encoder", "hub_strategy", "ddp_timeout", "ddp_find_unused_parameters", "load_best_model_at_end"),
    *("greater_is_better", "restore_callback_states_from_checkpoint"),
    *("num_proc", "check_overlap", "logging_steps", "logging_strategy", "save_strategy", "save_total_limit", "seed"),
    # Said by `model_facts`: a checkpoint may bring its own.
    *("causal", "max_speakers", "text_pooling", "freeze_text_encoder", "speaker_prefix"),
}
# How the Hub calls the metrics that go into the metadata; the others are in the text.
HUB_METRICS = {
    "accuracy": ("accuracy", "Accuracy"),
    "weighted_f1": ("f1", "Weighted F1"),
    "macro_f1": ("f1", "Macro F1"),
    "R_5@1": ("recall", "R_5@1"),
    "R_11@1": ("recall", "R_11@1"),
}


def run_summary(**facts: Any) -> dict[str, Any]:
    """What a checkpoint keeps about its run: the given facts, the command and the versions."""
    command = " ".join(["python", Path(sys.argv[0]).name, *map(shlex.quote, _for_others(sys.argv[1:]))])
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    return {**facts, "command": command, "versions": versions}


def _without_folder(value: str) -> str:
    """Where a folder lies is nobody's business."""
    return Path(value).name if os.path.isabs(value) else value


def _for_others(arguments: list[str]) -> list[str]:
    """Without where folders lie; and a token is never written down."""
    kept = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        name, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
        if (name or before).startswith("--") and (name or before).endswith("token"):
            value = "..." if equals or not name else ""
        kept.append(f"{name}{equals}{_without_folder(value)}")
    return kept


def hyper_parameters(encoder: dict[str, Any], arguments: Any) -> dict[str, Any]:
    """The settings that change a result: the encoder's, and those that the dataclass of `arguments` itself declares."""
    declared = [field.name for field in fields(arguments) if field.name in type(arguments).__annotations__]
    settings = {**encoder, **{name: getattr(arguments, name) for name in declared}}
    return {
        name: value.value if isinstance(value, Enum) else _without_folder(value) if isinstance(value, str) else value
        for name, value in settings.items()
        if name not in NO_SETTINGS and value is not None
    }


def model_facts(config: PreCodeConfig) -> dict[str, Any]:
    """What the reader of a card wants to know of a configuration, however the model came by it."""
    facts = {"causal": config.causal, "max_speakers": config.max_speakers}
    if config.text_config is not None:
        facts["text_encoder"] = config.text_config.model_type
        facts |= {name: getattr(config, name) for name in ("text_pooling", "freeze_text_encoder", "speaker_prefix")}
    return facts


def text_encoder_facts(name_or_folder: str | None) -> dict[str, str] | None:
    """Of a text encoder, if there is one, its name, and the licence where its folder's README says one."""
    if name_or_folder is None or not Path(name_or_folder).is_dir():
        return name_or_folder and {"name": name_or_folder, "licence": ""}
    folder = Path(name_or_folder).resolve()
    name, licence = folder.name, ""
    if (folder / "README.md").is_file():
        card = ModelCard((folder / "README.md").read_text(encoding="utf-8"), ignore_metadata_errors=True)
        titles = (line[2:].strip() for line in card.text.splitlines() if line.startswith("# "))
        name, licence = next(titles, name), str(card.data.license or "")
    return {"name": name, "licence": licence}


def write_model_card(folder: str | Path, name: str, task: str, summary: dict[str, Any]) -> None:
    """Write `README.md` into a checkpoint's folder.

    Args:
        folder: of the checkpoint.
        name: under which it is loaded: a name on the Hub or a path.
        task: `"convcom"` or `"erc"`.
        summary: from [`run_summary`], with `corpus`, `licence`, `selection` (a sentence) and `scores` (name of a
            split -> name of a metric -> number; `per_label` -> name of a label -> name of a metric -> number). What
            else it has is told too: `start`; `seed`; `facts` of the corpus, from `corpus_facts`; `settings`, from
            [`hyper_parameters`]; `model`, from [`model_facts`]; `calibration`, from [`calibrate`];
            `text_encoder`, from [`text_encoder_facts`]; `leakage` (what was compared -> figures); `seeds` (`split`,
            `runs`, `mean`, `deviation`); `start_summary`, the summary of the checkpoint that the run began with.
    """
    parts = [f"---\n{metadata(name, task, summary)}\n---", f"# {Path(name).name}", *_sections(name, task, summary)]
    (Path(folder) / "README.md").write_text("\n\n".join(filter(None, parts)) + "\n", encoding="utf-8")


def metadata(name: str, task: str, summary: dict[str, Any]) -> ModelCardData:
    """What the Hub reads of a card."""
    corpora = [_facts(run) for run in lineage(summary)]
    licences = {facts["licence"]: facts["homepage"] for facts in corpora}
    if encoder := _text_encoder(summary):
        licences.setdefault(encoder["licence"], "")
    # What rests on corpora of different licences has none that one word says.
    licence = licence_of(*licences.popitem()) if len(licences) == 1 else {"license": "other", "license_name": "several"}
    task_type, task_name = TASKS[task]["task"]
    corpus = _dataset_id(summary["corpus"])
    results = [
        EvalResult(
            task_type=task_type,
            task_name=task_name,
            dataset_type=corpus or "custom",
            dataset_name=Path(summary["corpus"]).name,
            dataset_split=split,
            metric_type=HUB_METRICS[metric][0],
            metric_name=HUB_METRICS[metric][1],
            metric_value=value,
        )
        for split, scores in summary["scores"].items()
        for metric, value in scores.items()
        if split == "test" and metric in HUB_METRICS
    ]
    start = summary.get("start", "")
    return ModelCardData(
        language="en",
        **licence,
        library_name="transformers",
        pipeline_tag=task_type,
        tags=TASKS[task]["tags"],
        datasets=[found for run in lineage(summary) if (found := _dataset_id(run["corpus"]))] or None,
        metrics=sorted({result.metric_type for result in results}) or None,
        base_model=start if start.count("/") == 1 and not Path(start).exists() else None,
        model_name=Path(name).name if results else None,
        eval_results=results or None,
    )


def lineage(summary: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The run, the one that it began with, and so on."""
    yield summary
    if summary.get("start_summary"):
        yield from lineage(summary["start_summary"])


def _text_encoder(summary: dict[str, Any]) -> dict[str, str] | None:
    """That of the run, or of the one with which it all began; its kind alone where that began without a script."""
    if encoder := next((run["text_encoder"] for run in lineage(summary) if run.get("text_encoder")), None):
        return encoder
    kind = (summary.get("model") or {}).get("text_encoder")
    return kind and {"name": kind, "licence": ""}


def _facts(run: dict[str, Any]) -> dict[str, Any]:
    """Of a run's corpus; checkpoints of before they were kept have its licence only."""
    licence = run["licence"].replace("licence unknown", "")
    return run.get("facts") or {"licence": licence, "homepage": "", "citation": "", "splits": {}}


def _dataset_id(corpus: str) -> str | None:
    """A corpus as the Hub names it; one's own files and folders have no name there."""
    return corpus if corpus in CORPORA.keys() - {"custom"} or not Path(corpus).exists() and corpus != "custom" else None


def _sections(name: str, task: str, summary: dict[str, Any]) -> Iterator[str]:
    text = TASKS[task]
    yield text["what"]
    yield "## Use"
    yield "With the package `precode`:"
    yield f"```python\n{text['import']}\n\n{text['load'].format(name=name)}\n```"
    yield "Without it, by the code that the checkpoint carries. Read that code first: it runs on your machine."
    yield f"```python\n{text['load_remotely'].format(name=name)}\n```"
    yield "## Intended use and limits"
    yield text["limits"] if _text_encoder(summary) else f"{text['limits']} {text['limits_of_words']}".strip()
    model = summary.get("model") or {}
    yield DIRECTION[model.get("causal", False)]
    if model.get("max_speakers"):
        yield SPEAKERS.format(**model)
    if model.get("speaker_prefix"):
        yield SPEAKER_PREFIX
    yield "## Corpora"
    yield from _corpora(summary)
    yield "## Training"
    yield from _training(summary)
    yield "## Scores"
    yield from _scores(summary)
    leakage = {what: figures for run in lineage(summary) for what, figures in (run.get("leakage") or {}).items()}
    yield "## Leakage"
    yield "\n\n".join(f"{what}:\n\n{bullets(figures)}" for what, figures in leakage.items()) or (
        "Not looked for. Whether the training text holds dialogues of the test split is unknown."
    )
    yield "## Licence"
    yield (
        "The code that the checkpoint carries is under Apache-2.0. The weights come from what stands under Corpora; "
        "whoever passes them on minds the licences of that."
    )
    yield "## Citation"
    citations = [_facts(run)["citation"] for run in lineage(summary)]
    yield "```bibtex\n" + "\n\n".join(dict.fromkeys(filter(None, [CITATION, *citations]))) + "\n```"


def _corpora(summary: dict[str, Any]) -> Iterator[str]:
    for run in lineage(summary):
        facts = _facts(run)
        role = "Trained and scored on" if run is summary else "Started from a checkpoint trained on"
        home = f", {facts['homepage']}" if facts["homepage"] else ""
        yield f"{role} **{Path(run['corpus']).name}** (licence: {facts['licence'] or 'unknown'}{home})."
        if not facts.get("may_be_passed_on", True):
            yield "This corpus may not be passed on; ask its authors before you share weights that learned from it."
        if splits := facts["splits"]:
            counts = [
                ["", *splits],
                *([what, *(f"{split[what]:,}" for split in splits.values())] for what in ("dialogues", "utterances")),
                *(
                    [f"labelled {label}", *(f"{split.get('labels', {}).get(label, 0):,}" for split in splits.values())]
                    for label in next(iter(splits.values())).get("labels", {})
                ),
            ]
            yield markdown_table(counts)

    model = summary.get("model") or {}
    if encoder := _text_encoder(summary):
        yield (
            f"Utterances are read by the text encoder **{encoder['name']}** (licence: "
            f"{encoder['licence'] or 'unknown'}), whose weights are in this checkpoint."
            + (TEXT_ENCODER[model["freeze_text_encoder"]].format(**model) if "text_pooling" in model else "")
        )


def _training(summary: dict[str, Any]) -> Iterator[str]:
    told = {
        "Start": Path(summary["start"]).name if summary.get("start") else "from scratch",
        "Selection": summary["selection"],
        "Seed": summary.get("seed"),
        "Command": f"`{summary['command']}`",
        "Versions": ", ".join(f"{package} {number}" for package, number in summary["versions"].items()),
    }
    yield bullets(f"{what}: {value}" for what, value in told.items() if value is not None)
    if settings := summary.get("settings"):
        yield markdown_table([["setting", "value"], *([f"`{name}`", f"`{value}`"] for name, value in settings.items())])


def _scores(summary: dict[str, Any]) -> Iterator[str]:
    scores = summary["scores"]
    metrics = [metric for metric, value in next(iter(scores.values()), {}).items() if isinstance(value, int | float)]
    yield markdown_table(
        [["", *scores], *([metric, *(_number(scores[split].get(metric)) for split in scores)] for metric in metrics)]
    )
    if seeds := summary.get("seeds"):
        split, runs = seeds["split"].capitalize(), ", ".join(map(str, seeds["runs"]))
        yield f"{split} split over {len(seeds['runs'])} seed(s) ({runs}), mean and standard deviation:"
        rows = ([metric, _number(mean), _number(seeds["deviation"][metric])] for metric, mean in seeds["mean"].items())
        yield markdown_table([["", "mean", "deviation"], *rows])
    if calibration := summary.get("calibration"):
        yield (
            f"For its probabilities, logits are divided by a temperature of {calibration['temperature']:.4f}. It was "
            "fitted on the validation split and changes no label. Expected calibration error (ECE) and negative "
            "log-likelihood (NLL) without and with it:"
        )
        rows = (
            [
                split,
                *(
                    _number(calibration[split][when][figure])
                    for figure in ("ece", "nll")
                    for when in calibration[split]
                ),
            ]
            for split in calibration
            if split not in ("temperature", "cross_fit")
        )
        yield markdown_table([["", "ECE without", "ECE with", "NLL without", "NLL with"], *rows])
    for split, found in scores.items():
        if labels := found.get("per_label"):
            # `focused_f1` is there for a focused label only.
            columns = list(dict.fromkeys(column for values in labels.values() for column in values))
            rows = ([label, *(_number(values.get(column)) for column in columns)] for label, values in labels.items())
            yield f"By label, {split} split:"
            yield markdown_table([["", *columns], *rows])


def _number(value: float | int | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
