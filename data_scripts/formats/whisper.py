"""Reads the tables that Whisper writes as `.tsv`: the start and end of each segment in milliseconds, and its text."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..building.dialogues import Dialogue
from .input_file import InputFile
from .reading import read_csv
from .speech_json import dialogue_of

HEADER = ["start", "end", "text"]
# A table in seconds may have the same columns. Its longest segment is shorter than this.
SHORTEST_LONGEST = 200


def is_whisper(file: InputFile) -> bool:
    """Whether a file has exactly Whisper's columns, separated by tabs, with integers that can be milliseconds."""
    rows = [line.split("\t") for line in file.sample if line.strip()]
    if rows[:1] != [HEADER] or len(rows) == 1:
        return False
    rows = rows[1:]
    is_whole = all(len(row) == 3 and row[0].isdecimal() and row[1].isdecimal() for row in rows)
    return is_whole and max(int(end) - int(start) for start, end, _ in rows) >= SHORTEST_LONGEST


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
    """Yield the segments with their places. Quotation marks are a part of the text.

    Raises:
        ValueError: A time is not an integer.
    """
    for where, row in read_csv(file.path, [], file.lines(), file.name, delimiter="\t", quoting=csv.QUOTE_NONE):
        for column in ("start", "end"):
            if not row[column].isdecimal():
                raise ValueError(
                    f"{where}: {column} is not a number of milliseconds, as in the rows above; got {row[column]!r}; "
                    "write an integer"
                )
        yield where, {"start": int(row["start"]), "end": int(row["end"]), "text": row["text"]}
