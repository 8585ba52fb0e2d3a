"""Exports a corpus to a folder of Parquet files with a dataset card, for `datasets.load_dataset`, and pushes the folder
to the Hub.

The folder is written completely or not at all. The card of a corpus that must not be redistributed has a tag. Such a
corpus is pushed only on explicit request, and only to a private repository.
"""

import math
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets

from ..loading.corpora import CORPORA
from ..tools.hub import push_folder
from ..tools.whole_files import check_new_folder, whole_folder
from .dataset_card import dataset_card, is_restricted

ROWS_PER_FILE = 100_000


def export_corpus(
    corpus: datasets.DatasetDict,
    folder: str | Path,
    name: str,
    *,
    options: dict[str, Any] | None = None,
    notes: Iterable[str] = (),
    rows_per_file: int = ROWS_PER_FILE,
) -> None:
    """Write a corpus as Parquet files and a dataset card, so that `load_dataset(folder)` can load it.

    Args:
        corpus: The splits of the corpus.
        folder: A new or empty folder.
        name: One of `CORPORA`, for its license and options, or any other name.
        options: The options that the corpus was built with.
        notes: Sentences for the card about further changes to the corpus.
        rows_per_file: The maximum number of dialogues per file.
    """
    folder = check_export_folder(folder)
    if empty := [split for split, rows in corpus.items() if not len(rows)]:
        raise ValueError(
            f"{name}: no dialogue in {', '.join(empty)}, and an empty split cannot be loaded; leave it out"
        )
    with whole_folder(folder, replace=False) as unfinished:
        (unfinished / "data").mkdir()
        for split, rows in corpus.items():
            count = math.ceil(len(rows) / rows_per_file)
            for number in range(count):
                part = rows.shard(count, number, contiguous=True)
                part.to_parquet(str(unfinished / "data" / f"{split}-{number:05d}-of-{count:05d}.parquet"))
        card = dataset_card(corpus, name, options or {}, notes)
        (unfinished / "README.md").write_text(card, encoding="utf-8")


def push_corpus(
    folder: str | Path, repo_id: str, private: bool = False, *, allow_restricted: bool = False, token: str | None = None
) -> str | None:
    """Upload a folder of `export_corpus` to the Hub. It replaces the files of an earlier push.

    A corpus that must not be redistributed needs `allow_restricted`, and is pushed only to a private repository.

    Returns:
        The address of the commit, or None if the push failed. The folder then stays, and a message says how to push it
        later.
    """
    if not Path(folder, "README.md").is_file():
        raise FileNotFoundError(f"{folder}: no README.md; use a folder that --export wrote")
    check_may_push(folder, allow_restricted)
    private = private or is_restricted(folder)
    flags = " --allow_restricted" * allow_restricted + " --private" * private
    return push_folder(
        folder,
        repo_id,
        what="corpus",
        later=f"precode corpus --export {shlex.quote(str(folder))} --push_to_hub {shlex.quote(repo_id)}{flags}",
        repo_type="dataset",
        private=private,
        token=token,
        allow_patterns=["README.md", "data/*.parquet"],
        delete_patterns="data/*.parquet",
    )


def check_export_folder(folder: str | Path) -> Path:
    """Check that a folder can be created for an export, and return its path without links.

    Raises:
        ValueError: Its path is the name of a corpus.
        FileExistsError: It is a file, or a folder that is not empty.
    """
    if str(folder) in CORPORA:
        raise ValueError(f"{folder}: the name of a corpus, which --corpus would build instead; use another folder")
    return check_new_folder(folder)


def check_may_push(corpus: str | Path, allow_restricted: bool) -> None:
    """Check that a corpus may be pushed.

    Args:
        corpus: The name of a corpus, or a folder with its dataset card.
        allow_restricted: Whether the user asks for a push although the license forbids redistribution.

    Raises:
        ValueError: The license forbids redistribution, and `allow_restricted` is False.
    """
    if is_restricted(corpus) and not allow_restricted:
        raise ValueError(
            f"{corpus}: its license forbids redistribution; for your own private repository, use --allow_restricted"
        )
