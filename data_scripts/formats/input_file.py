"""A file that a person brings: its options, its text in whichever encoding, and the count of what is left out of it."""

import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from .encodings import encoding_of, named_damage, open_binary
from .options import ReadingOptions, known_suffix
from .reading import parse_json, read_lines

SAMPLE_CHARACTERS = 1 << 18
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")


class InputFile:
    """One file of dialogues, while it is read.

    Args:
        path: of the file.
        options: what its reader was told.
        name: what messages call it; its path by default.
        keeps_columns: whether columns that mean nothing here are read as well.

    Raises:
        ValueError: an option has an impossible value.
    """

    def __init__(self, path: Path, options: ReadingOptions, name: str | None = None, keeps_columns: bool = False):
        options.check()
        self.path, self.options, self.name, self.keeps_columns = path, options, name or str(path), keeps_columns
        self.left_out: Counter[str] = Counter()
        self.remarks: list[str] = []
        self.default_silence: float | None = None
        # How many a table has, which its reader knows before the first dialogue.
        self.utterances: int | None = None

    @cached_property
    def suffix(self) -> str:
        return known_suffix(self.path).removesuffix(".gz")

    @cached_property
    def encoding(self) -> str:
        return self.options.encoding or encoding_of(self.path)

    @cached_property
    def start(self) -> bytes:
        with named_damage(self.name), open_binary(self.path) as file:
            return file.read(1 << 12)

    def lines(self) -> Iterator[str]:
        return read_lines(self.path, self.encoding, self.name)

    @cached_property
    def sample(self) -> list[str]:
        """The first lines, without their ends: enough to tell a format by."""
        lines, size = [], 0
        for line in self.lines():
            lines.append(line.rstrip("\r\n"))
            size += len(line)
            if size > SAMPLE_CHARACTERS:
                break
        return lines

    @property
    def text(self) -> str:
        """All of it, with one kind of line end."""
        return "".join(self.lines()).replace("\r\n", "\n").replace("\r", "\n")

    @cached_property
    def document(self) -> Any:
        """All of it as one JSON value."""
        return parse_json("".join(self.json_text()), f"{self.name}:1")

    def json_text(self) -> Iterator[str]:
        """Its lines. JSON is Unicode: what is not is damaged."""
        encoding = self.encoding if self.options.encoding or self.encoding.startswith("utf") else "utf-8"
        return read_lines(self.path, encoding, self.name)

    def leave_out(self, what: str, count: int = 1) -> None:
        self.left_out[what] += count


def refuse_archive(file: InputFile) -> None:
    """ValueError for an archive, with the names of the files in it."""
    names: list[str] = []
    if file.start.startswith(b"PK\x03\x04") and zipfile.is_zipfile(file.path):
        with zipfile.ZipFile(file.path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    elif file.path.name.lower().endswith(ARCHIVES):
        try:
            with tarfile.open(file.path) as tar:
                names = [member.name for member in tar if member.isfile()]
        except (tarfile.TarError, OSError, EOFError):
            pass
    else:
        return
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    raise ValueError(f"{file.name}: an archive of files; got {shown or 'none'}; unpack it, and give one of its files")
