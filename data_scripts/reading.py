"""Reading files: text, JSON and CSV whose errors name the file, the line and the fix; a key that notices changes."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
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
    states = [f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in sorted(files)]
    return hashlib.sha256("\n".join(states).encode()).hexdigest()[:16]


def folder_or_zip(path: Path) -> Path | zipfile.Path:
    """What is read in the same way from a folder and from a zip."""
    if path.is_dir():
        return path
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: neither a folder nor a zip; get it again, or unpack it and give the folder")
    return zipfile.Path(path)


def decode(data: bytes, name: object) -> str:
    """UTF-8, with or without a byte-order mark."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{data[error.start]:02x} at offset {error.start}"
        raise ValueError(f"{name}:{line}: not UTF-8; got {byte}; save it as UTF-8") from None


def read_text(path: Path | zipfile.Path) -> str:
    return decode(path.read_bytes(), path)


def parse_json(text: str, where: object) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON; got {text[:60]!r}; {error}") from None


def read_csv(path: Path, columns: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row with its `path:line`; ValueError for a missing column or a row that does not fit the header."""
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        found = rows.fieldnames or []
        if missing := [column for column in columns if column not in found]:
            raise ValueError(f"{path}:1: missing column {', '.join(missing)}; got {', '.join(found)}; rename or map it")
        for row in rows:
            where = f"{path}:{rows.line_num}"
            if None in row or None in row.values():
                fields = [value for value in row.values() if value is not None]
                raise ValueError(f"{where}: row does not fit the header; got {fields}; put text with commas in quotes")
            yield where, row
    except csv.Error as error:
        raise ValueError(f"{path}:{rows.line_num}: not CSV; {error}; save it as CSV again") from None
