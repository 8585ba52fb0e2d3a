"""The time steps of sequences of different lengths, in the order in which a recurrence reads them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# The number of sequences whose states are computed together on a CPU. Their data fits into the cache of a core.
BLOCK = 256


@dataclass
class Steps:
    """The time steps of N sequences that together have I items, without padding.

    The sequences are sorted by length, longest first. The sequences that have a given step are therefore the first rows
    of the step before. Places are numbered step by step: all first items, all second items, and so on. The backward
    direction reads every sequence from its end, so both directions have the same rows at each step.

    Args:
        sizes: The number of sequences at each step.
        items: (2, I), the index of the item at each place, for the forward and the backward direction. Items are
            numbered in the original order of the sequences.
        places: (2, I), the place of each item, for both directions; the inverse of `items`.
        ranks: (N,), the row of each sequence after sorting.
    """

    sizes: list[int]
    items: Tensor
    places: Tensor
    ranks: Tensor

    @classmethod
    def of(cls, lengths: Sequence[int] | np.ndarray) -> "Steps":
        """Compute the steps of sequences with these lengths, each at least 1."""
        lengths = np.asarray(lengths, dtype=np.int64)
        order = np.argsort(-lengths, kind="stable")
        longest = lengths[order[0]]
        # The sequences at a step are those that are longer than its index.
        sizes = len(lengths) - np.cumsum(np.bincount(lengths, minlength=longest + 1))[:longest]
        step = np.repeat(np.arange(longest), sizes)
        row = np.arange(len(step)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        first = (np.cumsum(lengths) - lengths)[order]
        last = first + lengths[order] - 1
        items = np.stack([first[row] + step, last[row] - step])
        places = np.empty_like(items)
        np.put_along_axis(places, items, np.arange(len(step))[None], axis=1)
        ranks = np.empty_like(order)
        ranks[order] = np.arange(len(order))
        return cls(sizes.tolist(), *map(torch.from_numpy, (items, places, ranks)))

    def to(self, device: torch.device | str, non_blocking: bool = True) -> "Steps":
        """Copy the tensors to another device. The sizes stay on the host, which loops over them."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Steps":
        """Copy the tensors to pinned memory. `DataLoader` calls this method."""
        return self._each(Tensor.pin_memory)

    def _each(self, move: Callable[[Tensor], Tensor]) -> "Steps":
        moved = map(move, (self.items, self.places, self.ranks))
        return Steps(self.sizes, *moved)

    def lengths(self) -> np.ndarray:
        """(N,), the length of the sequence in each row."""
        return np.searchsorted(-np.asarray(self.sizes), -np.arange(self.sizes[0]), side="left")

    def blocks(self) -> Iterator[tuple[slice, slice, slice | None]]:
        """Iterate over blocks of sequences, and over the steps of each block.

        Yields the places of a block at a step, the rows of these places, and the places of the same rows at the
        previous step, or `None` at the first step. The data of a block stays in the cache of a core. On a GPU, all rows
        form one block.
        """
        size = BLOCK if self.items.device.type == "cpu" else self.sizes[0]
        starts = np.cumsum([0, *self.sizes]).tolist()
        for first in range(0, self.sizes[0], size):
            for step, count in enumerate(self.sizes):
                if count <= first:
                    break
                rows = slice(first, min(first + size, count))
                places = slice(starts[step] + rows.start, starts[step] + rows.stop)
                before = slice(starts[step - 1] + rows.start, starts[step - 1] + rows.stop) if step else None
                yield places, rows, before
