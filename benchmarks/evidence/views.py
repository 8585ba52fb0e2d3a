"""Views of a corpus without dialogue context, for models that see only single texts."""

import json
from pathlib import Path
from typing import Any

from datasets import DatasetDict

from data_scripts import load_corpus
from data_scripts.building.options import parse_options
from data_scripts.sharing.export import export_corpus
from modeling_precode.dialogue_encoding import with_speaker

# A special token in a text counts as text.
SEPARATOR = " | "
# Arguments that are paths in the data folder.
PATHS = ("data_dir", "word_vectors")


def utterances_alone(rows: dict[str, list], history: int, named: bool = False) -> dict[str, list]:
    """Convert every labeled utterance to a dialogue of one text, together with the `history` utterances before it.

    The labeled utterance comes first, because long texts are cut at the end. Then follow the other utterances, latest
    first, with their speakers if `named`.
    """
    alone: dict[str, list] = {"dialogue_id": [], "utterances": [], "speakers": [], "labels": []}
    for name, utterances, speakers, labels in zip(*(rows[column] for column in alone), strict=True):
        texts = list(map(with_speaker, speakers, utterances)) if named and speakers else utterances
        for i, label in enumerate(labels):
            if label >= 0:
                alone["dialogue_id"].append(f"{name}#{i}")
                before = texts[max(i - history, 0) : i][::-1]
                alone["utterances"].append([SEPARATOR.join([utterances[i], *before])])
                alone["speakers"].append(speakers[i : i + 1])
                alone["labels"].append([label])
    return alone


def predictions_by_dialogue(path: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Read the predictions of a run. The utterances of a view have the ids of their dialogues in the corpus again."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    if "history" in settings:
        for row in rows:
            row["dialogue_id"] = row["dialogue_id"].rpartition("#")[0]
    return rows


def load(settings: dict[str, Any], data_dir: Path) -> DatasetDict:
    """Load the corpus of the settings of a run."""
    options = parse_options(settings.get("corpus_options", []), "corpus_options")
    # A corpus that comes with the package has no folder.
    folder = data_dir / settings["data_dir"] if "data_dir" in settings else None
    return load_corpus(settings["corpus"], folder, **options)


def has_files(settings: dict[str, Any], data_dir: Path) -> bool:
    """Whether all files that the settings name exist. Missing files are printed."""
    needed = [data_dir / settings[name] for name in PATHS if name in settings]
    if missing := [str(path) for path in needed if not path.exists()]:
        print(f"{settings['corpus']}: skipped because {', '.join(missing)} is missing", flush=True)
    return not missing


def arguments(settings: dict[str, Any], data_dir: Path, folder: Path) -> dict[str, Any]:
    """The arguments of a run with `history`, with a folder with the view in place of the corpus.

    The view is written if it does not exist.
    """
    history, corpus = settings["history"], settings["corpus"]
    # The script adds the name of the speaker of the labeled utterance.
    named = bool(settings.get("speaker_prefix"))
    view = folder / f"{corpus}-history-{history}{'-named' if named else ''}"
    if not view.exists():
        whole = load(settings, data_dir)
        features = whole["train"].features
        how = {"history": history, "named": named}
        alone = whole.map(utterances_alone, batched=True, fn_kwargs=how, features=features)
        export_corpus(alone, view, corpus)
    others = {name: value for name, value in settings.items() if name not in ("history", "data_dir", "corpus_options")}
    return {**others, "corpus": str(view)}
