"""The layout of EmotionLines and of the original implementation's own files: `<Name>_{train,dev,test}.json`.

A file is a list of dialogues. A labeled dialogue is a list of `{"utterance", "emotion"}`, in EmotionLines with a
`speaker` and an `annotation` too: seven digits, how many annotators voted for each emotion. A dialogue of OpSub is
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
# Characters that no text holds: bytes of the encoding cp1252 that were taken for characters.
CONTROL_CHARACTERS = re.compile("[\x80-\x9f]")


class OriginalCorpus(DialogueBuilder):
    """A labeled corpus in the original's layout. Without `LABELS`, the label names are those of train, sorted.

    A subclass of which another release is read too says where that is by `FILES`, or by `release_files`, and how to
    read it by `read_release`. Where a folder holds files of both, those of this layout are read.
    """

    KEEPS_BLANK = True
    TAKES_FILE = False  # whether `data_dir` may be a file, too
    FILES = {split: f"<Name>_{name}.json" for split, name in NAMES.items()}

    def source(self, config: datasets.BuilderConfig) -> Path:
        source = super().source(config)
        if source.is_file():
            if source.suffix.lower() in ARCHIVES:
                raise ValueError(f"{source}: an archive; got it as data_dir; unpack it, and give the folder")
            if not self.TAKES_FILE:
                raise ValueError(f"{source}: a file; got it as data_dir; give the folder that it is in")
        return source

    def original_files(self, config: datasets.BuilderConfig) -> dict[str, Path]:
        return original_files(self.source(config))

    def files(self, config: datasets.BuilderConfig) -> dict[str, Path]:
        return self.original_files(config) or self.release_files(config)

    def release_files(self, config: datasets.BuilderConfig) -> dict[str, Path]:
        return super().files(config)

    def _info(self) -> datasets.DatasetInfo:
        if self.LABELS is None:
            train = read_original("train", self.files(self.config)["train"])
            labels = {utterance.label for dialogue in train for utterance in dialogue.utterances}
            self.LABELS = sorted(label for label in labels if label)
        return super()._info()

    def splits(self) -> dict[str, dict[str, Any]]:
        if files := self.original_files(self.config):
            check_owner(self.corpus, files)
        return super().splits()

    def read(self, **source: Any) -> Iterator[Dialogue]:
        return read_original(**source) if self.original_files(self.config) else self.read_release(**source)

    def read_release(self, *args: Any, **kwargs: Any) -> Iterator[Dialogue]:
        """The dialogues of what one split of the release is read from."""
        raise NotImplementedError

    def label_id(self, utterance: Utterance) -> int:
        label, known_labels = utterance.label, self.LABELS or []
        if label is not None and label not in known_labels:
            # The same label is "Neutral" in one release and "neutral" in the other.
            label = next((known for known in known_labels if known.lower() == label.lower()), label)
        return super().label_id(utterance._replace(label=label))


def original_files(folder: Path) -> dict[str, Path]:
    """The file of each split; empty if the folder has none of them."""
    files = {}
    for split, name in NAMES.items():
        found = sorted(path for path in folder.glob("[!.]*.json") if path.stem.lower().endswith(f"_{name}"))
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise ValueError(f"{folder}: more than one file of a split; got {names}; give each corpus its own folder")
        if found:
            files[split] = found[0]
    if files and (missing := [split for split in NAMES if split not in files]):
        ending = NAMES[missing[0]]
        for path in sorted(folder.glob("[!.]*.json")):
            start, _, other = path.stem.rpartition("_")
            if other.lower() in OTHER_NAMES[missing[0]]:
                raise FileNotFoundError(
                    f"{folder}: no file of a name that ends in _{ending}.json; got {path.name}; "
                    f"rename it to {start}_{ending}.json"
                )
        raise FileNotFoundError(f"{folder}: no file of a name that ends in _{ending}.json; add it")
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
                utterances = [Utterance(repaired(text), where=where) for text in entry["script"]]
                negatives = [repaired(text) for text in entry["neg"]]
            else:
                negatives = None
                utterances = [
                    Utterance(
                        repaired(turn["utterance"]),
                        repaired(str("" if turn.get("speaker") is None else turn["speaker"])),
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


def repaired(text: str) -> str:
    """Text whose apostrophes and dashes became control characters on the way, as those of Friends did, and of which
    half a character may be left, as of an emoji that was cut."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return CONTROL_CHARACTERS.sub(lambda match: match[0].encode("latin-1").decode("cp1252", "replace"), text)
