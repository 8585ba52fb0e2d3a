"""Writes labeled dialogues as an Excel workbook, with the same rows and columns as the other tables."""

import logging
import re
from collections.abc import Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import Any

from .rows import ROWS_AT_ONCE, Labeled, cell, check_columns, columns_of, in_order, rows_of

logger = logging.getLogger(__name__)

# The limits of Excel: the rows of a sheet, with its header, and the characters of a cell.
MOST_ROWS, MOST_CHARACTERS = 1_048_576, 32_767
# Excel keeps 15 digits of a number.
LARGEST_NUMBER = 10**15
NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def check_workbook(output: str) -> None:
    """Raise an ImportError if openpyxl is not installed."""
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        raise ImportError(
            f"--output {output}: writing an Excel workbook needs openpyxl; pip install openpyxl, or write .csv"
        ) from None


def check_number_of_rows(rows: int) -> None:
    """Raise a ValueError if a header and that many rows do not fit in a sheet."""
    if rows >= MOST_ROWS:
        raise ValueError(
            f"an Excel sheet holds {MOST_ROWS - 1:,} rows below its header; got {rows:,} or more; write .csv or "
            ".parquet"
        )


def write_workbook(path: Path, labeled: Labeled, labels: Sequence[str]) -> None:
    """Write a sheet with one utterance per row. Text that begins with = stays text.

    Raises:
        ValueError: There are more rows, or more characters in a cell, than Excel allows.
    """
    from openpyxl import Workbook

    rows = in_order(rows_of(labeled))
    first = list(islice(rows, ROWS_AT_ONCE))
    columns = columns_of(first)
    book = Workbook(write_only=True)
    sheet = book.create_sheet("predictions")
    sheet.freeze_panes = "A2"
    replaced = 0
    with closing(sheet):
        if columns:
            sheet.append([excel_cell(sheet, column) for column in columns])
        for number, row in enumerate(chain(first, rows), start=1):
            check_number_of_rows(number)
            check_columns(row, columns)
            check_texts(row)
            replaced += sum(isinstance(value, str) and bool(NOT_IN_XML.search(value)) for value in row.values())
            sheet.append([excel_cell(sheet, row.get(column)) for column in columns])
    book.save(path)
    if replaced:
        logger.info("%d texts have control characters, which a workbook cannot contain: they became \ufffd", replaced)


def check_texts(row: dict[str, Any]) -> None:
    """Raise a ValueError if a text is too long for a cell."""
    for column, value in ((column, cell(value)) for column, value in row.items()):
        if isinstance(value, str) and len(value) > MOST_CHARACTERS:
            raise ValueError(
                f"dialogue {row['dialogue_id']}, column {column}: an Excel cell holds {MOST_CHARACTERS:,} "
                f"characters; got {len(value):,}, {value[:40]!r}; write .csv or .parquet"
            )


def excel_cell(sheet: Any, value: Any) -> Any:
    """Convert a value so that openpyxl writes it unchanged."""
    from openpyxl.cell import WriteOnlyCell

    if not isinstance(value, bool):
        value = cell(value)
    if isinstance(value, int) and abs(value) >= LARGEST_NUMBER:
        return str(value)
    if not isinstance(value, str) or not value:
        return None if value == "" else value
    text = WriteOnlyCell(sheet, NOT_IN_XML.sub("\ufffd", value))
    if text.data_type != "s":
        # Text that looks like a formula or an error. With the prefix, it also stays text when it is edited.
        text.data_type, text.quotePrefix = "s", True
    return text
