"""Checkpoints that are whole or not there at all, and what a run must have in common with the one that it goes on.

A checkpoint of training is a folder `checkpoint-STEP`. It is written under another name, brought to the disk with a
manifest of its files' digests, and then renamed; nothing else is ever taken for a checkpoint.
"""

import json
import logging
import os
import random
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from safetensors import SafetensorError
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

# The fingerprint is in a folder of its own, which a push to the Hub leaves out.
MANIFEST, FINGERPRINT = "manifest.json", ".run/fingerprint.json"
RESUME = "run the same command with --resume_from_checkpoint latest"


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """An empty folder to write into, which becomes `folder` when everything in it is on the disk.

    Raises:
        OSError: something could not be written; nothing of it is left, and an earlier `folder` stands as it was.
    """
    staging = staging_folder(folder)
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        yield staging
        files = [path for path in sorted(staging.rglob("*")) if path.is_file()]
        manifest = {str(path.relative_to(staging)): digest(path) for path in files}
        write_json(staging / MANIFEST, manifest)
        for path in (*files, staging / MANIFEST, staging):
            sync(path)
    # The writers of PyTorch and safetensors have errors of their own for a full disk.
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(staging, ignore_errors=True)
        reason = str(error).strip().partition("\n")[0]
        if shutil.disk_usage(folder.parent).free < 2**20:
            reason = "the disk is full"
        raise OSError(
            f"{folder} could not be written: {reason}; what was saved before it is as it was. Make room, and {RESUME}"
        ) from error
    aside = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if folder.exists():
        folder.rename(aside)
    staging.rename(folder)
    sync(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def staging_folder(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.partial")


@contextmanager
def replaced_files(folder: Path) -> Iterator[Path]:
    """An empty folder to write into, whose files then take the place of those of `folder`, each at once."""
    with written_whole(folder / "new-files") as staging:
        yield staging
    for path in (folder / "new-files").iterdir():
        if path.name != MANIFEST:
            path.replace(folder / path.name)
    sync(folder)
    shutil.rmtree(folder / "new-files")


def write_json(path: Path, value: Any) -> None:
    """JSON that is whole or not there."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sync(partial)
    partial.replace(path)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def digest(path: Path) -> str:
    total = sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            total.update(block)
    return total.hexdigest()


def sync(path: Path) -> None:
    """Bring a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_whole(checkpoint: Path) -> None:
    """ValueError or FileNotFoundError where a checkpoint lacks a file, or has one that is not as it was written."""
    if not (checkpoint / MANIFEST).is_file():
        raise FileNotFoundError(f"{checkpoint}: no whole checkpoint of training: it has no {MANIFEST}")
    for name, expected in read_json(checkpoint / MANIFEST).items():
        if not (checkpoint / name).is_file():
            raise FileNotFoundError(f"{checkpoint}: no whole checkpoint of training: {name} is missing")
        if digest(checkpoint / name) != expected:
            raise ValueError(f"{checkpoint}: no whole checkpoint of training: {name} is not as it was written")


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """The folders called checkpoint-STEP, by step."""
    matches = ((re.fullmatch(r"checkpoint-(\d+)", path.name), path) for path in folder.glob("checkpoint-*"))
    return sorted((int(match[1]), path) for match, path in matches if match)


def newest_checkpoint(folder: Path) -> Path | None:
    """The whole checkpoint of the highest step, with a word on those that are not whole."""
    for _, checkpoint in reversed(checkpoints(folder)):
        try:
            check_whole(checkpoint)
            return checkpoint
        except (OSError, ValueError) as error:
            logger.warning(f"{error}; left out")
    return None


def remove_old_checkpoints(folder: Path, limit: int | None, step: int, keep: Path | None = None) -> None:
    """Leave the newest `limit` of the checkpoints up to `step`, and `keep`."""
    old = [path for number, path in checkpoints(folder) if number <= step]
    for path in old[: len(old) - limit] if limit else []:
        if path != keep:
            remove_checkpoint(path)


def remove_checkpoint(checkpoint: Path) -> None:
    """What is left if this is cut short is no whole checkpoint."""
    with suppress(FileNotFoundError):
        (checkpoint / MANIFEST).unlink()
    shutil.rmtree(checkpoint)


def remove_checkpoints(folder: Path) -> None:
    for _, checkpoint in checkpoints(folder):
        remove_checkpoint(checkpoint)


def find_checkpoint(given: str | None, output_dir: Path) -> Path | None:
    """The checkpoint that `--resume_from_checkpoint` names: a folder, or `latest`, which may not be there yet."""
    if given is None or given == "latest":
        return newest_checkpoint(output_dir) if given else None
    if not Path(given).is_dir():
        raise FileNotFoundError(f"--resume_from_checkpoint {given}: no such folder; give a checkpoint-STEP, or latest")
    check_whole(Path(given))
    return Path(given)


def write_fingerprint(folder: Path, fingerprint: dict[str, Any]) -> None:
    (folder / FINGERPRINT).parent.mkdir(parents=True, exist_ok=True)
    write_json(folder / FINGERPRINT, fingerprint)


def check_fingerprint(folder: Path, fingerprint: dict[str, Any]) -> None:
    """ValueError where the run that began in this folder, or saved it, differs from this one, with what differs."""
    if not (folder / FINGERPRINT).is_file():
        return
    saved, current = read_json(folder / FINGERPRINT), json.loads(json.dumps(fingerprint))
    differences = [
        f"{name} is {current.get(name)!r} and was {saved.get(name)!r}"
        for name in dict.fromkeys([*saved, *current])
        if saved.get(name) != current.get(name)
    ]
    if differences:
        raise ValueError(
            f"--resume_from_checkpoint: {folder} is of another run: {'; '.join(differences)}. Give what it was, or "
            "begin in another --output_dir"
        )


def begin_run(output_dir: Path, fingerprint: dict[str, Any], resuming: bool) -> None:
    """Mark a folder as that of a run, and clear away what was half written when an earlier one was killed; what that
    one left to go on from is of no use to a run that begins anew."""
    for folder in (output_dir, *output_dir.glob("seed_*")):
        for path in folder.glob(".*.partial"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not resuming:
            remove_checkpoints(folder)
            (folder / "results.json").unlink(missing_ok=True)
    write_fingerprint(output_dir, fingerprint)


def dataset_digest(dataset: Dataset) -> str:
    """A digest of the texts and whole numbers in a dataset's columns, whatever files or chunks they lie in."""
    streams: dict[str, Any] = {}

    def add(name: str, data: Any) -> None:
        streams.setdefault(name, blake2b(digest_size=8)).update(data)

    def feed(array: pa.Array, name: str) -> None:
        if pa.types.is_list(array.type):
            feed(array.value_lengths(), f"{name} lengths")
            feed(array.flatten(), f"{name} items")
        elif pa.types.is_integer(array.type):
            add(name, array.to_numpy(zero_copy_only=False).astype("<i8"))
        elif pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            add(name, "".join(f"{text}\0" for text in array.to_pylist()).encode())

    size = 10_000
    batches = dataset.with_format("arrow").iter(size)
    for rows in tqdm(batches, "comparing", -(-len(dataset) // size), leave=False, disable=None):
        for name in rows.column_names:
            feed(rows[name].combine_chunks(), name)
    return text_digest(f"{name} {stream.hexdigest()}" for name, stream in sorted(streams.items()))


def vocabulary_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return text_digest(word for word, _ in words)


def start_digest(checkpoint: str) -> str:
    """Of a checkpoint to start from, where it is a folder: its name says nothing about its weights."""
    weights = Path(checkpoint) / "model.safetensors"
    return digest(weights) if weights.is_file() else checkpoint


def text_digest(texts: Iterable[str]) -> str:
    total = blake2b(digest_size=8)
    for text in texts:
        total.update(text.encode() + b"\0")
    return total.hexdigest()


def random_state() -> dict[str, Any]:
    """Where this process stands in its streams of random numbers, in types that load without running anything."""
    kind, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (kind, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Go on from [`random_state`]."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
