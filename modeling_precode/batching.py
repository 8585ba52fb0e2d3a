"""Splits dialogues and sequences into batches of similar lengths."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

# The number of dialogues, or of utterances, that are sorted into batches together. A stream holds no more in memory.
WINDOW = 1000
WINDOW_UTTERANCES = 20_000


def windows(dialogues: Iterator[list[dict]]) -> Iterator[list[list[dict]]]:
    """Group a stream of dialogues into lists of at most `WINDOW` dialogues and about `WINDOW_UTTERANCES` utterances."""
    window: list[list[dict]] = []
    utterances = 0
    for dialogue in dialogues:
        window.append(dialogue)
        utterances += len(dialogue)
        if len(window) == WINDOW or utterances >= WINDOW_UTTERANCES:
            yield window
            window, utterances = [], 0
    if window:
        yield window


def batches(encoded: list[dict], max_tokens: int, max_dialogues: int | None = None) -> list[list[int]]:
    """Split dialogues into batches of similar numbers of utterances.

    Args:
        encoded: Rows with `input_ids`, a list of utterances, each a list of token ids.
        max_tokens: The maximum number of tokens in a batch; a longer dialogue is a batch of its own.
        max_dialogues: The maximum number of dialogues in a batch, or `None`.

    Returns:
        The indices of the dialogues of each batch. Dialogues without utterances are left out.
    """
    sizes = [sum(map(len, row["input_ids"])) for row in encoded]
    result: list[list[int]] = []
    tokens = max_tokens
    for index in sorted(filter(sizes.__getitem__, range(len(sizes))), key=lambda i: len(encoded[i]["input_ids"])):
        if tokens + sizes[index] > max_tokens or len(result[-1]) == max_dialogues:
            result.append([])
            tokens = 0
        result[-1].append(index)
        tokens += sizes[index]
    return result


def successive_batches(items: Iterable[Item], size_of: Callable[[Item], int], max_size: int) -> Iterator[list[Item]]:
    """Split items into batches in their order. The sizes of a batch add up to at most `max_size`; a larger item is
    alone."""
    batch: list[Item] = []
    total = 0
    for item in items:
        if batch and total + size_of(item) > max_size:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size_of(item)
    if batch:
        yield batch


def chunks(lengths: np.ndarray, max_items: int) -> Iterator[slice]:
    """Split rows of descending length into chunks of at most `max_items` padded items, at least one row each."""
    start = 0
    while start < len(lengths):
        end = min(start + max(max_items // int(lengths[start]), 1), len(lengths))
        yield slice(start, end)
        start = end
