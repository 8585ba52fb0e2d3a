"""MELD: TV dialogues from Friends with several speakers, every utterance labeled with an emotion or a sentiment.

Source: the text CSVs of the authors' repository, or the original implementation's files. License: GPL-3.0. Paper to
cite: Poria et al., ACL 2019. `data_dir` contains `train_sent_emo.csv`, `dev_sent_emo.csv` and `test_sent_emo.csv`, or
`<Name>_train.json`, `<Name>_dev.json` and `<Name>_test.json`. Dialogue ids start again in each file, and utterance ids
have gaps. Utterances are sorted by their ids. EmoryNLP and EmotionLines come from the same show, so results on these
corpora are not independent.

The option `task` chooses the labels: "emotion" (the default), or "sentiment" (negative, neutral, positive), the column
`Sentiment` of the CSVs.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from .building.dialogues import Dialogue, Utterance
from .formats.original import OriginalCorpus
from .formats.reading import read_csv

COLUMNS = ["Utterance", "Speaker", "Dialogue_ID", "Utterance_ID"]
TASKS = {
    "emotion": ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"],
    "sentiment": ["negative", "neutral", "positive"],
}


@dataclass
class MeldConfig(datasets.BuilderConfig):
    """The column with the labels."""

    task: str = "emotion"  # or "sentiment"


class Meld(OriginalCorpus):
    """The corpus MELD."""

    BUILDER_CONFIG_CLASS = MeldConfig
    FILES = {"train": "train_sent_emo.csv", "validation": "dev_sent_emo.csv", "test": "test_sent_emo.csv"}
    LABELS = TASKS["emotion"]
    HOMEPAGE = "https://affective-meld.github.io"
    LICENSE = "GPL-3.0"
    CITATION = """@inproceedings{poria2019meld,
  title={{MELD}: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations},
  author={Poria, Soujanya and Hazarika, Devamanyu and Majumder, Navonil and Naik, Gautam and Cambria, Erik and
          Mihalcea, Rada},
  booktitle={Proceedings of ACL},
  year={2019}
}"""

    def _info(self) -> datasets.DatasetInfo:
        if self.config.task not in TASKS:
            raise ValueError(f"meld: unknown task; got {self.config.task!r}; known: {', '.join(TASKS)}")
        self.LABELS = TASKS[self.config.task]
        return super()._info()

    def splits(self) -> dict[str, dict[str, Any]]:
        """The keyword arguments of `read` for each split. Raises a ValueError if the files have no sentiments."""
        if self.config.task == "sentiment" and (files := self.original_files(self.config)):
            raise ValueError(
                f"{files['train']}: has emotions but no sentiments; got task 'sentiment'; "
                f"use the folder with {', '.join(self.FILES.values())}"
            )
        return super().splits()

    def read_release(self, split: str, path: Path) -> Iterator[Dialogue]:
        """Yield the dialogues of a split of the release, with their utterances sorted by their ids."""
        dialogues: defaultdict[str, dict[int, Utterance]] = defaultdict(dict)
        label = self.config.task.capitalize()
        for where, row in read_csv(path, [*COLUMNS, label]):
            if not row["Utterance_ID"].isdecimal():
                raise ValueError(f"{where}: Utterance_ID is not a number; got {row['Utterance_ID']!r}; correct it")
            numbered, number = dialogues[row["Dialogue_ID"]], int(row["Utterance_ID"])
            if number in numbered:
                # This happens if two files were joined: their dialogues share ids.
                raise ValueError(
                    f"{where}: the dialogue already has this Utterance_ID; got {number}; make the ids unique"
                )
            numbered[number] = Utterance(row["Utterance"], row["Speaker"], row[label], where)
        for dialogue_id, numbered in dialogues.items():
            yield Dialogue(f"{split}-{dialogue_id}", [numbered[number] for number in sorted(numbered)])
