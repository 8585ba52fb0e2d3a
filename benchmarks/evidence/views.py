"""A corpus in which an utterance has no dialogue around it: what a model without context gets to see."""

from pathlib import Path
from typing import Any

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


def write_view(folder: Path, corpus: str, data_dir: Path, options: list[str], history: int) -> None:
    """Write the view of a corpus as a folder that `--corpus` takes, if it is not there yet."""
    if folder.exists():
        return
    whole = load_corpus(corpus, data_dir, **parse_options(options, "corpus_options"))
    view = whole.map(utterances_alone, batched=True, fn_kwargs={"history": history}, features=whole["train"].features)
    export_corpus(view, folder, corpus)


def arguments(settings: dict[str, Any], data_dir: Path, folder: Path) -> dict[str, Any]:
    """The arguments of a run with `history`: the view in place of the corpus."""
    settings = dict(settings)
    history, options = settings.pop("history"), settings.pop("corpus_options", [])
    corpus, source = settings["corpus"], data_dir / settings.pop("data_dir")
    view = folder / f"{corpus}-history-{history}"
    write_view(view, corpus, source, options, history)
    return {**settings, "corpus": str(view)}
