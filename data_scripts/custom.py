"""Your own dialogues, labeled or not: chats, transcripts, captions, JSON, tables and plain text, of any size.

Source, license and citation are those of your files. `data_dir` is one of

* a file. It is split by dialogue, 80/10/10, the same way each time;
* a pattern of files, such as `"calls/*.csv"`, split in the same way. Quote it so that the shell does not expand it;
* a folder with `train`, `validation` (or `valid`, `dev`) and `test`: each is one file, such as `train.csv`, several
  numbered files, such as `train-00000.parquet` or `train_2.csv`, or a sub-folder with any number of files.

The files of a split, or of a pattern, must have the same suffix, and a dialogue must be in one file: the same id in two
files means two dialogues. With several files, the ids start with the name of the file (`train_2:17`).

docs/inputs.md lists the formats, which are detected, and the options, which are the fields of `ReadingOptions`. Among
the formats are

* `.jsonl` or `.json`; only `utterances` is required:
  `{"dialogue_id": "1", "utterances": ["Hi.", "Hello!"], "speakers": ["Ann", "Bo"], "labels": ["neutral", "joy"]}`
* `.csv`, `.tsv` or `.xlsx`: one utterance per row in the order of the dialogue, with the header
  `dialogue_id,speaker,text,label`; only `dialogue_id` and `text` are required;
* `.parquet`: either of these two forms. Labels may be `ClassLabel`s, as `datasets` writes them;
* `.txt`: `Ann: Hello!`, one utterance per line, and a blank line between dialogues; or a chat or a transcript.

An utterance whose label is null or "" stays as context. The label names are the option `labels`, or else the sorted
labels of train (or of all files if there are no splits yet). A number is an index, from 0, into the option `labels`.
Without this option, its digits are its name. -1 means no label, unless the option lists it. 1.0 is read as 1, because
pandas writes the numbers of a column so if one is missing.
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

from .building.builder import DialogueBuilder
from .building.dialogues import Dialogue, Utterance
from .building.splitting import split_by_hash
from .formats.detection import SUFFIXES
from .formats.dialogue_files import read_file
from .formats.input_file import InputFile
from .formats.options import ReadingOptions, known_suffix

logger = logging.getLogger(__name__)

STEMS = {"train": ["train"], "validation": ["validation", "valid", "dev"], "test": ["test"]}
# Numbers of files as people write them, and as `datasets` does, formerly with a hash: train_2, train-00000-of-00003.
NUMBER = r"([-_.]?\d+(-of-\d+)?(-[0-9a-f]{16})?)?"


@dataclass
class CustomConfig(ReadingOptions, datasets.BuilderConfig):
    """The label names in the order of their ids, and the options for reading the files."""

    labels: list[str] | None = None


class Custom(DialogueBuilder):
    """A corpus of your own files."""

    BUILDER_CONFIG_CLASS = CustomConfig
    VERSION = "1.1.0"
    DATA_DIR = "a file, a pattern of files, or a folder with train, validation and test"

    def files(self, config: CustomConfig) -> dict[str, Path]:
        """All files of the corpus, by their paths."""
        return {str(path): path for files in self.sources(config).values() for _, path in files}

    def sources(self, config: CustomConfig) -> dict[str, list[tuple[str, Path]]]:
        """The files of each split, or of "all" without splits, each with the prefix of its dialogue ids."""
        if config.data_dir and not Path(config.data_dir).exists() and (paths := matching_files(config.data_dir)):
            return {"all": with_id_prefixes(paths, Path(os.path.commonpath([path.parent for path in paths])))}
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
                label
                for dialogue in dialogues
                for utterance in dialogue.utterances
                if (label := plain_number(utterance.label or "")) not in ("", "-1")
            )
            if self.LABELS and all(map(str.isdecimal, self.LABELS)):
                logger.warning(
                    "%s: the labels are numbers without names; list their names in order, "
                    'as in --corpus_options \'labels=["anger", "joy"]\'',
                    self.config.data_dir,
                )
        elif not isinstance(self.LABELS, list) or not all(isinstance(label, str) for label in self.LABELS):
            raise ValueError(f'custom: option labels must be a list of strings; got {self.LABELS!r}; use ["a", "b"]')
        return super()._info()

    def splits(self) -> dict[str, dict[str, Any]]:
        """The keyword arguments of `read` for each split. Without splits, the dialogues are divided by their ids."""
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
        """The id of the label of an utterance. A number is an index into the option `labels`; case does not matter."""
        named = self.config.labels or []
        label = utterance.label or ""
        if label not in named:
            label = plain_number(label)
            if label == "-1":
                self.note("labels -1 read as no label")
                label = ""
            if named and label.isdecimal():
                if int(label) < len(named):
                    return int(label)
                raise ValueError(
                    f"{utterance.where}: label without a name; got {label}; "
                    f"the option labels names 0 to {len(named) - 1}"
                )
        if label and self.LABELS and label not in self.LABELS:
            label = next((known for known in self.LABELS if known.casefold() == label.casefold()), label)
        return super().label_id(utterance._replace(label=label or None))

    def parts(self, source: dict[str, Any]) -> list[dict[str, Any]]:
        """One part per file."""
        return [{**source, "files": [file]} for file in source["files"]]

    def read(self, files: list[tuple[str, Path]], chosen: frozenset[str] | None = None) -> Iterator[Dialogue]:
        """Yield the dialogues of files.

        Args:
            files: The files, each with the prefix of its dialogue ids.
            chosen: The ids of the dialogues to keep; by default all.
        """
        for prefix, path in files:
            # A build reads a file more than once, but logs its content once.
            is_silent = chosen is not None or path in self.logged_files
            self.logged_files.add(path)
            for dialogue in read_file(InputFile(path, self.config), is_silent):
                # The ids of two files may both start at 0, so they need a prefix.
                dialogue_id = prefix + dialogue.dialogue_id
                if chosen is None or dialogue_id in chosen:
                    yield dialogue._replace(dialogue_id=dialogue_id)

    @property
    def logged_files(self) -> set[Path]:
        """The files whose content was already logged."""
        attributes: dict[str, Any] = self.__dict__
        return attributes.setdefault("_logged", set())


def plain_number(label: str) -> str:
    """A label as it is, but 1.0 as 1. A CSV file does not have the types that tell both apart from a text."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", label)


def one_spelling_each(labels: Iterable[str]) -> list[str] | None:
    """The sorted label names; of spellings that differ only in case, the most frequent. None without labels."""
    spellings: dict[str, Counter[str]] = {}
    for label in labels:
        spellings.setdefault(label.casefold(), Counter())[label] += 1
    for counts in spellings.values():
        if len(counts) > 1:
            logger.info("custom: %s are one label because they differ only in case", ", ".join(sorted(counts)))
    return sorted_labels({max(sorted(counts), key=counts.__getitem__) for counts in spellings.values()}) or None


def sorted_labels(labels: set[str]) -> list[str]:
    """Sort labels by name, or by number if all are numbers: "10" comes after "2"."""
    return sorted(labels, key=int if all(map(str.isdecimal, labels)) else str)


def matching_files(pattern: str) -> list[Path]:
    """The files that match a pattern."""
    # A relative pattern was made absolute. Special characters in the path of the current folder are not part of it.
    here = f"{os.getcwd()}{os.sep}"
    if pattern.startswith(here):
        pattern = escape(here) + pattern.removeprefix(here)
    paths = sorted(path for path in map(Path, glob(pattern, recursive=True)) if path.is_file())
    if len({known_suffix(path) for path in paths}) > 1:
        names = ", ".join(path.name for path in paths[:10])
        raise ValueError(f"{pattern}: files of different formats; got {names}; use a pattern for files of one format")
    return paths


def files_of(split: str, folder: Path) -> list[tuple[str, Path]]:
    """The files of a split in a folder, each with the prefix of its dialogue ids."""
    stems = STEMS[split]
    groups = [group for stem in stems for group in (numbered_files(folder, stem), files_below(folder / stem)) if group]
    paths = [path for group in groups for path in group]
    if not paths:
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
        raise FileNotFoundError(
            f"{folder}: a file is missing; got {found}; needed: {' or '.join(stems)}, "
            f"as a file or a folder of files; to split all files by dialogue, use a pattern such as {folder.name}/*.csv"
        )
    if len(groups) > 1 or len({known_suffix(path) for path in paths}) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in paths[:10])
        raise ValueError(
            f"{folder}: more than one file of a split; got {names}; keep one, or number files of one name and format"
        )
    return [(f"{split}-", paths[0])] if len(paths) == 1 else with_id_prefixes(paths, folder)


def numbered_files(folder: Path, stem: str) -> list[Path]:
    """Files such as `train.csv` and `train_2.csv`."""
    paths = [path for path in sorted(folder.iterdir()) if known_suffix(path) in SUFFIXES and path.is_file()]
    return [path for path in paths if re.fullmatch(stem + NUMBER, without_suffix(Path(path.name)))]


def files_below(folder: Path) -> list[Path]:
    """The files in a folder and its sub-folders, sorted by path, without hidden files and folders."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def with_id_prefixes(paths: list[Path], folder: Path) -> list[tuple[str, Path]]:
    """Files, each with the prefix of its dialogue ids."""
    return [(f"{without_suffix(path.relative_to(folder))}:", path) for path in paths]


def without_suffix(path: Path) -> str:
    """A path without the suffix that determines the format."""
    name = path.as_posix()
    return name[: len(name) - len(known_suffix(path))]
