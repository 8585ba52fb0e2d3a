"""Reads text, JSON and CSV with errors that name the file, the line and the fix. Also computes digests of files."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..tools.console import reason_of
from .encodings import named_damage, open_binary
from .limits import Limits, TooLargeError, limited, limited_lines

AnyPath = TypeVar("AnyPath", bound=Path | zipfile.Path)


def existing_path(path: AnyPath) -> AnyPath:
    """Return the path of an existing file or folder.

    Raises:
        FileNotFoundError: It does not exist. The message lists the other files of the folder.
        ValueError: It is a device, a FIFO or a socket.
    """
    if path.is_file() or path.is_dir():
        return path
    if path.exists():
        raise ValueError(not_regular_message(path))
    folder: Any = path.parent
    found = sorted(entry.name for entry in folder.iterdir())[:10] if folder.is_dir() else ["no such folder"]
    raise FileNotFoundError(f"{path}: no such file; found there: {', '.join(found) or 'nothing'}; check data_dir")


def not_regular_message(path: object) -> str:
    """The error message for a FIFO or a device, which may never end."""
    return f"{path}: not a regular file; got a device, a FIFO or a socket; copy its content to a file and use that"


def file_states_digest(paths: Iterable[Path]) -> str:
    """A digest of the paths, sizes and dates of files. A folder includes every file below it."""
    files = {file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])}
    # A broken link also has a state. A name may contain bytes that are not UTF-8.
    found = [(file, file.stat() if file.exists() else file.lstat()) for file in sorted(files)]
    states = [f"{file} {state.st_size} {state.st_mtime_ns}" for file, state in found]
    return hashlib.sha256("\n".join(states).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def folder_or_zip(path: Path) -> Path | zipfile.Path:
    """Open a folder or a zip. Both are read in the same way."""
    if path.is_dir():
        return path
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: neither a folder nor a zip; download it again, or unpack it and use the folder")
    return zipfile.Path(path)


def decode(data: bytes, name: object, line: int = 1, offset: int = 0) -> str:
    """Decode UTF-8, with or without a byte-order mark. `line` and `offset` say where the data begins."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line += data.count(b"\n", 0, error.start)
        byte = f"byte 0x{data[error.start]:02x} at offset {offset + error.start}"
        raise ValueError(f"{name}:{line}: not UTF-8; got {byte}; save it as UTF-8") from None


def read_text(path: Path | zipfile.Path) -> str:
    """Read a whole text file, and decode it.

    Raises:
        ValueError: It is not UTF-8.
        TooLargeError: It is in a zip, and expands to more than the limits of [`Limits`].
    """
    if isinstance(path, Path):
        return decode(path.read_bytes(), path)
    packed = path.root.getinfo(path.at).compress_size
    try:
        with path.open("rb") as file, limited(file, packed, Limits()) as unfolded:
            return decode(unfolded.read(), path)
    except TooLargeError as error:
        reason, _, _ = str(error).partition(", the limit")
        raise TooLargeError(
            f"{path}: {reason}, the limit of a file in a zip; if you trust the zip, unpack it and use the folder"
        ) from None


def read_lines(path: Path, encoding: str = "utf-8", name: object = None, limits: Limits | None = None) -> Iterator[str]:
    """Yield the lines of a file, plain or .gz, with their line ends, one at a time.

    Args:
        path: The file.
        encoding: The encoding of the text.
        name: The name of the file in messages; by default its path.
        limits: The limits of the file; by default those of [`Limits`].

    Raises:
        ValueError: The file is not text in this encoding, is damaged, or exceeds a limit.
    """
    name, limits = path if name is None else name, limits or Limits()
    is_utf8 = encoding in ("utf-8", "utf-8-sig")
    lines = utf8_lines(path, name, limits) if is_utf8 else encoded_lines(path, encoding, name, limits)
    with named_damage(name):
        for number, text in lines:
            if "\0" in text:
                raise ValueError(f"{name}:{number}: not text; got a NUL character; save it as UTF-8")
            if "\r" in text:
                yield from io.StringIO(text, newline="")  # a single carriage return also ends a line
            else:
                yield text


def utf8_lines(path: Path, name: object, limits: Limits) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line of a file in UTF-8. Raises a ValueError for other bytes."""
    offset = 0
    with open_binary(path, limits) as file:
        for number, line in enumerate(limited_lines(file, limits), start=1):
            yield number, decode(line, name, number, offset)
            offset += len(line)


def encoded_lines(path: Path, encoding: str, name: object, limits: Limits) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line of a file in any encoding. Raises a ValueError for invalid bytes."""
    number = 0
    with open_binary(path, limits) as file, io.TextIOWrapper(file, encoding=encoding, newline="") as text:
        try:
            for number, line in enumerate(limited_lines(text, limits), start=1):
                yield number, line.removeprefix("\ufeff") if number == 1 else line
        except UnicodeError as error:
            reason = reason_of(error)
            raise ValueError(
                f"{name}:{number + 1}: not {encoding}; {reason}; save it as UTF-8, or set the option encoding"
            ) from None


def parse_json(text: str, where: object) -> Any:
    """Parse JSON.

    Args:
        text: The JSON.
        where: The file, or the file and line, for the message.

    Raises:
        ValueError: The text is not JSON, is nested too deep, or has a number that Python refuses to read.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        reason = str(error)
    except RecursionError:
        reason = "it is nested too deep"
    except ValueError:  # Python refuses to parse integers with more digits
        reason = "it has a number of more than 4,300 digits; write it shorter"
    raise ValueError(f"{where}: not JSON; got {text[:60]!r}; {reason}")


def check_columns(where: object, found: Sequence[str], needed: Sequence[str]) -> None:
    """Raise a ValueError if a required column is missing or duplicated."""
    names = " ".join(", ".join(found).split())[:300]
    if missing := [column for column in needed if column not in found]:
        raise ValueError(f"{where}: missing column {', '.join(missing)}; got {names}; rename or map it")
    if double := [column for column in needed if found.count(column) > 1]:
        raise ValueError(f"{where}: more than one column {double[0]}; got {names}; rename one")


SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}


def read_csv(
    path: Path,
    columns: Sequence[str],
    lines: Iterable[str] | None = None,
    name: object = None,
    first_line: int = 1,
    chosen: Sequence[str] | None = None,
    fieldnames: Sequence[str] | None = None,
    **dialect: Any,
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each row with its `path:line`. A missing column or a row that does not fit raises a ValueError.

    Args:
        path: The file.
        columns: The required columns.
        lines: The lines of the file from the header on; by default they are read from the file as UTF-8.
        name: The name of the file in messages; by default its path.
        first_line: The line number of the header.
        chosen: The columns to return; by default all.
        fieldnames: The names of all columns, for a file without a header.
        dialect: Further arguments of `csv.reader`.
    """
    name = path if name is None else name
    rows = csv.reader(read_lines(path) if lines is None else lines, **dialect)
    line = 0  # the line where the last row ended
    separators = SEPARATORS.get(rows.dialect.delimiter, "separators")
    try:
        names = next(rows, []) if fieldnames is None else [*fieldnames]
        if not names:
            raise ValueError(f"{name}:{first_line}: no header; got an empty line or file; write the column names there")
        line = rows.line_num
        check_columns(f"{name}:{first_line}", names, columns)
        # If two columns have the same name, the last one is read.
        kept = [(column, len(names) - 1 - names[::-1].index(column)) for column in chosen or []]
        for fields in rows:
            line = rows.line_num
            if not fields:
                continue
            where = f"{name}:{line + first_line - 1}"
            if len(fields) != len(names):
                raise ValueError(
                    f"{where}: row does not fit the header; got {str(fields)[:300]}; put text with {separators} in "
                    "quotes"
                )
            yield (
                where,
                dict(zip(names, fields, strict=True))
                if chosen is None
                else {column: fields[place] for column, place in kept},
            )
    except csv.Error as error:
        # The line where the row begins: an unclosed quote reaches to the end of the file.
        where = f"{name}:{line + first_line}"
        raise ValueError(
            f"{where}: not CSV; {error}; save it as CSV again, with quotes inside a field doubled"
        ) from None
