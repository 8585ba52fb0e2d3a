"""Finds leakage: dialogues and utterances of one corpus that also appear in another.

Text is normalized before the comparison: lower case, letters and digits only, one space between words, so that "I'm" is
two words. A dialogue appears in the other corpus if one dialogue there has the same utterances in the same order. An
utterance of at least `min_words` words appears there if any dialogue has it. Shorter ones ("okay") are ignored. Memory
depends only on the smaller corpus: its hashes, 8 bytes each, form an index. The larger corpus is read in batches.
"""

import logging
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from textwrap import shorten

import numpy as np
from datasets import Dataset

from ..building.options import parse_corpus
from ..loading.corpora import load_corpus

logger = logging.getLogger(__name__)

NOT_LETTERS = re.compile(r"[\W_]+")
BATCH_SIZE = 1000
LEVELS = ("dialogue", "utterance")


@dataclass
class Overlap:
    """The result of `find_overlap`. Indices refer to the dialogues that were checked."""

    min_words: int
    share: float
    dialogues: int = 0
    whole: list[int] = field(default_factory=list)  # dialogues that appear in the other corpus
    shared: list[int] = field(default_factory=list)  # dialogues with at least `share` of their long utterances there
    utterances: int = 0  # the number of long utterances
    utterances_found: int = 0
    examples: list[str] = field(default_factory=list)

    def indices(self, level: str) -> list[int]:
        """The dialogues found at a level. Both levels include the dialogues that appear in full."""
        if level not in LEVELS:
            raise ValueError(f"level must be {' or '.join(LEVELS)}; got {level!r}")
        return self.whole if level == "dialogue" else sorted({*self.whole, *self.shared})

    def figures(self) -> list[str]:
        """The results as sentences, without any text of the corpus."""
        return [
            f"{share_of(len(self.whole), self.dialogues, 'dialogues')} appear there verbatim",
            f"{share_of(len(self.shared), self.dialogues, 'dialogues')} have at least {self.share:.0%} of their long "
            "utterances there",
            f"{share_of(self.utterances_found, self.utterances, 'utterances')} of {self.min_words} words or more "
            "appear there",
        ]

    def __str__(self) -> str:
        return "\n".join([*self.figures(), *(f"  for example: {shorten(text, 120)}" for text in self.examples)])


def find_overlap(dialogues: Dataset, other: Dataset, min_words: int = 5, share: float = 0.5) -> Overlap:
    """Find the `dialogues` that also appear in `other`.

    Args:
        dialogues: The dialogues to check, with the column `utterances`.
        other: The dialogues to compare with, with the column `utterances`.
        min_words: The minimum number of words of an utterance that counts.
        share: The minimum share of its long utterances for a dialogue to count as shared.
    """
    if min_words < 1:
        raise ValueError(f"min_words must be 1 or more; got {min_words!r}")
    if not 0 < share <= 1:
        raise ValueError(f"share must be greater than 0 and at most 1; got {share!r}")
    smaller, larger = sorted([dialogues, other], key=len)
    common = common_hashes(smaller, larger, min_words)
    overlap = Overlap(min_words, share)
    for index, utterances in enumerate(row for rows in batches(dialogues) for row in rows):
        whole, long = hashes(utterances, min_words)
        found = [text for text, hashed in long if hashed in common]
        overlap.dialogues += 1
        overlap.utterances += len(long)
        overlap.utterances_found += len(found)
        if whole in common:
            overlap.whole.append(index)
        if found and len(found) >= share * len(long):
            overlap.shared.append(index)
        if found and len(overlap.examples) < 3:
            overlap.examples.append(max(found, key=len))
    return overlap


def load_other(source: str, split: str, argument: str, num_proc: int | None = None) -> tuple[str, str, Dataset]:
    """Load a split of another corpus.

    Args:
        source: The corpus as `NAME=DATA_DIR` or `NAME`.
        split: The name of the split.
        argument: The name of the argument in messages.
        num_proc: The number of processes that build the corpus.

    Returns:
        The name, the folder ("" without one), and the dialogues.
    """
    name, data_dir = parse_corpus(source)
    corpus = load_corpus(name, data_dir, num_proc=num_proc)
    if split not in corpus:
        raise ValueError(f"{argument} {source}: no split {split!r}; found {', '.join(corpus)}")
    return name, data_dir or "", corpus[split]


def without(dataset: Dataset, overlap: Overlap, level: str) -> Dataset:
    """Drop the dialogues that were found in the other corpus.

    The level `dialogue` drops those that appear there in full. The level `utterance` also drops those of which enough
    long utterances appear there.
    """
    found = overlap.indices(level)
    logger.info("%s dropped because they appear in the other corpus", share_of(len(found), len(dataset), "dialogues"))
    return dataset.select(np.delete(np.arange(len(dataset)), found)) if found else dataset


def normalize(text: str) -> str:
    """The text in lower case and Unicode form NFKC, with a space for everything that is not a letter or digit."""
    return NOT_LETTERS.sub(" ", unicodedata.normalize("NFKC", text).lower()).strip()


def batches(dialogues: Dataset) -> Iterator[list[list[str]]]:
    """Yield the utterances of the dialogues, in batches of at most `BATCH_SIZE` dialogues."""
    return (batch["utterances"] for batch in dialogues.select_columns(["utterances"]).iter(BATCH_SIZE))


def hashes(utterances: list[str], min_words: int) -> tuple[int | None, list[tuple[str, int]]]:
    """The hash of the whole dialogue (None if it has no words), and each long utterance with its hash."""
    texts = [normalize(text) for text in utterances]
    pairs = zip(utterances, texts, strict=True)
    long = [(published, hash(text)) for published, text in pairs if len(text.split()) >= min_words]
    return hash(tuple(texts)) if any(texts) else None, long


def common_hashes(smaller: Dataset, larger: Dataset, min_words: int) -> set[int]:
    """The hashes of dialogues and of long utterances that appear in both."""

    def arrays(dialogues: Dataset) -> Iterator[np.ndarray]:
        for batch in batches(dialogues):
            found = [hashes(utterances, min_words) for utterances in batch]
            wholes = [whole for whole, _ in found if whole is not None]
            yield np.array(wholes + [hashed for _, long in found for _, hashed in long], dtype=np.int64)

    index = np.unique(np.concatenate([np.empty(0, np.int64), *arrays(smaller)]))
    seen = np.zeros(len(index), dtype=bool)
    for values in arrays(larger):
        # The position where a hash would be inserted is its own position if the index has it.
        places = np.searchsorted(index, values)
        places, values = places[places < len(index)], values[places < len(index)]
        seen[places[index[places] == values]] = True
    return set(index[seen].tolist())


def share_of(part: int, whole: int, what: str) -> str:
    """A part of a whole as text, with its percentage: `3 of 12 dialogues (25.0%)`."""
    return f"{part:,} of {whole:,} {what} ({part / max(whole, 1):.1%})"
