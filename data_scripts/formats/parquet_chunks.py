"""Reads how large the columns of a Parquet file are, from its footer and from the header of every page.

Arrow reads the same metadata, but some damage to it ends the process instead of raising an error, and Arrow
decompresses a page before it compares its size with the footer.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from pyarrow.parquet import ParquetSchema

from .thrift import ThriftError, ThriftReader

END = b"PAR1"
# The size of the end of a file: the size of the footer, and the mark.
END_BYTES = 8
# The first guess for the size of the header of a page, in bytes, and the largest, which is that of Arrow.
HEADER_BYTES, MAX_HEADER_BYTES = 1 << 8, 1 << 24
# Encodings by their numbers in Parquet's format.
DICTIONARIES, DELTA_BYTE_ARRAY = {2, 8}, 7
# The fields of a footer.
ROW_GROUPS, COLUMNS, METADATA = 4, 1, 3
ENCODINGS, NUM_VALUES, UNFOLDED, PACKED, DATA_OFFSET, DICTIONARY_OFFSET = 2, 5, 6, 7, 9, 11
# The fields of the header of a page. Each kind of page has a header of its own, whose first field is the number of
# values; the field of its encoding depends on the kind.
PAGE_UNFOLDED, PAGE_PACKED = 2, 3
PAGE_KINDS = {5: 2, 7: 2, 8: 4}


@dataclass
class ColumnChunk:
    """The values of a column in a row group.

    Args:
        path: The name of the column in the schema, such as `utterances.list.element`.
        is_text: Whether the values are strings.
        has_lists: Whether the rows are lists.
        values: The number of values, the larger of what the footer and the pages state.
        unfolded: The size of the values in bytes, decompressed, the larger of what the footer and the pages state.
        encodings: The numbers of the encodings.
    """

    path: str
    is_text: bool
    has_lists: bool
    values: int
    unfolded: int
    encodings: set[int] = field(default_factory=set)

    @property
    def has_dictionary(self) -> bool:
        """Whether a value is stored once for many rows."""
        return not self.encodings.isdisjoint(DICTIONARIES)

    @property
    def repeats_prefixes(self) -> bool:
        """Whether a value may be stored as its difference from the value before it."""
        return DELTA_BYTE_ARRAY in self.encodings

    @property
    def most_bytes(self) -> int:
        """The size in bytes if each of the values were as long as all stored values together."""
        return self.unfolded * self.values


def column_chunks(path: Path, schema: ParquetSchema, columns: set[str]) -> list[list[ColumnChunk]]:
    """Read the chunks of some columns in each row group.

    Args:
        path: The file.
        schema: Its schema.
        columns: The names of the columns, without the levels of lists.

    Raises:
        ThriftError: The metadata is damaged.
    """
    stated = [schema.column(index) for index in range(len(schema))]
    with open(path, "rb", buffering=0) as file:  # the headers are far from each other
        size = os.fstat(file.fileno()).st_size
        groups = []
        for group in _items(_footer(file, size), ROW_GROUPS):
            chunks = _items(group, COLUMNS)
            if len(chunks) != len(stated):
                raise ThriftError(f"a row group has {len(chunks)} columns, and the schema has {len(stated)}")
            groups.append(
                [
                    _chunk(file, size, chunk, column)
                    for chunk, column in zip(chunks, stated, strict=True)
                    if column.path.partition(".")[0] in columns
                ]
            )
    return groups


def _footer(file: BinaryIO, size: int) -> dict[int, Any]:
    file.seek(max(size - END_BYTES, 0))
    end = file.read(END_BYTES)
    start = size - END_BYTES - int.from_bytes(end[:4], "little")
    if end[4:] != END or start < 0:
        raise ThriftError("the footer is missing")
    file.seek(start)
    return ThriftReader(file.read(size - END_BYTES - start)).struct()


def _chunk(file: BinaryIO, size: int, chunk: Any, column: Any) -> ColumnChunk:
    metadata = chunk.get(METADATA) if isinstance(chunk, dict) else None
    if not isinstance(metadata, dict):
        raise ThriftError(f"the column {column.path} has no metadata")
    has_lists, is_text = column.max_repetition_level > 0, column.physical_type == "BYTE_ARRAY"
    values, unfolded = _number(metadata, NUM_VALUES), _number(metadata, UNFOLDED)
    found = ColumnChunk(column.path, is_text, has_lists, values, unfolded, {*_items(metadata, ENCODINGS)})
    values, unfolded = 0, 0
    for header, header_bytes in _page_headers(file, size, metadata):
        unfolded += header_bytes + _number(header, PAGE_UNFOLDED)
        for kind, encoding in PAGE_KINDS.items():
            if isinstance(header.get(kind), dict):
                values += _number(header[kind], 1)
                found.encodings.add(_number(header[kind], encoding))
    found.values, found.unfolded = max(found.values, values), max(found.unfolded, unfolded)
    return found


def _page_headers(file: BinaryIO, size: int, metadata: dict[int, Any]) -> Iterator[tuple[dict[int, Any], int]]:
    """Yield the header of each page of a column, and the size of the header in bytes."""
    position = _number(metadata, DATA_OFFSET)
    if not position and not _number(metadata, NUM_VALUES):
        return  # Arrow writes a table without rows as a row group without pages of data
    if 0 < _number(metadata, DICTIONARY_OFFSET, 0) < position:
        position = metadata[DICTIONARY_OFFSET]
    end = min(position + _number(metadata, PACKED), size)
    while position < end:
        header, header_bytes = _page_header(file, position, end)
        yield header, header_bytes
        position += header_bytes + _number(header, PAGE_PACKED)


def _page_header(file: BinaryIO, position: int, end: int) -> tuple[dict[int, Any], int]:
    """The header at a position, and its size in bytes."""
    guess = HEADER_BYTES
    while True:
        file.seek(position)
        reader = ThriftReader(file.read(min(guess, end - position)))
        try:
            return reader.struct(), reader.position
        except ThriftError:
            if guess >= min(MAX_HEADER_BYTES, end - position):
                raise
        guess *= 16


def _number(fields: dict[int, Any], name: int, default: int | None = None) -> int:
    """A number of 0 or more."""
    value = fields.get(name, default)
    if not isinstance(value, int) or value < 0:
        raise ThriftError(f"a size in the metadata is {value!r}")
    return value


def _items(fields: dict[int, Any], name: int) -> list[Any]:
    items = fields.get(name, [])
    if not isinstance(items, list) or not all(isinstance(item, int | dict) for item in items):
        raise ThriftError("the metadata has a value of a wrong type")
    return items
