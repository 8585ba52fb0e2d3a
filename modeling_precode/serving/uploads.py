"""Reads uploaded files of dialogues, as `precode predict` does."""

import re
import shutil
import tempfile
import threading
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from data_scripts.building.dialogues import Dialogue
from data_scripts.building.options import parse_options
from data_scripts.formats.dialogue_files import read_file
from data_scripts.formats.input_file import InputFile
from data_scripts.formats.limits import Limits, TooLargeError
from data_scripts.formats.options import ReadingOptions, known_suffix

from .errors import ServiceError
from .settings import ServiceSettings

# The maximum size of an uploaded file after decompression, as a multiple of the maximum size of a request.
UNFOLDED = 8
MOST_READERS = 2
SUFFIX = re.compile(r"(\.[a-z0-9]{1,10}){0,2}")
OPTIONS = {field.name: field for field in fields(ReadingOptions)}.keys() - {field.name for field in fields(Limits)}

# Reading runs in Python only. More readers at once would only take time from the model.
_readers = threading.Semaphore(MOST_READERS)


def read_upload(content: BinaryIO, filename: str, options: dict[str, str], settings: ServiceSettings) -> list[Dialogue]:
    """Read the dialogues of an uploaded file. The file is on disk only while it is read.

    Args:
        content: The bytes of the file.
        filename: The name from the client. Its suffix is used to detect the format, and its last part for messages. A
            file without a suffix is text.
        options: Fields of `ReadingOptions`, such as `text_column` or `input_format`.
        settings: The limits.

    Raises:
        ServiceError: The file is unreadable (422), expands to too many bytes (413) or has too many utterances (422).
    """
    name = shown_name(filename)
    suffix = known_suffix(Path(name))
    if not SUFFIX.fullmatch(suffix):
        raise ServiceError(
            422, f"{name}: unknown file format; give the file a name that ends in .txt, .json, .csv or .srt"
        )
    with _readers, tempfile.TemporaryDirectory(prefix="precode-") as folder:
        # In a folder of its own, because Slack's reader also looks for names one folder above the file.
        path = Path(folder, "upload", f"upload{suffix or '.txt'}")
        path.parent.mkdir()
        with open(path, "wb") as target:
            shutil.copyfileobj(content, target)
        try:
            file = InputFile(path, reading_options(options, settings), name=name)
            return first_dialogues(file, settings)
        except TooLargeError as error:
            raise ServiceError(413, without_path(error, path, name)) from None
        except (ValueError, OSError, ImportError) as error:
            raise ServiceError(422, without_path(error, path, name)) from None


def first_dialogues(file: InputFile, settings: ServiceSettings) -> list[Dialogue]:
    """The dialogues of a file. Raises a ServiceError if there are too many utterances."""
    dialogues, utterances = [], 0
    for dialogue in read_file(file, is_silent=True):
        dialogues.append(dialogue)
        utterances += len(dialogue.utterances)
        check_number(utterances, settings)
    return dialogues


def check_number(utterances: int, settings: ServiceSettings) -> None:
    """Raise a ServiceError if there are more utterances than the limit."""
    if utterances > settings.max_utterances:
        raise ServiceError(
            422, f"more than {settings.max_utterances:,} utterances, the limit of a request; send them in several"
        )


def reading_options(options: dict[str, str], settings: ServiceSettings) -> ReadingOptions:
    """The options for reading a file, from the fields of a form. Raises a ValueError for an unknown field."""
    if unknown := options.keys() - OPTIONS:
        known = ", ".join(["file", "distribution", "explain", *sorted(OPTIONS)])
        raise ValueError(f"unknown field {sorted(unknown)[0]!r}; known are {known}")
    as_text = [name for name in OPTIONS if isinstance(ReadingOptions.__dataclass_fields__[name].default, str)]
    pairs = [f"{name}={value}" for name, value in options.items()]
    values: dict[str, Any] = parse_options(pairs, "field", as_text=as_text)
    return ReadingOptions(**values, max_unfolded=UNFOLDED * settings.max_body_bytes)


def shown_name(filename: str) -> str:
    """The name of a file without a folder, as one line of at most 80 characters."""
    name = "".join(filter(str.isprintable, PurePosixPath(filename.replace("\\", "/")).name))
    return name[-80:] or "upload"


def without_path(error: Exception, path: Path, name: str) -> str:
    """The message of an error in one line, with the client's name for the file instead of its temporary path."""
    return " ".join(str(error).replace(str(path), name).replace(path.name, name).split())
