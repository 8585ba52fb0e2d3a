"""Your own dialogues, labeled or not: chats, transcripts, captions, JSON, tables and plain text, of any size.

Source, license and citation are yours to know. `data_dir` is one of
* a file. It is split by dialogue, 80/10/10, the same way each time;
* several files by a pattern, such as `"calls/*.csv"` (in quotes, or the shell replaces it), split in the same way;
* a folder with `train`, `validation` (or `valid`, `dev`) and `test`: each one file, such as `train.csv`, several with
  numbers, such as `train-00000.parquet` or `train_2.csv`, or a sub-folder with any number of files.
The files of a split, or of a pattern, have one suffix, and a dialogue lies in one file: the same id in two files means
two dialogues, so where files are several, their names come before the ids (`train_2:17`).

docs/inputs.md lists the formats, which are detected, and the options, which are the fields of `ReadingOptions`. Among
the formats are
* `.jsonl` or `.json`, of which only `utterances` is needed:
  `{"dialogue_id": "1", "utterances": ["Hi.", "Hello!"], "speakers": ["Ann", "Bo"], "labels": ["neutral", "joy"]}`
* `.csv`, `.tsv` or `.xlsx`: one utterance per row in the order of the dialogue, under a header, of which only the
  dialogue and the text are needed: `dialogue_id,speaker,text,label`;
* `.parquet`: either of the two. Labels may be `ClassLabel`s, as `datasets` writes them; other numbers become names of
  digits, and -1 is no label;
* `.txt`: `Ann: Hello!`, one utterance a line, and a blank line between dialogues; or a chat or a transcript.

An utterance whose label is null or "" stays as context. Label names are the option `labels`, or those of train (of all
files, where a split is yet to be made), sorted. A number is the place of a name in the option `labels`, counted from 0;
without this option its name is its digits. -1 is no label.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import escape, glob
from pathlib import Path
from typing import Any

import datasets

from .building.dialogues import Dialogue, DialogueBuilder, Utterance
from .building.splitting import split_by_hash
from .formats.detection import SUFFIXES
from .formats.dialogue_files import read_file
from .formats.input_file import InputFile
from .formats.options import ReadingOptions, known_suffix

logger = logging.getLogger(__name__)

STEMS = {"train": ["train"], "validation": ["validation", "valid", "dev"], "test": ["test"]}
# As people number files, and as `datasets` does: train_2, train-00000-of-00003, and formerly with a hash at the end.
NUMBER = r"([-_.]?\d+(-of-\d+)?(-[0-9a-f]{16})?)?"


@dataclass
class CustomConfig(ReadingOptions, datasets.BuilderConfig):
    """Label names in the order of their ids, and how the files are read."""

    labels: list[str] | None = None


class Custom(DialogueBuilder):
    BUILDER_CONFIG_CLASS = CustomConfig
    DATA_DIR = "a file, a pattern of files, or a folder with train, validation and test"

    def files(self, config: CustomConfig) -> dict[str, Path]:
        return {str(path): path for files in self.sources(config).values() for _, path in files}

    def sources(self, config: CustomConfig) -> dict[str, list[tuple[str, Path]]]:
        """The files of each split, or "all" where the split is yet to be made, and what the ids of each begin with."""
        if config.data_dir and not Path(config.data_dir).exists() and (paths := matches(config.data_dir)):
            return {"all": named(paths, Path(os.path.commonpath([path.parent for path in paths])))}
        source = self.source(config)
        if source.is_file():
            return {"all": [("", source)]}
        return {split: files_of(split, source) for split in STEMS}

    def _info(self) -> datasets.DatasetInfo:
        self.LABELS = self.config.labels
        if self.LABELS is None:
            sources = self.sources(self.config)
            dialogues = self.read(sources.get("all") or sources["train"])
            self.LABELS = one_spelling_each(
                utterance.label for dialogue in dialogues for utterance in dialogue.utterances if utterance.label
            )
            if self.LABELS and all(map(str.isdecimal, self.LABELS)):
                logger.warning(
                    "%s: labels are numbers without names; name them in their order, "
                    'as in --corpus_options \'labels=["anger", "joy"]\'',
                    self.config.data_dir,
                )
        elif not isinstance(self.LABELS, list) or not all(isinstance(label, str) for label in self.LABELS):
            raise ValueError(f'custom: option labels must be a list of strings; got {self.LABELS!r}; write ["a", "b"]')
        return super()._info()

    def splits(self) -> dict[str, dict[str, Any]]:
        sources = self.sources(self.config)
        if "all" not in sources:
            return {split: {"files": files} for split, files in sources.items()}
        ids = [dialogue.dialogue_id for dialogue in self.read(sources["all"])]
        try:
            parts = split_by_hash(ids, validation=0.1, test=0.1)
        except ValueError as error:
            raise ValueError(f"{self.config.data_dir}: {error}") from None
        return {split: {"files": sources["all"], "chosen": frozenset(part)} for split, part in parts.items()}

    def label_id(self, utterance: Utterance) -> int:
        label = utterance.label or ""
        if self.config.labels and label not in self.config.labels and label.isdecimal():
            if int(label) < len(self.config.labels):
                return int(label)
            raise ValueError(
                f"{utterance.where}: label without a name; got {label}; "
                f"the option labels names 0 to {len(self.config.labels) - 1}"
            )
        if label and self.LABELS and label not in self.LABELS:
            label = next((known for known in self.LABELS if known.casefold() == label.casefold()), label)
        return super().label_id(utterance._replace(label=label or None))

    def parts(self, source: dict[str, Any]) -> list[dict[str, Any]]:
        """A file each."""
        return [{**source, "files": [file]} for file in source["files"]]

    def read(self, files: list[tuple[str, Path]], chosen: frozenset[str] | None = None) -> Iterator[Dialogue]:
        for prefix, path in files:
            # A build reads a file more than once; what is in it is said once.
            is_silent = chosen is not None or path in self.logged
            self.logged.add(path)
            for dialogue in read_file(InputFile(path, self.config), is_silent):
                # Files that each count from 0 must not clash.
                dialogue_id = prefix + dialogue.dialogue_id
                if chosen is None or dialogue_id in chosen:
                    yield dialogue._replace(dialogue_id=dialogue_id)

    @property
    def logged(self) -> set[Path]:
        attributes: dict[str, Any] = self.__dict__
        return attributes.setdefault("_logged", set())


def one_spelling_each(labels: Iterable[str]) -> list[str] | None:
    """The names of labels, sorted; of those that differ in case alone the most frequent. None where there are none."""
    spellings: dict[str, Counter[str]] = {}
    for label in labels:
        spellings.setdefault(label.casefold(), Counter())[label] += 1
    for counts in spellings.values():
        if len(counts) > 1:
            logger.info("custom: %s are one label, as they differ in case alone", ", ".join(sorted(counts)))
    return sorted_labels({max(sorted(counts), key=counts.__getitem__) for counts in spellings.values()}) or None


def sorted_labels(labels: set[str]) -> list[str]:
    """By their names, or where all are numbers by these: "10" comes after "2"."""
    return sorted(labels, key=int if all(map(str.isdecimal, labels)) else str)


def matches(pattern: str) -> list[Path]:
    """The files that a pattern stands for."""
    # What a person in this folder gave was no pattern before it was made absolute.
    here = f"{os.getcwd()}{os.sep}"
    if pattern.startswith(here):
        pattern = escape(here) + pattern.removeprefix(here)
    paths = sorted(path for path in map(Path, glob(pattern, recursive=True)) if path.is_file())
    if len({known_suffix(path) for path in paths}) > 1:
        names = ", ".join(path.name for path in paths[:10])
        raise ValueError(f"{pattern}: files of different formats; got {names}; give a pattern for those of one format")
    return paths


def files_of(split: str, folder: Path) -> list[tuple[str, Path]]:
    """The files of a split in the folder of all splits."""
    stems = STEMS[split]
    groups = [group for stem in stems for group in (numbered(folder, stem), below(folder / stem)) if group]
    paths = [path for group in groups for path in group]
    if not paths:
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
        raise FileNotFoundError(
            f"{folder}: a file is missing; got {found}; needed: {' or '.join(stems)}, "
            f"as a file or a folder of files; to split all files by dialogue, give {folder.name}/*.csv, say"
        )
    if len(groups) > 1 or len({known_suffix(path) for path in paths}) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in paths[:10])
        raise ValueError(
            f"{folder}: more than one file of a split; got {names}; leave one, or number those of one name and format"
        )
    return [(f"{split}-", paths[0])] if len(paths) == 1 else named(paths, folder)


def numbered(folder: Path, stem: str) -> list[Path]:
    """`train.csv`, and `train_2.csv`."""
    paths = [path for path in sorted(folder.iterdir()) if known_suffix(path) in SUFFIXES and path.is_file()]
    return [path for path in paths if re.fullmatch(stem + NUMBER, without_suffix(Path(path.name)))]


def below(folder: Path) -> list[Path]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def named(paths: list[Path], folder: Path) -> list[tuple[str, Path]]:
    """Files with what the ids of their dialogues begin with."""
    return [(f"{without_suffix(path.relative_to(folder))}:", path) for path in paths]


def without_suffix(path: Path) -> str:
    name = path.as_posix()
    return name[: len(name) - len(known_suffix(path))]
