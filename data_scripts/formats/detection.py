"""Detects the format of a file of dialogues by its content, or by its name if several formats are possible."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..building.dialogues import Dialogue
from .captions import is_subrip, is_webvtt, read_captions
from .excel import is_excel, read_excel
from .input_file import InputFile, refuse_archive, refuse_other_content
from .json_files import is_json, read_json, title_of
from .kakaotalk import is_kakaotalk, read_kakaotalk
from .limits import TooLargeError
from .line import is_line, read_line
from .message_blocks import is_message_blocks, read_message_blocks
from .plain_text import read_detected_text, read_plain_text
from .tables import is_separated, read_separated
from .transcripts import is_named_blocks, is_timed_transcript, read_named_blocks, read_timed_transcript
from .whatsapp import is_whatsapp, read_whatsapp
from .whisper import is_whisper, read_whisper


class Format(NamedTuple):
    """A format of files: its title for messages, whether a file has it, and how to read its dialogues."""

    title: str
    recognizes: Callable[[InputFile], bool]
    read: Callable[[InputFile], Iterator[Dialogue]]


def is_transcript(file: InputFile) -> bool:
    """Whether the text is a transcript in a known form."""
    return is_message_blocks(file) or is_timed_transcript(file) or is_named_blocks(file)


def read_transcript(file: InputFile) -> Iterator[Dialogue]:
    """Read a transcript. Raises a ValueError if its form is unknown."""
    if is_message_blocks(file):
        return read_message_blocks(file)
    if is_timed_transcript(file):
        return read_timed_transcript(file)
    return read_named_blocks(file) if is_named_blocks(file) else read_detected_text(file)


def is_parquet(file: InputFile) -> bool:
    """Whether a file is Parquet, by its first bytes."""
    return file.start.startswith(b"PAR1")


def read_parquet(file: InputFile) -> Iterator[Dialogue]:
    """Yield the dialogues of a Parquet file."""
    # Only Parquet needs pyarrow and datasets, which take a second to import.
    from .parquet_dialogues import read_parquet_dialogues

    return read_parquet_dialogues(file)


# The formats in the order in which they are tried. The first two are recognized by bytes, the others by text.
FORMATS = {
    "parquet": Format("Parquet", is_parquet, read_parquet),
    "xlsx": Format("Excel workbook", is_excel, read_excel),
    "json": Format("JSON", is_json, read_json),
    "jsonl": Format("JSON Lines", is_json, read_json),
    "vtt": Format("WebVTT", is_webvtt, read_captions),
    "srt": Format("SubRip", is_subrip, read_captions),
    "line": Format("LINE export", is_line, read_line),
    "kakaotalk": Format("KakaoTalk export", is_kakaotalk, read_kakaotalk),
    "whatsapp": Format("WhatsApp export", is_whatsapp, read_whatsapp),
    "whisper": Format("table of Whisper", is_whisper, read_whisper),
    "csv": Format("table as text", is_separated, read_separated),
    "tsv": Format("table as text", is_separated, read_separated),
    "transcript": Format("transcript", is_transcript, read_transcript),
    "txt": Format("plain text", lambda file: True, read_plain_text),
}
PLAIN_TEXT = Format("plain text", lambda file: True, read_detected_text)
BINARY = ("parquet", "xlsx")
# A text file with an unknown suffix must have one of these formats. It could match the others by chance.
CERTAIN = ["json", "vtt", "srt", "line", "kakaotalk", "whatsapp", "transcript"]
# Text that is none of these is in the format of its suffix, whatever its content.
UNLIKE_ITS_NAME = ["json", "vtt", "srt", "line", "kakaotalk", "whatsapp"]
# Tables with the columns of a program, which say what the table is.
TABLES, OWN_TABLES = ("csv", "tsv"), ("kakaotalk", "whisper")
BY_NAME = {".jsonl": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".vtt": "vtt", ".srt": "srt"}
BY_NAME |= {".parquet": "parquet", ".xlsx": "xlsx"}
TEXT_SUFFIXES = [".jsonl", ".json", ".csv", ".tsv", ".txt", ".vtt", ".srt"]
SUFFIXES = {*TEXT_SUFFIXES, *(f"{suffix}.gz" for suffix in TEXT_SUFFIXES), ".parquet", ".xlsx"}
DOCUMENTS = (".docx", ".odt", ".ods", ".pptx", ".epub", ".pages", ".numbers")


def detect(file: InputFile) -> Format:
    """Detect the format of a file.

    Raises:
        ValueError: The format is unknown, or the file is an archive.
    """
    by_content = next((name for name in BINARY if FORMATS[name].recognizes(file)), None)
    kind = file.options.input_format or by_content or BY_NAME.get(file.suffix)
    if kind and kind not in FORMATS:
        raise ValueError(f"{file.name}: unknown input_format; got {kind!r}; known: {', '.join(FORMATS)}")
    if kind not in BINARY:
        if file.suffix not in DOCUMENTS and not is_excel(file):
            refuse_archive(file)
        refuse_other_content(file)
    if kind and not file.options.input_format and kind not in BINARY:
        kind = by_certain_content(file, kind)
    if kind:
        return with_title(file, FORMATS[kind])
    if file.suffix == ".txt":
        return next((with_title(file, found) for found in by_text() if found.recognizes(file)), PLAIN_TEXT)
    try:
        found = next((FORMATS[name] for name in CERTAIN if FORMATS[name].recognizes(file)), None)
    except TooLargeError:
        raise
    except ValueError:
        found = None  # the file is not text
    if found is None:
        known = ", ".join([*TEXT_SUFFIXES, ".parquet", ".xlsx"])
        advice = "save its text as .txt" if file.suffix in DOCUMENTS else "use one of these"
        raise ValueError(
            f"{file.name}: unknown file format; got {file.suffix!r}; known: {known}; text may be compressed (.gz); "
            f"{advice}, or name the format with input_format"
        )
    return with_title(file, found)


def by_certain_content(file: InputFile, kind: str) -> str:
    """The format of a text file with a known suffix: that of its name, unless its content is certainly another."""
    try:
        if kind in TABLES and (found := next((name for name in OWN_TABLES if FORMATS[name].recognizes(file)), None)):
            return found
        if FORMATS[kind].recognizes(file):
            return kind
        return next((name for name in UNLIKE_ITS_NAME if FORMATS[name].recognizes(file)), kind)
    except TooLargeError:
        raise
    except ValueError:
        return kind  # the reader names what is wrong with the text


def by_text() -> list[Format]:
    """The formats that are tried on a `.txt` file, in this order, before plain text."""
    return [FORMATS[name] for name in (*UNLIKE_ITS_NAME, "whisper", "csv", "transcript")]


def with_title(file: InputFile, found: Format) -> Format:
    """Return the format with its title. Forms of JSON have different titles, which depend on the first value."""
    return found._replace(title=title_of(file)) if found.read is read_json else found
