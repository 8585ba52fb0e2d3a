"""How much a reader accepts: the bytes that a compressed file unfolds to, and the length of a line."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, cast

# Short files may repeat themselves as often as they like.
FREE_BYTES = 1 << 20
BUFFER_BYTES = 1 << 15


class TooLargeError(ValueError):
    """A file is larger than its reader accepts."""


@dataclass
class Limits:
    """The limits for a file from an untrusted source.

    Args:
        max_unfolded: bytes of a compressed file, after it is unfolded.
        max_ratio: how many times its own size a compressed file may unfold to; always at least 1 MiB.
        max_line: bytes of a line of text.
    """

    max_unfolded: int = 1 << 30
    max_ratio: int = 200
    max_line: int = 1 << 26

    def check_limits(self) -> None:
        for name in ("max_unfolded", "max_ratio", "max_line"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"option {name} must be a whole number of 1 or more; got {value!r}")


def limited(file: Any, packed: int, limits: Limits, is_streamed: bool = False) -> BinaryIO:
    """Wrap a file so that reading beyond `limits` raises a [`TooLargeError`].

    Args:
        file: the unfolded bytes.
        packed: bytes of the compressed file.
        is_streamed: whether little of the file is in memory at a time, so that its ratio alone is limited.
    """
    most, option = most_unfolded(packed, limits), "max_ratio"
    if limits.max_unfolded < most and not is_streamed:
        most, option = limits.max_unfolded, "max_unfolded"
    return cast(BinaryIO, io.BufferedReader(LimitedFile(file, most, option), BUFFER_BYTES))


class LimitedFile(io.RawIOBase):
    """The bytes of a file up to a limit, which an option sets."""

    def __init__(self, file: Any, most: int, option: str):
        self.file, self.most, self.option = file, most, option

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self.file.seekable()

    def readinto(self, buffer: Any) -> int:
        data = self.file.read(min(len(buffer), BUFFER_BYTES))
        if self.file.tell() > self.most:
            raise TooLargeError(too_large(self.most, self.option))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def close(self) -> None:
        self.file.close()
        super().close()


def most_unfolded(packed: int, limits: Limits) -> int:
    """The number of bytes that a compressed file may unfold to by its ratio."""
    return max(limits.max_ratio * packed, FREE_BYTES)


def too_large(most: int, option: str) -> str:
    """The message about a file that unpacks to more than the limit.

    Args:
        most: The limit, in bytes.
        option: The name of the option that sets it.
    """
    return f"unfolds to more than {most:,} bytes, the limit of {option}; if it is a good file, raise {option}"


def limited_lines(file: Any, limits: Limits) -> Iterator[Any]:
    """Yield the lines of a file, bytes or text, within the limits.

    Raises:
        TooLargeError: a line is longer than `max_line`.
    """
    for number, line in enumerate(iter(partial(file.readline, limits.max_line + 1), file.read(0)), start=1):
        if len(line) > limits.max_line:
            raise TooLargeError(
                f"line {number:,} is longer than {limits.max_line:,}, the limit of max_line; "
                "if it is a good file, raise max_line"
            )
        yield line
