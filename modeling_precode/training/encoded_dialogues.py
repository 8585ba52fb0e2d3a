"""The token ids and speakers of a corpus, read from where `datasets` keeps them."""

from collections.abc import Iterator, Sequence
from typing import Any

import datasets
import numpy as np
from torch.utils.data import Dataset

# What a model reads of a dialogue; the second is not in every corpus.
INPUTS = ("input_ids", "speaker_ids")


def inputs_of(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in INPUTS if name in row}


class EncodedDialogues(Dataset):
    """Rows with `input_ids` and, where the dataset has them, `speaker_ids`, as its own, but as views of its
    memory-mapped file: nothing is copied, and a single utterance costs no more than its own ids.

    Args:
        dataset: with the column `input_ids`, a list of utterances, each a list of token ids, and perhaps
            `speaker_ids`, a number an utterance.
        column: another column of token ids to read as `input_ids`.
    """

    def __init__(self, dataset: datasets.Dataset, column: str = "input_ids"):
        columns = [name for name in (column, *INPUTS[1:]) if name in dataset.column_names]
        # Rows that were picked or filtered out are only marked, until they are written anew.
        batches = dataset.select_columns(columns).flatten_indices().data.to_batches()
        batches = [dict(zip(columns, batch.select(columns).columns, strict=True)) for batch in batches if len(batch)]
        self.chunks = [
            (column.offsets.to_numpy(), column.values.offsets.to_numpy(), column.values.values.to_numpy())
            for column in (batch[column] for batch in batches)
        ]
        self.speakers = [
            (column.offsets.to_numpy(), column.values.to_numpy())
            for column in (batch["speaker_ids"] for batch in batches if "speaker_ids" in batch)
        ]
        self.starts = np.cumsum([0, *(len(offsets) - 1 for offsets, _, _ in self.chunks)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = _checked(index, len(self), "dialogues")
        chunk = int(np.searchsorted(self.starts, index, side="right")) - 1
        dialogues, utterances, tokens = self.chunks[chunk]
        row = index - self.starts[chunk]
        dialogue = {"input_ids": _Utterances(tokens, utterances[dialogues[row] : dialogues[row + 1] + 1])}
        if self.speakers:
            ends, speaker_ids = self.speakers[chunk]
            dialogue["speaker_ids"] = speaker_ids[ends[row] : ends[row + 1]]
        return dialogue

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

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

    def __getitem__(self, place: int) -> np.ndarray:  # type: ignore[override]
        place = _checked(place, len(self), "utterances")
        return self.tokens[self.ends[place] : self.ends[place + 1]]


def _checked(index: int, size: int, noun: str) -> int:
    """The index from 0 on; a negative one counts from the end.

    Raises:
        IndexError: it is out of range.
    """
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of range: there are {size} {noun}")
    return index % size
