"""Sample: short dialogues written for this project, to try everything offline in a minute.

The dialogues are invented. They are an illustration and not a benchmark: a score on them says nothing about a model.
License: CC0 1.0. Nothing to cite. The files come with the package in `sample_data`, in JSON Lines as in `custom`, with
the labels of MELD.
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
