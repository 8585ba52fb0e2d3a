"""Reads Parquet: one dialogue per row if the column of utterances has lists, else one utterance per row."""

from collections.abc import Iterator, Sequence
from typing import Any

from ..building.dialogues import Dialogue
from .input_file import InputFile
from .own_form import from_lists
from .parquet import check_kinds, kind, read_parquet, read_schema
from .reading import check_columns
from .tables import Table, check_table, read_table


def read_parquet_dialogues(file: InputFile) -> Iterator[Dialogue]:
    """Yield the dialogues of a Parquet file, with one dialogue or one utterance per row.

    Raises:
        ValueError: A column is missing or has the wrong type, or a value is invalid.
    """
    path = file.path
    schema = read_schema(path)
    requested, options = file.options, file.options.adapted_to(schema.names)
    has_lists = any(
        field.name == options.utterances_column and kind(field.type).startswith("lists") for field in schema
    )
    id_columns = options.dialogue_columns(schema.names)
    allowed = {column: {"strings", "integers"} for column in id_columns}
    if has_lists:
        needed, labels = requested.of_dialogues(path), options.labels_column
        needed = [column for column in needed if column != requested.dialogue_column] + [
            column for column in id_columns if column in schema.names or requested.changed_values("dialogue_column")
        ]
        allowed |= dict.fromkeys([options.utterances_column, options.speakers_column], {"lists of strings"})
        allowed[labels] = {"lists of strings", "lists of integers"}
    else:
        needed, labels = requested.of_utterances(path, schema.names), options.label_column
        allowed[options.text_column] = {"strings"}
        # pandas stores numbers as floats if some or all of them are missing.
        allowed |= dict.fromkeys([options.speaker_column, labels], {"strings", "integers", "floats"})
    allowed = {column: kinds for column, kinds in allowed.items() if column in [*schema.names, *needed]}

    def rows(chosen: Sequence[str] | None) -> Iterator[tuple[str, dict[str, Any]]]:
        return read_parquet(path, schema.names if chosen is None else list(chosen), labels, requested)

    table = Table(file.name, schema.names, rows)
    if has_lists:
        check_columns(path, schema.names, list(allowed))
    else:
        check_table(table, requested, file.name)
    check_kinds(path, schema, allowed)
    if not has_lists:
        yield from read_table(file, table)
        return
    found = rows(
        None if file.keeps_columns else [*allowed, *(name for name in ("starts", "ends") if name in schema.names)]
    )
    for where, row in found:
        yield from_lists(where, row, options, file.keeps_columns)
