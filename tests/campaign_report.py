"""The table of a campaign, printed and written into a document between its markers."""

import datetime
import os
import platform
import re
from pathlib import Path

from data_scripts.inspection.description import aligned_table, markdown_table
from data_scripts.tools.whole_files import whole_file


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
    text = document.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in text or end not in text:
        raise ValueError(f"{document}: no place for the report of {name}; write {begin} and {end} there")
    today = datetime.date.today().isoformat()
    report = f"{begin}\n\n{today}, {settings}; {machine()}.\n\n{markdown_table(rows).strip()}\n\n{end}"
    text = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: report, text, flags=re.DOTALL)
    with whole_file(document) as partial:
        partial.write_text(text, encoding="utf-8")
