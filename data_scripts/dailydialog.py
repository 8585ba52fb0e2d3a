"""DailyDialog: everyday dialogues between two people, every utterance labeled with one of six emotions or none.

Source: the zips of the release, or the original implementation's files. License: CC BY-NC-SA 4.0. Paper to cite: Li et
al., IJCNLP 2017. `data_dir` contains `train.zip`, `validation.zip` and `test.zip`, or the folders that they unpack to,
or `<Name>_train.json`, `<Name>_dev.json` and `<Name>_test.json`. The corpus does not name the two speakers. They are
"A" and "B" in turn. One dialogue of train has one label too few: the labels belong to its first utterances, and its
last utterance stays as context without a label. Some dialogues of train appear verbatim in validation or test, which
makes results look better than they are. The report of the build counts them, and `drop_duplicates` drops them from
train.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import datasets

from .building.dialogues import Dialogue, Utterance
from .formats.original import OriginalCorpus
from .formats.reading import existing_path, folder_or_zip, read_text

TURN_END = "__eou__"
NUMBERS = {
    "0": "no emotion",
    "1": "anger",
    "2": "disgust",
    "3": "fear",
    "4": "happiness",
    "5": "sadness",
    "6": "surprise",
}


@dataclass
class DailyDialogConfig(datasets.BuilderConfig):
    """`drop_duplicates` drops dialogues of train that appear verbatim in validation or test; False by default."""

    drop_duplicates: bool = False


class DailyDialog(OriginalCorpus):
    """The corpus DailyDialog."""

    BUILDER_CONFIG_CLASS = DailyDialogConfig
    FILES = {"train": "train.zip", "validation": "validation.zip", "test": "test.zip"}
    LABELS = list(NUMBERS.values())
    HOMEPAGE = "http://yanran.li/dailydialog"
    LICENSE = "CC BY-NC-SA 4.0"
    CITATION = """@inproceedings{li2017dailydialog,
  title={{DailyDialog}: A Manually Labelled Multi-turn Dialogue Dataset},
  author={Li, Yanran and Su, Hui and Shen, Xiaoyu and Li, Wenjie and Cao, Ziqiang and Niu, Shuzi},
  booktitle={Proceedings of IJCNLP},
  year={2017}
}"""

    def release_files(self, config: DailyDialogConfig) -> dict[str, Path]:
        """The folder or zip of each split of the release."""
        source = self.source(config)
        return {
            split: folder if (folder := source / split).is_dir() else existing_path(source / name)
            for split, name in self.FILES.items()
        }

    def read(self, split: str, path: Path) -> Iterator[Dialogue]:  # type: ignore[override]
        """Yield the dialogues of a split. Those of train that appear in other splits are counted or dropped."""
        dialogues, held_out = list(super().read(split=split, path=path)), set()
        for other in ("validation", "test") if split == "train" else ():
            held_out |= set(map(texts_of, super().read(split=other, path=self.files(self.config)[other])))
        for dialogue in dialogues:
            if texts_of(dialogue) in held_out:
                if self.config.drop_duplicates:
                    self.note("dialogues of train dropped because they appear in validation or test")
                    continue
                self.note("dialogues of train kept although they appear in validation or test")
            if dialogue.utterances and dialogue.utterances[-1].label is None:
                self.note("last utterances without a label")
            yield dialogue

    def read_release(self, split: str, path: Path) -> Iterator[Dialogue]:
        """Yield the dialogues of a split of the release."""
        for number, (where, texts, labels) in enumerate(released_dialogues(split, path)):
            if len(labels) == len(texts) - 1:
                labels.append(None)
            if len(labels) != len(texts):
                raise ValueError(f"{where}: needs one label per utterance; got {len(labels)} for {len(texts)}")
            speakers = ("AB"[turn % 2] for turn in range(len(texts)))
            turns = zip(texts, speakers, labels, strict=True)
            yield Dialogue(f"{split}-{number}", [Utterance(*turn, where) for turn in turns])


def texts_of(dialogue: Dialogue) -> tuple[str, ...]:
    """The texts of a dialogue, to compare dialogues by."""
    return tuple(utterance.text for utterance in dialogue.utterances)


def released_dialogues(split: str, path: Path) -> Iterator[tuple[str, tuple[str, ...], list[str | None]]]:
    """The file and line, utterances and labels of each dialogue in a zip file or folder of the release."""
    folder = path if path.is_dir() else folder_or_zip(path) / split
    text_file, label_file = (folder / f"dialogues_{kind}{split}.txt" for kind in ("", "emotion_"))
    all_texts, all_labels = (
        read_text(existing_path(file)).rstrip("\n").split("\n") for file in (text_file, label_file)
    )
    if len(all_texts) != len(all_labels):
        raise ValueError(f"{label_file}: needs one line for each of {len(all_texts)} dialogues; got {len(all_labels)}")
    for line, (text, labels) in enumerate(zip(all_texts, all_labels, strict=True), start=1):
        *turns, rest = text.split(TURN_END)
        if rest.strip():
            raise ValueError(f"{text_file}:{line}: the dialogue does not end in {TURN_END}; got {rest[:60]!r}; add it")
        names: list[str | None] = [NUMBERS.get(label, label) for label in labels.split()]
        yield f"{text_file}:{line}", tuple(turn.strip() for turn in turns), names
