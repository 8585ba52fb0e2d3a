"""Reads tables with one utterance per row, such as CSV and JSON rows. The rows may be in any order."""

import csv
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import groupby
from typing import Any, NamedTuple

from ..building.dialogues import Dialogue, Utterance
from .input_file import InputFile
from .options import ReadingOptions
from .reading import SEPARATORS, check_columns, read_csv
from .times import seconds_of
from .values import label_of, plain_value, speaker_of, text_of, time_of

SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
MARKDOWN_RULE = re.compile(r"(?=.*-)(?=.*\|)[\s|:-]{3,200}")
# Common column names. They identify a table by its first line.
USUAL_COLUMNS = {"text", "utterance", "utterances", "message", "sentence", "transcript", "content", "label", "emotion"}
USUAL_COLUMNS |= {
    "speaker",
    "author",
    "user",
    "sender",
    "name",
    "sentiment",
    "start",
    "end",
    "time",
    "timestamp",
    "date",
}
USUAL_COLUMNS |= {"dialogue_id", "dialog_id", "conversation_id", "id"}
WITHOUT_DIALOGUES = (
    "name it with dialogue_column; if there is none, rows=dialogue reads every row as a dialogue, and rows=one reads "
    "the whole file as one dialogue (precode predict: --corpus_options rows=dialogue)"
)


class Table(NamedTuple):
    """A table: its place for messages, its column names, and a function that reads its rows from the start.

    The argument of `rows` is the columns to read, or None for all. It yields each row with its place.
    """

    where: str
    columns: list[str]
    rows: Callable[[Sequence[str] | None], Iterator[tuple[str, dict[str, Any]]]]


def check_table(table: Table, options: ReadingOptions, name: str) -> None:
    """Raise a ValueError if a required column is missing, with advice if no column names the dialogue."""
    options.of_utterances(name, table.columns)  # refuses options for other kinds of files
    fitted = options.adapted_to(table.columns)
    needed = [*fitted.dialogue_columns(table.columns), fitted.text_column]
    needed += options.changed_values("speaker_column", "label_column", "start_column", "end_column")
    try:
        check_columns(table.where, table.columns, needed)
    except ValueError as error:
        missing = [column for column in needed if column not in table.columns]
        advice = f"; {WITHOUT_DIALOGUES}" if set(missing) & set(options.dialogue_columns(table.columns)) else ""
        raise ValueError(f"{error}{advice}") from None


def read_table(file: InputFile, table: Table) -> Iterator[Dialogue]:
    """Read the dialogues of a table. Scattered rows of a dialogue are collected, on disk if there are many."""
    check_table(table, file.options, file.name)
    file.options = file.options.adapted_to(table.columns)
    id_columns = file.options.dialogue_columns(table.columns)
    reader = RowReader(file, table.columns, id_columns)
    columns = None if file.keeps_columns else reader.needed
    if not id_columns:
        if file.options.rows == "dialogue":
            file.utterances = sum(is_filled(row) for _, row in table.rows(reader.needed))
        rows = ((str(number), turn) for number, (_, turn) in enumerate(reader.turns(table.rows(columns))))
        if file.options.rows == "dialogue":
            yield from (Dialogue("", [turn]) for _, turn in rows)
        elif turns := [turn for _, turn in rows]:
            yield Dialogue("", turns)
        return
    ids = (reader.dialogue_id(where, row) for where, row in table.rows(id_columns) if is_filled(row))
    file.utterances, is_apart = count_rows(ids)
    if is_apart:
        file.remarks.append("rows sorted by dialogue")
        found = group_by_dialogue(reader.turns(table.rows(columns)))
    else:
        by_id = groupby(reader.turns(table.rows(columns)), key=lambda pair: pair[0])
        found = ((name, [turn for _, turn in pairs]) for name, pairs in by_id)
    yield from (Dialogue(name, turns) for name, turns in found)


class RowReader:
    """Converts rows to utterances, and numbers those that it keeps.

    Args:
        file: The file, with its options. It counts what is left out.
        columns: The columns of the table.
        id_columns: The columns that form the id of a dialogue.
    """

    def __init__(self, file: InputFile, columns: list[str], id_columns: list[str]):
        self.file, self.options, self.id_columns = file, file.options, id_columns
        options = self.options
        own = [options.text_column, options.speaker_column, options.label_column]
        own += [options.start_column, options.end_column]
        self.needed = [column for column in dict.fromkeys([*id_columns, *own]) if column in columns]
        # A column that is only a part of the id is kept in `extra`.
        read = {*own, *(id_columns if len(id_columns) == 1 else [])}
        self.has_unknown_time = False
        self.others = [column for column in columns if column not in read] if file.keeps_columns else []

    def turns(self, rows: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, Utterance]]:
        """Yield the dialogue id and the utterance of each row. Blank rows are left out."""
        number = 0
        for where, row in rows:
            text = text_of(row.get(self.options.text_column))
            is_empty = not text.strip()
            if is_empty and is_blank(row):
                self.file.leave_out("blank rows")
            elif is_empty and self.options.empty == "skip":
                self.file.leave_out("empty utterances")
            else:
                yield self.dialogue_id(where, row), self.utterance(where, row, text, number)
                number += 1

    def dialogue_id(self, where: str, row: dict[str, Any]) -> str:
        """The id of the dialogue of a row. Raises a ValueError if a part of it is empty."""
        if len(self.id_columns) == 1 and isinstance(name := row[self.id_columns[0]], str) and name.strip():
            return name
        values = [text_of(row[column]) for column in self.id_columns]
        for column, value in zip(self.id_columns, values, strict=True):
            if not value.strip():
                raise ValueError(f"{where}: {column} is empty; got {row[column]!r}; fill it in")
        # 1-2 and 3 are not 1 and 2-3.
        return ("/" if any("-" in value for value in values) and len(values) > 1 else "-").join(values)

    def utterance(self, where: str, row: dict[str, Any], text: str, number: int) -> Utterance:
        """The utterance of a row.

        Args:
            where: The place of the row, for messages.
            row: The values of the row by column.
            text: The text of the utterance.
            number: The number of the row among those that are kept, from 0.
        """
        options = self.options
        start, end = (
            time_of(plain_value(row.get(name)), self.file.decimal_comma)
            for name in (options.start_column, options.end_column)
        )
        if isinstance(start, str) and not self.has_unknown_time and seconds_of(start) is None:
            self.has_unknown_time = True
            self.file.remarks.append(f"times such as {start!r} are no dates in ISO 8601, and kept as text")
        return Utterance(
            text,
            speaker_of(row.get(options.speaker_column)),
            label_of(row.get(options.label_column)),
            where,
            start,
            end,
            {column: plain_value(row.get(column)) for column in self.others} if self.file.keeps_columns else None,
            number,
        )


def is_blank(row: dict[str, Any]) -> bool:
    """Whether a row of several columns is empty, as spreadsheets leave below their last row."""
    return len(row) > 1 and all(
        value is None or (isinstance(value, str) and not value.strip()) for value in row.values()
    )


def is_filled(row: dict[str, Any]) -> bool:
    """Whether any cell of a row has text."""
    return any(text_of(value).strip() for value in row.values())


def count_rows(ids: Iterable[str]) -> tuple[int, bool]:
    """Return the number of rows, and whether the rows of any dialogue are scattered."""
    count, is_apart = 0, False
    seen: set[str] = set()
    for name, rows in groupby(ids):
        count += sum(1 for _ in rows)
        is_apart = is_apart or name in seen
        seen.add(name)
    return count, is_apart


def group_by_dialogue(turns: Iterable[tuple[str, Utterance]]) -> Iterator[tuple[str, list[Utterance]]]:
    """Yield the utterances of each dialogue, in the order of their first rows. Large tables are sorted on disk."""
    ids: dict[str, int] = {}
    # SQLite keeps a database without a name in memory while it is small, and otherwise in a temporary file.
    with closing(sqlite3.connect("")) as database:
        database.execute("CREATE TABLE turns (dialogue INTEGER, number INTEGER PRIMARY KEY, content TEXT)")
        rows = ((ids.setdefault(name, len(ids)), number, json.dumps(turn)) for number, (name, turn) in enumerate(turns))
        database.executemany("INSERT INTO turns VALUES (?, ?, ?)", rows)
        names = list(ids)
        found = database.execute("SELECT dialogue, content FROM turns ORDER BY dialogue, number")
        for dialogue, group in groupby(found, key=lambda row: row[0]):
            yield names[dialogue], [Utterance(*json.loads(content)) for _, content in group]


def read_separated(file: InputFile) -> Iterator[Dialogue]:
    """Read CSV. The separator is detected from the header, or from a line `sep=;` above it."""
    yield from read_table(file, separated_table(file))


def separated_table(file: InputFile) -> Table:
    """The table of a CSV file."""
    separator, skipped = separator_of(file)
    if separator != "," and file.suffix != ".tsv":
        file.remarks.append(f"separated by {SEPARATORS.get(separator, separator)}")
    file.decimal_comma = separator != ","
    columns = header(file.sample, skipped, separator)
    # CSV that is written by hand may have a space after each comma.
    has_spaces = len(columns) > 1 and all(column.startswith(" ") for column in columns[1:])
    columns = [column.lstrip(" ") for column in columns] if has_spaces else columns
    dialect: dict[str, Any] = {"strict": True, "delimiter": separator, "skipinitialspace": has_spaces}

    def rows(chosen: Sequence[str] | None) -> Iterator[tuple[str, dict[str, Any]]]:
        lines = file.lines()
        for _ in range(skipped):
            next(lines)
        found = read_csv(file.path, [], lines, file.name, first_line=skipped + 1, chosen=chosen, **dialect)
        # One column other than the id may have any text.
        is_certain = chosen is None or len(chosen) > 1 or list(chosen) == file.options.dialogue_columns(columns)
        return without_headers(file, found) if len(columns) > 1 and is_certain else found

    if not columns:
        next(rows(None), None)  # raises the error for a missing header
    return Table(f"{file.name}:{skipped + 1}", columns, rows)


def without_headers(
    file: InputFile, rows: Iterable[tuple[str, dict[str, Any]]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Leave out rows that repeat the header, as in files that were joined."""
    for where, row in rows:
        if all(column == value for column, value in row.items()):
            if "repeated headers left out" not in file.remarks:
                file.remarks.append("repeated headers left out")
        else:
            yield where, row


def header(lines: Sequence[str], skipped: int, separator: str) -> list[str]:
    """The names of the columns in the first row that is not empty; an empty list if there is none.

    Args:
        lines: The first lines of the file.
        skipped: The number of lines above the table.
        separator: The character between two columns.
    """
    text = [f"{line}\n" for line in lines[skipped:]]
    try:
        return next((fields for fields in csv.reader(text, delimiter=separator) if fields), [])
    except csv.Error:
        return []


def separator_of(file: InputFile) -> tuple[str, int]:
    """The separator, and the number of lines above the header."""
    found = SEPARATOR_LINE.fullmatch(file.sample[0]) if file.sample else None
    if found:
        return found[1], 1
    usual = ["\t", ",", ";", "|"] if "tsv" in (file.suffix[1:], file.options.input_format) else [",", ";", "\t", "|"]

    def fit(separator: str) -> tuple[int, int]:
        columns = header(file.sample, 0, separator)
        options = file.options.adapted_to(columns)
        needed = {*options.dialogue_columns(columns), options.text_column}
        return len(needed & set(columns)), len(columns)

    best = max(usual, key=fit)
    # Any other mark may separate the columns, if no usual one does.
    others = sorted({mark for line in file.sample[:1] for mark in line if not mark.isalnum() and not mark.isspace()})
    other = max((mark for mark in others if mark not in "\"'_.-"), key=fit, default=best)
    return other if fit(other)[0] > fit(best)[0] else best, 0


def is_separated(file: InputFile) -> bool:
    """Whether text is a table: the first line has known column names, and most others have as many fields."""
    if any(MARKDOWN_RULE.fullmatch(line.strip()) for line in file.sample[:2]):
        return False
    separator, skipped = separator_of(file)
    columns = header(file.sample, skipped, separator)
    options = file.options
    own = {*options.dialogue_columns(columns), options.text_column, options.speaker_column, options.label_column}
    known = {name for name in columns if name in own or name.strip().lower() in USUAL_COLUMNS}
    if len(known) < 2 or any(len(name) > 40 for name in columns):
        return False
    rows = [line.count(separator) for line in file.sample[skipped + 1 :] if line.strip()]
    return not rows or sum(count >= len(columns) - 1 for count in rows) >= 0.5 * len(rows)


def is_row(entry: Any, options: ReadingOptions) -> bool:
    """Whether a JSON entry is an utterance: an object with the text column."""
    return isinstance(entry, dict) and isinstance(entry.get(options.adapted_to(list(entry)).text_column), str)


def is_row_of_dialogue(entry: Any, options: ReadingOptions) -> bool:
    """Whether a JSON entry is an utterance with the id of its dialogue, or does not need one."""
    return is_row(entry, options) and set(options.adapted_to(list(entry)).dialogue_columns(list(entry))) <= entry.keys()


def read_json_rows(file: InputFile, entries: Iterable[tuple[str, Any]]) -> Iterator[Dialogue]:
    """Read JSON with one object per utterance, as pandas writes a table."""
    from .json_files import entries as read_entries

    first = next(iter(entries))

    def rows(chosen: Sequence[str] | None) -> Iterator[tuple[str, dict[str, Any]]]:
        for where, entry in read_entries(file):
            if not isinstance(entry, dict) or any(column not in entry for column in needed):
                raise ValueError(f"{where}: not a row with {', '.join(needed)}; got {str(entry):.60}; add the others")
            yield (
                where,
                {name: entry.get(name) for name in columns}
                if chosen is None
                else {name: entry.get(name) for name in chosen},
            )

    columns = list(dict.fromkeys(name for _, entry in read_entries(file) if isinstance(entry, dict) for name in entry))
    needed = file.options.adapted_to(columns).of_utterances(file.name, columns)
    check_table(Table(first[0], list(first[1]), rows), file.options, file.name)
    yield from read_table(file, Table(first[0], columns, rows))
