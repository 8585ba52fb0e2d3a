"""Writes labeled dialogues as a web page, or as an index and a folder of pages if one page would be too large."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from urllib.parse import quote

from data_scripts.building.dialogues import Dialogue
from data_scripts.tools.whole_files import whole_file, whole_folder

from .excerpts import MOST_DIALOGUES, MOST_UTTERANCES, Excerpt, in_pages
from .page import index_page, page
from .page_section import heading_text
from .summary import Entry, Summary, summary_of

Labeled = Iterable[tuple[Dialogue, list[dict]]]
# With more dialogues than this, the index has an entry for each page instead of each dialogue.
MOST_ENTRIES = 2_000
PART = re.compile(r"\d{4,}\.html")
LIMIT = f"{MOST_UTTERANCES:,} utterances or {MOST_DIALOGUES:,} dialogues"


@dataclass
class Index:
    """The content of the index: a summary and links of all pages so far."""

    summary: Summary
    pages: int = 0
    by_page: list[Entry] = field(default_factory=list)
    by_dialogue: list[Entry] = field(default_factory=list)

    def add(self, href: str, excerpts: Sequence[Excerpt]) -> None:
        """Add a page: its address and its excerpts."""
        self.pages += 1
        for excerpt in excerpts:
            self.summary.add(excerpt, href)
        labels, first, last = self.summary.labels, excerpts[0].number, excerpts[-1].number
        whole = summary_of(excerpts, labels)
        name = f"Dialogue {first}" if first == last else f"Dialogues {first:,} to {last:,}"
        self.by_page.append(Entry(href, name, f"{whole.utterances:,} utterances", whole.shares))
        if len(self.by_dialogue) <= MOST_ENTRIES:
            self.by_dialogue += [
                Entry.of_dialogue(excerpt.number, heading_text(excerpt), summary_of([excerpt], labels), href)
                for excerpt in excerpts
            ]

    @property
    def entries(self) -> list[Entry]:
        """The links to all dialogues, or to all pages if there are too many dialogues."""
        return self.by_page if len(self.by_dialogue) > MOST_ENTRIES else self.by_dialogue


def as_page(labeled: Labeled, labels: Sequence[str], name: str, model: str) -> Iterator[str]:
    """Yield one page in pieces of HTML.

    Args:
        labeled: Every dialogue, and its turns from the pipeline with `distribution=True`.
        labels: The labels of the model.
        name: The title.
        model: The name of the model.

    Raises:
        ValueError: There are more dialogues than fit on one page. This is raised before the first piece.
    """
    first, following = next(with_following(labeled), ([], None))
    if following:
        raise ValueError(f"more than {LIMIT} need several pages; use --output with the name of a .html file")
    yield from page(name, model, labels, first)


def write_pages(path: Path, labeled: Labeled, labels: Sequence[str], name: str, model: str) -> None:
    """Write one page, or an index and a folder of pages beside it, completely or not at all.

    Args:
        path: The file of the page or index. The folder of `calls.html` is `calls-parts`.
        labeled: Every dialogue, and its turns from the pipeline with `distribution=True`.
        labels: The labels of the model.
        name: The name of the file that was labeled, for the title.
        model: The name of the model.

    Raises:
        FileExistsError: The folder contains other files than such pages.
    """
    folder = parts_folder(path)
    check_parts_folder(path)
    pages = with_following(labeled)
    first, following = next(pages, ([], None))
    if not following:
        with whole_file(path) as unfinished:
            write(unfinished, page(name, model, labels, first))
        # The pages of an earlier, larger result.
        check_parts_folder(path)
        shutil.rmtree(folder, ignore_errors=True)
        return
    index = Index(Summary(labels))
    # The folder exists before the index that links to it.
    with whole_file(path) as unfinished, whole_folder(folder) as parts:
        for number, (excerpts, after) in enumerate(chain([(first, following)], pages), start=1):
            part = f"{number:04}.html"
            links = links_of(path, number, is_last=after is None)
            write(parts / part, page(f"{name} · page {number}", model, labels, excerpts, links))
            index.add(f"{address(folder)}/{part}", excerpts)
        write(unfinished, index_page(name, model, labels, index.summary, index.pages, index.entries))
        # Files that appeared there in the meantime are not deleted.
        check_parts_folder(path)


def with_following(labeled: Labeled) -> Iterator[tuple[list[Excerpt], list[Excerpt] | None]]:
    """Yield the excerpts of each page with those of the next page, or with None after the last."""
    pages: Iterator[list[Excerpt] | None] = chain(in_pages(labeled), [None])
    for excerpts, following in pairwise(pages):
        assert excerpts is not None  # only the last one is None
        yield excerpts, following


def write(path: Path, pieces: Iterable[str]) -> None:
    """Write pieces of text to a file."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.writelines(pieces)


def links_of(index: Path, number: int, is_last: bool) -> list[tuple[str, str, str]]:
    """The links of a page: address, text, and its relation to the page."""
    links = [(f"../{address(index)}", "All dialogues", "")]
    links += [(f"{number - 1:04}.html", f"← Page {number - 1}", "prev")] if number > 1 else []
    return links + ([] if is_last else [(f"{number + 1:04}.html", f"Page {number + 1} →", "next")])


def address(path: Path) -> str:
    """The name of a file as a relative address."""
    return quote(os.fsencode(path.name))


def parts_folder(path: Path) -> Path:
    """The folder of the pages of an index."""
    return path.with_name(f"{path.stem}-parts")


def check_parts_folder(path: Path) -> None:
    """Raise a FileExistsError if the folder that will be replaced contains other files than pages."""
    folder = parts_folder(path)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(
            f"{folder}: is a file, but the pages of {path} need a folder there; move it, or use another name"
        )
    for other in folder.iterdir() if folder.is_dir() else []:
        if not PART.fullmatch(other.name):
            raise FileExistsError(
                f"{folder}: contains {other.name}, and would be replaced by the pages of {path}; move it, or use "
                "another name"
            )
