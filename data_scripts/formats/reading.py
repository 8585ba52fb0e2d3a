"""Reading files: text, JSON and CSV whose errors name the file, the line and the fix; a key that notices changes."""

import csv
import gzip
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

AnyPath = TypeVar("AnyPath", bound=Path | zipfile.Path)


def existing(path: AnyPath) -> AnyPath:
    """The path; FileNotFoundError, with what is there instead, where nothing is."""
    if path.exists():
        return path
    folder: Any = path.parent
    found = sorted(entry.name for entry in folder.iterdir())[:10] if folder.is_dir() else ["no folder either"]
    raise FileNotFoundError(f"{path}: no such file; beside it: {', '.join(found) or 'nothing'}; check data_dir")


def fingerprint(paths: Iterable[Path]) -> str:
    """Changes with the path, size or date of any of the files; a folder stands for every file below it."""
    files = {file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])}
    # A link to nothing has a state as well, and a name need not be UTF-8.
    found = [(file, file.stat() if file.exists() else file.lstat()) for file in sorted(files)]
    states = [f"{file} {state.st_size} {state.st_mtime_ns}" for file, state in found]
    return hashlib.sha256("\n".join(states).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def folder_or_zip(path: Path) -> Path | zipfile.Path:
    """What is read in the same way from a folder and from a zip."""
    if path.is_dir():
        return path
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: neither a folder nor a zip; get it again, or unpack it and give the folder")
    return zipfile.Path(path)


def decode(data: bytes, name: object, line: int = 1, offset: int = 0) -> str:
    """UTF-8, with or without a byte-order mark; `line` and `offset` say where in the file the data begins."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line += data.count(b"\n", 0, error.start)
        byte = f"byte 0x{data[error.start]:02x} at offset {offset + error.start}"
        raise ValueError(f"{name}:{line}: not UTF-8; got {byte}; save it as UTF-8") from None


def read_text(path: Path | zipfile.Path) -> str:
    return decode(path.read_bytes(), path)


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, plain or .gz, each with its end, and no more than one in memory."""
    offset = 0
    try:
        with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                text = decode(line, path, number, offset)
                if "\0" in text:
                    raise ValueError(f"{path}:{number}: not text; got a NUL character; save it as UTF-8")
                offset += len(line)
                yield from io.StringIO(text, newline="")  # a lone carriage return ends a line too
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path}: broken gzip; {error}; compress it again") from None


def parse_json(text: str, where: object) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # not only JSONDecodeError: a number may be too long, too
        raise ValueError(f"{where}: not JSON; got {text[:60]!r}; {error}") from None


def check_columns(where: object, found: Sequence[str], needed: Sequence[str]) -> None:
    """ValueError where a needed column is not there, or is there twice."""
    names = " ".join(", ".join(found).split())[:300]
    if missing := [column for column in needed if column not in found]:
        raise ValueError(f"{where}: missing column {', '.join(missing)}; got {names}; rename or map it")
    if double := [column for column in needed if found.count(column) > 1]:
        raise ValueError(f"{where}: two columns {double[0]}; got {names}; rename one")


def read_csv(path: Path, columns: Sequence[str], **dialect: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row with its `path:line`; ValueError for a missing column or a row that does not fit the header."""
    rows = csv.DictReader(read_lines(path), **dialect)
    separators = "tabs" if rows.reader.dialect.delimiter == "\t" else "commas"
    try:
        if not rows.fieldnames:
            raise ValueError(f"{path}:1: no header; got an empty line or file; write the names of the columns there")
        check_columns(f"{path}:1", rows.fieldnames, columns)
        for row in rows:
            where = f"{path}:{rows.line_num}"
            if None in row or None in row.values():
                fields = str([value for value in row.values() if value is not None])[:300]
                raise ValueError(
                    f"{where}: row does not fit the header; got {fields}; put text with {separators} in quotes"
                )
            yield where, row
    except csv.Error as error:
        where = f"{path}:{rows.line_num + 1}"  # where the row begins, as an open quote ends at the end of the file
        raise ValueError(
            f"{where}: not CSV; {error}; save it as CSV again, with quotes inside a field doubled"
        ) from None
