"""Helpers for command lines: one-line errors for wrong input, and text that is safe to print."""

import argparse
import logging
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, TextIO

# Categories of Unicode: control and invisible characters, surrogates, and separators of lines and paragraphs.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Invisible characters in ordinary text: they join emoji, separate letters, or mark the direction of text.
_HARMLESS = "\u200c\u200d\u200e\u200f"
# The errors of libraries for wrong input, by module. They are not imported, because this takes longer than `--help`.
LIBRARY_ERRORS = {"huggingface_hub.errors": "StrictDataclassError", "datasets.exceptions": "DatasetsError"}

# The maximum number of characters of an error of a library in a message.
LONGEST_REASON = 400


def printable(text: str) -> str:
    """Make text safe to show on one line of a terminal, a log or a document.

    Control characters, which could change the terminal, are escaped as in Python (`\\x1b`). Tabs and line breaks become
    spaces.
    """
    if text.isprintable():
        return text
    return "".join(map(_printable_character, text))


def _printable_character(character: str) -> str:
    if character in _HARMLESS or unicodedata.category(character) not in _UNPRINTABLE:
        return character
    if character.isspace():
        return " "
    return repr(character)[1:-1]


def printable_lines(text: str) -> str:
    """Make text safe to show, as [`printable`] does, but keep its line breaks."""
    return "\n".join(map(printable, text.split("\n")))


class PrintableFormatter(logging.Formatter):
    """Formats log messages without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record. Control characters are escaped."""
        return printable_lines(super().format(record))


def log_handler(stream: TextIO | None = None) -> logging.Handler:
    """A log handler that writes only the messages, without level or name, to a stream (default: standard error)."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    return handler


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ValueErrors. [`one_line_errors`] prints them."""

    def error(self, message: str) -> NoReturn:
        """Raise a ValueError with the message."""
        raise ValueError(f"{message}; see {self.prog} --help")


def errors_of_input() -> tuple[type[BaseException], ...]:
    """The classes of errors that wrong input causes. Those of a library are included only if it was imported."""
    of_libraries = [getattr(sys.modules[name], error) for name, error in LIBRARY_ERRORS.items() if name in sys.modules]
    return (ValueError, OSError, ImportError, *of_libraries)


def reason_of(error: BaseException) -> str:
    """The beginning of the message of an error of a library, in one line. The message may quote a whole file."""
    reason = " ".join(str(error).split())
    return reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}..."


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with a one-line error if the user's input is wrong. PRECODE_TRACEBACK=1 shows the traceback."""
    try:
        yield
    except errors_of_input() as error:
        if os.environ.get("PRECODE_TRACEBACK"):
            raise
        # The strict dataclass of a configuration puts its own name before the reason.
        is_wrapped = type(error).__name__ == "StrictDataclassClassValidationError" and error.__cause__ is not None
        reason = error.__cause__ if is_wrapped else error
        sys.exit(f"error: {printable(' '.join(str(reason).split()))}")
