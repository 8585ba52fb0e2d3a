"""Folds the probabilities of a model's labels into those of fewer labels, such as positive, negative and neutral."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


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
        self.matrix = torch.tensor([[float(target == name) for name in self.names] for target in targets])

    def __call__(self, probabilities: Tensor) -> Tensor:
        """(..., labels of the model) -> (..., labels after folding), which add up to 1."""
        sums = probabilities @ self.matrix.to(probabilities)
        return sums / sums.sum(-1, keepdim=True).clamp(min=torch.finfo(sums.dtype).tiny)
