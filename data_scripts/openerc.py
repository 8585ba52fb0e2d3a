"""OpenERC: short dialogues written and labeled for this project, free of any condition.

They were written by a language model and labeled by three independent passes of a language model, each from the
guideline alone (docs/openerc.md); nobody said them. They are for training. A score on their own test split says little
about real talk: measure on corpora of people. License: CC0 1.0. Nothing to cite. The files come with the package in
`openerc_data`; the labels are MELD's. An utterance on which no two annotators agree has no label. The shares of the
annotations are the column `label_distributions`. No setting of test is one of train.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import datasets

from .building.dialogues import Dialogue, DialogueBuilder, Utterance
from .formats.reading import read_lines


class OpenERC(DialogueBuilder):
    DATA_DIR = None
    FILES = {"train": "train.jsonl", "validation": "validation.jsonl", "test": "test.jsonl"}
    LABELS = ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
    VOTES = True
    LICENSE = "CC0-1.0"

    def source(self, config: datasets.BuilderConfig) -> Path:
        return Path(__file__).parent / "openerc_data"

    def read(self, split: str, path: Path) -> Iterator[Dialogue]:
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
                Utterance(text, speaker, label, f"{path}:{number}", votes=dict(Counter(votes)))
                for text, speaker, label, votes in turns
            ]
            yield Dialogue(entry["dialogue_id"], utterances)
