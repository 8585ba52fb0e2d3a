"""Reads the compact protocol of Thrift, in which Parquet stores its metadata."""

import struct
from typing import Any

# The types of the compact protocol.
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
INTEGERS = (4, 5, 6)
MAX_DEPTH = 32
# A number of 64 bits has ten bytes, with seven bits each.
MAX_NUMBER_BITS = 70
ENDS_EARLY = "metadata ends too early"


class ThriftError(ValueError):
    """Bytes that are no value of the compact protocol."""


class ThriftReader:
    """Reads values from bytes, one after another. Fields need no description: a struct is a dictionary by field id.

    The time is linear in the number of bytes that were read, and a value takes no more than its bytes.

    Args:
        data: The bytes.
    """

    def __init__(self, data: bytes):
        self.data, self.position = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Read a struct.

        Raises:
            ThriftError: The bytes end too early, are nested too deeply, or have an unknown type.
        """
        if depth > MAX_DEPTH:
            raise ThriftError(f"metadata is nested more than {MAX_DEPTH} deep")
        fields: dict[int, Any] = {}
        number = 0
        while header := self.byte():
            kind, difference = header & 15, header >> 4
            number = number + difference if difference else self.integer()
            fields[number] = kind == TRUE if kind in (TRUE, FALSE) else self.value(kind, depth + 1)
        return fields

    def value(self, kind: int, depth: int) -> Any:
        """Read a value that is not a field of the types `TRUE` or `FALSE`."""
        if kind in INTEGERS:
            return self.integer()
        if kind == BINARY:
            return self.bytes(self.number())
        if kind == STRUCT:
            return self.struct(depth)
        if kind in (LIST, SET):
            return self.items(depth)
        if kind == MAP:
            return self.pairs(depth)
        if kind == DOUBLE:
            return struct.unpack("<d", self.bytes(8))[0]
        if kind in (TRUE, FALSE, BYTE):
            return self.byte()
        raise ThriftError(f"metadata has a value of the unknown type {kind}")

    def items(self, depth: int) -> list[Any]:
        """Read the items of a list or a set."""
        header = self.byte()
        size = header >> 4
        if size == 15:
            size = self.number()
        self.check_size(size)
        return [self.value(header & 15, depth + 1) for _ in range(size)]

    def pairs(self, depth: int) -> list[tuple[Any, Any]]:
        """Read the pairs of a map."""
        size = self.number()
        if not size:
            return []
        self.check_size(size)
        kinds = self.byte()
        return [(self.value(kinds >> 4, depth + 1), self.value(kinds & 15, depth + 1)) for _ in range(size)]

    def integer(self) -> int:
        """Read a signed number."""
        number = self.number()
        return (number >> 1) ^ -(number & 1)

    def number(self) -> int:
        """Read an unsigned number."""
        number = place = 0
        while (byte := self.byte()) > 127:
            number |= (byte & 127) << place
            place += 7
            if place == MAX_NUMBER_BITS:
                raise ThriftError("metadata has a number of more than 64 bits")
        return number | byte << place

    def byte(self) -> int:
        """Read a byte."""
        try:
            byte = self.data[self.position]
        except IndexError:
            raise ThriftError(ENDS_EARLY) from None
        self.position += 1
        return byte

    def bytes(self, size: int) -> bytes:
        """Read some bytes."""
        self.check_size(size)
        self.position += size
        return self.data[self.position - size : self.position]

    def check_size(self, size: int) -> None:
        """Check that there are enough bytes for a number of values: each has one or more."""
        if size > len(self.data) - self.position:
            raise ThriftError(ENDS_EARLY)
