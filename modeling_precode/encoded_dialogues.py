"""The token ids of a corpus, read from where `datasets` keeps them."""

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
from torch.utils.data import Dataset


class EncodedDialogues(Dataset):
    """Rows with `input_ids`, as the dataset's own, but as views of its memory-mapped file: nothing is copied, and a
    single utterance costs no more than its own ids.

    Args:
        dataset: with the column `input_ids`, a list of utterances, each a list of token ids.
        column: another column of this kind to read.
    """

    def __init__(self, dataset: datasets.Dataset, column: str = "input_ids"):
        # Rows that were picked or filtered out are only marked, until they are written anew.
        rows = dataset.select_columns(column).flatten_indices().data.column(column)
        self.chunks = [
            (chunk.offsets.to_numpy(), chunk.values.offsets.to_numpy(), chunk.values.values.to_numpy())
            for chunk in rows.chunks
            if len(chunk)
        ]
        self.starts = np.cumsum([0, *(len(offsets) - 1 for offsets, _, _ in self.chunks)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: int) -> dict[str, Any]:
        chunk = int(np.searchsorted(self.starts, index, side="right")) - 1
        dialogues, utterances, tokens = self.chunks[chunk]
        row = index - self.starts[chunk]
        return {"input_ids": _Utterances(tokens, utterances[dialogues[row] : dialogues[row + 1] + 1])}

    def sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """Utterances and tokens of every dialogue: two arrays (dialogues,)."""
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

    def __getitem__(self, place: int) -> np.ndarray:
        if not 0 <= place < len(self):
            raise IndexError(place)
        return self.tokens[self.ends[place] : self.ends[place + 1]]
