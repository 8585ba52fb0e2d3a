"""The vectors of a corpus's utterances from a frozen text encoder, computed once and saved on disk."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow as pa
import torch
import transformers
from datasets import DatasetDict
from filelock import FileLock

from data_scripts.tools.progress import with_progress
from data_scripts.tools.whole_files import disk_full_errors

from ..batching import successive_batches
from ..dialogue_text_encoder import DialogueTextEncoder
from ..modeling_precode import PreCodePreTrainedModel
from ..steps import Steps
from ..text_encoder import TextUtteranceEncoder
from ..version import __version__
from .encoded_dialogues import EncodedDialogues

logger = logging.getLogger(__name__)

COLUMNS = ("input_ids", "negative_input_ids")
VECTOR_TYPES = ("float32", "float16")
# Settings in the configuration of a text encoder that do not affect what it computes.
NO_SETTINGS = ("_name_or_path", "architectures", "dtype", "transformers_version", "id2label", "label2id")
# The number of utterances that are computed and written together.
WINDOW = 4096


def with_vectors(
    splits: DatasetDict, model: PreCodePreTrainedModel, vector_type: str | None, bf16: bool
) -> tuple[DatasetDict, "UtteranceVectors | None"]:
    """The dialogues for training, and the vectors of a frozen text encoder.

    If the model's text encoder is frozen, the dialogues have rows of its vectors in place of token ids.
    """
    if not model.config.freeze_text_encoder:
        return splits, None
    vectors = UtteranceVectors(splits, model, vector_type or VECTOR_TYPES[0], bf16)
    return DatasetDict({name: vectors.dialogues(split) for name, split in splits.items()}), vectors


class _Text(NamedTuple):
    """What the text encoder reads at once: an utterance, or a dialogue.

    Args:
        utterances: The token ids of each utterance.
        name_lengths: For each utterance of a dialogue, the number of tokens of the speaker's name; `None` for a single
            utterance.
    """

    utterances: list[np.ndarray]
    name_lengths: np.ndarray | None = None

    def key(self) -> bytes:
        """A key that is equal for equal texts, whose number types differ between the columns of `datasets`."""
        parts = self.utterances
        if self.name_lengths is not None:
            lengths = np.array([len(ids) for ids in self.utterances])
            parts = [np.array([len(lengths)]), lengths, self.name_lengths, *self.utterances]
        return np.concatenate(parts).astype("<i4").tobytes()


class UtteranceVectors:
    """A vector (h,) for every distinct utterance of a corpus: the pooled states of the text encoder.

    If the text encoder reads whole dialogues, there is a vector for every utterance of every distinct dialogue.

    The vectors are the rows of a memory-mapped file in the cache of `datasets`. Its name is a digest of the encoder's
    weights and settings, the pooling, the number types, the token ids of the utterances and the versions of the code.
    If there is no such file, the vectors are computed, and the file appears when it is complete. An interrupted
    computation is resumed. If two processes need the same file, one computes it and the other waits.

    Args:
        splits: Encoded dialogues by the name of the split, with the columns `input_ids` and, if the corpus has
            negatives, `negative_input_ids`. For a model with `text_context="dialogue"` also `name_lengths`.
        model: A model with a frozen text encoder, on the device for the computation.
        dtype: The type of the saved numbers, `"float32"` or `"float16"`.
        bf16: Whether to compute with bfloat16, as a model that is trained with it does.

    Raises:
        ValueError: The model's text encoder is not frozen.
        OSError: The file cannot be written.
    """

    def __init__(
        self,
        splits: Mapping[str, datasets.Dataset],
        model: PreCodePreTrainedModel,
        dtype: str = "float32",
        bf16: bool = False,
    ):
        if not model.config.freeze_text_encoder:
            raise ValueError("`freeze_text_encoder` is False: the vectors of a trained encoder change")
        encoder = model.base_model.utterance_encoder
        assert isinstance(encoder, TextUtteranceEncoder)
        self.in_context = isinstance(encoder, DialogueTextEncoder)
        texts = (text for split in splits.values() for name in COLUMNS for text in self._texts(split, name))
        # Sorted, so that texts that are computed together have similar lengths.
        distinct = sorted(
            {text.key(): text for text in texts}.items(), key=lambda pair: sum(map(len, pair[1].utterances))
        )
        rows = np.cumsum([0, *(len(text.utterances) for _, text in distinct)])
        # The row of the first utterance of each text.
        self.row_of_text = {key: int(row) for row, (key, _) in zip(rows, distinct, strict=False)}
        unique, count = [text for _, text in distinct], int(rows[-1])
        name = _digest(encoder, [dtype, "bf16"] if bf16 else [dtype], unique)
        path = Path(datasets.config.HF_DATASETS_CACHE) / "precode_utterance_vectors" / f"{name}.{dtype}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if path.is_file():
                logger.info(f"Read {count:,} utterance vectors from {path}")
            else:
                with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
                    _write(path, encoder, dtype, unique)
        self.rows = np.memmap(path, dtype, "r", shape=(count, encoder.projection.in_features))

    def dialogues(self, split: datasets.Dataset) -> datasets.Dataset:
        """The same dialogues, where the only token id of an utterance is the row of its vector."""
        for name in (name for name in COLUMNS if name in split.column_names):
            rows = EncodedDialogues(split, name)
            first_rows = ((self.row_of_text[text.key()], len(text.utterances)) for text in self._texts(split, name))
            vector_rows = [first + place for first, count in first_rows for place in range(count)]
            utterances = pa.ListArray.from_arrays(
                np.arange(len(vector_rows) + 1, dtype=np.int32), pa.array(vector_rows, pa.int32())
            )
            ends = np.cumsum([0, *rows.sizes()[0]], dtype=np.int32)
            split = split.remove_columns(name).add_column(name, pa.ListArray.from_arrays(ends, utterances))
        return split.remove_columns("name_lengths") if self.in_context else split

    def _texts(self, split: datasets.Dataset, column: str) -> Iterator[_Text]:
        """What the text encoder reads of a column, in the order of the rows."""
        if column in split.column_names:
            for row in EncodedDialogues(split, column):
                if self.in_context:
                    yield _Text(list(row["input_ids"]), row["name_lengths"])
                else:
                    yield from (_Text([ids]) for ids in row["input_ids"])

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.rows[rows]


def _digest(encoder: TextUtteranceEncoder, types: list[str], texts: list[_Text]) -> str:
    total = blake2b(digest_size=16)
    settings = {name: value for name, value in encoder.encoder.config.to_dict().items() if name not in NO_SETTINGS}
    parts: list[Any] = [settings, encoder.pooling, *types, transformers.__version__, __version__]
    if isinstance(encoder, DialogueTextEncoder):
        parts += [encoder.max_tokens, encoder.special_tokens, encoder.causal]
    total.update(json.dumps(parts, sort_keys=True, default=str).encode())
    for name, weight in encoder.encoder.state_dict().items():
        total.update(name.encode())
        total.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    for text in texts:
        key = text.key()
        total.update((len(key) // 4).to_bytes(4, "little"))
        total.update(key)
    return total.hexdigest()


@torch.no_grad()
def _write(path: Path, encoder: TextUtteranceEncoder, dtype: str, texts: list[_Text]) -> None:
    """Compute the vectors into a file that appears when it is complete, and resume an interrupted computation."""
    partial = path.with_name(f"{path.name}.partial")
    windows = list(successive_batches(texts, lambda text: len(text.utterances), WINDOW))
    rows = np.cumsum([0, *(sum(len(text.utterances) for text in window) for window in windows)])
    ends = rows * encoder.projection.in_features * np.dtype(dtype).itemsize
    training = encoder.training
    encoder.eval()
    try:
        with disk_full_errors(path), open(partial, "ab") as file:
            # The last window may be incomplete.
            done = max(int(np.searchsorted(ends, file.tell(), side="right")) - 2, 0)
            file.truncate(int(ends[done]))
            for window in with_progress(windows[done:], "encoding utterances", len(windows) - done, "windows"):
                vectors = _pooled(encoder, window)
                file.write(vectors.astype(dtype).tobytes())
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        encoder.train(training)
    logger.info(f"Computed {rows[-1]:,} utterance vectors into {path}")


def _pooled(encoder: TextUtteranceEncoder, texts: list[_Text]) -> np.ndarray:
    device = encoder.projection.weight.device
    utterances = [ids for text in texts for ids in text.utterances]
    tokens = torch.from_numpy(np.concatenate(utterances).astype(np.int64)).to(device)
    if isinstance(encoder, DialogueTextEncoder):
        names = torch.from_numpy(np.concatenate([text.name_lengths for text in texts]).astype(np.int64)).to(device)
        pooled = encoder.pooled(tokens, [np.array(list(map(len, text.utterances))) for text in texts], names)
    else:
        pooled = encoder.pooled(tokens, Steps.of([len(ids) for ids in utterances]).to(device))
    return pooled.float().cpu().numpy()
