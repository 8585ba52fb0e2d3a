"""An input file: its options, its decoded text, and the counts of what is left out."""

import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from .encodings import encoding_of, named_damage, open_binary
from .options import ReadingOptions, known_suffix
from .reading import not_regular_message, parse_json, read_lines

SAMPLE_CHARACTERS = 1 << 18
ZIP_MARK = b"PK\x03\x04"
TAR_MARKS = (b"ustar\0", b"ustar  \0")  # at byte 257
# The first bytes of what is often saved or renamed as text, with what it is and the fix.
SAVE_TEXT = "save its text as .txt"
BINARY_CONTENT = {
    b"\x1f\x8b": ("compressed with gzip", "give it a name that ends with .gz"),
    b"\xd0\xcf\x11\xe0": ("a document of an old Word or Excel", "save it as .txt or .xlsx"),
    b"%PDF-": ("a PDF document", SAVE_TEXT),
    b"{\\rtf": ("a rich text document (RTF)", SAVE_TEXT),
    b"SQLite format 3\0": ("a database", "export its messages as .csv or .json"),
    b"\x89PNG": ("an image", SAVE_TEXT),
    b"\xff\xd8\xff": ("an image", SAVE_TEXT),
    b"ID3\x03": ("a recording", "transcribe it"),
    b"ID3\x04": ("a recording", "transcribe it"),
    b"OggS\0": ("a recording", "transcribe it"),
}
MARKUP = {
    b"<!doctype html": ("an HTML page", "export the chat as JSON or text"),
    b"<html": ("an HTML page", "export the chat as JSON or text"),
    b"<?xml": ("XML", "export it as JSON, .csv or text"),
    b"[script info]": ("subtitles of SubStation Alpha", "convert them to .srt"),
    b'file type = "ootextfile': ("a TextGrid of Praat", "write one utterance per line as `Name: text`"),
    b"@utf8": ("a CHAT transcript of CHILDES", "write one utterance per line as `Name: text`"),
    b"@begin": ("a CHAT transcript of CHILDES", "write one utterance per line as `Name: text`"),
}
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")


# Marks without a width that programs write around a line: of its direction, or zero-width spaces.
INVISIBLE = "\u200b\u200e\u200f\u2060\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"


class InputFile:
    """A file of dialogues while it is read.

    Args:
        path: The path of the file.
        options: The options of its reader.
        name: The name of the file in messages; by default its path.
        keeps_columns: Whether to read all other columns as well, into `extra`.

    Raises:
        ValueError: An option has an invalid value, or the path is a FIFO or a device.
    """

    def __init__(self, path: Path, options: ReadingOptions, name: str | None = None, keeps_columns: bool = False):
        options.check()
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ValueError(not_regular_message(path))
        self.path, self.options, self.name, self.keeps_columns = path, options, name or str(path), keeps_columns
        self.left_out: Counter[str] = Counter()
        self.remarks: list[str] = []
        self.default_silence: float | None = None
        # Whether 0,5 is a number, in a table that no commas separate.
        self.decimal_comma = False
        # The number of utterances in a table. Its reader sets it before the first dialogue.
        self.utterances: int | None = None

    @cached_property
    def suffix(self) -> str:
        """The suffix that determines the format, in lower case and without `.gz`, such as `.csv`."""
        return known_suffix(self.path).removesuffix(".gz")

    @cached_property
    def encoding(self) -> str:
        """The encoding of the text: the option, or else the detected one."""
        return self.options.encoding or encoding_of(self.path, self.options)

    @cached_property
    def start(self) -> bytes:
        """The first 4,096 bytes, decompressed."""
        with named_damage(self.name), open_binary(self.path, self.options) as file:
            return file.read(1 << 12)

    def lines(self) -> Iterator[str]:
        """Yield the lines of the text with their line ends."""
        return read_lines(self.path, self.encoding, self.name, self.options)

    @cached_property
    def sample(self) -> list[str]:
        """The first lines, without line ends: about 256 kB, to detect the format."""
        lines, size = [], 0
        for line in self.lines():
            lines.append(line.rstrip("\r\n"))
            size += len(line)
            if size > SAMPLE_CHARACTERS:
                break
        return lines

    @property
    def text(self) -> str:
        """The whole text, with `\n` for every line end."""
        return "".join(self.lines()).replace("\r\n", "\n").replace("\r", "\n")

    @cached_property
    def document(self) -> Any:
        """The whole file as one JSON value."""
        return parse_json("".join(self.json_text()), f"{self.name}:1")

    def json_text(self) -> Iterator[str]:
        """The lines of a JSON file. JSON is always Unicode, so the encoding is not guessed from the bytes."""
        encoding = self.encoding if self.options.encoding or self.encoding.startswith("utf") else "utf-8"
        return read_lines(self.path, encoding, self.name, self.options)

    def leave_out(self, what: str, count: int = 1) -> None:
        """Add to the count of something that is left out, such as `system lines`."""
        self.left_out[what] += count


def stripped(line: str) -> str:
    """A line without white space and invisible marks at its beginning and end."""
    line = line.strip()
    return line.strip(INVISIBLE).strip() if line[:1] in INVISIBLE or line[-1:] in INVISIBLE else line


def refuse_archive(file: InputFile) -> None:
    """Raise a ValueError if the file is an archive. The message names the files inside."""
    is_zip = file.start.startswith(ZIP_MARK)
    names = names_in_zip(file) or []
    if names:
        names = [name for name in names if not name.endswith("/")]
    elif is_zip and file.path.suffix.lower() == ".gz":
        raise ValueError(f"{file.name}: is an archive, compressed once more; unpack it and use one of its files")
    elif file.start[257:].startswith(TAR_MARKS) or file.path.name.lower().endswith(ARCHIVES):
        names = names_in_tar(file)
    else:
        return
    shown = [f"{name} (an archive too)" if name.lower().endswith(ARCHIVES) else name for name in names[:10]]
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    found = f"{', '.join(shown) or 'none'}{more}"
    raise ValueError(f"{file.name}: is an archive; got {found}; unpack it and use one of its files")


def refuse_other_content(file: InputFile) -> None:
    """Raise a ValueError if the file is not text or is markup. With the option `input_format`, markup is read."""
    start = file.start.removeprefix(b"\xef\xbb\xbf").lstrip()
    known = BINARY_CONTENT if file.options.input_format else BINARY_CONTENT | MARKUP
    for mark, (what, advice) in known.items():
        if start.startswith(mark) or mark in MARKUP and start.lower().startswith(mark):
            raise ValueError(f"{file.name}: is {what}; got {start[:30]!r}; {advice}")


def names_in_zip(file: InputFile) -> list[str] | None:
    """List the files and folders of a zip; None if the file is not a zip, or is damaged."""
    if not file.start.startswith(ZIP_MARK) or not zipfile.is_zipfile(file.path):
        return None
    try:
        with zipfile.ZipFile(file.path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):  # also a name that cannot be decoded
        return None


def names_in_tar(file: InputFile) -> list[str]:
    """List the files of a tar, at most `max_members`, until `max_unfolded` bytes."""
    names = []
    try:
        with tarfile.open(file.path) as tar:
            for member in islice(tar, file.options.max_members):
                names += [member.name] if member.isfile() else []
                if member.offset_data + member.size > file.options.max_unfolded:
                    break
    except (tarfile.TarError, OSError, EOFError, zlib.error):
        pass
    return names
