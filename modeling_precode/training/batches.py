"""Which dialogues make up a training batch, and which of them a process takes."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler


class EpochBatches(Protocol):
    """The batches of a training, of which every epoch has its own."""

    def set_epoch(self, epoch: int, start: int = 0) -> None: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[list[Any]]: ...

    def dialogues(self, batch: int) -> np.ndarray | list[int]:
        """The indices of the dialogues of a batch, of all processes."""


class DialogueBatches(Sampler[list[int]]):
    """The batches of an epoch as indices of dialogues: of each batch, the share of one process.

    The batches of all processes together depend on the seed, the epoch, the budget and the dialogues' sizes, and on
    nothing else: not on the number of processes, nor on where a run was resumed. They are even, with no small one
    at the end. A process's share of a batch is about as many tokens as another's, and never empty.

    Args:
        tokens: (dialogues,) the number of tokens of every dialogue.
        seed: of the order, which is another one in every epoch.
        batch_size: dialogues a batch, over all processes, at most. Give this or `batch_tokens`.
        batch_tokens: tokens a batch, over all processes, about: a batch ends with the dialogue that reaches it.
        process_index: which process's share.
        num_processes: how many share a batch.

    Raises:
        ValueError: a batch could have fewer dialogues than there are processes.
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
        # Where the dialogues of a batch begin is spaced by their weights, so that it has at least this many.
        fewest = self.total // (self.num_batches * int(self.weights.max()))
        if fewest < num_processes:
            name, unit = ("batch_size", "dialogues") if batch_tokens is None else ("batch_tokens", "tokens")
            raise ValueError(
                f"--{name} {budget}: {len(self.tokens):,} dialogues, the longest of {self.tokens.max():,} tokens, make "
                f"batches of about {self.total // self.num_batches:,} {unit}, too few for "
                f"each of {num_processes} process(es) to have a dialogue; give more"
            )
        self.seed = seed
        self.process_index = process_index
        self.num_processes = num_processes
        self.set_epoch(0)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Go to batch `start` of an epoch, at once."""
        self.start = start
        self.order = self.draw(np.random.default_rng((self.seed, epoch)))
        weights = self.weights[self.order]
        batch_of_dialogue = (np.cumsum(weights) - weights) * self.num_batches // self.total
        self.bounds = np.searchsorted(batch_of_dialogue, np.arange(self.num_batches + 1))

    def draw(self, random: np.random.Generator) -> np.ndarray:
        """(dialogues,) indices of the dialogues of an epoch, in their order."""
        return random.permutation(len(self.tokens))

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return self.num_batches

    def __iter__(self) -> Iterator[list[int]]:
        for batch in range(self.start, self.num_batches):
            yield self.share(batch)

    def dialogues(self, batch: int) -> np.ndarray:
        """The dialogues of a batch, of all processes: (dialogues,) indices."""
        return self.order[self.bounds[batch] : self.bounds[batch + 1]]

    def share(self, batch: int) -> list[int]:
        """This process's dialogues of a batch: the longest go to one process each, forwards and backwards in turn."""
        dialogues = self.dialogues(batch)
        dialogues = dialogues[np.argsort(-self.tokens[dialogues], kind="stable")]
        turn = np.arange(len(dialogues)) % (2 * self.num_processes)
        return dialogues[np.minimum(turn, 2 * self.num_processes - 1 - turn) == self.process_index].tolist()


class WeightedBatches(DialogueBatches):
    """Batches to which every corpus gives its share of the dialogues, whatever its size.

    An epoch is as long as all dialogues together. Of a corpus with too many for its share, each epoch takes others; of
    one with too few, all are taken more than once.

    Args:
        corpora: (dialogues,) the corpus of every dialogue.
        weights: of the corpora, in the order in which they first appear; a share is a weight by their sum.
        kwargs: as [`DialogueBatches`] takes them, with `batch_size`.

    Raises:
        ValueError: as many weights as corpora are needed, each above 0.
    """

    def __init__(self, tokens: np.ndarray, corpora: Sequence[str], weights: Sequence[float], **kwargs: Any):
        names = list(dict.fromkeys(corpora))
        if len(weights) != len(names) or min(weights) <= 0:
            raise ValueError(
                f"--corpus_weights {' '.join(map(str, weights))}: give a number above 0 for each of the {len(names)} "
                f"corpora {', '.join(names)}"
            )
        self.places = [np.flatnonzero(np.asarray(corpora) == name) for name in names]
        ends = np.rint(np.cumsum(weights) / np.sum(weights) * len(tokens)).astype(int)
        self.counts = np.diff(ends, prepend=0)
        super().__init__(tokens, **kwargs)

    def draw(self, random: np.random.Generator) -> np.ndarray:
        drawn = []
        for places, count in zip(self.places, self.counts, strict=True):
            rounds, rest = divmod(int(count), len(places))
            drawn += [np.tile(places, rounds), random.permutation(places)[:rest]]
        return random.permutation(np.concatenate(drawn))


class WholeBatches(Sampler[list[int]]):
    """Batches in the corpus's order, each of which one process takes whole, so that no result depends on how many
    processes there are.

    Args:
        num_dialogues: how many there are.
        batch_size: dialogues a batch.
        process_index: the process that takes every `num_processes`-th batch from this one on.
        num_processes: how many take turns.
    """

    def __init__(self, num_dialogues: int, batch_size: int, process_index: int = 0, num_processes: int = 1):
        first, step = process_index * batch_size, num_processes * batch_size
        self.batches = [range(i, min(i + batch_size, num_dialogues)) for i in range(first, num_dialogues, step)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return map(list, self.batches)


class DialogueLoader(DataLoader):
    """A loader over batches that have epochs; it draws no number from the stream that dropout draws from."""

    batch_sampler: EpochBatches

    def __init__(self, dialogues, batches: EpochBatches, **kwargs):
        super().__init__(dialogues, batch_sampler=batches, generator=torch.Generator(), **kwargs)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        self.batch_sampler.set_epoch(epoch, start)
