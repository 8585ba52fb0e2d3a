"""Splits names into train, validation and test, and long dialogues into parts."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def split_by_hash(names: Iterable[str], validation: float, test: float) -> dict[str, list[str]]:
    """Divide names into train, validation and test by their hashes. The order of the names and seeds have no effect.

    Args:
        names: The names, such as those of dialogues or films.
        validation: The share of the validation split.
        test: The share of the test split.

    Raises:
        ValueError: There are fewer than three names.
    """
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
    if len(ranked) < 3:
        raise ValueError(f"too few to split into train, validation and test; got {len(ranked)}; needs 3 or more")
    n_validation, n_test = (max(1, round(len(ranked) * share)) for share in (validation, test))
    return {
        "train": sorted(ranked[n_validation + n_test :]),
        "validation": sorted(ranked[:n_validation]),
        "test": sorted(ranked[n_validation : n_validation + n_test]),
    }


def in_parts(utterances: list[T], longest: int) -> Iterator[list[T]]:
    """Divide into consecutive parts of nearly equal size, at most `longest`, so that no part is much shorter."""
    if longest < 1:
        raise ValueError(f"max_utterances must be 1 or more; got {longest}")
    size = math.ceil(len(utterances) / math.ceil(len(utterances) / longest))
    for start in range(0, len(utterances), size):
        yield utterances[start : start + size]
