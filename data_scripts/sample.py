"""Sample: short dialogues written for this project, so that everything can be tried offline in a minute.

They are made up, an illustration and no benchmark: a score on them says nothing about a model. License: CC0 1.0.
Nothing to cite. The files, JSON Lines as in `custom`, come with the package in `sample_data`; the labels are MELD's.
"""

from collections.abc import Iterator
from pathlib import Path

import datasets

from .building.dialogues import Dialogue, DialogueBuilder
from .formats.own_form import read_json_lines


class Sample(DialogueBuilder):
    DATA_DIR = None
    FILES = {"train": "train.jsonl", "validation": "validation.jsonl", "test": "test.jsonl"}
    LABELS = ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
    LICENSE = "CC0-1.0"

    def source(self, config: datasets.BuilderConfig) -> Path:
        return Path(__file__).parent / "sample_data"

    def read(self, split: str, path: Path) -> Iterator[Dialogue]:
        return read_json_lines(path)
