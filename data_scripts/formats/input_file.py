"""A file that a person brings: its options, its text in whichever encoding, and the count of what is left out of it."""

import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from .encodings import encoding_of, named_damage, open_binary
from .options import ReadingOptions, known_suffix
from .reading import irregular, parse_json, read_lines

SAMPLE_CHARACTERS = 1 << 18
TAR_MARKS = (b"ustar\0", b"ustar  \0")  # at byte 257
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")


class InputFile:
    """A file of dialogues while it is read.

    Args:
        path: of the file.
        options: The options of its reader.
        name: what messages call it; its path by default.
        keeps_columns: whether columns that mean nothing here are read as well.

    Raises:
        ValueError: an option has an impossible value, or the path is that of a FIFO or a device.
    """

    def __init__(self, path: Path, options: ReadingOptions, name: str | None = None, keeps_columns: bool = False):
        options.check()
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ValueError(irregular(path))
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
        return self.options.encoding or encoding_of(self.path, self.options)

    @cached_property
    def start(self) -> bytes:
        with named_damage(self.name), open_binary(self.path, self.options) as file:
            return file.read(1 << 12)

    def lines(self) -> Iterator[str]:
        return read_lines(self.path, self.encoding, self.name, self.options)

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
        return read_lines(self.path, encoding, self.name, self.options)

    def leave_out(self, what: str, count: int = 1) -> None:
        self.left_out[what] += count


def refuse_archive(file: InputFile) -> None:
    """Raise a ValueError for an archive. It names the files inside."""
    names: list[str] = []
    if file.start.startswith(b"PK\x03\x04") and zipfile.is_zipfile(file.path):
        with zipfile.ZipFile(file.path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    elif file.start[257:].startswith(TAR_MARKS) or file.path.name.lower().endswith(ARCHIVES):
        names = names_in_tar(file)
    else:
        return
    shown = [f"{name} (an archive too)" if name.lower().endswith(ARCHIVES) else name for name in names[:10]]
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    found = f"{', '.join(shown) or 'none'}{more}"
    raise ValueError(f"{file.name}: an archive of files; got {found}; unpack it, and give one of its files")


def names_in_tar(file: InputFile) -> list[str]:
    """List the files of a tar, as far as `max_unfolded` allows."""
    names = []
    try:
        with tarfile.open(file.path) as tar:
            for member in tar:
                names += [member.name] if member.isfile() else []
                if member.offset_data + member.size > file.options.max_unfolded:
                    break
    except (tarfile.TarError, OSError, EOFError, zlib.error):
        pass
    return names
