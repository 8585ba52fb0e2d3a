"""The fingerprint of a run: settings, data, vocabulary and initial weights, which a resumed run must share."""

import json
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from transformers.utils import SAFE_WEIGHTS_NAME

from data_scripts.tools.digests import changes, text_digest
from data_scripts.tools.progress import with_progress
from data_scripts.tools.whole_files import digest, read_json, write_json

from ..default_model import checkpoint_path

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

# A subfolder, because a push to the Hub does not upload subfolders.
RUN_FOLDER = ".run"
FINGERPRINT = f"{RUN_FOLDER}/fingerprint.json"
VOCABULARY, START, SEED = "the vocabulary's digest", "the start's digest", "--seed"


def write_fingerprint(folder: Path, fingerprint: dict[str, Any]) -> None:
    """Write the fingerprint of a run into its folder."""
    (folder / FINGERPRINT).parent.mkdir(parents=True, exist_ok=True)
    write_json(folder / FINGERPRINT, fingerprint)


def check_fingerprint(folder: Path, fingerprint: dict[str, Any]) -> None:
    """Raise a ValueError with all differences if this folder is from a run with another fingerprint."""
    if not (folder / FINGERPRINT).is_file():
        return
    saved, current = read_json(folder / FINGERPRINT), json.loads(json.dumps(fingerprint))
    # Earlier versions did not write these for every run.
    later = {VOCABULARY, START, SEED} - saved.keys()
    current = {name: value for name, value in current.items() if name not in later}
    if different := changes(saved, current):
        raise ValueError(
            f"--resume_from_checkpoint: {folder} is from another run: {different}. Use the values of that "
            "run, or start in another --output_dir"
        )


# The runs of several seeds share their splits.
@lru_cache(maxsize=8)
def dataset_digest(dataset: "Dataset") -> str:
    """A digest of the texts and numbers in a dataset's columns. It does not depend on their files and chunks."""
    streams: dict[str, Any] = {}

    def add(name: str, data: Any) -> None:
        streams.setdefault(name, blake2b(digest_size=8)).update(data)

    def feed(array: pa.Array, name: str) -> None:
        if pa.types.is_list(array.type):
            feed(array.value_lengths().fill_null(0), f"{name} lengths")
            feed(array.flatten(), f"{name} items")
        elif pa.types.is_integer(array.type):
            add(name, array.to_numpy(zero_copy_only=False).astype("<i8"))
        elif pa.types.is_floating(array.type):
            add(name, array.to_numpy(zero_copy_only=False).astype("<f8"))
        elif pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            add(name, "".join(f"{text}\0" for text in array.to_pylist()).encode())

    size = 10_000
    batches = dataset.with_format("arrow").iter(size)
    for rows in with_progress(batches, "comparing", -(-len(dataset) // size)):
        for name in rows.column_names:
            feed(rows[name].combine_chunks(), name)
    return text_digest(f"{name} {stream.hexdigest()}" for name, stream in sorted(streams.items()))


def vocabulary_digest(tokenizer: "PreTrainedTokenizerBase") -> str:
    """A digest of the words of a tokenizer, in the order of their ids."""
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return text_digest(word for word, _ in words)


def start_digest(checkpoint: str) -> str:
    """The digest of the weights in a checkpoint's folder, or the name of a checkpoint on the Hub."""
    weights = Path(checkpoint_path(checkpoint)) / SAFE_WEIGHTS_NAME
    return digest(weights) if weights.is_file() else checkpoint
