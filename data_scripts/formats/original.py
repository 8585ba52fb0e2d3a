"""Reads files in the layout of EmotionLines and of the original implementation: `<Name>_{train,dev,test}.json`.

A file is a list of dialogues. A labeled dialogue is a list of `{"utterance", "emotion"}`. In EmotionLines, an utterance
also has a `speaker` and an `annotation`: seven digits, the number of votes for each emotion. A dialogue of OpSub is
`{"script": [utterances], "neg": [negatives]}`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets

from ..building.builder import DialogueBuilder
from ..building.dialogues import Dialogue, Utterance
from .owner import check_owner
from .reading import parse_json, read_text

NAMES = {"train": "train", "validation": "dev", "test": "test"}
OTHER_NAMES = {"train": ("trn",), "validation": ("val", "valid", "validation"), "test": ("tst",)}
ARCHIVES = {".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"}
VOTED = ("neutral", "joy", "sadness", "fear", "anger", "surprise", "disgust")  # in the order of the digits
# Control characters that do not occur in text. They are bytes of cp1252 that were read as Latin-1.
CONTROL_CHARACTERS = re.compile("[\x80-\x9f]")


class OriginalCorpus(DialogueBuilder):
    """A labeled corpus in the original's layout. Without `LABELS`, the label names are those of train, sorted.

    A subclass can also read the files that the authors of the corpus released. It names them with `FILES` or
    `release_files`, and reads them with `read_release`. If a folder contains both, the files in this layout are read.
    """

    KEEPS_BLANK = True
    TAKES_FILE = False  # whether `data_dir` may be a file
    FILES = {split: f"<Name>_{name}.json" for split, name in NAMES.items()}

    def source(self, config: datasets.BuilderConfig) -> Path:
        """The folder of the corpus, or its file if the corpus accepts one. Raises a ValueError for other files."""
        source = super().source(config)
        if source.is_file():
            if source.suffix.lower() in ARCHIVES:
                raise ValueError(f"{source}: data_dir is an archive; unpack it and use the folder")
            if not self.TAKES_FILE:
                raise ValueError(f"{source}: data_dir is a file; use the folder that contains it")
        return source

    def original_files(self, config: datasets.BuilderConfig) -> dict[str, Path]:
        """The file of each split in this layout; empty if there is none."""
        return original_files(self.source(config))

    def files(self, config: datasets.BuilderConfig) -> dict[str, Path]:
        """The files in this layout, or else those of the release."""
        return self.original_files(config) or self.release_files(config)

    def release_files(self, config: datasets.BuilderConfig) -> dict[str, Path]:
        """The files of the release, by split."""
        return super().files(config)

    def _info(self) -> datasets.DatasetInfo:
        if self.LABELS is None:
            train = read_original("train", self.files(self.config)["train"])
            labels = {utterance.label for dialogue in train for utterance in dialogue.utterances}
            self.LABELS = sorted(label for label in labels if label)
        return super()._info()

    def splits(self) -> dict[str, dict[str, Any]]:
        """The keyword arguments of `read` for each split. Checks that the files belong to this corpus."""
        if files := self.original_files(self.config):
            check_owner(self.corpus, files)
        return super().splits()

    def read(self, **source: Any) -> Iterator[Dialogue]:
        """Yield the dialogues of a split, in this layout or in that of the release."""
        return read_original(**source) if self.original_files(self.config) else self.read_release(**source)

    def read_release(self, *args: Any, **kwargs: Any) -> Iterator[Dialogue]:
        """Yield the dialogues of a split of the release. The arguments come from `splits`."""
        raise NotImplementedError

    def label_id(self, utterance: Utterance) -> int:
        """The id of a label. Its case does not matter, because releases differ in it."""
        label, known_labels = utterance.label, self.LABELS or []
        if label is not None and label not in known_labels:
            # The same label is "Neutral" in one release and "neutral" in the other.
            label = next((known for known in known_labels if known.lower() == label.lower()), label)
        return super().label_id(utterance._replace(label=label))


def original_files(folder: Path) -> dict[str, Path]:
    """The file of each split in this layout; empty if the folder has none.

    Raises:
        ValueError: The folder has more than one file for a split.
        FileNotFoundError: The folder has files for some splits only.
    """
    files = {}
    for split, name in NAMES.items():
        found = sorted(path for path in folder.glob("[!.]*.json") if path.stem.lower().endswith(f"_{name}"))
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise ValueError(f"{folder}: more than one file for a split; got {names}; use one folder per corpus")
        if found:
            files[split] = found[0]
    if files and (missing := [split for split in NAMES if split not in files]):
        ending = NAMES[missing[0]]
        for path in sorted(folder.glob("[!.]*.json")):
            start, _, other = path.stem.rpartition("_")
            if other.lower() in OTHER_NAMES[missing[0]]:
                raise FileNotFoundError(
                    f"{folder}: no file whose name ends in _{ending}.json; got {path.name}; "
                    f"rename it to {start}_{ending}.json"
                )
        raise FileNotFoundError(f"{folder}: no file whose name ends in _{ending}.json; add it")
    return files


def read_original(split: str, path: Path) -> Iterator[Dialogue]:
    """Yield the dialogues of a JSON file in the form of the original code.

    The ids are the name of the split and the number of the dialogue, from 0.

    Raises:
        ValueError: The file or a dialogue has another form, or a dialogue has no utterances.
    """
    dialogues = parse_json(read_text(path), path)
    if not isinstance(dialogues, list):
        raise ValueError(f"{path}: not a list of dialogues; got {str(dialogues)[:60]!r}; get the file again")
    for number, entry in enumerate(dialogues):
        where = f"{path}, dialogue {number}"
        try:
            if isinstance(entry, dict):
                utterances = [Utterance(repair_text(text), where=where) for text in entry["script"]]
                negatives = [repair_text(text) for text in entry["neg"]]
            else:
                negatives = None
                utterances = [
                    Utterance(
                        repair_text(turn["utterance"]),
                        repair_text(str("" if turn.get("speaker") is None else turn["speaker"])),
                        None if turn["emotion"] is None else turn["emotion"].strip(),
                        where,
                        votes=votes_of(turn.get("annotation"), where),
                    )
                    for turn in entry
                ]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f'{where}: got {str(entry)[:60]!r} ({error!r}); write [{{"utterance", "emotion"}}, ...] or '
                '{"script": [...], "neg": [...]}'
            ) from None
        if not utterances:
            raise ValueError(f"{where}: dialogue without utterances; got {entry!r}; remove it")
        yield Dialogue(f"{split}-{number}", utterances, negatives)


def votes_of(annotation: Any, where: str) -> dict[str, float] | None:
    """Decode votes: `"4010000"` is four votes for neutral and one for sadness."""
    if annotation is None:
        return None
    if not re.fullmatch(r"[0-9]{7}", str(annotation)):
        raise ValueError(
            f"{where}: annotation must be seven digits, the votes for {', '.join(VOTED)}; got {annotation!r:.60}; "
            "correct it"
        )
    return dict(zip(VOTED, map(int, str(annotation)), strict=True))


def repair_text(text: str) -> str:
    """Repair text in which apostrophes and dashes became control characters, as in Friends.

    Half of a surrogate pair, as of a truncated emoji, becomes a replacement character.
    """
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return CONTROL_CHARACTERS.sub(lambda match: match[0].encode("latin-1").decode("cp1252", "replace"), text)
