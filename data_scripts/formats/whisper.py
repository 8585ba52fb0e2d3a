"""Reads the tables of Whisper (`.tsv`) and whisper.cpp (`.csv`): segments with a start and an end in milliseconds."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..building.dialogues import Dialogue
from .input_file import InputFile
from .reading import read_csv
from .speech_json import dialogue_of

# The headers, and how the rows below them are written: in a `.tsv`, quotation marks are a part of the text.
TSV: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
DIALECTS: dict[str, dict[str, Any]] = {"start\tend\ttext": TSV, "start,end,text": {}, "start,end,speaker,text": {}}
# A table in seconds may have the same columns. Its longest segment is shorter than this.
SHORTEST_LONGEST = 200


def is_whisper(file: InputFile) -> bool:
    """Whether a file has exactly the columns of such a table, with integers that can be milliseconds."""
    lines = [line for line in file.sample if line.strip()]
    dialect = DIALECTS.get(lines[0]) if lines else None
    if dialect is None or len(lines) == 1:
        return False
    try:
        header, *rows = csv.reader(lines, **dialect)
    except csv.Error:
        return False  # the reader of tables names what is wrong
    is_whole = all(len(row) == len(header) and row[0].isdecimal() and row[1].isdecimal() for row in rows)
    return is_whole and max(int(end) - int(start) for start, end, *_ in rows) >= SHORTEST_LONGEST


def read_whisper(file: InputFile) -> Iterator[Dialogue]:
    """Read one dialogue, or with `rows=dialogue` one per segment. Sounds such as `[Music]` are left out."""
    rows = file.options.rows
    file.options = replace(file.options, rows="")
    for dialogue in dialogue_of(file, segments(file), 1000):
        if rows == "dialogue":
            yield from (Dialogue("", [turn]) for turn in dialogue.utterances)
        else:
            yield dialogue


def segments(file: InputFile) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the segments with their places.

    Raises:
        ValueError: A time is not an integer.
    """
    dialect = DIALECTS[next(line for line in file.sample if line.strip())]
    for where, row in read_csv(file.path, [], file.lines(), file.name, **dialect):
        for column in ("start", "end"):
            if not row[column].isdecimal():
                raise ValueError(
                    f"{where}: {column} is not a number of milliseconds, as in the rows above; got {row[column]!r}; "
                    "write an integer"
                )
        yield where, {**row, "start": int(row["start"]), "end": int(row["end"])}
