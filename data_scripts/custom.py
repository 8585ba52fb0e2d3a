"""Your own dialogues, labelled or not, from JSON Lines or CSV.

`data_dir` is a folder with `train`, `validation` (or `valid`, `dev`) and `test`, each `.jsonl` or `.csv`, or one such
file, which is then split by dialogue, 80/10/10, the same way each time. Source, licence and citation are yours to know.

JSON Lines, one dialogue a line, of which only `utterances` is needed:
`{"dialogue_id": "1", "utterances": ["Hi.", "Hello!"], "speakers": ["Ann", "Bo"], "labels": ["neutral", "joy"]}`
CSV, one utterance a row in the order of the dialogue, of which only the dialogue and the text are needed:
`dialogue_id,speaker,text,label`; options give the columns other names.

An utterance whose label is null or "" stays as context. Label names are the option `labels`, or those of train, sorted.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import datasets

from .dialogues import Dialogue, DialogueBuilder, Utterance
from .reading import parse_json, read_csv, read_text
from .splitting import split_by_hash

STEMS = {"train": ["train"], "validation": ["validation", "valid", "dev"], "test": ["test"]}
SUFFIXES = [".jsonl", ".csv"]


@dataclass
class CustomConfig(datasets.BuilderConfig):
    """Label names in the order of their ids, and the columns of a CSV file."""

    labels: list[str] | None = None
    dialogue_column: str = "dialogue_id"
    text_column: str = "text"
    speaker_column: str = "speaker"
    label_column: str = "label"


class Custom(DialogueBuilder):
    BUILDER_CONFIG_CLASS = CustomConfig
    DATA_DIR = "a .jsonl or .csv file, or a folder with one for each split"

    def files(self, config: CustomConfig) -> dict[str, Path]:
        source = self.source(config)
        if source.is_file():
            return dict.fromkeys(STEMS, source)
        return {split: the_file(source, stems) for split, stems in STEMS.items()}

    def _info(self) -> datasets.DatasetInfo:
        self.LABELS = self.config.labels
        if self.LABELS is None:
            train = self.read("train", self.files(self.config)["train"])
            labels = {utterance.label for dialogue in train for utterance in dialogue.utterances if utterance.label}
            self.LABELS = sorted(labels) or None
        return super()._info()

    def read(self, split: str, path: Path) -> Iterator[Dialogue]:
        if Path(self.config.data_dir).is_dir():
            # Files that each count from 0 must not clash.
            return (row._replace(dialogue_id=f"{split}-{row.dialogue_id}") for row in self.read_file(path))
        ids = [dialogue.dialogue_id for dialogue in self.read_file(path)]
        try:
            chosen = set(split_by_hash(ids, validation=0.1, test=0.1)[split])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        return (dialogue for dialogue in self.read_file(path) if dialogue.dialogue_id in chosen)

    def read_file(self, path: Path) -> Iterator[Dialogue]:
        if path.suffix == ".csv":
            return read_csv_dialogues(path, self.config)
        if path.suffix == ".jsonl":
            return read_json_lines(path)
        raise ValueError(f"{path}: unknown kind of file; got {path.suffix!r}; known: {', '.join(SUFFIXES)}")


def the_file(folder: Path, stems: list[str]) -> Path:
    """The one file of a split."""
    wanted = [stem + suffix for stem in stems for suffix in SUFFIXES]
    found = [name for name in wanted if (folder / name).is_file()]
    if len(found) > 1:
        raise ValueError(f"{folder}: more than one file of a split; got {', '.join(found)}; leave one")
    if not found:
        names = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise FileNotFoundError(f"{folder}: a file is missing; got {names}; needed: {' or '.join(wanted)}")
    return folder / found[0]


def read_json_lines(path: Path) -> Iterator[Dialogue]:
    """A dialogue that gives itself no id gets the number of its line."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            where = f"{path}:{number}"
            entry = parse_json(line, where)
            if not isinstance(entry, dict) or "utterances" not in entry:
                raise ValueError(f'{where}: no dialogue; got {line[:60]!r}; write {{"utterances": [...]}}')
            texts = strings(entry, "utterances", where)
            speakers, labels = (strings(entry, name, where, len(texts)) for name in ("speakers", "labels"))
            given_id = entry.get("dialogue_id")
            yield Dialogue(
                str(number if given_id is None else given_id),
                [
                    Utterance(text, speaker, label or None, where)
                    for text, speaker, label in zip(texts, speakers, labels, strict=True)
                ],
            )


def strings(entry: dict, name: str, where: str, length: int | None = None) -> list[str]:
    """One list of an entry, with "" for null or, where an utterance each is expected, for the whole list."""
    values = entry.get(name) or [""] * (length or 0)
    if not isinstance(values, list) or not all(isinstance(value, str | None) for value in values):
        raise ValueError(f"{where}: {name} must be a list of strings; got {values!r}; write each as a string")
    if not values:
        raise ValueError(f"{where}: dialogue without utterances; got {values!r}; remove the line")
    if length and len(values) != length:
        raise ValueError(f"{where}: {length} utterances but {len(values)} {name}; got {values!r}; give one for each")
    return [value or "" for value in values]


def read_csv_dialogues(path: Path, config: CustomConfig) -> Iterator[Dialogue]:
    """A column left at its default name need not be there; one that an option names must."""
    defaults = {field.name: field.default for field in fields(config)}
    mapped = [
        getattr(config, option)
        for option in ("speaker_column", "label_column")
        if getattr(config, option) != defaults[option]
    ]
    dialogues = defaultdict(list)
    for where, row in read_csv(path, [config.dialogue_column, config.text_column, *mapped]):
        dialogue_id = row[config.dialogue_column]
        if not dialogue_id.strip():
            raise ValueError(f"{where}: {config.dialogue_column} is empty; got {dialogue_id!r}; fill it in")
        speaker, label = row.get(config.speaker_column, ""), row.get(config.label_column, "")
        dialogues[dialogue_id].append(Utterance(row[config.text_column], speaker, label.strip() or None, where))
    for dialogue_id, utterances in dialogues.items():
        yield Dialogue(dialogue_id, utterances)
