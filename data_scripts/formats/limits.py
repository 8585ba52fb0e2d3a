"""Limits for input files: the size after decompression, the number of files in an archive, the length of a line, the
depth of nested elements, and the time for reading."""

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, BinaryIO, TypeVar, cast

Item = TypeVar("Item")

# Up to this size, the ratio is not limited: short files may be very repetitive.
FREE_BYTES = 1 << 20
BUFFER_BYTES = 1 << 15


class TooLargeError(ValueError):
    """A file is larger than its reader accepts."""


@dataclass
class Limits:
    """The limits for a file from an untrusted source.

    Args:
        max_unfolded: The maximum size of a compressed file after decompression, in bytes; 1 GiB by default.
        max_ratio: The maximum ratio of the decompressed size to the compressed size; 200 by default. Up to 1 MiB, any
            ratio is accepted.
        max_line: The maximum length of a line of text, in bytes; 64 MiB by default.
        max_members: The maximum number of files in an archive; 524,288 by default.
        max_depth: The maximum depth of nested elements in XML; 100 by default.
        max_seconds: The maximum time for reading a file, in seconds; 3,600 by default. The time that the caller takes
            between two dialogues does not count.
    """

    max_unfolded: int = 1 << 30
    max_ratio: int = 200
    max_line: int = 1 << 26
    max_members: int = 1 << 19
    max_depth: int = 100
    max_seconds: int = 3600

    def check_limits(self) -> None:
        """Check the limits.

        Raises:
            ValueError: A limit is not a whole number of 1 or more.
        """
        for name in (field.name for field in fields(Limits)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"option {name} must be a whole number of 1 or more; got {value!r}")


def limited(file: Any, packed: int, limits: Limits, is_streamed: bool = False) -> BinaryIO:
    """Wrap a file so that reading beyond the limits raises a [`TooLargeError`].

    Args:
        file: The decompressed file.
        packed: The size of the compressed file in bytes.
        limits: The limits.
        is_streamed: Whether only a part of the file is in memory at a time. Then only the ratio is limited.
    """
    most, option = most_unfolded(packed, limits), "max_ratio"
    if limits.max_unfolded < most and not is_streamed:
        most, option = limits.max_unfolded, "max_unfolded"
    return cast(BinaryIO, io.BufferedReader(LimitedFile(file, most, option), BUFFER_BYTES))


class LimitedFile(io.RawIOBase):
    """A binary file that raises a [`TooLargeError`] after `most` bytes. `option` is the name of the limit."""

    def __init__(self, file: Any, most: int, option: str):
        self.file, self.most, self.option = file, most, option

    def readable(self) -> bool:
        """Always True."""
        return True

    def seekable(self) -> bool:
        """Whether the wrapped file is seekable."""
        return self.file.seekable()

    def readinto(self, buffer: Any) -> int:
        """Read bytes into a buffer. Raises a [`TooLargeError`] beyond the limit."""
        data = self.file.read(min(len(buffer), BUFFER_BYTES))
        if self.file.tell() > self.most:
            raise TooLargeError(too_large(self.most, self.option))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position in the decompressed file."""
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """The position in the decompressed file."""
        return self.file.tell()

    def close(self) -> None:
        """Close the wrapped file as well."""
        self.file.close()
        super().close()


def most_unfolded(packed: int, limits: Limits) -> int:
    """The number of bytes that a compressed file of `packed` bytes may decompress to, by its ratio."""
    return max(limits.max_ratio * packed, FREE_BYTES)


def too_large(most: int, option: str) -> str:
    """The error message for a file that decompresses to more than the limit.

    Args:
        most: The limit, in bytes.
        option: The name of the option that sets it.
    """
    return f"expands to more than {most:,} bytes, the limit set by {option}; if you trust the file, increase {option}"


def check_members(archive: object, count: int, limits: Limits) -> None:
    """Check the number of files in an archive.

    Args:
        archive: The name of the archive.
        count: The number of its files and folders.
        limits: The limits.

    Raises:
        TooLargeError: There are more than `max_members`.
    """
    if count > limits.max_members:
        raise TooLargeError(
            f"{archive}: has more than {limits.max_members:,} files, the limit set by max_members; if you trust the "
            "archive, increase max_members"
        )


def limited_time(items: Iterator[Item], limits: Limits, name: str | None = None) -> Iterator[Item]:
    """Yield the items of a reader. Its time is checked after each of them.

    Args:
        items: What the reader yields.
        limits: The limits.
        name: The name of the file, for an error that is not caught.

    Raises:
        TooLargeError: The reader took more than `max_seconds`.
    """
    seconds = 0.0
    while True:
        start = time.monotonic()
        try:
            item = next(items)
        except StopIteration:
            return
        seconds += time.monotonic() - start
        if seconds > limits.max_seconds:
            where = f"{name}: " if name else ""
            raise TooLargeError(
                f"{where}takes more than {limits.max_seconds:,} seconds to read, the limit set by max_seconds; if you "
                "trust the file, increase max_seconds"
            )
        yield item


def limited_lines(file: Any, limits: Limits) -> Iterator[Any]:
    """Yield the lines of a file, bytes or text, within the limits.

    Raises:
        TooLargeError: A line is longer than `max_line`.
    """
    for number, line in enumerate(iter(partial(file.readline, limits.max_line + 1), file.read(0)), start=1):
        if len(line) > limits.max_line:
            raise TooLargeError(
                f"line {number:,} is longer than {limits.max_line:,}, the limit set by max_line; "
                "if you trust the file, increase max_line"
            )
        yield line
