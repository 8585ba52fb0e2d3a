"""Command-line tools: a parser and a context that turn wrong input into a one-line error."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from datasets.exceptions import DatasetsError
from huggingface_hub.errors import StrictDataclassError


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ValueErrors. [`one_line_errors`] prints them."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; see {self.prog} --help")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with a one-line error if the user's input is wrong. PRECODE_TRACEBACK=1 shows the traceback."""
    try:
        yield
    except (ValueError, OSError, ImportError, StrictDataclassError, DatasetsError) as error:
        if os.environ.get("PRECODE_TRACEBACK"):
            raise
        sys.exit(f"error: {' '.join(str(error).split())}")
