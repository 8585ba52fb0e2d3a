"""Sums the probabilities of a model's labels to those of fewer labels, such as positive, negative and neutral."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


class LabelFolding:
    """Maps the labels of a model to fewer labels, and sums their probabilities. `names` has the new labels.

    Args:
        label_map: The new label for every label of the model, or None to leave a label out. The remaining
            probabilities are divided by their sum.
        names: The labels of the model, in the order of their ids.

    Raises:
        ValueError: The map is not a mapping, lacks a label, or leaves fewer than two.
    """

    def __init__(self, label_map: Mapping[str, str | None], names: Sequence[str]):
        if not isinstance(label_map, Mapping):
            raise ValueError(
                f"`label_map` must be a mapping from every label of the model to a label; got {label_map!r}"
            )
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
        """Convert probabilities (..., labels of the model) to (..., new labels), which sum to 1.

        Both are NumPy arrays or both are tensors.
        """
        matrix = self.matrix if isinstance(probabilities, np.ndarray) else probabilities.new_tensor(self.matrix)
        sums = probabilities @ matrix
        total = sums.sum(-1)[..., None]
        return sums / (total + (total == 0))
