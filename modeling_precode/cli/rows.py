"""Converts labeled dialogues to rows for CSV, Parquet and Excel, with one utterance per row.

The rows include the times and the other columns of the input, and are in its order.
"""

import csv
import io
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_scripts.building.dialogues import Dialogue, Utterance

if TYPE_CHECKING:
    import pyarrow as pa

Labeled = Iterable[tuple[Dialogue, list[dict]]]
HEAD = ("dialogue_id", "speaker", "text", "label", "start", "end")
ROWS_AT_ONCE = 10_000
BYTES_AT_ONCE = 1 << 14


def as_csv(labeled: Labeled, labels: Sequence[str], name: str, model: str) -> Iterator[str]:
    """Write one utterance per row under a header. With distributions, each label has a column."""
    rows = in_order(rows_of(labeled))
    first = list(islice(rows, ROWS_AT_ONCE))
    columns = columns_of(first)
    buffer = io.StringIO()
    # All text is quoted, because Python would not quote a text with a single carriage return.
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    if columns:
        writer.writerow(columns)
    for row in chain(first, rows):
        check_columns(row, columns)
        writer.writerow([cell(row.get(column)) for column in columns])
        if buffer.tell() > BYTES_AT_ONCE:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def cell(value: Any) -> Any:
    """A value for a cell: lists, objects and booleans as JSON, None as ""."""
    if type(value) in (str, float, int):
        return value
    if isinstance(value, list | dict | bool):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else value


def write_parquet(path: Path, labeled: Labeled, labels: Sequence[str]) -> None:
    """Write the same rows as Parquet. The first 10,000 rows determine the columns and their types.

    Raises:
        ValueError: A column has values of several types, or a later row has another column.
    """
    import pyarrow as pa
    from pyarrow import parquet

    rows = in_order(rows_of(labeled))
    first = list(islice(rows, ROWS_AT_ONCE))
    columns = columns_of(first)
    schema = pa.schema([(column, type_of([row.get(column) for row in first])) for column in columns])
    with parquet.ParquetWriter(path, schema) as file:
        while first:
            arrays = []
            for field in schema:
                values = [row.get(field.name) for row in first]
                if pa.types.is_string(field.type):
                    values = [
                        value if value is None or isinstance(value, str) else str(cell(value)) for value in values
                    ]
                try:
                    arrays.append(pa.array(values, field.type))
                except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
                    raise ValueError(f"column {field.name}: values of several types; {error}; write .jsonl") from None
            file.write_table(pa.table(arrays, schema=schema))
            first = list(islice(rows, ROWS_AT_ONCE))
            for row in first:
                check_columns(row, columns)


def type_of(values: list[Any]) -> "pa.DataType":
    """The Arrow type that all values share, or else text."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if kinds in ({float}, {int, float}):
        return pa.float64()
    return {bool: pa.bool_(), int: pa.int64()}.get(kinds.pop(), pa.string()) if len(kinds) == 1 else pa.string()


def rows_of(labeled: Labeled) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """Yield the row of each utterance, with its number in the input table; None if the input was no table."""
    for dialogue, turns in labeled:
        for utterance, turn in zip(dialogue.utterances, turns, strict=True):
            yield utterance.row, row_of(dialogue, utterance, turn)


def row_of(dialogue: Dialogue, utterance: Utterance, turn: dict) -> dict[str, Any]:
    """The row of an utterance: the columns of the input, and the prediction.

    A column of the input that has the name of one of the output's own gets ` (input)` after its name.
    """
    row = {"dialogue_id": dialogue.dialogue_id, "speaker": turn.get("speaker", ""), "text": turn["text"]}
    row["label"] = utterance.label or ""
    for name, time in (("start", utterance.start), ("end", utterance.end)):
        if time is not None:
            row[name] = time
    others = (dialogue.extra or {}) | (utterance.extra or {})
    predicted: dict[str, Any] = {"prediction": turn["label"], "score": round(turn["score"], 6)}
    if "known_words" in turn:
        predicted["known_words"] = round(turn["known_words"], 6)
    for label, share in turn.get("distribution", {}).items():
        predicted[f"probability of {label}"] = round(share, 6)
    # What an earlier run predicted may be of another model.
    is_earlier = others.keys() >= {"prediction", "score"}
    for name, value in others.items():
        if not (is_earlier and is_predicted(name)):
            row[input_name(name, (*HEAD, *predicted))] = value
    return row | predicted


def input_name(column: str, own: Collection[str]) -> str:
    """The name of a column of the input in the output, whose `own` columns have other values."""
    return f"{column} (input)" if column in own else column


def is_predicted(column: str) -> bool:
    """Whether a column of an output is predicted."""
    return column in ("prediction", "score", "known_words") or column.startswith("probability of ")


def in_order(rows: Iterable[tuple[int | None, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Yield the rows in the order of their file. Rows that come too early are kept on disk."""
    following = waiting = 0
    # SQLite keeps a database without a name in memory while it is small, and otherwise in a temporary file.
    with closing(sqlite3.connect("")) as database:
        database.execute("CREATE TABLE waiting (number INTEGER PRIMARY KEY, content TEXT)")
        for number, row in rows:
            if number is None:
                yield row
                continue
            if number != following:
                database.execute("INSERT INTO waiting VALUES (?, ?)", (number, json.dumps(row)))
                waiting += 1
                continue
            yield row
            following += 1
            find = "SELECT content FROM waiting WHERE number = ?"
            while waiting and (found := database.execute(find, (following,)).fetchone()):
                yield json.loads(found[0])
                following += 1
                waiting -= 1
        rest = database.execute("SELECT content FROM waiting WHERE number >= ? ORDER BY number", (following,))
        yield from (json.loads(content) for (content,) in rest)


def columns_of(rows: Iterable[dict[str, Any]]) -> list[str]:
    """All columns. The predicted ones come last."""
    found = dict.fromkeys(name for row in rows for name in row)
    predicted = [name for name in found if is_predicted(name)]
    others = [name for name in found if name not in HEAD and name not in predicted]
    return [*(name for name in HEAD if name in found), *others, *predicted]


def check_columns(row: dict[str, Any], columns: Sequence[str]) -> None:
    """Raise a ValueError if a row has a column that is not in `columns`."""
    if missing := [name for name in row if name not in columns]:
        raise ValueError(
            f"a column that the first {ROWS_AT_ONCE:,} rows do not have; got {missing[0]!r} in dialogue "
            f"{row['dialogue_id']!r}; write .jsonl"
        )
