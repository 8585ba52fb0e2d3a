"""Label maps: from the labels of every corpus to one set of labels, so that corpora and models can be combined.

`ekman` maps to anger, disgust, fear, joy, neutral, sadness and surprise; `sentiment` maps to negative, neutral and
positive. They are the files `data_scripts/label_maps/*.yaml`. Your own map is a file of the same form, with one line
`label: label of the set` per label. Leave the right side empty if a label has no counterpart:

    Joyful: joy
    Mad: anger
    Peaceful:
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import yaml

from ..formats.reading import read_text
from ..tools.console import reason_of

if TYPE_CHECKING:
    import datasets

FOLDER = Path(__file__).resolve().parents[1] / "label_maps"
LABEL_MAPS = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))

Corpus = TypeVar("Corpus", "datasets.Dataset", "datasets.DatasetDict")


@dataclass(frozen=True)
class LabelMap:
    """A map from labels to the labels of one set.

    Args:
        name: The name of the map in messages.
        targets: The label of the set for each label in lower case, or None if it has no counterpart.
    """

    name: str
    targets: Mapping[str, str | None]

    @classmethod
    def load(cls, source: "str | Path | Mapping[str, str | None] | LabelMap") -> "LabelMap":
        """Load a map by its name, from a YAML file, or from a dictionary with the same content.

        Raises:
            ValueError: The content is not a label map. The message says where.
            FileNotFoundError: There is neither a map with this name nor a file.
        """
        if isinstance(source, LabelMap):
            return source
        if isinstance(source, Mapping):
            return cls.of("label map", source.items())
        path = FOLDER / f"{source}.yaml" if source in LABEL_MAPS else Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"{source}: no such label map; use {', '.join(LABEL_MAPS)} or a YAML file")
        return cls.of(str(source), _yaml_pairs(path))

    @classmethod
    def of(cls, name: str, pairs: Iterable[tuple[str, str | None]]) -> "LabelMap":
        """Create a map from pairs of a label and its counterpart.

        Args:
            name: The name of the map in messages.
            pairs: The pairs. None means that a label has no counterpart.

        Raises:
            ValueError: A label has two counterparts, or fewer than two labels have one.
        """
        targets: dict[str, str | None] = {}
        for label, target in pairs:
            if targets.setdefault(label.casefold(), target) != target:
                raise ValueError(
                    f"{name}: two counterparts of {label!r}; got {targets[label.casefold()]!r} and {target!r}; "
                    "keep one (case does not matter)"
                )
        label_map = cls(name, targets)
        if len(label_map.labels) < 2:
            raise ValueError(
                f"{name}: needs at least two labels to map to; got {', '.join(label_map.labels) or 'none'}; add more"
            )
        return label_map

    @cached_property
    def labels(self) -> list[str]:
        """The sorted labels of the set, in the order of their ids."""
        return sorted({target for target in self.targets.values() if target is not None})

    def counterparts(self, labels: Iterable[str], owner: str) -> list[str | None]:
        """The label of the set for each label, or None without a counterpart. A label of the set maps to itself.

        Args:
            labels: The labels of a corpus or a model.
            owner: The name of that corpus or model, for messages.

        Raises:
            ValueError: The map does not have a label, or fewer than two labels remain.
        """
        labels = list(labels)
        targets = {label: label for label in self.labels} | {
            label: self.targets[label.casefold()] for label in labels if label.casefold() in self.targets
        }
        if unknown := [label for label in labels if label not in targets]:
            raise ValueError(
                f"{owner}: the label map {self.name} does not have {', '.join(map(repr, unknown))}; use a YAML file "
                "with this label, with an empty right side if it has no counterpart"
            )
        found = [targets[label] for label in labels]
        if len(set(found) - {None}) < 2:
            raise ValueError(
                f"{owner}: of its labels {', '.join(labels)}, fewer than two have a counterpart in the label map "
                f"{self.name}; use another map"
            )
        return found

    def fold(self, counterparts: list[str | None]) -> np.ndarray:
        """The matrix (labels, labels of the set) that sums probabilities: 1 for a label and its counterpart."""
        folding = np.zeros((len(counterparts), len(self.labels)))
        for row, target in zip(folding, counterparts, strict=True):
            if target is not None:
                row[self.labels.index(target)] = 1
        return folding


def map_labels(corpus: Corpus, label_map: str | Path | Mapping[str, str | None] | LabelMap) -> Corpus:
    """Convert the labels of a corpus with a label map.

    An utterance whose label has no counterpart stays as context without a label (-1). In `label_distributions`, the
    shares of labels with the same counterpart are added. Shares without a counterpart are dropped, and the rest are
    scaled to sum to 1. If nothing remains, the list is empty.

    Args:
        corpus: A split or several splits, from `load_corpus`.
        label_map: `"ekman"`, `"sentiment"`, the path of a YAML file, or a dictionary.

    Raises:
        ValueError: The corpus has no labels, the map does not have a label, or fewer than two labels remain.
        FileNotFoundError: There is no such map.
    """
    import datasets  # late, so that a label map can be read without it

    label_map = LabelMap.load(label_map)
    if isinstance(corpus, datasets.DatasetDict):
        return datasets.DatasetDict({split: map_labels(rows, label_map) for split, rows in corpus.items()})
    if "labels" not in corpus.column_names:
        raise ValueError(f"label map {label_map.name}: the corpus has no column labels; do not use a map")
    counterparts = label_map.counterparts(corpus.features["labels"].feature.names, "the corpus")
    ids: list[int] = [-1 if target is None else label_map.labels.index(target) for target in counterparts]
    settings = {"ids": [*ids, -1], "folding": label_map.fold(counterparts).tolist()}  # the last one is for the label -1
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
    """The lines `label: counterpart` as plain text.

    A YAML loader would read `no` as a boolean, and would silently drop the first of two lines with the same label.
    """
    try:
        node = yaml.compose(read_text(path), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {reason_of(error)}") from None
    pairs = node.value if isinstance(node, yaml.MappingNode) else None
    if pairs is None or not all(isinstance(side, yaml.ScalarNode) for pair in pairs for side in pair):
        raise ValueError(f"{path}: not a label map; write one `label: counterpart` per line")
    null = "tag:yaml.org,2002:null"
    return [(label.value, None if target.tag == null else target.value) for label, target in pairs]
