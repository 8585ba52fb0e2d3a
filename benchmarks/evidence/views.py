"""A corpus in which an utterance has no dialogue around it: what a model without context gets to see."""

from pathlib import Path
from typing import Any

from datasets import DatasetDict

from data_scripts import load_corpus
from data_scripts.options import parse_options
from data_scripts.sharing import export_corpus


def utterances_alone(rows: dict[str, list], history: int) -> dict[str, list]:
    """Every labelled utterance as a dialogue of its own, one text with the `history` utterances before it."""
    alone: dict[str, list] = {"dialogue_id": [], "utterances": [], "speakers": [], "labels": []}
    for name, utterances, speakers, labels in zip(*(rows[column] for column in alone), strict=True):
        for i, label in enumerate(labels):
            if label >= 0:
                alone["dialogue_id"].append(f"{name}#{i}")
                alone["utterances"].append([" ".join(utterances[max(i - history, 0) : i + 1])])
                alone["speakers"].append(speakers[i : i + 1])
                alone["labels"].append([label])
    return alone


def load(settings: dict[str, Any], data_dir: Path) -> DatasetDict:
    """The corpus of a run's settings."""
    options = parse_options(settings.get("corpus_options", []), "corpus_options")
    return load_corpus(settings["corpus"], data_dir / settings["data_dir"], **options)


def arguments(settings: dict[str, Any], data_dir: Path, folder: Path) -> dict[str, Any]:
    """The arguments of a run with `history`: a folder with the view, written if it is not there yet, in place of the
    corpus."""
    history, corpus = settings["history"], settings["corpus"]
    view = folder / f"{corpus}-history-{history}"
    if not view.exists():
        whole = load(settings, data_dir)
        features = whole["train"].features
        alone = whole.map(utterances_alone, batched=True, fn_kwargs={"history": history}, features=features)
        export_corpus(alone, view, corpus)
    others = {name: value for name, value in settings.items() if name not in ("history", "data_dir", "corpus_options")}
    return {**others, "corpus": str(view)}
