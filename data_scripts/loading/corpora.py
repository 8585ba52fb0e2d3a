"""The corpora by name: `load_corpus(name, data_dir)` returns the splits of one, with one dialogue per row."""

import re
from pathlib import Path

import datasets
import pyarrow as pa
from datasets.exceptions import DatasetGenerationError
from huggingface_hub import DatasetCard
from huggingface_hub.errors import EntryNotFoundError

from ..building.builder import DialogueBuilder
from ..chitchat import ChitChat
from ..custom import Custom
from ..dailydialog import DailyDialog
from ..emorynlp import EmoryNLP
from ..emotionpush import EmotionPush
from ..friends import Friends
from ..iemocap import Iemocap
from ..meld import Meld
from ..mosei import Mosei
from ..mosi import Mosi
from ..openerc import OpenERC
from ..opsub import OpSub
from ..sample import Sample
from .row_checks import check_rows

CORPORA: dict[str, type[DialogueBuilder]] = {
    "chitchat": ChitChat,
    "custom": Custom,
    "dailydialog": DailyDialog,
    "emorynlp": EmoryNLP,
    "emotionpush": EmotionPush,
    "friends": Friends,
    "iemocap": Iemocap,
    "meld": Meld,
    "mosei": Mosei,
    "mosi": Mosi,
    "openerc": OpenERC,
    "opsub": OpSub,
    "sample": Sample,
}

COLUMNS = ["dialogue_id", "utterances", "speakers"]
# `datasets` does not save these fields in a folder of Parquet files. The header of the dataset card has them under our
# own key.
INFO, INFO_FIELDS = "corpus_info", ("description", "homepage", "license", "citation")


def load_corpus(
    name: str,
    data_dir: str | Path | None = None,
    *,
    cache_dir: str | Path | None = None,
    num_proc: int | None = None,
    on_ray: bool = False,
    **options,
) -> datasets.DatasetDict:
    """Load the splits of a corpus.

    Args:
        name: One of `CORPORA`, the folder of a saved dataset, or the name `user/name` of a dataset on the Hub.
        data_dir: The folder with the published files of the corpus. A corpus from a package needs none.
        cache_dir: The folder for the prepared dataset; by default the cache of `datasets`.
        num_proc: The number of worker processes, for a corpus of many files.
        on_ray: Distribute the files on a Ray cluster instead: the one in `RAY_ADDRESS`, or a local one. Its machines
            need this package, and the files and the cache folder under the same paths.
        options: Options of the corpus, such as `max_utterances=30`.

    Raises:
        ValueError: The corpus or an option is unknown, or a file has invalid content. The message names the line, or
            the dialogue of a prepared dataset.
        FileNotFoundError: A file of the corpus is missing.
    """
    if name in CORPORA:
        builder = CORPORA[name](data_dir, cache_dir=cache_dir, **options)
        builder.download_and_prepare(num_proc=num_proc, on_ray=on_ray)
        return builder.as_dataset()
    if Path(name).is_dir() or re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        passed = {"data_dir": data_dir, "on_ray": on_ray or None, **options}
        if without_effect := [option for option, value in passed.items() if value is not None]:
            raise ValueError(f"{name}: this dataset is already built; got {without_effect[0]}; leave it out")
        return load_prepared(name, cache_dir=cache_dir, num_proc=num_proc)
    known = ", ".join(CORPORA)
    raise ValueError(f"unknown corpus; got {name!r}; known: {known}, the folder of a dataset, or user/name on the Hub")


def load_prepared(name: str, cache_dir: str | Path | None, num_proc: int | None) -> datasets.DatasetDict:
    """Load a dataset that already has the columns of a corpus, from a folder or from the Hub."""
    if Path(name, "state.json").is_file():
        raise ValueError(
            f"{name}: a single saved split, without train, validation and test; "
            f"put the splits in a datasets.DatasetDict, and use the folder that its save_to_disk writes"
        )
    if Path(name, "dataset_dict.json").is_file():
        dataset = datasets.load_from_disk(name)
    else:
        try:
            dataset = datasets.load_dataset(name, cache_dir=cache_dir and str(cache_dir), num_proc=num_proc)
        except (DatasetGenerationError, pa.ArrowInvalid) as error:
            raise ValueError(f"{name}: cannot read a file: {error.__cause__ or error}") from error
    info = read_info(name)
    for split, rows in dataset.items():
        for field in INFO_FIELDS:
            if field in info:
                setattr(rows.info, field, info[field])
        if missing := [column for column in COLUMNS if column not in rows.column_names]:
            raise ValueError(
                f"{name}, split {split}: missing column {', '.join(missing)}; got {', '.join(rows.column_names)}; "
                f"needed: {', '.join(COLUMNS)}, and labels if there are any"
            )
        for column in ("utterances", "speakers"):
            if not isinstance(rows.features[column], datasets.List):
                raise ValueError(f"{name}, split {split}: {column} must be a list; got {rows.features[column]}")
        labels = rows.features.get("labels")
        if labels and not isinstance(getattr(labels, "feature", None), datasets.ClassLabel):
            raise ValueError(f"{name}, split {split}: labels must be List(ClassLabel); got {labels}; cast the column")
        check_rows(rows, f"{name}, split {split}")
    return dataset


def read_info(name: str) -> dict[str, str]:
    """Read the fields that `datasets` does not save from the card of a folder or of a dataset on the Hub."""
    card = Path(name, "README.md")
    if Path(name).is_dir() and not card.is_file():
        return {}
    try:
        return DatasetCard.load(card if card.is_file() else name).data.get(INFO) or {}
    except EntryNotFoundError:
        return {}


def label_names(dataset: datasets.Dataset | datasets.DatasetDict) -> list[str] | None:
    """The label names in the order of their ids; None for a corpus without labels."""
    rows = next(iter(dataset.values())) if isinstance(dataset, dict) else dataset
    return rows.features["labels"].feature.names if "labels" in rows.features else None
