"""The dialogues of each batch, and each process's share of them."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler


class EpochBatches(Protocol):
    """Training batches, which differ from epoch to epoch."""

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Go to batch `start` of an epoch."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[list[Any]]: ...

    def dialogues(self, batch: int) -> np.ndarray | list[int]:
        """The indices of the dialogues of a batch, over all processes."""


class DialogueBatches(Sampler[list[int]]):
    """The batches of an epoch as indices of dialogues, limited to one process's share of each batch.

    The batches over all processes depend only on the seed, the epoch, the batch size and the dialogues' sizes. They do
    not depend on the number of processes or on where a run was resumed. All batches have about the same size,
    including the last one. The processes' shares of a batch have about the same number of tokens, and none is empty.

    Args:
        tokens: (dialogues,) the number of tokens of every dialogue.
        seed: Seed of the order, which differs from epoch to epoch.
        batch_size: Maximum number of dialogues per batch, over all processes. Give this or `batch_tokens`.
        batch_tokens: Approximate number of tokens per batch, over all processes. A batch ends with the dialogue that
            reaches it.
        process_index: Index of this process.
        num_processes: Number of processes.

    Raises:
        ValueError: A batch could have fewer dialogues than there are processes.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        seed: int,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        process_index: int = 0,
        num_processes: int = 1,
    ):
        if (batch_size is None) == (batch_tokens is None):
            raise ValueError(f"give `batch_size` or `batch_tokens`; got {batch_size} and {batch_tokens}")
        self.tokens = np.asarray(tokens, dtype=np.int64)
        self.weights = np.ones_like(self.tokens) if batch_tokens is None else np.maximum(self.tokens, 1)
        budget, self.total = batch_size or batch_tokens, int(self.weights.sum())
        assert budget is not None
        self.num_batches = -(-self.total // budget)
        # The starts of the batches are evenly spaced by weight. Every batch has at least this many dialogues.
        self.fewest = self.total // (self.num_batches * int(self.weights.max()))
        if self.fewest < num_processes:
            name, unit = ("batch_size", "dialogues") if batch_tokens is None else ("batch_tokens", "tokens")
            raise ValueError(
                f"--{name} {budget}: {len(self.tokens):,} dialogues, the longest of {self.tokens.max():,} tokens, make "
                f"batches of about {self.total // self.num_batches:,} {unit}, too few for "
                f"each of {num_processes} process(es) to have a dialogue; give a larger number"
            )
        self.seed = seed
        self.process_index = process_index
        self.num_processes = num_processes
        self.set_epoch(0)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Go to batch `start` of an epoch, without loading the batches before it."""
        self.start = start
        self.order = self.draw(np.random.default_rng((self.seed, epoch)))
        weights = self.weights[self.order]
        batch_of_dialogue = (np.cumsum(weights) - weights) * self.num_batches // self.total
        self.bounds = np.searchsorted(batch_of_dialogue, np.arange(self.num_batches + 1))

    def draw(self, random: np.random.Generator) -> np.ndarray:
        """(dialogues,) the indices of the dialogues of an epoch, in their order."""
        return random.permutation(len(self.tokens))

    def __len__(self) -> int:
        """The number of batches of a whole epoch."""
        return self.num_batches

    def __iter__(self) -> Iterator[list[int]]:
        for batch in range(self.start, self.num_batches):
            yield self.share(batch)

    def dialogues(self, batch: int) -> np.ndarray:
        """(dialogues,) the indices of the dialogues of a batch, over all processes."""
        return self.order[self.bounds[batch] : self.bounds[batch + 1]]

    def share(self, batch: int) -> list[int]:
        """This process's dialogues of a batch.

        The dialogues are dealt by decreasing length, to the processes in increasing and decreasing order in turn.
        """
        dialogues = self.dialogues(batch)
        dialogues = dialogues[np.argsort(-self.tokens[dialogues], kind="stable")]
        turn = np.arange(len(dialogues)) % (2 * self.num_processes)
        return dialogues[np.minimum(turn, 2 * self.num_processes - 1 - turn) == self.process_index].tolist()


class WeightedBatches(DialogueBatches):
    """Batches in which every corpus has a given share of the dialogues, whatever its size.

    An epoch has as many dialogues as all corpora together. If a corpus has more dialogues than its share, each epoch
    uses a different selection. If it has fewer, its dialogues occur more than once.

    Args:
        tokens: (dialogues,) the number of tokens of every dialogue.
        corpora: (dialogues,) the corpus of every dialogue.
        weights: Weights of the corpora, in the order in which they first appear. The share of a corpus is its weight
            divided by the sum of the weights.
        kwargs: Further arguments of [`DialogueBatches`], with `batch_size`.

    Raises:
        ValueError: The number of weights is not the number of corpora, or a weight is not above 0.
    """

    def __init__(
        self, tokens: np.ndarray, corpora: Sequence[str] | np.ndarray, weights: Sequence[float], **kwargs: Any
    ):
        names = list(dict.fromkeys(corpora))
        if len(weights) != len(names) or min(weights) <= 0:
            raise ValueError(
                f"--corpus_weights {' '.join(map(str, weights))}: give a number above 0 for each of the {len(names)} "
                f"corpora {', '.join(names)}"
            )
        self.rows_of_corpora = [np.flatnonzero(np.asarray(corpora) == name) for name in names]
        ends = np.rint(np.cumsum(weights) / np.sum(weights) * len(tokens)).astype(int)
        self.counts = np.diff(ends, prepend=0)
        super().__init__(tokens, **kwargs)

    def draw(self, random: np.random.Generator) -> np.ndarray:
        """(dialogues,) the indices of the dialogues of an epoch, in which every corpus has its share."""
        drawn = []
        for rows, count in zip(self.rows_of_corpora, self.counts, strict=True):
            rounds, rest = divmod(int(count), len(rows))
            drawn += [np.tile(rows, rounds), random.permutation(rows)[:rest]]
        return random.permutation(np.concatenate(drawn))


class WholeBatches(Sampler[list[int]]):
    """Batches in the order of the corpus, where one process takes a whole batch.

    The results therefore do not depend on the number of processes.

    Args:
        num_dialogues: Number of dialogues.
        batch_size: Dialogues per batch.
        process_index: Index of this process, which takes every `num_processes`-th batch from this one on.
        num_processes: Number of processes.
    """

    def __init__(self, num_dialogues: int, batch_size: int, process_index: int = 0, num_processes: int = 1):
        first, step = process_index * batch_size, num_processes * batch_size
        self.batches = [range(i, min(i + batch_size, num_dialogues)) for i in range(first, num_dialogues, step)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return map(list, self.batches)


class DialogueLoader(DataLoader):
    """A loader over batches with epochs. It draws no random numbers from the generator that dropout uses."""

    batch_sampler: EpochBatches

    def __init__(self, dialogues, batches: EpochBatches, **kwargs):
        super().__init__(dialogues, batch_sampler=batches, generator=torch.Generator(), **kwargs)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Go to batch `start` of an epoch."""
        self.batch_sampler.set_epoch(epoch, start)
