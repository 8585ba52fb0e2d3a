"""Reads Parquet in batches of rows. Labels are converted to their names; errors name the file, row or column."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types
from pyarrow.parquet import ParquetFile

from ..tools.console import reason_of
from .limits import Limits, TooLargeError, most_unfolded, too_large
from .parquet_chunks import ColumnChunk, column_chunks
from .thrift import ThriftError

BATCH_SIZE = 250
# The minimum memory for a value, in bytes.
VALUE_BYTES = 4
# In columns with a longer mean value, in bytes, repeated values are kept once.
LONG_VALUE = 1 << 14
IS_LIST = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)
IS_STRING = (types.is_string, types.is_large_string, types.is_string_view)


@contextmanager
def parquet_file(path: Path, as_dictionaries: list[str] | None = None) -> Iterator[ParquetFile]:
    """Open a Parquet file. Damage raises a ValueError, at whatever point it is found.

    Args:
        path: The file.
        as_dictionaries: The columns in which repeated values are kept once in memory.
    """
    # By default, everything that was read stays in memory until the end of the file.
    options = {"read_dictionary": as_dictionaries, "pre_buffer": False, "buffer_size": 1 << 16}
    with named_damage(path), ParquetFile(path, **options) as file:
        yield file


@contextmanager
def named_damage(path: Path) -> Iterator[None]:
    """Raise a ValueError that names the file for an error of Arrow about its content."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError, ThriftError) as error:
        if getattr(error, "errno", None):  # for example, no permission
            raise
        reason = reason_of(error)
        raise ValueError(f"{path}: damaged, or not Parquet; {reason}; write the file again") from None


def read_schema(path: Path) -> pa.Schema:
    """Read the schema of a Parquet file, without its rows."""
    with parquet_file(path) as file:
        return file.schema_arrow


def kind(type: pa.DataType) -> str:
    """The kind of the values in a column, independent of how Arrow stores them, such as `lists of strings`."""
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
    """Raise a ValueError if a column has values of another kind. A column of nulls is always accepted."""
    for column, kinds in allowed.items():
        found = kind(schema.field(column).type)
        if found.removeprefix("lists of ") != "nulls" and found not in kinds:
            needed = " or ".join(sorted(kinds))
            raise ValueError(f"{path}: {column} must contain {needed}; got {found}; cast the column")


def read_parquet(path: Path, columns: list[str], label_column: str, limits: Limits) -> Iterator[tuple[str, dict]]:
    """Yield each row with its place for messages. Label ids become names, or digits if the file has no names."""
    number = 0
    for batch in limited_batches(path, columns, limits):
        if not number:
            names = class_names(path, read_schema(path), label_column) if label_column in columns else None
        with named_damage(path):
            rows = batch.to_pylist()
        for row in rows:
            number += 1
            where = f"{path}, row {number}"
            if label_column in row:
                row[label_column] = label_name(row[label_column], names, where)
            yield where, row


def limited_batches(path: Path, columns: list[str], limits: Limits) -> Iterator[pa.RecordBatch]:
    """Yield batches of rows with some of the columns. Repeated values that are stored once expand within the limits.

    Raises:
        TooLargeError: All rows together, or one batch, expand to more than the limits.
    """
    most = most_unfolded(path.stat().st_size, limits)
    with parquet_file(path) as file:
        schema, groups = file.schema_arrow, column_chunks(path, file.schema, set(columns))
    check_chunks(path, groups, most, limits)
    texts = [chunk for group in groups for chunk in group if chunk.is_text]
    smallest, option = min((most, "max_ratio"), (limits.max_unfolded, "max_unfolded"))
    long = {chunk.path for chunk in texts if may_repeat(chunk, smallest)}
    # Each value may repeat all of the values before it, and a row may have all values of its column.
    if any(chunk.repeats_prefixes and chunk.has_lists and chunk.most_bytes > smallest for chunk in texts):
        raise TooLargeError(f"{path}: {too_large(smallest, option)}")
    # In the worst case, every value of a batch is the longest value of its column.
    short = [chunk for group in groups for chunk in group if chunk.path not in long]
    largest = max((chunk.unfolded for chunk in short), default=0)
    batch_size = min(smallest // max(largest, 1) or 1, BATCH_SIZE)
    size = 0
    with parquet_file(path, sorted(long)) as file:
        for batch in file.iter_batches(batch_size, columns=columns):
            unfolded = sum(map(unfolded_bytes, batch.columns))
            size += unfolded
            for found, limit, option in ((size, most, "max_ratio"), (unfolded, limits.max_unfolded, "max_unfolded")):
                if found > limit:
                    raise TooLargeError(f"{path}: {too_large(limit, option)}")
            fields = [schema.field(name) for name in batch.schema.names]
            yield batch.cast(pa.schema(fields)) if long else batch


def check_chunks(path: Path, groups: list[list[ColumnChunk]], most: int, limits: Limits) -> None:
    """Check what the metadata of a file states, before any row is read.

    Raises:
        TooLargeError: The values, or what is decompressed for them, exceed the limits.
    """
    values = sum(chunk.values for group in groups for chunk in group) * VALUE_BYTES
    sizes = [sum(chunk.unfolded for chunk in group) for group in groups]
    found = (max(values, sum(sizes)), most, "max_ratio"), (max(sizes, default=0), limits.max_unfolded, "max_unfolded")
    for size, limit, option in found:
        if size > limit:
            raise TooLargeError(f"{path}: {too_large(limit, option)}")


def may_repeat(chunk: ColumnChunk, most: int) -> bool:
    """Whether the values of a column may expand to more than `most` bytes, so that repeated ones are kept once.

    A batch has few rows, but a row may have a list of very many values.
    """
    if chunk.repeats_prefixes:  # Arrow cannot keep its values once
        return False
    if chunk.unfolded > LONG_VALUE * chunk.values:
        return True
    return chunk.has_lists and chunk.has_dictionary and chunk.most_bytes > most


def unfolded_bytes(column: pa.Array) -> int:
    """The size of the values of a column in bytes. Repeated texts count each time."""
    while any(is_list(column.type) for is_list in IS_LIST):
        column = column.flatten()
    if types.is_dictionary(column.type) and kind(column.type) == "strings":
        return pc.sum(pc.binary_length(column.dictionary).take(column.indices)).as_py() or 0
    return column.nbytes


def class_names(path: Path, schema: pa.Schema, column: str) -> list[str] | None:
    """The label names that `datasets` wrote into the file, or None. They are read without `datasets`.

    Raises:
        ValueError: The metadata of `datasets` is damaged.
    """
    stored = (schema.metadata or {}).get(b"huggingface")
    if stored is None:
        return None
    try:
        features = (json.loads(stored).get("info") or {}).get("features") or {}
        feature = features.get(column) or {}
        # Of a list, older versions of `datasets` wrote the kind of its values as the only item of a list.
        feature = feature[0] if isinstance(feature, list) else feature.get("feature", feature)
        names = feature.get("names")
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise TypeError(f"the names of {column} are {names!r}")
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        reason = reason_of(error)
        raise ValueError(f"{path}: metadata of `datasets` is damaged; {reason}; write the file again") from None
    return names


def label_name(value: Any, names: list[str] | None, where: str) -> Any:
    """The name of a label, or those of a list of labels. None for -1, which `datasets` writes for no label."""
    if isinstance(value, list):
        return [label_name(entry, names, where) for entry in value]
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if value == -1:
        return None
    if names is None:
        return str(value)
    if not 0 <= value < len(names):
        raise ValueError(f"{where}: label id without a name; got {value}; the file has names for 0 to {len(names) - 1}")
    return names[value]
