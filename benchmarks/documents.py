"""Tables in Markdown, and their insertion into documents."""

import re
from collections.abc import Iterable
from pathlib import Path

from data_scripts.tools.whole_files import whole_file


def table(header: Iterable[str], rows: Iterable[Iterable[str]] = ()) -> str:
    header = list(header)
    return "\n".join(map(table_row, (header, ["---"] * len(header), *rows)))


def table_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def replace_between(text: str, marker: str, inserted: str) -> str:
    """Replace what is between the lines `<!-- MARKER -->` and `<!-- /MARKER -->` of a text that has them."""
    between = re.compile(rf"(<!-- {re.escape(marker)} -->\n).*?(<!-- /{re.escape(marker)} -->)", re.DOTALL)
    return between.sub(lambda match: f"{match[1]}{inserted}\n{match[2]}", text)


def insert(document: Path, marker: str, inserted: str) -> None:
    """Replace what is between the lines `<!-- MARKER -->` and `<!-- /MARKER -->` of a document.

    Raises:
        ValueError: The document does not have these lines.
    """
    text = document.read_text(encoding="utf-8")
    if not all(f"<!-- {name} -->" in text for name in (marker, f"/{marker}")):
        raise ValueError(
            f"{document}: no lines <!-- {marker} --> and <!-- /{marker} -->; add them where the table goes"
        )
    with whole_file(document) as partial:
        partial.write_text(replace_between(text, marker, inserted), encoding="utf-8")
