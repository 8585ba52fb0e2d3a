"""Writes labeled dialogues as a corpus for fine-tuning: Parquet with one dialogue per row and all probabilities."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import datasets
from pyarrow.parquet import ParquetWriter

from data_scripts.building.dialogues import Dialogue
from data_scripts.building.parts import batches_of
from data_scripts.tools.whole_files import whole_file


def write_corpus(
    path: str | Path, labeled: Iterable[tuple[Dialogue, list[dict]]], labels: Sequence[str], is_alone: bool = False
) -> None:
    """Write dialogues with the results of the pipeline as a corpus, completely or not at all.

    `run_finetune.py --corpus FOLDER --soft_labels` learns from a folder with `train.parquet`, `validation.parquet` and
    `test.parquet`.

    Args:
        path: The Parquet file.
        labeled: Every dialogue, and its turns from the pipeline with `distribution=True`.
        labels: The labels of the model, in the order of their ids.
        is_alone: Whether no other process writes the same file at the same time.

    Raises:
        ValueError: A turn has no distribution, or there is no dialogue.
    """
    features = datasets.Features(
        {
            "dialogue_id": datasets.Value("string"),
            "utterances": datasets.List(datasets.Value("string")),
            "speakers": datasets.List(datasets.Value("string")),
            "labels": datasets.List(datasets.ClassLabel(names=list(labels))),
            "label_distributions": datasets.List(datasets.List(datasets.Value("float32"))),
        }
    )
    count = 0
    # The metadata of the schema has the names of the labels for `datasets`.
    schema = features.arrow_schema
    with whole_file(Path(path), is_alone) as unfinished:
        with ParquetWriter(unfinished, schema) as file:
            for batch in batches_of(_rows(labeled, labels), schema):
                file.write_batch(batch)
                count += len(batch)
        if not count:
            raise ValueError(f"{path}: no dialogue to write")


def _rows(labeled: Iterable[tuple[Dialogue, list[dict]]], labels: Sequence[str]) -> Iterator[dict]:
    for dialogue, turns in labeled:
        if any("distribution" not in turn for turn in turns):
            raise ValueError("a corpus needs the probability of every label; call the pipeline with distribution=True")
        yield {
            "dialogue_id": dialogue.dialogue_id,
            "utterances": [turn["text"] for turn in turns],
            "speakers": [turn.get("speaker", "") for turn in turns],
            "labels": [labels.index(turn["label"]) for turn in turns],
            "label_distributions": [[turn["distribution"][label] for label in labels] for turn in turns],
        }
