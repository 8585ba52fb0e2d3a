"""Pre-trained word vectors from GloVe, fastText or word2vec files as the embedding matrix of a vocabulary."""

from __future__ import annotations

import codecs
import gzip
import io
import math
import os
import re
import statistics
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import numpy as np
from tqdm import tqdm

_BLOCK = 1 << 20
_HEADER = re.compile(rb"(\d+) (\d+)\s*")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)


def load_word_vectors(
    path: str | os.PathLike, vocabulary: Mapping[str, int], dim: int | None = None, seed: int = 0
) -> tuple[np.ndarray, int]:
    """Read the vectors of a vocabulary's words from a file of pre-trained word vectors.

    The file is GloVe text, text under a `count dim` header (fastText, word2vec) or word2vec binary, plain or inside a
    .gz or a .zip of one file; its content tells which, not its name. It is streamed: only the vocabulary's words are
    parsed and kept.

    As in the original, each vector found is scaled to unit L2 norm, every other word gets a vector from
    uniform(-0.01, 0.01), and padding, which is id 0, is zero. The random vectors of all ids are drawn first, found or
    not, so that a word's random vector follows from `seed`, its id and the size of a vector alone. Words match
    exactly, upper case included; where a word comes twice, the first counts. A vector of zeros has no direction and
    counts as none.

    Args:
        path: the file.
        vocabulary: the id of each word; the ids are 0 (padding) to `len(vocabulary) - 1`.
        dim: numbers in a vector that the model wants; None takes what the file has.
        seed: of the random vectors.

    Returns:
        The float32 matrix (len(vocabulary), dim), and the coverage: how many words, padding aside, the file has.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty, damaged or in another format, its vectors have another size than `dim`, a line
            is no word vector, no word of the vocabulary is in it; or the ids have gaps.
    """
    path = Path(path)
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise ValueError(f"The ids of the {len(vocabulary)} vocabulary words must be 0 to {len(vocabulary) - 1}.")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the path of a GloVe or word2vec file.")
    missing = {word.encode(): row for word, row in vocabulary.items() if row != 0}

    with ExitStack() as stack:
        raw = stack.enter_context(open(path, "rb"))
        # disable=None: no bar unless stderr is a terminal
        progress = tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc=path.name, disable=None)
        stack.enter_context(progress)
        try:
            stream = stack.enter_context(_unpack(raw, path))
            count, file_dim, is_text = _detect_format(stream, path)
            if dim is not None and dim != file_dim:
                raise ValueError(
                    f"{path}: file has vectors of {file_dim} numbers, the model wants {dim}: "
                    f"pass --word_vector_size {file_dim}"
                )
            matrix = np.random.default_rng(seed).random((len(vocabulary), file_dim), dtype=np.float32)
            matrix = (matrix - np.float32(0.5)) * np.float32(0.02)
            matrix[:1] = 0

            if is_text or count is None:
                records = _text_records(stream, count, file_dim, path)
            else:
                records = _binary_records(stream, count, file_dim, path)
            for number, (where, word, values) in enumerate(records):
                if number % 1000 == 0:
                    progress.update(raw.tell() - progress.n)
                if word not in missing:
                    continue
                vector = _parse_text(values, f"{path}, {where}") if is_text else np.frombuffer(values, "<f4")
                norm = math.sqrt(np.square(vector, dtype=np.float64).sum())
                if not math.isfinite(norm):
                    raise ValueError(f"{path}, {where}: {word.decode()!r} has a NaN or infinity; fetch the file again")
                if norm > 0:
                    matrix[missing.pop(word)] = vector / norm
            progress.update(raw.tell() - progress.n)
        except _DAMAGED as error:
            raise ValueError(f"{path}: damaged or cut short ({error}); fetch the file again") from error

    coverage = len(vocabulary) - 1 - len(missing)
    if coverage <= 0:
        words = ", ".join(repr(word.decode()) for word in list(missing)[:3])
        raise ValueError(
            f"{path}: has none of the {len(missing)} vocabulary words ({words}, ...): wrong language or case?"
        )
    return matrix, coverage


def _unpack(raw: io.BufferedReader, path: Path) -> io.BufferedReader:
    """The content of a plain, gzip or zip file, read in large blocks."""
    magic = raw.read(4)
    raw.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return io.BufferedReader(gzip.GzipFile(fileobj=raw), _BLOCK)
    if magic.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        archive = zipfile.ZipFile(raw)
        members = [member.filename for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise ValueError(f"{path}: holds {len(members)} files ({', '.join(members)}): unpack it and pass one")
        return io.BufferedReader(cast(zipfile.ZipExtFile, archive.open(members[0])), _BLOCK)
    return io.BufferedReader(raw, _BLOCK)


def _detect_format(stream: io.BufferedReader, path: Path) -> tuple[int | None, int, bool]:
    """Vectors that the header promises (None without one), numbers in a vector, and whether the format is text.

    Leaves the stream behind the header.
    """
    head = stream.peek(_BLOCK)
    if not head.strip():
        raise ValueError(f"{path}: is empty; fetch the file again")
    first, _, rest = head.partition(b"\n")
    header = _HEADER.fullmatch(first)
    if header:
        count, dim = int(header[1]), int(header[2])
        stream.readline()
        # the first vectors of a binary file hold a control character or break UTF-8
        is_text = _is_text(rest[: max(4 * dim, 256)])
    else:
        # most of the first lines decide: one may be broken, or its word have spaces and digits
        lines = [line for line in head.split(b"\n", 20)[:20] if line.strip()]
        count, dim, is_text = None, statistics.mode(map(_trailing_numbers, lines or [b""])), True
    if dim == 0:
        raise ValueError(f"{path}: is neither GloVe text nor a word2vec file")
    return count, dim, is_text


def _text_records(
    stream: io.BufferedReader, count: int | None, dim: int, path: Path
) -> Iterator[tuple[str, bytes, bytes]]:
    """(place in the file, word, its numbers as text) of each line."""
    found = 0
    for number, line in enumerate(stream, 1 if count is None else 2):
        line = line.rstrip()
        if not line:
            continue
        spaces = line.count(b" ")
        word, _, values = line.partition(b" ")
        if spaces != dim:
            word = line.rsplit(b" ", dim)[0]  # a word may have spaces (GloVe 840B)
            values = line[len(word) + 1 :]
            if spaces < dim or all(map(_is_number, word.split(b" ")[1:])):
                raise ValueError(
                    f"{path}, line {number}: {word[:50].decode(errors='replace')!r} has {spaces} numbers, "
                    f"the other lines have {dim}: mend the line or fetch the file again"
                )
        yield f"line {number}", word, values
        found += 1
    _check_complete(path, found, count)


def _binary_records(stream: io.BufferedReader, count: int, dim: int, path: Path) -> Iterator[tuple[str, bytes, bytes]]:
    """(place in the file, word, its numbers as little-endian float32) of each vector."""
    size = 4 * dim
    block, start = b"", 0
    for number in range(count):
        space = block.find(b" ", start)
        if space < 0 or space + 1 + size > len(block):
            block, start = block[start:] + stream.read(_BLOCK), 0
            space = block.find(b" ")
            if space < 0 or space + 1 + size > len(block):
                _check_complete(path, number, count)
        end = space + 1 + size
        # some writers end a vector with a line break
        yield f"vector {number + 1}", block[start:space].lstrip(b"\n"), block[space + 1 : end]
        start = end


def _check_complete(path: Path, found: int, count: int | None) -> None:
    if count is not None and found < count:
        raise ValueError(f"{path}: ends after {found} of the {count} vectors in its header; fetch the file again")


def _parse_text(values: bytes, where: str) -> np.ndarray:
    fields = values.split(b" ")
    try:
        return np.array([float(field) for field in fields])
    except ValueError:
        wrong = next(field for field in fields if not _is_number(field)).decode(errors="replace")
        raise ValueError(f"{where}: {wrong!r} is not a number; mend the line or fetch the file again") from None


def _is_text(data: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)  # a character cut at the end is no fault
    except UnicodeDecodeError:
        return False
    return not _CONTROL_CHARACTER.search(text)


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _trailing_numbers(line: bytes) -> int:
    """How many of a line's last fields are numbers, not counting the first field, which is the word."""
    numbers = 0
    for field in reversed(line.split()[1:]):
        if not _is_number(field):
            break
        numbers += 1
    return numbers
