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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import numpy as np
from tqdm import tqdm

_BLOCK = 1 << 20
_HEADER = re.compile(rb"(\d+) (\d+)\s*")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# The place of a vector in the file, its word, and its numbers as bytes.
Record = tuple[str, bytes, bytes]
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)


def load_word_vectors(
    path: str | os.PathLike, vocabulary: Mapping[str, int], dim: int | None = None, seed: int = 0
) -> tuple[np.ndarray, int]:
    """Read the vectors of a vocabulary's words from a file of pre-trained word vectors.

    The file is GloVe text, text with a `count dim` header (fastText, word2vec) or word2vec binary. It may be plain, a
    .gz, or a .zip of one file. The format is detected from the content, not from the name. The file is streamed, and
    only vectors of the vocabulary's words are kept.

    As in the original, each vector from the file is scaled to unit L2 norm, every other word gets a random vector from
    uniform(-0.01, 0.01), and the vector of padding, which has id 0, is zero. A word's random vector depends on `seed`,
    the word's id and the size of a vector only. Words match exactly, including case. The first vector of a word counts.
    A vector of zeros counts as missing.

    Args:
        path: The file.
        vocabulary: The id of each word. The ids are 0 (padding) to `len(vocabulary) - 1`.
        dim: The size of a vector that the model needs; by default that of the file.
        seed: Seed of the random vectors.

    Returns:
        The float32 matrix (len(vocabulary), dim), and the coverage: the number of words, without padding, that the
        file has.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is empty, damaged or in another format, the size of its vectors is not `dim`, a line is
            not a word vector, or it has no word of the vocabulary; or the ids have gaps.
    """
    path = Path(path)
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise ValueError(f"The ids of the {len(vocabulary)} vocabulary words must be 0 to {len(vocabulary) - 1}.")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the path of a GloVe or word2vec file.")
    missing = {word.encode(): row for word, row in vocabulary.items() if row != 0}
    with ExitStack() as stack:
        raw = stack.enter_context(open(path, "rb"))
        try:
            stream = stack.enter_context(_unpack(raw, path))
            count, file_dim, is_text = _detect_format(stream, path)
            if dim is not None and dim != file_dim:
                raise ValueError(
                    f"{path}: file has vectors of {file_dim} numbers, the model needs {dim}: "
                    f"pass --word_vector_size {file_dim}"
                )
            matrix = _random_vectors(len(vocabulary), file_dim, seed)
            read = _text_records if is_text else _binary_records
            records = read(stream, count, file_dim, path)
            _read_vectors(_with_progress(records, raw, path), is_text, matrix, missing, path)
        except _DAMAGED as error:
            raise ValueError(f"{path}: damaged or cut short ({error}); fetch the file again") from error
    coverage = len(vocabulary) - 1 - len(missing)
    if coverage <= 0:
        words = ", ".join(repr(word.decode()) for word in list(missing)[:3])
        raise ValueError(
            f"{path}: has none of the {len(missing)} vocabulary words ({words}, ...): wrong language or case?"
        )
    return matrix, coverage


def _random_vectors(count: int, dim: int, seed: int) -> np.ndarray:
    """(count, dim) from uniform(-0.01, 0.01), and zeros for padding, which is the first row."""
    matrix = np.random.default_rng(seed).random((count, dim), dtype=np.float32)
    matrix = (matrix - np.float32(0.5)) * np.float32(0.02)
    matrix[:1] = 0
    return matrix


def _read_vectors(
    records: Iterable[Record], is_text: bool, matrix: np.ndarray, missing: dict[bytes, int], path: Path
) -> None:
    """Write the vectors of the missing words into the matrix, scaled to unit norm, and remove these from `missing`.

    Args:
        records: Place in the file, word and vector of each record.
        is_text: Whether the vectors are text, and not little-endian float32.
        matrix: (words, dim), changed in place.
        missing: The row of each word without a vector, changed in place.
        path: The file, for messages.
    """
    for where, word, values in records:
        if word not in missing:
            continue
        vector = _parse_text(values, f"{path}, {where}") if is_text else np.frombuffer(values, "<f4")
        norm = math.sqrt(np.square(vector, dtype=np.float64).sum())
        if not math.isfinite(norm):
            raise ValueError(f"{path}, {where}: {word.decode()!r} has a NaN or infinity; fetch the file again")
        if norm > 0:
            matrix[missing.pop(word)] = vector / norm


def _with_progress(records: Iterable[Record], raw: io.BufferedReader, path: Path) -> Iterator[Record]:
    """The records, with a progress bar over the bytes of the file where stderr is a terminal."""
    with tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc=path.name, disable=None) as progress:
        for number, record in enumerate(records):
            if number % 1000 == 0:
                progress.update(raw.tell() - progress.n)
            yield record
        progress.update(raw.tell() - progress.n)


def _unpack(raw: io.BufferedReader, path: Path) -> io.BufferedReader:
    """The content of a plain, gzip or zip file, as a stream that reads large blocks."""
    magic = raw.read(4)
    raw.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return io.BufferedReader(gzip.GzipFile(fileobj=raw), _BLOCK)
    if magic.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        archive = zipfile.ZipFile(raw)
        members = [member.filename for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise ValueError(f"{path}: has {len(members)} files ({', '.join(members)}): unpack it and pass one")
        return io.BufferedReader(cast(zipfile.ZipExtFile, archive.open(members[0])), _BLOCK)
    return io.BufferedReader(raw, _BLOCK)


def _detect_format(stream: io.BufferedReader, path: Path) -> tuple[int | None, int, bool]:
    """The number of vectors that the header says (None without a header), their size, and whether the format is text.

    The stream is read to the end of the header.
    """
    head = stream.peek(_BLOCK)
    if not head.strip():
        raise ValueError(f"{path}: is empty; fetch the file again")
    first, _, rest = head.partition(b"\n")
    header = _HEADER.fullmatch(first)
    if header:
        count, dim = int(header[1]), int(header[2])
        stream.readline()
        # The first vectors of a binary file contain a control character or are not UTF-8.
        is_text = _is_text(rest[: max(4 * dim, 256)])
    else:
        # The majority of the first lines decides: a line may be broken, or its word may contain spaces and digits.
        lines = [line for line in head.split(b"\n", 20)[:20] if line.strip()]
        count, dim, is_text = None, statistics.mode(map(_trailing_numbers, lines or [b""])), True
    if dim == 0:
        raise ValueError(f"{path}: is neither GloVe text nor a word2vec file")
    return count, dim, is_text


def _text_records(stream: io.BufferedReader, count: int | None, dim: int, path: Path) -> Iterator[Record]:
    """The records of a text file, one per line; a vector is text."""
    num_read = 0
    for number, line in enumerate(stream, 1 if count is None else 2):
        line = line.rstrip()
        if not line:
            continue
        spaces = line.count(b" ")
        word, _, values = line.partition(b" ")
        if spaces != dim:
            word = line.rsplit(b" ", dim)[0]  # a word may contain spaces (GloVe 840B)
            values = line[len(word) + 1 :]
            if spaces < dim or all(map(_is_number, word.split(b" ")[1:])):
                raise ValueError(
                    f"{path}, line {number}: {word[:50].decode(errors='replace')!r} has {spaces} numbers, "
                    f"the other lines have {dim}: correct the line or fetch the file again"
                )
        yield f"line {number}", word, values
        num_read += 1
    _check_complete(path, num_read, count)


def _binary_records(stream: io.BufferedReader, count: int | None, dim: int, path: Path) -> Iterator[Record]:
    """The records of a word2vec binary file; a vector is little-endian float32."""
    assert count is not None  # a binary file has a header
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
        # Some programs write a line break after a vector.
        yield f"vector {number + 1}", block[start:space].lstrip(b"\n"), block[space + 1 : end]
        start = end


def _check_complete(path: Path, num_read: int, count: int | None) -> None:
    if count is not None and num_read < count:
        raise ValueError(f"{path}: ends after {num_read} of the {count} vectors in its header; fetch the file again")


def _parse_text(values: bytes, where: str) -> np.ndarray:
    fields = values.split(b" ")
    try:
        return np.array([float(field) for field in fields])
    except ValueError:
        wrong = next(field for field in fields if not _is_number(field)).decode(errors="replace")
        raise ValueError(f"{where}: {wrong!r} is not a number; correct the line or fetch the file again") from None


def _is_text(data: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)  # ignores a character that is cut at the end
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
    """The number of numeric fields at the end of a line, without the first field, which is the word."""
    count = 0
    for field in reversed(line.split()[1:]):
        if not _is_number(field):
            break
        count += 1
    return count
