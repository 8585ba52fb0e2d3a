"""Mixes several corpora into one training corpus, without the held-out dialogues of any of them."""

import logging
from collections.abc import Mapping

import datasets

from ..inspection.overlap import find_overlap, share_of
from ..loading.corpora import label_names
from ..sharing.dataset_card import LICENSE_SEPARATOR

logger = logging.getLogger(__name__)

# The column with the name of the corpus of a dialogue.
CORPUS = "corpus_name"
HELD_OUT = ("validation", "test")
DISTRIBUTIONS = datasets.List(datasets.List(datasets.Value("float32")))


def mix_corpora(
    corpora: Mapping[str, datasets.DatasetDict],
) -> tuple[datasets.DatasetDict, dict[str, list[str]]]:
    """Concatenate corpora with the same labels. The column `corpus_name` has the corpus of each dialogue.

    Training dialogues that appear in the validation or test split of any of the corpora are dropped: those that appear
    in full, and those of which half of the utterances of five words or more appear.

    ```python
    corpora = {name: map_labels(load_corpus(name, folder), "ekman") for name, folder in folders.items()}
    corpus, leakage = mix_corpora(corpora)
    ```

    Args:
        corpora: The splits `train`, `validation` and `test` of each corpus by its name, from `load_corpus` or
            `map_labels`. A corpus that is only for training, such as a model's own predictions, may have only `train`.

    Returns:
        The splits, and figures for a model card, by a description of each comparison: the dropped dialogues of every
        training split, and every pair of splits with an overlap.

    Raises:
        ValueError: The corpora have different labels, a split has no labels or is missing in all corpora, or nothing
            remains of a training split.
    """
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


def check_labels(corpora: Mapping[str, datasets.DatasetDict]) -> None:
    """Check that corpora can be mixed.

    Args:
        corpora: The splits of each corpus, by its name.

    Raises:
        ValueError: A corpus has no labels or other labels than the first, a split is missing, or a split has no label.
    """
    names: dict[str, list[str]] = {}
    first = next(iter(corpora))
    for name, splits in corpora.items():
        labels = label_names(splits)
        if labels is None:
            raise ValueError(f"corpus {name}: the corpus has no labels and cannot be mixed; leave it out")
        names[name] = labels
        if labels != names[first]:
            raise ValueError(
                f"corpora {first} and {name} have different labels: {', '.join(names[first])}, and "
                f"{', '.join(names[name])}; use a label map, such as --label_map ekman"
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
