"""The token ids and speakers of a corpus, read from the memory-mapped files of `datasets`."""

from collections.abc import Iterator, Sequence
from typing import Any

import datasets
import numpy as np
from torch.utils.data import Dataset

from ..dialogue_encoding import encode_dialogues
from ..version import __version__

# `datasets` reads token ids from its cache if the arguments of the function are the same. With the version among them,
# it does not read those of an earlier version.
CACHE_KEY = {"version": __version__}
# The columns that a model reads. Only the first one is always there; the others have one integer per utterance.
INPUTS = ("input_ids", "speaker_ids", "name_lengths")


def encode_rows(examples: dict[str, list], version: str, **settings: Any) -> dict[str, list]:
    """Encode a batch of rows with [`encode_dialogues`]. The version is not read; see [`CACHE_KEY`]."""
    return encode_dialogues(examples, **settings)


def inputs_of(row: dict[str, Any]) -> dict[str, Any]:
    """The columns of a row that a model reads."""
    return {name: row[name] for name in INPUTS if name in row}


class EncodedDialogues(Dataset):
    """The rows of a dataset, with `input_ids` and, if the dataset has them, `speaker_ids` and `name_lengths`.

    They are views of the dataset's memory-mapped file: nothing is copied, and reading a single utterance reads its ids
    only.

    Args:
        dataset: Dialogues with the column `input_ids`, a list of utterances, each a list of token ids, and optionally
            `speaker_ids` and `name_lengths`, one number per utterance.
        column: The column to read as `input_ids`; `input_ids` by default.
    """

    def __init__(self, dataset: datasets.Dataset, column: str = "input_ids"):
        columns = [name for name in (column, *INPUTS[1:]) if name in dataset.column_names]
        # Selecting or filtering rows only marks them; this writes the rows that are left.
        batches = dataset.select_columns(columns).flatten_indices().data.to_batches()
        batches = [dict(zip(columns, batch.select(columns).columns, strict=True)) for batch in batches if len(batch)]
        self.chunks = [
            (column.offsets.to_numpy(), column.values.offsets.to_numpy(), column.values.values.to_numpy())
            for column in (batch[column] for batch in batches)
        ]
        self.numbers = {
            name: [(batch[name].offsets.to_numpy(), batch[name].values.to_numpy()) for batch in batches]
            for name in columns[1:]
        }
        self.starts = np.cumsum([0, *(len(offsets) - 1 for offsets, _, _ in self.chunks)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = _checked(index, len(self), "dialogues")
        chunk = int(np.searchsorted(self.starts, index, side="right")) - 1
        dialogues, utterances, tokens = self.chunks[chunk]
        row = index - self.starts[chunk]
        dialogue = {"input_ids": _Utterances(tokens, utterances[dialogues[row] : dialogues[row + 1] + 1])}
        for name, chunks in self.numbers.items():
            ends, numbers = chunks[chunk]
            dialogue[name] = numbers[ends[row] : ends[row + 1]]
        return dialogue

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of utterances and of tokens of every dialogue: two arrays (dialogues,)."""
        utterances = [np.diff(dialogues) for dialogues, _, _ in self.chunks]
        tokens = [np.diff(ends[dialogues]) for dialogues, ends, _ in self.chunks]
        return np.concatenate(utterances), np.concatenate(tokens)


class _Utterances(Sequence):
    """The utterances of a dialogue, each an array of token ids."""

    def __init__(self, tokens: np.ndarray, ends: np.ndarray):
        self.tokens = tokens
        self.ends = ends

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]
        index = _checked(index, len(self), "utterances")
        return self.tokens[self.ends[index] : self.ends[index + 1]]


def _checked(index: int, size: int, noun: str) -> int:
    """The index, counted from the start. A negative index counts from the end.

    Raises:
        IndexError: The index is out of range.
    """
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of range: there are {size} {noun}")
    return index % size
