"""Folds the probabilities of a model's labels into those of fewer labels, such as positive, negative and neutral."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


class LabelFolding:
    """The labels after folding, and the sum of the probabilities for each.

    Args:
        label_map: The new label of every label of the model, or None to leave a label out. The probabilities of the
            others are then divided by their sum.
        names: The labels of the model, in the order of their ids.

    Raises:
        ValueError: The map is not a mapping, lacks a label, or leaves fewer than two.
    """

    def __init__(self, label_map: Mapping[str, str | None], names: Sequence[str]):
        if not isinstance(label_map, Mapping):
            raise ValueError(f"`label_map` is a mapping from every label of the model to a label; got {label_map!r}")
        if missing := [name for name in names if name not in label_map]:
            raise ValueError(
                f"`label_map` lacks {', '.join(missing)}; give every label of the model ({', '.join(names)}) a label, "
                "or None to leave it out"
            )
        targets = [label_map[name] for name in names]
        self.names = sorted({target for target in targets if target is not None})
        if len(self.names) < 2:
            raise ValueError(f"`label_map` leaves fewer than two labels; got {', '.join(self.names) or 'none'}")
        self.matrix = np.array([[target == name for name in self.names] for target in targets], np.float32)

    def __call__(self, probabilities: Any) -> Any:
        """(..., labels of the model) -> (..., labels after folding), which add up to 1: a numpy array or a tensor."""
        matrix = self.matrix if isinstance(probabilities, np.ndarray) else probabilities.new_tensor(self.matrix)
        sums = probabilities @ matrix
        total = sums.sum(-1)[..., None]
        return sums / (total + (total == 0))
