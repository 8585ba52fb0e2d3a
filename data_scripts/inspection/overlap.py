"""Leakage: which dialogues and utterances of one corpus also stand in another.

Text is compared normalized: lower case, letters and digits only, one space between words, so that "I'm" is two words. A
dialogue stands in the other corpus where all its utterances, in their order, are one whole dialogue there. An utterance
of at least `min_words` words stands there where any dialogue has it; shorter ones ("okay") mean nothing. Memory grows
with the smaller of the two only: its hashes, 8 bytes each, are the index that the larger is read past in batches.
"""

import logging
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from textwrap import shorten

import numpy as np
from datasets import Dataset

from .. import load_corpus
from ..building.options import parse_corpus

logger = logging.getLogger(__name__)

NOT_LETTERS = re.compile(r"[\W_]+")
BATCH_SIZE = 1000
LEVELS = ("dialogue", "utterance")


@dataclass
class Overlap:
    """What `find_overlap` found; indices are those of the dialogues checked."""

    min_words: int
    share: float
    dialogues: int = 0
    whole: list[int] = field(default_factory=list)  # dialogues that stand in the other corpus
    shared: list[int] = field(default_factory=list)  # those of which at least `share` of the long utterances do
    utterances: int = 0  # long ones
    utterances_found: int = 0
    examples: list[str] = field(default_factory=list)

    def indices(self, level: str) -> list[int]:
        """The dialogues found at a level; those that stand there whole are always among them."""
        if level not in LEVELS:
            raise ValueError(f"level must be {' or '.join(LEVELS)}; got {level!r}")
        return self.whole if level == "dialogue" else sorted({*self.whole, *self.shared})

    def figures(self) -> list[str]:
        """What is found, in sentences, without the text itself."""
        return [
            f"{share_of(len(self.whole), self.dialogues, 'dialogues')} stand there whole",
            f"{share_of(len(self.shared), self.dialogues, 'dialogues')} have at least {self.share:.0%} of their long "
            "utterances there",
            f"{share_of(self.utterances_found, self.utterances, 'utterances')} of {self.min_words} words or more stand "
            "there",
        ]

    def __str__(self) -> str:
        return "\n".join([*self.figures(), *(f"  for example: {shorten(text, 120)}" for text in self.examples)])


def find_overlap(dialogues: Dataset, other: Dataset, min_words: int = 5, share: float = 0.5) -> Overlap:
    """Which of `dialogues` also stand in `other`.

    Args:
        min_words: Shorter utterances are not counted.
        share: From which share of its long utterances a dialogue counts as shared.
    """
    if min_words < 1:
        raise ValueError(f"min_words must be 1 or more; got {min_words!r}")
    if not 0 < share <= 1:
        raise ValueError(f"share must be over 0 and at most 1; got {share!r}")
    smaller, larger = sorted([dialogues, other], key=len)
    common = common_hashes(smaller, larger, min_words)
    overlap = Overlap(min_words, share)
    for index, utterances in enumerate(row for rows in batches(dialogues) for row in rows):
        whole, long = hashes(utterances, min_words)
        found = [text for text, number in long if number in common]
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


def load_other(given: str, split: str, argument: str, num_proc: int | None = None) -> tuple[str, str, Dataset]:
    """`NAME=DATA_DIR`, or `NAME` -> the name, the folder ("" without one), and that corpus's dialogues of a split."""
    name, data_dir = parse_corpus(given)
    corpus = load_corpus(name, data_dir, num_proc=num_proc)
    if split not in corpus:
        raise ValueError(f"{argument} {given}: no split {split!r}; found {', '.join(corpus)}")
    return name, data_dir or "", corpus[split]


def without(dataset: Dataset, overlap: Overlap, level: str) -> Dataset:
    """The dataset without its dialogues that were found elsewhere.

    At the level `dialogue` those that stand there whole go, at the level `utterance` also those of which at least the
    share of the long utterances stand there.
    """
    found = overlap.indices(level)
    logger.info("%s dropped, as they stand in the other corpus", share_of(len(found), len(dataset), "dialogues"))
    return dataset.select(np.delete(np.arange(len(dataset)), found)) if found else dataset


def normalise(text: str) -> str:
    return NOT_LETTERS.sub(" ", unicodedata.normalize("NFKC", text).lower()).strip()


def batches(dialogues: Dataset) -> Iterator[list[list[str]]]:
    return (batch["utterances"] for batch in dialogues.select_columns(["utterances"]).iter(BATCH_SIZE))


def hashes(utterances: list[str], min_words: int) -> tuple[int | None, list[tuple[str, int]]]:
    """The hash of the whole dialogue (None for one without a word), and each long utterance with its own."""
    texts = [normalise(text) for text in utterances]
    pairs = zip(utterances, texts, strict=True)
    long = [(published, hash(text)) for published, text in pairs if len(text.split()) >= min_words]
    return hash(tuple(texts)) if any(texts) else None, long


def common_hashes(smaller: Dataset, larger: Dataset, min_words: int) -> set[int]:
    """Hashes of dialogues and of long utterances that stand in both."""

    def arrays(dialogues: Dataset) -> Iterator[np.ndarray]:
        for batch in batches(dialogues):
            found = [hashes(utterances, min_words) for utterances in batch]
            numbers = [whole for whole, _ in found if whole is not None]
            yield np.array(numbers + [number for _, long in found for _, number in long], dtype=np.int64)

    index = np.unique(np.concatenate([np.empty(0, np.int64), *arrays(smaller)]))
    seen = np.zeros(len(index), dtype=bool)
    for numbers in arrays(larger):
        # Where each would be inserted is where it stands, if it is there.
        places = np.searchsorted(index, numbers)
        places, numbers = places[places < len(index)], numbers[places < len(index)]
        seen[places[index[places] == numbers]] = True
    return set(index[seen].tolist())


def share_of(part: int, whole: int, what: str) -> str:
    return f"{part:,} of {whole:,} {what} ({part / max(whole, 1):.1%})"
