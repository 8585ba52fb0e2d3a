"""Reading Parquet: a batch of rows at a time, labels by their names, errors that name the file, row or column."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from pyarrow import types
from pyarrow.parquet import ParquetFile

BATCH_SIZE = 250
IS_LIST = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)
IS_STRING = (types.is_string, types.is_large_string, types.is_string_view)


@contextmanager
def parquet_file(path: Path) -> Iterator[ParquetFile]:
    """ValueError where it is broken or no Parquet, at whichever point that shows."""
    try:
        # By default all that was read of a file stays in memory until its end.
        with ParquetFile(path, pre_buffer=False, buffer_size=1 << 16) as file:
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if getattr(error, "errno", None):  # no permission, say
            raise
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: broken, or no Parquet; {reason}; write the file again") from None


def read_schema(path: Path) -> pa.Schema:
    with parquet_file(path) as file:
        return file.schema_arrow


def kind(type: pa.DataType) -> str:
    """What a column holds, however Arrow stores it."""
    if types.is_dictionary(type):
        return kind(type.value_type)
    if any(is_list(type) for is_list in IS_LIST):
        return f"lists of {kind(type.value_type)}"
    if any(is_string(type) for is_string in IS_STRING):
        return "strings"
    if types.is_integer(type):
        return "integers"
    if types.is_floating(type):
        return "floats"
    return "nulls" if types.is_null(type) else f"values of the type {' '.join(str(type).split())}"


def check_kinds(path: Path, schema: pa.Schema, allowed: dict[str, set[str]]) -> None:
    """ValueError where a column holds something else; one that is all null fits everywhere."""
    for column, kinds in allowed.items():
        found = kind(schema.field(column).type)
        if found.removeprefix("lists of ") != "nulls" and found not in kinds:
            raise ValueError(f"{path}: {column} must hold {' or '.join(sorted(kinds))}; got {found}; cast the column")


def read_parquet(path: Path, columns: list[str], label_column: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with its place. Labels that are stored as numbers become their names, or else the number's digits."""
    with parquet_file(path) as file:
        names = class_names(path, file.schema_arrow, label_column) if label_column in columns else None
        number = 0
        for batch in file.iter_batches(BATCH_SIZE, columns=columns):
            for row in batch.to_pylist():
                number += 1
                where = f"{path}, row {number}"
                if label_column in row:
                    row[label_column] = label_name(row[label_column], names, where)
                yield where, row


def class_names(path: Path, schema: pa.Schema, column: str) -> list[str] | None:
    """The names that `datasets` wrote into the file, if it did."""
    try:
        part = pa.schema([schema.field(column)], metadata=schema.metadata)
        feature = datasets.Features.from_arrow_schema(part)[column]
    except Exception as error:  # what stands there is JSON of any shape, and is built on unchecked
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: metadata of `datasets` is broken; {reason}; write the file again") from None
    return getattr(getattr(feature, "feature", feature), "names", None)


def label_name(value: Any, names: list[str] | None, where: str) -> Any:
    """Of one label or a list of them. `datasets` writes -1 for no label."""
    if isinstance(value, list):
        return [label_name(entry, names, where) for entry in value]
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if value == -1:
        return None
    if names is None:
        return str(value)
    if not 0 <= value < len(names):
        raise ValueError(f"{where}: label without a name; got {value}; the file names 0 to {len(names) - 1}")
    return names[value]
