"""The predictions of a run as JSON Lines, one dialogue per line."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from data_scripts.formats.values import plain_value
from data_scripts.tools.whole_files import whole_file


def write_predictions(path: Path, rows: Iterable[dict[str, Any]], logits: np.ndarray, names: list[str]) -> None:
    """Write every dialogue with its true and predicted labels. Dates and binary columns become text.

    Args:
        path: The file.
        rows: The dialogues of the corpus.
        logits: (dialogues, utterances, labels), padded.
        names: The names of the labels, in the order of the class ids.
    """
    with whole_file(path) as partial, open(partial, "w", encoding="utf-8") as file:
        for row, row_logits in zip(rows, logits, strict=True):
            row["labels"] = [names[label] if label >= 0 else None for label in row["labels"]]
            row["predictions"] = [names[i] for i in row_logits[: len(row["labels"])].argmax(-1)]
            file.write(json.dumps(row, ensure_ascii=False, default=plain_value) + "\n")
