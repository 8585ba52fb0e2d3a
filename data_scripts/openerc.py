"""OpenERC: short dialogues written and labeled for this project, free of any conditions.

A language model wrote them, and three independent passes of a language model labeled them, each with only the guideline
(docs/openerc.md). No person said them. The corpus is for training. A score on its own test split says little about real
conversations: evaluate on corpora of real people. License: CC0 1.0. Nothing to cite. The files come with the package in
`openerc_data`, with the labels of MELD. The label is the majority of three annotations, or of four where the three
differ; without a majority an utterance has no label. The column `label_distributions` has the shares of the
annotations. The test split shares no setting with the training split.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import datasets

from .building.builder import DialogueBuilder
from .building.dialogues import Dialogue, Utterance
from .formats.reading import read_lines


class OpenERC(DialogueBuilder):
    """The corpus OpenERC, which is part of this package."""

    DATA_DIR = None
    FILES = {"train": "train.jsonl", "validation": "validation.jsonl", "test": "test.jsonl"}
    LABELS = ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
    VOTES = True
    LICENSE = "CC0-1.0"

    def source(self, config: datasets.BuilderConfig) -> Path:
        """The folder in this package."""
        return Path(__file__).parent / "openerc_data"

    def read(self, split: str, path: Path) -> Iterator[Dialogue]:
        """Yield the dialogues of a split."""
        for number, line in enumerate(read_lines(path), start=1):
            entry = json.loads(line)
            turns = zip(
                entry["utterances"],
                entry["speakers"],
                entry["labels"],
                zip(*entry["annotations"], strict=True),
                strict=True,
            )
            utterances = [
                Utterance(text, speaker, label, f"{path}:{number}", votes=dict(Counter(filter(None, votes))))
                for text, speaker, label, votes in turns
            ]
            yield Dialogue(entry["dialogue_id"], utterances)
