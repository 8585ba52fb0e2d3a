"""Reading Parquet: a batch of rows at a time, labels by their names, errors that name the file, row or column."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types
from pyarrow.parquet import ParquetFile

from .limits import Limits, TooLargeError, most_unfolded, too_large

BATCH_SIZE = 250
# What a value takes in memory at least, in bytes.
VALUE_BYTES = 4
# Mean bytes of a column's values from which on repeated values are kept once.
LONG_VALUE = 1 << 14
IS_LIST = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)
IS_STRING = (types.is_string, types.is_large_string, types.is_string_view)


@contextmanager
def parquet_file(path: Path, as_dictionaries: list[str] | None = None) -> Iterator[ParquetFile]:
    """Open a Parquet file. A damaged one raises a ValueError wherever the damage shows.

    Args:
        as_dictionaries: the paths of columns whose repeated values are kept once.
    """
    try:
        # By default all that was read of a file stays in memory until its end.
        with ParquetFile(path, read_dictionary=as_dictionaries, pre_buffer=False, buffer_size=1 << 16) as file:
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if getattr(error, "errno", None):  # no permission, say
            raise
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: broken, or no Parquet; {reason}; write the file again") from None


def read_schema(path: Path) -> pa.Schema:
    """Read the schema of a Parquet file, without its rows."""
    with parquet_file(path) as file:
        return file.schema_arrow


def kind(type: pa.DataType) -> str:
    """The kind of values in a column, however Arrow stores them."""
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
            raise ValueError(f"{path}: {column} must hold {' or '.join(sorted(kinds))}; got {found}; cast the column")


def read_parquet(path: Path, columns: list[str], label_column: str, limits: Limits) -> Iterator[tuple[str, dict]]:
    """Yield each row with its place. Labels stored as numbers become their names, or else their digits."""
    number = 0
    for batch in limited_batches(path, columns, limits):
        if not number:
            names = class_names(path, read_schema(path), label_column) if label_column in columns else None
        for row in batch.to_pylist():
            number += 1
            where = f"{path}, row {number}"
            if label_column in row:
                row[label_column] = label_name(row[label_column], names, where)
            yield where, row


def limited_batches(path: Path, columns: list[str], limits: Limits) -> Iterator[pa.RecordBatch]:
    """Yield the rows of some columns. Values that are stored once and repeated unfold only within the limits.

    Raises:
        TooLargeError: the rows unfold to more than `limits` allow, all of them or a batch.
    """
    most = most_unfolded(path.stat().st_size, limits)
    with parquet_file(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        chunks = [group.column(index) for group in groups for index in range(metadata.num_columns)]
    chunks = [chunk for chunk in chunks if chunk.path_in_schema.partition(".")[0] in columns]
    if sum(chunk.num_values for chunk in chunks) * VALUE_BYTES > most:
        raise TooLargeError(f"{path}: {too_large(most, 'max_ratio')}")
    texts = [chunk for chunk in chunks if chunk.physical_type == "BYTE_ARRAY"]
    long = {chunk.path_in_schema for chunk in texts if chunk.total_uncompressed_size > LONG_VALUE * chunk.num_values}
    # Every value of a batch may be the longest one of its column, which is stored once.
    largest = max((chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema not in long), default=0)
    batch_size = min(limits.max_unfolded // max(largest, 1) or 1, BATCH_SIZE)
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


def unfolded_bytes(column: pa.Array) -> int:
    """The number of bytes of a column's values. Repeated texts count each time."""
    while any(is_list(column.type) for is_list in IS_LIST):
        column = column.flatten()
    if types.is_dictionary(column.type) and kind(column.type) == "strings":
        return pc.sum(pc.binary_length(column.dictionary).take(column.indices)).as_py() or 0
    return column.nbytes


def class_names(path: Path, schema: pa.Schema, column: str) -> list[str] | None:
    """The label names that `datasets` wrote into the file, if it did."""
    try:
        part = pa.schema([schema.field(column)], metadata=schema.metadata)
        feature = datasets.Features.from_arrow_schema(part)[column]
    except Exception as error:  # the metadata is JSON of any shape, which `datasets` does not check
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: metadata of `datasets` is broken; {reason}; write the file again") from None
    return getattr(getattr(feature, "feature", feature), "names", None)


def label_name(value: Any, names: list[str] | None, where: str) -> Any:
    """The name of a label or of a list of labels. `datasets` writes -1 for no label."""
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
