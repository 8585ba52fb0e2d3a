"""Detects the encoding of text by its byte-order mark, or else by its content."""

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from .latin_letters import ENCODINGS, unlikely_letters
from .limits import Limits, TooLargeError, limited

# The mark of UTF-32 begins with that of UTF-16.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
WORD = re.compile(rb"[A-Za-z\x80-\xff]+")
WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
CONTROL = re.compile(r"[\x01-\x08\x0e-\x1f]")
HIGH = bytes(range(128, 256))
SAMPLE_BYTES = 1 << 16


# What the bytes of an accented letter, a curly quotation mark or an emoji in UTF-8 are in cp1252.
_SECOND = "[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
DOUBLY_ENCODED = re.compile(rf"[ÂÃ]{_SECOND}|[âï]{_SECOND}{{2}}|ð{_SECOND}{{3}}")


def doubly_encoded(text: str) -> str | None:
    """The first letter that is encoded twice, such as `Ã©`: UTF-8 that was read as cp1252 and saved again."""
    for found in DOUBLY_ENCODED.finditer(text):
        try:
            found[0].encode("cp1252").decode("utf-8")
        except UnicodeError:
            continue
        return found[0]
    return None


def open_binary(path: Path, limits: Limits) -> BinaryIO:
    """Open a file for reading bytes. A .gz file is decompressed, within the limits."""
    if path.suffix.lower() == ".gz":
        return limited(gzip.open(path, "rb"), path.stat().st_size, limits)
    return open(path, "rb")


def unicode_encoding(data: bytes) -> str | None:
    """Detect UTF-8, UTF-16 and UTF-32 by the byte-order mark or by the NUL bytes. Otherwise return None."""
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            return encoding
    data = data[:SAMPLE_BYTES]
    if b"\0" not in data or is_utf8_with_nuls(data):
        return None
    return next((encoding for encoding in WIDE if is_wide(data, encoding)), None)


def is_utf8_with_nuls(data: bytes) -> bool:
    """Whether bytes are UTF-8 with a few stray NULs.

    Text in UTF-16 either is not valid UTF-8, or contains control characters, or consists of NULs to nearly half.
    """
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return not CONTROL.search(text) and data.count(0) < 0.2 * len(data)


def is_wide(data: bytes, encoding: str) -> bool:
    """Whether bytes with NULs are text in an encoding with several bytes per character.

    In such text no character is a NUL, and the byte of a line end or a space is part of that character. In other text
    with stray NULs, it is not.
    """
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return False
    if not text or "\0" in text or CONTROL.search(text):
        return False
    for character in "\n ":
        if count := data.count(character.encode()):
            return text.count(character) > 0.8 * count
    return data.count(0) > 0.4 * len(data)


@contextmanager
def named_damage(name: object) -> Iterator[None]:
    """Name the file in the ValueError for damaged compression or a size beyond the limits."""
    try:
        yield
    except TooLargeError as error:
        raise TooLargeError(f"{name}: {error}") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{name}: damaged gzip file; {error}; compress it again") from None


def encoding_of(path: Path, limits: Limits) -> str:
    """Detect the encoding of a file. The whole file is read.

    Raises:
        ValueError: The compressed file is damaged or too large.
    """
    with named_damage(path), open_binary(path, limits) as file:
        chunk = file.read(SAMPLE_BYTES)
        if found := unicode_encoding(chunk):
            return found
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while chunk:
                decoder.decode(chunk)
                chunk = file.read(1 << 20)
            decoder.decode(b"", final=True)
            return "utf-8"
        except UnicodeDecodeError:
            file.seek(0)
            pieces = iter(partial(file.readline, SAMPLE_BYTES), b"")
            lines = (line for line in pieces if not line.isascii())
            return encoding_by_letters(b"".join(islice(lines, 1000))[: 2 * SAMPLE_BYTES])


def encoding_by_letters(data: bytes) -> str:
    """Detect the encoding of lines that are not valid UTF-8.

    Text in Latin letters has too few other bytes for a detector, which they mislead. Such text is read in the encoding
    whose letters fit a language best, and as cp1252 if several fit.
    """
    text = data.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    if sum(character > "\x7f" for character in text) > 2 * broken:
        return "utf-8"  # with a few invalid bytes, which the reader reports
    words = b"".join(word for word in WORD.findall(data) if not word.isascii() and len(word) > 1)
    if len(words.translate(None, HIGH)) >= len(words) * 0.4:
        fit = [encoding for encoding in ENCODINGS if can_decode(data, encoding)]
        # A few letters may fit the many letters of the Baltic languages by chance.
        chance = {"cp1257": 1}
        return min(fit, key=lambda name: unlikely_letters(data.decode(name)) + chance.get(name, 0), default="latin-1")
    import charset_normalizer

    # Wide encodings were told by their NUL bytes.
    best = charset_normalizer.from_bytes(data, cp_exclusion=["utf_16", "utf_32", *WIDE]).best()
    if best and best.encoding in ("cp1253", "iso8859_7"):
        # They differ in the code of Ά, which is a paragraph sign in the other.
        return "cp1253" if can_decode(data, "cp1253") and "¶" not in data.decode("cp1253") else "iso8859_7"
    return best.encoding if best else "cp1252"


def can_decode(data: bytes, encoding: str) -> bool:
    """Whether bytes are valid in an encoding."""
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
