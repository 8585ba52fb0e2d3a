"""Labeled dialogues as a web page, or, where one would be too large, as an index and a folder of pages."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from urllib.parse import quote

from data_scripts.building.dialogues import Dialogue
from data_scripts.tools.whole_files import whole_file, whole_folder

from .excerpts import MOST_DIALOGUES, MOST_UTTERANCES, Excerpt, in_pages
from .page import document, page
from .page_section import escape, facts

Labeled = Iterable[tuple[Dialogue, list[dict]]]
# A longer index has an entry for each page, not for each dialogue.
MOST_ENTRIES = 2_000
PART = re.compile(r"\d{4,}\.html")
LIMIT = f"{MOST_UTTERANCES:,} utterances or {MOST_DIALOGUES:,} dialogues"


@dataclass
class Entry:
    """A link of the index, and how often each label is behind it."""

    href: str
    name: str
    facts: str
    labels: Counter[str]


@dataclass
class Index:
    """What the index says of the pages written so far."""

    dialogues: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    by_page: list[Entry] = field(default_factory=list)
    by_dialogue: list[Entry] = field(default_factory=list)

    def add(self, href: str, excerpts: Sequence[Excerpt]) -> None:
        counts = [Counter(turn["label"] for turn in excerpt.turns) for excerpt in excerpts]
        total = sum(counts, Counter())
        self.dialogues = excerpts[-1].number
        self.labels += total
        first, last = excerpts[0].number, excerpts[-1].number
        name = f"Dialogue {first}" if first == last else f"Dialogues {first:,} to {last:,}"
        self.by_page.append(Entry(href, name, f"{total.total():,} utterances", total))
        if len(self.by_dialogue) <= MOST_ENTRIES:
            self.by_dialogue += [
                Entry(f"{href}#d{excerpt.number}", f"Dialogue {excerpt.number}", facts(excerpt), count)
                for excerpt, count in zip(excerpts, counts, strict=True)
            ]

    @property
    def entries(self) -> list[Entry]:
        return self.by_page if len(self.by_dialogue) > MOST_ENTRIES else self.by_dialogue

    def html(self, labels: Sequence[str]) -> Iterator[str]:
        """The index in pieces of HTML."""
        total = self.labels.total()
        s = "s" * (self.dialogues != 1)
        yield (
            f"<p>{total:,} utterances in {self.dialogues:,} dialogue{s}, on {len(self.by_page):,} pages.</p>\n"
            f'{shares(self.labels, labels)}<ol class="index">\n'
        )
        for entry in self.entries:
            yield (
                f'<li><p><a href="{escape(entry.href)}">{entry.name}</a> <small dir="auto">{escape(entry.facts)}'
                f"</small></p>\n{shares(entry.labels, labels)}</li>\n"
            )
        yield "</ol>\n"


def shares(counts: Counter[str], labels: Sequence[str]) -> str:
    """A bar of the labels' shares, in their order, and the same in words, the most frequent first."""
    total = counts.total()
    found = [(labels.index(label), label, count / total) for label, count in counts.most_common()]
    bar = "".join(f'<span class="e{index}" style="width:{share:.2%}"></span>' for index, _, share in sorted(found))
    words = "".join(
        f'<li class="e{index}"><span class="dot"></span>{escape(label)} {share:.0%}</li>\n'
        for index, label, share in found
    )
    return f'<div class="bar" aria-hidden="true">{bar}</div>\n<ul class="shares">\n{words}</ul>\n'


def as_page(labeled: Labeled, labels: Sequence[str], name: str, model: str) -> Iterator[str]:
    """One page in pieces.

    Raises:
        ValueError: More dialogues than one page takes, before its first piece.
    """
    first, following = next(with_following(labeled), ([], None))
    if following:
        raise ValueError(
            f"a page of more than {LIMIT}: it needs several files; give --output, the name of a .html file"
        )
    yield from page(name, model, labels, first)


def write_pages(path: Path, labeled: Labeled, labels: Sequence[str], name: str, model: str) -> None:
    """Write one page, or an index and a folder of pages beside it, whole or not at all.

    Args:
        path: Of the page or index. The folder of `calls.html` is `calls-parts`.
        labeled: Every dialogue, and its turns from the pipeline with `distribution=True`.
        labels: Of the model.
        name: Of the file that was labeled, for the title.
        model: Its name.

    Raises:
        FileExistsError: The folder holds other files than such pages.
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
    index = Index()
    # The folder is in place before the index that leads to it.
    with whole_file(path) as unfinished, whole_folder(folder) as parts:
        for number, (excerpts, after) in enumerate(chain([(first, following)], pages), start=1):
            part = f"{number:04}.html"
            links = links_of(path, number, is_last=after is None)
            write(parts / part, page(f"{name} · page {number}", model, labels, excerpts, links))
            index.add(f"{address(folder)}/{part}", excerpts)
        write(unfinished, document(name, model, labels, index.html(labels)))
        # Files that appeared there in the meantime are not deleted.
        check_parts_folder(path)


def with_following(labeled: Labeled) -> Iterator[tuple[list[Excerpt], list[Excerpt] | None]]:
    """What is on each page, with that of the next one; None after the last."""
    pages: Iterator[list[Excerpt] | None] = chain(in_pages(labeled), [None])
    for excerpts, following in pairwise(pages):
        assert excerpts is not None  # only the last is
        yield excerpts, following


def write(path: Path, pieces: Iterable[str]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.writelines(pieces)


def links_of(index: Path, number: int, is_last: bool) -> str:
    links = [f'<a href="../{address(index)}">All dialogues</a>']
    links += [f'<a href="{number - 1:04}.html" rel="prev">← Page {number - 1}</a>'] if number > 1 else []
    links += [] if is_last else [f'<a href="{number + 1:04}.html" rel="next">Page {number + 1} →</a>']
    return f'<nav aria-label="Pages">{" ".join(links)}</nav>\n'


def address(path: Path) -> str:
    """The name of a file as a relative address."""
    return quote(os.fsencode(path.name))


def parts_folder(path: Path) -> Path:
    return path.with_name(f"{path.stem}-parts")


def check_parts_folder(path: Path) -> None:
    """That the folder of an earlier result, which is replaced, holds nothing else."""
    folder = parts_folder(path)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder}: a file, where the pages of {path} would be; move it, or give another name")
    for other in folder.iterdir() if folder.is_dir() else []:
        if not PART.fullmatch(other.name):
            raise FileExistsError(
                f"{folder}: holds {other.name}, and would be replaced by the pages of {path}; move it, or give another "
                "name"
            )
