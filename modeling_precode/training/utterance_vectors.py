"""The vectors of a corpus's utterances from a frozen text encoder, computed once and saved on disk."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import torch
import transformers
from datasets import DatasetDict
from filelock import FileLock

from data_scripts.tools.progress import with_progress
from data_scripts.tools.whole_files import disk_full_errors

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


class UtteranceVectors:
    """A vector (h,) for every distinct utterance of a corpus: the pooled states of the text encoder.

    The vectors are the rows of a memory-mapped file in the cache of `datasets`. Its name is a digest of the encoder's
    weights and settings, the pooling, the number types, the token ids of the utterances and the versions of the code.
    If there is no such file, the vectors are computed, and the file appears when it is complete. An interrupted
    computation is resumed. If two processes need the same file, one computes it and the other waits.

    Args:
        splits: Encoded dialogues by the name of the split, with the columns `input_ids` and, if the corpus has
            negatives, `negative_input_ids`.
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
        # Sorted, so that utterances that are computed together have similar lengths.
        distinct = sorted({_key(ids): ids for ids in _utterances(splits)}.items(), key=lambda pair: len(pair[1]))
        self.row_of_utterance = {key: row for row, (key, _) in enumerate(distinct)}
        utterances = [ids for _, ids in distinct]
        name = _digest(encoder, [dtype, "bf16"] if bf16 else [dtype], utterances)
        path = Path(datasets.config.HF_DATASETS_CACHE) / "precode_utterance_vectors" / f"{name}.{dtype}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if path.is_file():
                logger.info(f"Read {len(utterances):,} utterance vectors from {path}")
            else:
                with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
                    _write(path, encoder, dtype, utterances)
        self.rows = np.memmap(path, dtype, "r", shape=(len(utterances), encoder.projection.in_features))

    def dialogues(self, split: datasets.Dataset) -> datasets.Dataset:
        """The same dialogues, where the only token id of an utterance is the row of its vector."""
        for name in (name for name in COLUMNS if name in split.column_names):
            rows = EncodedDialogues(split, name)
            vector_rows = [self.row_of_utterance[_key(ids)] for row in rows for ids in row["input_ids"]]
            utterances = pa.ListArray.from_arrays(
                np.arange(len(vector_rows) + 1, dtype=np.int32), pa.array(vector_rows, pa.int32())
            )
            ends = np.cumsum([0, *rows.sizes()[0]], dtype=np.int32)
            split = split.remove_columns(name).add_column(name, pa.ListArray.from_arrays(ends, utterances))
        return split

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.rows[rows]


def _utterances(splits: Mapping[str, datasets.Dataset]) -> Iterator[np.ndarray]:
    """The token ids of every utterance of every split."""
    for split in splits.values():
        for name in COLUMNS:
            if name in split.column_names:
                for row in EncodedDialogues(split, name):
                    yield from row["input_ids"]


def _key(ids: np.ndarray) -> bytes:
    """A key that is equal for equal token ids, whose types differ between the columns of `datasets`."""
    return ids.astype("<i4").tobytes()


def _digest(encoder: TextUtteranceEncoder, types: list[str], utterances: list[np.ndarray]) -> str:
    total = blake2b(digest_size=16)
    settings = {name: value for name, value in encoder.encoder.config.to_dict().items() if name not in NO_SETTINGS}
    parts = [settings, encoder.pooling, *types, transformers.__version__, __version__]
    total.update(json.dumps(parts, sort_keys=True, default=str).encode())
    for name, weight in encoder.encoder.state_dict().items():
        total.update(name.encode())
        total.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    for ids in utterances:
        total.update(len(ids).to_bytes(4, "little"))
        total.update(_key(ids))
    return total.hexdigest()


@torch.no_grad()
def _write(path: Path, encoder: TextUtteranceEncoder, dtype: str, utterances: list[np.ndarray]) -> None:
    """Compute the vectors into a file that appears when it is complete, and resume an interrupted computation."""
    partial = path.with_name(f"{path.name}.partial")
    window_size = WINDOW * encoder.projection.in_features * np.dtype(dtype).itemsize
    training = encoder.training
    encoder.eval()
    try:
        with disk_full_errors(path), open(partial, "ab") as file:
            # The last window may be incomplete.
            done = max(file.tell() // window_size - 1, 0)
            file.truncate(done * window_size)
            starts = range(done * WINDOW, len(utterances), WINDOW)
            for start in with_progress(starts, "encoding utterances", len(starts), "windows"):
                vectors = _pooled(encoder, utterances[start : start + WINDOW])
                file.write(vectors.astype(dtype).tobytes())
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        encoder.train(training)
    logger.info(f"Computed {len(utterances):,} utterance vectors into {path}")


def _pooled(encoder: TextUtteranceEncoder, utterances: list[np.ndarray]) -> np.ndarray:
    device = encoder.projection.weight.device
    tokens = torch.from_numpy(np.concatenate(utterances).astype(np.int64)).to(device)
    return encoder.pooled(tokens, Steps.of([len(ids) for ids in utterances]).to(device)).float().cpu().numpy()
