"""Sequences of different lengths in the order in which a recurrence takes them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Sequences whose states are computed together; what belongs to them stays near the core.
BLOCK = 256


@dataclass
class Steps:
    """The time steps of N sequences that together have I items, without padding.

    The sequences are sorted by length, longest first, so that those which have a step are the first rows of the one
    before. Places are counted step by step: all first items, all second ones, and so on. The backward direction takes
    every sequence from its end, so that both directions have the same rows at a step.

    Args:
        sizes: sequences at each step.
        items: (2, I), the item, in the order of the sequences, at each place of the forward and the backward direction.
        places: (2, I), the place of each item in both directions; the inverse of `items`.
        ranks: (N,), the row of each sequence.
    """

    sizes: list[int]
    items: Tensor
    places: Tensor
    ranks: Tensor

    @classmethod
    def of(cls, lengths: Sequence[int] | np.ndarray) -> "Steps":
        """The steps of sequences of these lengths, each at least 1."""
        lengths = np.asarray(lengths, dtype=np.int64)
        order = np.argsort(-lengths, kind="stable")
        longest = lengths[order[0]]
        # As many sequences have a step as are longer than it.
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
        """The same on another device; the sizes of the steps stay with the host, which counts by them."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Steps":
        return self._each(Tensor.pin_memory)

    def _each(self, move: Callable[[Tensor], Tensor]) -> "Steps":
        moved = map(move, (self.items, self.places, self.ranks))
        return Steps(self.sizes, *moved)

    def lengths(self) -> np.ndarray:
        """(N,), the items of the sequence of each row."""
        return np.searchsorted(-np.asarray(self.sizes), -np.arange(self.sizes[0]), side="left")

    def blocks(self) -> Iterator[tuple[slice, slice, slice | None]]:
        """The places of a block of sequences at one step after the other, then those of the next block.

        Yields the places, the rows that they are of, and the places of the same rows a step before, if there is one.
        What is computed on a block stays in a core's cache; on a GPU all rows are one block.
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
