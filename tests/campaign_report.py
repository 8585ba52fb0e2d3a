"""The table of a campaign, printed and written into a document between its markers."""

import datetime
import os
import platform
from pathlib import Path

from benchmarks.documents import insert
from data_scripts.inspection.description import aligned_table, markdown_table


def machine() -> str:
    """What the figures depend on, without the name of the host."""
    return f"{os.cpu_count()} CPUs, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


def write_report(name: str, rows: list[list[str]], document: Path | None, settings: str) -> None:
    """Print the table of a campaign, and replace what a document has between `<!-- NAME -->` and `<!-- /NAME -->`.

    Args:
        name: of the campaign.
        rows: of the table, the first with the names of the columns.
        document: a Markdown file with the markers, or None.
        settings: how long and with which seed the campaign ran.
    """
    print(aligned_table(rows))
    if document is None:
        return
    today = datetime.date.today().isoformat()
    insert(document, name, f"\n{today}, {settings}; {machine()}.\n\n{markdown_table(rows).strip()}\n")
