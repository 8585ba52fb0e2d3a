"""Reads Excel workbooks (`.xlsx`): the first sheet with the required columns, one utterance per row."""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from ..building.dialogues import Dialogue
from ..tools.console import reason_of
from .input_file import InputFile, names_in_zip
from .limits import TooLargeError, most_unfolded, too_large
from .options import ReadingOptions
from .tables import Table, read_table
from .values import text_of

# The maximum in Excel.
MOST_ROWS = 1 << 20
# An empty row counts as this many cells against the limit.
EMPTY_ROW = 64


def is_excel(file: InputFile) -> bool:
    """Whether a file is an Excel workbook (.xlsx), by its content."""
    return "xl/workbook.xml" in (names_in_zip(file) or ())


def read_excel(file: InputFile) -> Iterator[Dialogue]:
    """Read the dialogues of a workbook. Raises an ImportError if openpyxl is not installed."""
    with workbook(file) as sheets:
        tables = [table for sheet in sheets if (table := table_of(file, sheet))]
        fit = [table for table in tables if has_columns(table, file.options.adapted_to(table.columns))]
        if not tables:
            return
        if len(tables) > 1:
            file.leave_out("other sheets", len(tables) - 1)
        yield from read_table(file, (fit or tables)[0])


def has_columns(table: Table, options: ReadingOptions) -> bool:
    """Whether a table has the columns of the dialogue id and of the text."""
    return {*options.dialogue_columns(table.columns), options.text_column} <= {*table.columns}


@contextmanager
def workbook(file: InputFile) -> Iterator[list[Any]]:
    """Open the sheets of a workbook."""
    try:
        import openpyxl
    except ImportError:
        raise ImportError(f"{file.name}: reading an Excel workbook needs openpyxl; pip install openpyxl") from None
    with open(file.path, "rb") as binary:
        with named_damage(file):
            check_size(file)
            book = openpyxl.load_workbook(binary, read_only=True, data_only=True)
        with closing(book):
            yield book.worksheets


def check_size(file: InputFile) -> None:
    """Raise a TooLargeError if the parts of a workbook decompress to more than its limits."""
    with zipfile.ZipFile(file.path) as archive:
        # Reading a part never returns more bytes than stated here.
        unfolded = sum(part.file_size for part in archive.infolist())
    most = most_unfolded(file.path.stat().st_size, file.options)
    limit, option = min((most, "max_ratio"), (file.options.max_unfolded, "max_unfolded"))
    if unfolded > limit:
        raise TooLargeError(too_large(limit, option))


@contextmanager
def named_damage(file: InputFile) -> Iterator[None]:
    """Name the file in the ValueError for a damaged workbook."""
    try:
        yield
    except TooLargeError as error:
        raise TooLargeError(f"{file.name}: {error}") from None
    except Exception as error:  # zip, XML and openpyxl raise many kinds of errors for damaged files
        reason = reason_of(error)
        raise ValueError(f"{file.name}: damaged, or not an Excel workbook; {reason}; save it again as .xlsx") from None


def table_of(file: InputFile, sheet: Any) -> Table | None:
    """Convert a sheet to a table. The first row that is not empty has the column names. None for an empty sheet."""
    first = next(((number, row) for number, row in numbered_rows(file, sheet) if any(map(text_of, row))), None)
    if first is None:
        return None
    head, names = first[0], [text_of(value).strip() for value in first[1]]
    where = f"{file.name}, sheet {sheet.title}, row"

    def rows(chosen: Sequence[str] | None) -> Iterator[tuple[str, dict[str, Any]]]:
        for number, values in numbered_rows(file, sheet):
            if number > head:
                row = {name: value for name, value in zip(names, values, strict=False) if name}
                row = {**dict.fromkeys(filter(None, names)), **row}
                yield f"{where} {number}", row if chosen is None else {name: row[name] for name in chosen}

    return Table(f"{where} {head}", [name for name in names if name], rows)


def numbered_rows(file: InputFile, sheet: Any) -> Iterator[tuple[int, tuple]]:
    """Yield the rows of a sheet with their numbers, within the limits: it may claim very many empty ones."""
    most = most_unfolded(file.path.stat().st_size, file.options)
    cells = 0
    with named_damage(file):
        sheet.reset_dimensions()  # some programs write them wrong
        for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            cells += len(row) or EMPTY_ROW
            if number > MOST_ROWS:
                raise ValueError(f"a sheet has more than {MOST_ROWS:,} rows")
            if cells > most:
                raise TooLargeError(too_large(most, "max_ratio"))
            yield number, row
