"""The texts of the comparison, as JSON: MELD's test split, and the utterances that rivals are trained on."""

import json
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple


class Training(NamedTuple):
    """Utterances and their labels, for training and for choosing settings."""

    texts: list[str]
    labels: list[str]
    held_out_texts: list[str]
    held_out_labels: list[str]

    @classmethod
    def read(cls, path: Path) -> "Training":
        return cls(**json.loads(path.read_text(encoding="utf-8")))


# An utterance is a speaker and a text.
Dialogue = list[tuple[str, str]]


def read_dialogues(path: Path) -> list[Dialogue]:
    """Read the dialogues that [`write_test`] wrote."""
    dialogues = json.loads(path.read_text(encoding="utf-8"))["dialogues"]
    return [[(speaker, text) for speaker, text in dialogue] for dialogue in dialogues]


def read_labels(path: Path) -> list[str]:
    """Read the labels that [`write_test`] wrote, one per utterance."""
    return json.loads(path.read_text(encoding="utf-8"))["labels"]


def repeated(dialogues: list[Dialogue], utterances: int, chunk: int) -> list[list[Dialogue]]:
    """Repeat dialogues up to a number of utterances, in chunks of at least `chunk` utterances. The last dialogue is
    cut."""
    chunks: list[list[Dialogue]] = [[]]
    in_chunk = 0
    for dialogue in cycle(dialogues):
        dialogue = dialogue[:utterances]
        if in_chunk >= chunk:
            chunks.append([])
            in_chunk = 0
        chunks[-1].append(dialogue)
        in_chunk += len(dialogue)
        utterances -= len(dialogue)
        if utterances == 0:
            return chunks
    raise ValueError("no dialogue to repeat")


def write_test(path: Path, data_dir: Path, label_map: str) -> None:
    """Write the dialogues and labels of MELD's test split."""
    from data_scripts import label_names, load_corpus
    from data_scripts.building.label_maps import map_labels

    rows = map_labels(load_corpus("meld", data_dir), label_map)["test"]
    names = label_names(rows)
    dialogues = [list(zip(row["speakers"], row["utterances"], strict=True)) for row in rows]
    _write(path, {"dialogues": dialogues, "labels": [names[label] for row in rows for label in row["labels"]]})


def write_training(path: Path, corpus: str, data_dir: Path, label_map: str) -> None:
    """Write the labeled utterances of the training and validation splits of `meld` or `openerc`."""
    from benchmarks.evidence.baselines import labeled_texts
    from data_scripts import label_names, load_corpus
    from data_scripts.building.label_maps import map_labels

    splits = map_labels(load_corpus(corpus, data_dir if corpus == "meld" else None), label_map)
    names = label_names(splits)
    texts, labels = labeled_texts(splits["train"])
    held_out_texts, held_out_labels = labeled_texts(splits["validation"])
    training = Training(texts, [names[i] for i in labels], held_out_texts, [names[i] for i in held_out_labels])
    _write(path, training._asdict())


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
