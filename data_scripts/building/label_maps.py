"""Label maps: from the labels of every corpus here to one set of labels, so that corpora and models go together.

`ekman` leads to anger, disgust, fear, joy, neutral, sadness and surprise; `sentiment` to negative, neutral and
positive. They are the files `data_scripts/label_maps/*.yaml`, and a map of one's own is a file of the same form, with a
line `label: label of the set` for every label, and nothing behind the colon where a label has no counterpart:

    Joyful: joy
    Mad: anger
    Peaceful:
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import datasets
import numpy as np
import yaml

from ..formats.reading import read_text

FOLDER = Path(__file__).resolve().parents[1] / "label_maps"
LABEL_MAPS = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))

Corpus = TypeVar("Corpus", datasets.Dataset, datasets.DatasetDict)


@dataclass(frozen=True)
class LabelMap:
    """A map from labels to the labels of one set.

    Args:
        name: How messages call it.
        targets: Label, in lower case -> label of the set, or None where it has no counterpart there.
    """

    name: str
    targets: Mapping[str, str | None]

    @classmethod
    def load(cls, source: "str | Path | Mapping[str, str | None] | LabelMap") -> "LabelMap":
        """A map by its name, from a YAML file, or from a dictionary of the same content.

        Raises:
            ValueError: It is no such map: the message says where.
            FileNotFoundError: There is neither a map of this name nor a file.
        """
        if isinstance(source, LabelMap):
            return source
        if isinstance(source, Mapping):
            return cls.of("label map", source.items())
        path = FOLDER / f"{source}.yaml" if source in LABEL_MAPS else Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"{source}: no label map; known are {', '.join(LABEL_MAPS)}, or give a YAML file")
        return cls.of(str(source), _yaml_pairs(path))

    @classmethod
    def of(cls, name: str, pairs: Iterable[tuple[str, str | None]]) -> "LabelMap":
        targets: dict[str, str | None] = {}
        for label, target in pairs:
            if targets.setdefault(label.casefold(), target) != target:
                raise ValueError(
                    f"{name}: two counterparts of {label!r}; got {targets[label.casefold()]!r} and {target!r}; "
                    "leave one (upper and lower case are the same)"
                )
        label_map = cls(name, targets)
        if len(label_map.labels) < 2:
            raise ValueError(
                f"{name}: fewer than two labels to map to; got {', '.join(label_map.labels) or 'none'}; give more"
            )
        return label_map

    @cached_property
    def labels(self) -> list[str]:
        """The labels of the set, sorted: the order of their ids."""
        return sorted({target for target in self.targets.values() if target is not None})

    def counterparts(self, labels: Iterable[str], owner: str) -> list[str | None]:
        """The label of the set for each label, None where it has no counterpart. A label of the set is its own.

        Args:
            labels: of a corpus or a model.
            owner: whose labels they are, for a message.

        Raises:
            ValueError: A label that the map does not know, or fewer than two labels left.
        """
        labels = list(labels)
        targets = {label: label for label in self.labels} | {
            label: self.targets[label.casefold()] for label in labels if label.casefold() in self.targets
        }
        if unknown := [label for label in labels if label not in targets]:
            raise ValueError(
                f"{owner}: the label map {self.name} does not have {', '.join(map(repr, unknown))}; give a YAML file "
                "with it, without a counterpart where it has none"
            )
        found = [targets[label] for label in labels]
        if len(set(found) - {None}) < 2:
            raise ValueError(
                f"{owner}: of its labels {', '.join(labels)}, fewer than two have a counterpart in the label map "
                f"{self.name}; give another map"
            )
        return found

    def fold(self, counterparts: list[str | None]) -> np.ndarray:
        """(labels, labels of the set), 1 where one is the counterpart of the other: what sums probabilities up."""
        folding = np.zeros((len(counterparts), len(self.labels)))
        for row, target in zip(folding, counterparts, strict=True):
            if target is not None:
                row[self.labels.index(target)] = 1
        return folding


def map_labels(corpus: Corpus, label_map: str | Path | Mapping[str, str | None] | LabelMap) -> Corpus:
    """A corpus with the labels of a label map.

    An utterance whose label has no counterpart is left without a label (-1), as context. Where there are
    `label_distributions`, the shares of labels with one counterpart are added up. What has no counterpart is left out,
    and the rest add up to 1 again, or are an empty list where nothing is left.

    Args:
        corpus: A split, or several, as `load_corpus` gives them.
        label_map: `"ekman"`, `"sentiment"`, the path of a YAML file, or a dictionary.

    Raises:
        ValueError: A corpus without labels, a label that the map does not have, or fewer than two labels left.
        FileNotFoundError: No such map.
    """
    label_map = LabelMap.load(label_map)
    if isinstance(corpus, datasets.DatasetDict):
        return datasets.DatasetDict({split: map_labels(rows, label_map) for split, rows in corpus.items()})
    if "labels" not in corpus.column_names:
        raise ValueError(f"label map {label_map.name}: the corpus has no column labels; leave the map out")
    counterparts = label_map.counterparts(corpus.features["labels"].feature.names, "the corpus")
    ids: list[int] = [-1 if target is None else label_map.labels.index(target) for target in counterparts]
    settings = {"ids": [*ids, -1], "folding": label_map.fold(counterparts).tolist()}  # the last is that of label -1
    features = datasets.Features(corpus.features)
    features["labels"] = datasets.List(datasets.ClassLabel(names=label_map.labels))
    return corpus.map(_mapped, batched=True, fn_kwargs=settings, features=features, desc=f"labels of {label_map.name}")


def _mapped(rows: dict[str, list], ids: list[int], folding: list[list[float]]) -> dict[str, list]:
    mapped: dict[str, Any] = {"labels": [[ids[label] for label in labels] for labels in rows["labels"]]}
    if "label_distributions" in rows:
        matrix = np.array(folding)
        mapped["label_distributions"] = [
            [_folded(distribution, matrix) for distribution in dialogue] for dialogue in rows["label_distributions"]
        ]
    return mapped


def _folded(distribution: list[float], folding: np.ndarray) -> list[float]:
    shares = np.array(distribution) @ folding if distribution else np.zeros(1)
    return (shares / shares.sum()).tolist() if shares.sum() > 0 else []


def _yaml_pairs(path: Path) -> list[tuple[str, str | None]]:
    """The lines `label: counterpart` as they are written: to YAML itself, `no` is a truth value, and the second of two
    lines with one label is the only one."""
    try:
        node = yaml.compose(read_text(path), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    pairs = node.value if isinstance(node, yaml.MappingNode) else None
    if pairs is None or not all(isinstance(side, yaml.ScalarNode) for pair in pairs for side in pair):
        raise ValueError(f"{path}: no label map; write one `label: counterpart` a line")
    null = "tag:yaml.org,2002:null"
    return [(label.value, None if target.tag == null else target.value) for label, target in pairs]
