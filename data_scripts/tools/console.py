"""Command-line tools: a parser and a context that turn wrong input into a one-line error, and text that is safe to show
on a terminal."""

import argparse
import logging
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, TextIO

# Control characters, those that turn the direction of text or are not seen, halves of a character, and line breaks.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Join the parts of an emoji, keep letters apart, or say the direction of a sign: part of what people write.
_HARMLESS = "\u200c\u200d\u200e\u200f"
# The module and the name of what libraries raise for wrong input. Importing them takes longer than a `--help`.
LIBRARY_ERRORS = {"huggingface_hub.errors": "StrictDataclassError", "datasets.exceptions": "DatasetsError"}


def printable(text: str) -> str:
    """Text as a person may see it in a line of a terminal, a log or a document: control characters, which could steer a
    terminal, are escaped as in Python (`\\x1b`), and tabs and line breaks are spaces."""
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
    """As [`printable`], of text whose line breaks are meant."""
    return "\n".join(map(printable, text.split("\n")))


class PrintableFormatter(logging.Formatter):
    """Messages of a log without what could steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


def log_handler(stream: TextIO | None = None) -> logging.Handler:
    """A handler that writes the messages of a log alone, to a stream (default: standard error)."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    return handler


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ValueErrors. [`one_line_errors`] prints them."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; see {self.prog} --help")


def errors_of_input() -> tuple[type[BaseException], ...]:
    """The errors that say what is wrong with the input. Those of a library exist only if it was imported."""
    of_libraries = [getattr(sys.modules[name], error) for name, error in LIBRARY_ERRORS.items() if name in sys.modules]
    return (ValueError, OSError, ImportError, *of_libraries)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with a one-line error if the user's input is wrong. PRECODE_TRACEBACK=1 shows the traceback."""
    try:
        yield
    except errors_of_input() as error:
        if os.environ.get("PRECODE_TRACEBACK"):
            raise
        sys.exit(f"error: {printable(' '.join(str(error).split()))}")
