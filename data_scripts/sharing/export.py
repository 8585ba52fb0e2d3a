"""A corpus as a folder of Parquet files with a dataset card, which `datasets.load_dataset` reads, and its push to the
Hub.

The folder appears whole or not at all. A corpus that may not be passed on says so in the tags of its card, and is
pushed only on demand, and to a private repository.
"""

import math
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets

from .. import CORPORA
from ..tools.hub import push_folder
from ..tools.whole_files import whole_folder
from .dataset_card import dataset_card, is_restricted

ROWS_A_FILE = 100_000


def export_corpus(
    corpus: datasets.DatasetDict,
    folder: str | Path,
    name: str,
    *,
    options: dict[str, Any] | None = None,
    notes: Iterable[str] = (),
    rows_a_file: int = ROWS_A_FILE,
) -> None:
    """Write a corpus as Parquet files and a dataset card, so that `load_dataset(folder)` gives it back.

    Args:
        folder: A new one, or an empty one.
        name: One of `CORPORA`, whose license and options the card then knows, or any other.
        options: Those that the corpus was built with.
        notes: What else was done to it, a sentence each, for the card.
        rows_a_file: A split of more dialogues goes into several files.
    """
    folder = Path(folder).resolve()
    check_new_folder(folder)
    if empty := [split for split, rows in corpus.items() if not len(rows)]:
        raise ValueError(f"{name}: no dialogue in {', '.join(empty)}, which nothing could read; leave the split out")
    with whole_folder(folder, replace=False) as unfinished:
        (unfinished / "data").mkdir()
        for split, rows in corpus.items():
            count = math.ceil(len(rows) / rows_a_file)
            for number in range(count):
                part = rows.shard(count, number, contiguous=True)
                part.to_parquet(str(unfinished / "data" / f"{split}-{number:05d}-of-{count:05d}.parquet"))
        card = dataset_card(corpus, name, options or {}, notes)
        (unfinished / "README.md").write_text(card, encoding="utf-8")


def push_corpus(
    folder: str | Path, repo_id: str, private: bool = False, *, allow_restricted: bool = False, token: str | None = None
) -> str | None:
    """Upload a folder that `export_corpus` made to the Hub, in place of what an earlier push left there.

    A corpus that may not be passed on needs `allow_restricted`, and goes to a private repository only.

    Returns:
        The address of the commit, or None when the push failed: the folder stays, and the message says how to push it
        later.
    """
    if not Path(folder, "README.md").is_file():
        raise FileNotFoundError(f"{folder}: no README.md; give a folder that --export made")
    check_may_push(folder, allow_restricted)
    private = private or is_restricted(folder)
    flags = " --allow_restricted" * allow_restricted + " --private" * private
    return push_folder(
        folder,
        repo_id,
        what="corpus",
        later=f"python -m data_scripts --export {shlex.quote(str(folder))} --push_to_hub {shlex.quote(repo_id)}{flags}",
        repo_type="dataset",
        private=private,
        token=token,
        allow_patterns=["README.md", "data/*.parquet"],
        delete_patterns="data/*.parquet",
    )


def check_new_folder(folder: str | Path) -> None:
    if str(folder) in CORPORA:
        raise ValueError(f"{folder}: the name of a corpus, which --corpus would build instead; give another folder")
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder}: a file; give a folder to export to")
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder}: not empty; give another folder to export to")


def check_may_push(corpus: str | Path, allow_restricted: bool) -> None:
    if is_restricted(corpus) and not allow_restricted:
        raise ValueError(
            f"{corpus}: its licence forbids passing it on; for a private repository of your own give --allow_restricted"
        )
