"""Files of dialogues, a reader for each format; it keeps the ids, but of the rest only a dialogue or a few rows."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from ..building.dialogues import Dialogue, Utterance
from .parquet import check_kinds, kind, label_name, read_parquet, read_schema
from .reading import check_columns, parse_json, read_csv, read_lines

# A name before the first colon. The wide colon of Chinese and Japanese has its space inside.
WORD = r"""[^\s:：,;!?"“”]+"""
SPEAKER = re.compile(rf"(?=\w)(?=[^:：]{{1,30}}[:：])({WORD}(?:\s{WORD}){{0,2}})\s?(?::(?!\S)|：)\s*")


# The option for a file with an utterance a row, and that for one with a dialogue a row.
PAIRS = {"text_column": "utterances_column", "speaker_column": "speakers_column", "label_column": "labels_column"}


@dataclass
class Columns:
    """What a file calls its columns. One left at its default need not be there; one that an option names must."""

    dialogue_column: str = "dialogue_id"
    text_column: str = "text"
    speaker_column: str = "speaker"
    label_column: str = "label"
    utterances_column: str = "utterances"
    speakers_column: str = "speakers"
    labels_column: str = "labels"

    def of_utterances(self, path: Path) -> list[str]:
        """What a table with an utterance a row must have."""
        self.refuse(path, {other: own for own, other in PAIRS.items()})
        return [self.dialogue_column, self.text_column, *self.named("speaker_column", "label_column")]

    def of_dialogues(self, path: Path) -> list[str]:
        """What a table with a dialogue a row must have."""
        self.refuse(path, PAIRS)
        return [self.utterances_column, *self.named("dialogue_column", "speakers_column", "labels_column")]

    def refuse(self, path: Path, others: dict[str, str | None]) -> None:
        """Refuse options for other forms of files, each with that for this form, where only the other one is given."""
        for other, own in others.items():
            if self.named(other) and not (own and self.named(own)):
                advice = f"give {own}" if own else "leave it out"
                raise ValueError(f"{path}: {other} is for another form of file; got {getattr(self, other)!r}; {advice}")

    def named(self, *options: str) -> list[str]:
        defaults = {field.name: field.default for field in fields(Columns)}
        return [getattr(self, option) for option in options if getattr(self, option) != defaults[option]]


def read_json_lines(path: Path, columns: Columns | None = None) -> Iterator[Dialogue]:
    """A dialogue that gives itself no id gets the number of its line."""
    columns = columns or Columns()
    needed = columns.of_dialogues(path)
    for number, line in enumerate(map(str.strip, read_lines(path)), start=1):
        if line:
            where = f"{path}:{number}"
            entry = parse_json(line, where)
            if not isinstance(entry, dict) or any(name not in entry for name in needed):
                form = ", ".join(f'"{name}": [...]' for name in needed)
                raise ValueError(f"{where}: no dialogue; got {line[:60]!r}; write {{{form}}} on one line")
            # `Dataset.to_json` writes labels as numbers.
            entry[columns.labels_column] = label_name(entry.get(columns.labels_column), None, where)
            dialogue = from_lists(where, number, entry, columns)
            if "\\u" in line:
                check_characters(dialogue, where)
            yield dialogue


def check_characters(dialogue: Dialogue, where: str) -> None:
    """JSON can escape half a character, which no file can hold."""
    try:
        "".join(text or "" for turn in dialogue.utterances for text in (*turn[:3], dialogue.dialogue_id)).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise ValueError(f"{where}: half a character; got {half}; write the characters themselves") from None


def read_plain_text(path: Path, columns: Columns) -> Iterator[Dialogue]:
    """The id of a dialogue is the number of its first line."""
    columns.refuse(path, dict.fromkeys(field.name for field in fields(Columns)))
    lines = enumerate(map(str.strip, read_lines(path)), start=1)
    for is_dialogue, numbered in groupby(lines, key=lambda pair: bool(pair[1])):
        if is_dialogue:
            turns = [(number, *speaker_and_text(line)) for number, line in numbered]
            utterances = [Utterance(text, speaker, where=f"{path}:{number}") for number, speaker, text in turns]
            yield Dialogue(str(turns[0][0]), utterances)


def speaker_and_text(line: str) -> tuple[str, str]:
    name = SPEAKER.match(line)
    return (name[1], line[name.end() :]) if name else ("", line)


def read_commas(path: Path, columns: Columns) -> Iterator[Dialogue]:
    return from_rows(read_csv(path, columns.of_utterances(path), strict=True), columns)


def read_tabs(path: Path, columns: Columns) -> Iterator[Dialogue]:
    return from_rows(read_csv(path, columns.of_utterances(path), strict=True, delimiter="\t"), columns)


def read_parquet_dialogues(path: Path, columns: Columns) -> Iterator[Dialogue]:
    """A dialogue a row where the column of utterances holds lists, else an utterance a row."""
    schema = read_schema(path)
    has_lists = any(
        field.name == columns.utterances_column and kind(field.type).startswith("lists") for field in schema
    )
    allowed = {columns.dialogue_column: {"strings", "integers"}}
    if has_lists:
        needed, labels = columns.of_dialogues(path), columns.labels_column
        allowed |= dict.fromkeys([columns.utterances_column, columns.speakers_column], {"lists of strings"})
        allowed[labels] = {"lists of strings", "lists of integers"}
    else:
        needed, labels = columns.of_utterances(path), columns.label_column
        allowed |= dict.fromkeys([columns.text_column, columns.speaker_column], {"strings"})
        allowed[labels] = {"strings", "integers"}
    allowed = {column: kinds for column, kinds in allowed.items() if column in [*schema.names, *needed]}
    check_columns(path, schema.names, list(allowed))
    check_kinds(path, schema, allowed)
    rows = read_parquet(path, list(allowed), labels)
    if has_lists:
        return (from_lists(where, number, row, columns) for number, (where, row) in enumerate(rows, start=1))
    return from_rows(rows, columns)


def from_lists(where: str, number: int, entry: dict[str, Any], columns: Columns) -> Dialogue:
    """A dialogue whose utterances, speakers and labels are lists."""
    texts = strings(entry, columns.utterances_column, where)
    speakers, labels = (
        strings(entry, name, where, len(texts)) for name in (columns.speakers_column, columns.labels_column)
    )
    dialogue_id = entry.get(columns.dialogue_column)
    if not isinstance(dialogue_id, str | int | float | None):
        raise ValueError(f"{where}: {columns.dialogue_column} must be a string; got {dialogue_id!r:.200}; write one")
    turns = zip(texts, speakers, labels, strict=True)
    return Dialogue(
        str(number if dialogue_id is None else dialogue_id),
        [Utterance(text, speaker, label or None, where) for text, speaker, label in turns],
    )


def strings(entry: dict[str, Any], name: str, where: str, length: int | None = None) -> list[str]:
    """One list of an entry, with "" for null or, where an utterance each is expected, for the whole list."""
    values = entry.get(name) or [""] * (length or 0)
    if not isinstance(values, list) or not all(isinstance(value, str | None) for value in values):
        raise ValueError(f"{where}: {name} must be a list of strings; got {values!r:.200}; write each as a string")
    if not values:
        raise ValueError(f"{where}: dialogue without utterances; got {values!r}; remove it")
    if length and len(values) != length:
        raise ValueError(
            f"{where}: {length} utterances but {len(values)} {name}; got {values!r:.200}; give one for each"
        )
    return [value or "" for value in values]


def from_rows(rows: Iterable[tuple[str, dict[str, Any]]], columns: Columns) -> Iterator[Dialogue]:
    """Dialogues whose utterances stand in rows one after another: to gather them would take the whole file."""
    seen = set()
    for dialogue_id, placed in groupby(rows, key=lambda pair: pair[1][columns.dialogue_column]):
        utterances = [
            Utterance(
                row[columns.text_column] or "",
                row.get(columns.speaker_column) or "",
                (row.get(columns.label_column) or "").strip() or None,
                where,
            )
            for where, row in placed
        ]
        where = utterances[0].where
        if dialogue_id is None or not str(dialogue_id).strip():
            raise ValueError(f"{where}: {columns.dialogue_column} is empty; got {dialogue_id!r}; fill it in")
        if dialogue_id in seen:
            raise ValueError(
                f"{where}: {columns.dialogue_column} of an earlier dialogue, with another in between; "
                f"got {dialogue_id!r}; sort the file by dialogue, or give each dialogue its own id"
            )
        seen.add(dialogue_id)
        yield Dialogue(str(dialogue_id), utterances)


TEXT_READERS: dict[str, Callable[[Path, Columns], Iterator[Dialogue]]] = {
    ".jsonl": read_json_lines,
    ".json": read_json_lines,
    ".csv": read_commas,
    ".tsv": read_tabs,
    ".txt": read_plain_text,
}
READERS = TEXT_READERS | {f"{suffix}.gz": reader for suffix, reader in TEXT_READERS.items()}
READERS[".parquet"] = read_parquet_dialogues


def suffix(path: Path) -> str:
    """What the format is told from; with that before it where it is .gz."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix + (".gz" if name.endswith(".gz") else "")


def read_dialogues(path: Path, columns: Columns, kind: str | None = None) -> Iterator[Dialogue]:
    """The dialogues of a file of any known format; ValueError where it has none. `kind` is its suffix where its name
    does not say it."""
    kind = kind or suffix(path)
    if kind not in READERS:
        known = ", ".join([*TEXT_READERS, ".parquet"])
        raise ValueError(f"{path}: unknown kind of file; got {kind!r}; known: {known}; text also as .gz")
    dialogue = None
    for dialogue in READERS[kind](path, columns):
        yield dialogue
    if dialogue is None:
        raise ValueError(f"{path}: no dialogue in it; got a file of {path.stat().st_size} bytes; fill it or remove it")
