"""Mixes several corpora into one training corpus, without the held-out dialogues of any of them."""

import logging
from collections.abc import Mapping
from typing import Any

import datasets

from ..inspection.overlap import find_overlap, share_of
from ..loading.corpora import label_names
from ..sharing.dataset_card import LICENSE_SEPARATOR

logger = logging.getLogger(__name__)

# The column with the name of the corpus of a dialogue.
CORPUS = "corpus_name"
# Between the name of a corpus and a label, where every corpus keeps its own labels.
LABEL_SEPARATOR = ": "
HELD_OUT = ("validation", "test")
DISTRIBUTIONS = datasets.List(datasets.List(datasets.Value("float32")))


def mix_corpora(
    corpora: Mapping[str, datasets.DatasetDict], separate_labels: bool = False
) -> tuple[datasets.DatasetDict, dict[str, list[str]]]:
    """Concatenate corpora with the same labels. The column `corpus_name` has the corpus of each dialogue.

    With `separate_labels`, every corpus keeps its own labels, for one classification head per corpus
    (`UtteranceClassificationArguments(multi_task=True)`). The result has the labels of all corpora, each with the name
    of its corpus, such as `meld: joy`.

    Training dialogues that appear in the validation or test split of any of the corpora are dropped: those that appear
    in full, and those of which half of the utterances of five words or more appear.

    ```python
    corpora = {name: map_labels(load_corpus(name, folder), "ekman") for name, folder in folders.items()}
    corpus, leakage = mix_corpora(corpora)
    ```

    Args:
        corpora: The splits `train`, `validation` and `test` of each corpus by its name, from `load_corpus` or
            `map_labels`. A corpus that is only for training, such as a model's own predictions, may have only `train`.
        separate_labels: Whether every corpus keeps its own labels. By default, all corpora must have the same labels.

    Returns:
        The splits, and figures for a model card, by a description of each comparison: the dropped dialogues of every
        training split, and every pair of splits with an overlap.

    Raises:
        ValueError: The corpora have different labels, a split has no labels or is missing in all corpora, nothing
            remains of a training split, or the name of a corpus has a colon and `separate_labels` is set.
    """
    if separate_labels:
        corpora = with_separate_labels(corpora)
    check_labels(corpora)
    trains: dict[str, datasets.Dataset] = {}
    leakage: dict[str, list[str]] = {}
    for name, splits in corpora.items():
        trains[name], found = without_held_out(name, splits["train"], corpora)
        leakage |= found
    has_distributions = any("label_distributions" in splits["train"].column_names for splits in corpora.values())
    infos = [splits["train"].info for splits in corpora.values()]
    mixed = {}
    for split in ("train", *HELD_OUT):
        parts = {
            name: trains[name] if split == "train" else splits[split] for name, splits in corpora_with(split, corpora)
        }
        rows = datasets.concatenate_datasets([_part(part, name, has_distributions) for name, part in parts.items()])
        rows.info.license = _joined(LICENSE_SEPARATOR, [info.license for info in infos])
        rows.info.homepage = _joined(", ", [info.homepage for info in infos])
        rows.info.citation = _joined("\n\n", [info.citation for info in infos])
        mixed[split] = rows
    return datasets.DatasetDict(mixed), leakage


def corpora_with(split: str, corpora: Mapping[str, datasets.DatasetDict]) -> list[tuple[str, datasets.DatasetDict]]:
    """The corpora that have a split."""
    return [(name, splits) for name, splits in corpora.items() if split in splits]


def with_separate_labels(corpora: Mapping[str, datasets.DatasetDict]) -> dict[str, datasets.DatasetDict]:
    """Give all corpora the labels of all corpora, each label with the name of its corpus before it.

    Distributions of labels get the probability 0 for the labels of the other corpora.

    Raises:
        ValueError: A corpus has no labels, or the name of a corpus has a colon before a space.
    """
    names = {name: _labels_of(name, splits) for name, splits in corpora.items()}
    if ambiguous := [name for name in names if LABEL_SEPARATOR in name]:
        raise ValueError(
            f"corpus {ambiguous[0]}: its name has {LABEL_SEPARATOR!r}, which separates the name from a label; rename it"
        )
    every = [f"{name}{LABEL_SEPARATOR}{label}" for name, labels in names.items() for label in labels]
    separated, first = {}, 0
    for name, splits in corpora.items():
        settings = {"first": first, "others": len(every) - first - len(names[name])}
        separated[name] = datasets.DatasetDict(
            {split: _among_all(name, rows, every, settings) for split, rows in splits.items()}
        )
        first += len(names[name])
    return separated


def _among_all(name: str, rows: datasets.Dataset, labels: list[str], settings: dict[str, int]) -> datasets.Dataset:
    features = datasets.Features(rows.features)
    features["labels"] = datasets.List(datasets.ClassLabel(names=labels))
    return rows.map(_shifted, batched=True, fn_kwargs=settings, features=features, desc=f"labels of {name}")


def _shifted(rows: dict[str, list], first: int, others: int) -> dict[str, list]:
    """Labels of which `first` are before those of the corpus, and `others` after them."""
    shifted: dict[str, Any] = {
        "labels": [[label + first if label >= 0 else -1 for label in labels] for labels in rows["labels"]]
    }
    if "label_distributions" in rows:
        shifted["label_distributions"] = [
            [[0.0] * first + shares + [0.0] * others if shares else [] for shares in dialogue]
            for dialogue in rows["label_distributions"]
        ]
    return shifted


def _labels_of(name: str, splits: datasets.DatasetDict) -> list[str]:
    labels = label_names(splits)
    if labels is None:
        raise ValueError(f"corpus {name}: the corpus has no labels and cannot be mixed; leave it out")
    return labels


def check_labels(corpora: Mapping[str, datasets.DatasetDict]) -> None:
    """Check that corpora can be mixed.

    Args:
        corpora: The splits of each corpus, by its name.

    Raises:
        ValueError: A corpus has no labels or other labels than the first, a split is missing, or a split has no label.
    """
    names = {name: _labels_of(name, splits) for name, splits in corpora.items()}
    first = next(iter(corpora))
    for name, labels in names.items():
        if labels != names[first]:
            raise ValueError(
                f"corpora {first} and {name} have different labels: {', '.join(names[first])}, and "
                f"{', '.join(labels)}; use a label map, such as --label_map ekman, or --multi_task for one head per "
                "corpus"
            )
    for split in ("train", *HELD_OUT):
        found = corpora_with(split, corpora)
        if not found or (split == "train" and len(found) < len(corpora)):
            lacking = ", ".join(name for name in corpora if name not in dict(found))
            raise ValueError(f"no split {split} in {lacking}; every corpus needs train, and one needs the others")
        for name, splits in found:
            if not any(label >= 0 for labels in splits[split]["labels"] for label in labels):
                raise ValueError(f"corpus {name}: no utterance of the split {split} has a label")


def without_held_out(
    name: str, train: datasets.Dataset, corpora: Mapping[str, datasets.DatasetDict]
) -> tuple[datasets.Dataset, dict[str, list[str]]]:
    """Drop the training dialogues that appear in a held-out split of any corpus. Also return figures."""
    found, pairs = set(), {}
    for split in HELD_OUT:
        for other, splits in corpora_with(split, corpora):
            overlap = find_overlap(train, splits[split])
            if indices := overlap.indices("utterance"):
                pairs[f"The original training split of {name} against the {split} split of {other}"] = overlap.figures()
                found.update(indices)
    kept = train.select([number for number in range(len(train)) if number not in found])
    if not len(kept):
        raise ValueError(f"corpus {name}: all of its training dialogues appear in held-out splits; leave it out")
    dropped = f"{share_of(len(found), len(train), 'dialogues')} appear there in full or by half, and were dropped"
    logger.info("%s: of train, %s", name, dropped.replace("there", "in a validation or test split"))
    return kept, {
        f"The training split of {name} against the validation and test splits of all corpora": [dropped],
        **pairs,
    }


def _part(rows: datasets.Dataset, name: str, has_distributions: bool) -> datasets.Dataset:
    columns = ["dialogue_id", "utterances", "speakers", "labels"]
    if has_distributions and "label_distributions" not in rows.column_names:
        rows = rows.add_column(
            "label_distributions", [[[]] * len(row) for row in rows["labels"]], feature=DISTRIBUTIONS
        )
    columns += ["label_distributions"] * has_distributions
    rows = rows.select_columns(columns).add_column(CORPUS, [name] * len(rows), feature=datasets.Value("string"))
    features = datasets.Features(
        {
            "dialogue_id": datasets.Value("string"),
            **dict.fromkeys(("utterances", "speakers"), datasets.List(datasets.Value("string"))),
            "labels": rows.features["labels"],
            **({"label_distributions": DISTRIBUTIONS} if has_distributions else {}),
            CORPUS: datasets.Value("string"),
        }
    )
    return rows if rows.features == features else rows.cast(features)


def _joined(separator: str, texts: list[str]) -> str:
    return separator.join(dict.fromkeys(text for text in texts if text))
