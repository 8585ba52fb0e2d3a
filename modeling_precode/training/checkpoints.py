"""Checkpoints of training, which are always complete.

A checkpoint is a folder `checkpoint-STEP`. In pre-training it is written under another name, synchronized to disk with
a manifest of its files' digests, and then renamed. In fine-tuning, `Trainer` writes it under its own name, and the
manifest is written last. A folder without a manifest does not count as a checkpoint.
"""

import logging
import random
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from transformers.utils import CONFIG_NAME

from data_scripts.tools.whole_files import (
    digest,
    disk_is_full,
    read_json,
    restore_folders,
    says_disk_is_full,
    sync,
    whole_folder,
    write_json,
)

from ..configuration_precode import CODE
from ..limits import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE
from .fingerprint import FINGERPRINT, RUN_FOLDER, write_fingerprint

logger = logging.getLogger(__name__)

MANIFEST, RESULTS = "manifest.json", "results.json"
PRETRAIN_RESULTS, FINETUNE_RESULTS = "pretrain_results.json", "finetune_results.json"
# The arguments of a run, so that `--config run.yaml` repeats it.
CONFIG_FILE = "run.yaml"
# What a run writes into its output folder and the folder of a seed, besides weights, checkpoints and results.
OUTPUTS = (
    *(CONFIG_NAME, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, CONFIG_FILE, "README.md", "test_predictions.jsonl"),
    *(f"{module}.py" for module in CODE),
)
# The folders that a run may have to replace.
REPLACED = ("checkpoint-*", "nonfinite-*")
# The folders of the checkpoints of all corpora, if each corpus has its own.
HEADS = f"{RUN_FOLDER}/heads.json"
RESUME = "run the same command with --resume_from_checkpoint latest"


@contextmanager
def whole_checkpoint(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to write into. It gets a manifest and becomes the checkpoint `folder` once it is on disk.

    Raises:
        OSError: A file could not be written. Nothing is left of it, and an earlier `folder` is unchanged.
    """
    with clear_write_errors(folder), whole_folder(folder) as staging:
        yield staging
        write_manifest(staging)


def finish_checkpoint(folder: Path) -> None:
    """Synchronize a checkpoint that `Trainer` wrote to disk, and complete it with a manifest."""
    with clear_write_errors(folder):
        for path in folder.rglob("*"):
            sync(path)
        write_manifest(folder)
        sync(folder)


def write_manifest(folder: Path) -> None:
    """Write the manifest: the digest of every file in a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST]
    write_json(folder / MANIFEST, {str(path.relative_to(folder)): digest(path) for path in files})


@contextmanager
def clear_write_errors(folder: Path) -> Iterator[None]:
    """Raise a one-line error that says why a checkpoint could not be written, and what to do."""
    try:
        yield
    # PyTorch, safetensors and tokenizers raise their own errors when the disk is full.
    except Exception as error:
        is_of_writing = isinstance(error, OSError | RuntimeError | SafetensorError)
        full = disk_is_full(error, folder.parent) if is_of_writing else says_disk_is_full(error)
        if isinstance(error, RuntimeError) and "PytorchStreamWriter" not in str(error):
            is_of_writing = False  # but for example out of memory
        if not full and not is_of_writing:
            raise
        reason = "the disk is full" if full else str(error).strip().partition("\n")[0]
        advice = f"Make room, and {RESUME}" if full else f"Once this is fixed, {RESUME}"
        raise OSError(f"{folder} could not be written: {reason}; earlier checkpoints are intact. {advice}") from error


def check_whole(checkpoint: Path) -> None:
    """Raise an error if a checkpoint lacks a file or a file was changed.

    Raises:
        FileNotFoundError: The manifest or a file is missing.
        ValueError: A file was changed.
    """
    if not (checkpoint / MANIFEST).is_file():
        raise FileNotFoundError(f"{checkpoint} is not a complete checkpoint of training: it has no {MANIFEST}")
    for name, expected in read_json(checkpoint / MANIFEST).items():
        if not (checkpoint / name).is_file():
            raise FileNotFoundError(f"{checkpoint} is not a complete checkpoint of training: {name} is missing")
        if digest(checkpoint / name) != expected:
            raise ValueError(f"{checkpoint} is not a complete checkpoint of training: {name} was changed")


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """The steps and folders of all checkpoints in a folder, complete or not, by step."""
    matches = ((re.fullmatch(r"checkpoint-(\d+)", path.name), path) for path in folder.glob("checkpoint-*"))
    return sorted((int(match[1]), path) for match, path in matches if match)


def newest_checkpoint(folder: Path) -> Path | None:
    """The complete checkpoint with the highest step. Incomplete ones are logged and skipped."""
    for _, checkpoint in reversed(checkpoints(folder)):
        try:
            check_whole(checkpoint)
            return checkpoint
        except (OSError, ValueError) as error:
            logger.warning(f"{error}; skipped")
    return None


def remove_old_checkpoints(folder: Path, limit: int | None, step: int, keep: Path | None = None) -> None:
    """Remove the checkpoints up to `step`, except the newest `limit` and `keep`."""
    old = [path for number, path in checkpoints(folder) if number <= step]
    for path in old[:-limit] if limit else []:
        if path != keep:
            remove_checkpoint(path)


def remove_checkpoint(checkpoint: Path) -> None:
    """Remove a checkpoint, the manifest first: if this is interrupted, no complete checkpoint is left."""
    with suppress(FileNotFoundError):
        (checkpoint / MANIFEST).unlink()
    shutil.rmtree(checkpoint)


def remove_checkpoints(folder: Path) -> None:
    """Remove all checkpoints in a folder."""
    for _, checkpoint in checkpoints(folder):
        remove_checkpoint(checkpoint)


def resume_choice(value: str | bool | None) -> str | None:
    """What to resume from: a folder, `"latest"` (also written `True`, as in `Trainer`), or None for nothing."""
    if not value:
        return None
    return "latest" if str(value) in ("True", "true") else str(value)


def find_checkpoint(choice: str | None, output_dir: Path, elsewhere: bool = True) -> Path | None:
    """The checkpoint to resume from, or None to start from the beginning.

    A checkpoint in `output_dir` that was being replaced when a run was killed is brought back first.

    Args:
        choice: A folder, `"latest"` or None, from [`resume_choice`].
        output_dir: The folder with the checkpoints of the run.
        elsewhere: Whether the checkpoint may be in another folder. In fine-tuning, the best checkpoint is next to it.

    Raises:
        FileNotFoundError: There is no such folder, or a file is missing in it.
        ValueError: A file of the checkpoint was changed, or it is in another folder and may not be.
    """
    if choice is None:
        return None
    restore_folders(output_dir, *REPLACED)
    if choice == "latest":
        return newest_checkpoint(output_dir)
    if not Path(choice).is_dir():
        raise FileNotFoundError(
            f"--resume_from_checkpoint {choice}: no such folder; give a folder checkpoint-STEP, or latest"
        )
    if not elsewhere and Path(choice).resolve().parent != output_dir.resolve():
        raise ValueError(
            f"--resume_from_checkpoint {choice}: not in {output_dir}, the output folder, which must have the best "
            "checkpoint too; give latest or a folder checkpoint-STEP there, or the output folder of that run"
        )
    check_whole(Path(choice))
    return Path(choice)


def begin_run(output_dir: Path, fingerprint: dict[str, Any], resuming: bool, overwrite: bool) -> None:
    """Write the fingerprint of a run into its output folder, and remove the incomplete files of a killed run.

    Folders that were being replaced when it was killed are brought back first. A run that starts from the beginning
    also removes the training checkpoints of an earlier run. With `overwrite`, it removes everything that an earlier run
    wrote, so that nothing of it looks current; other files stay.
    """
    if overwrite and not resuming:
        for folder in (*output_dir.glob("seed_*"), output_dir):
            _remove_outputs(folder)
    for folder in (output_dir, *output_dir.glob("seed_*")):
        written = (folder, folder / RUN_FOLDER, *(folder / name for name in noted_heads(folder)))
        restore_folders(folder, *REPLACED)
        for path in [path for place in written for path in place.glob(".*.partial")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for _, checkpoint in checkpoints(folder):
            if not resuming or not (checkpoint / MANIFEST).is_file():
                remove_checkpoint(checkpoint)
        if not resuming:
            (folder / RESULTS).unlink(missing_ok=True)
    write_fingerprint(output_dir, fingerprint)


def _remove_outputs(folder: Path) -> None:
    """Remove the model, the results and the training checkpoints that an earlier run wrote into a folder."""
    if not (folder / FINGERPRINT).is_file():
        return
    remove_checkpoints(folder)
    heads = [path for name in noted_heads(folder) if (path := folder / name).is_dir()]
    for place in (folder, *heads):
        weights = place.glob("model*.safetensors*")  # also in several files
        results = (place / name for name in (RESULTS, PRETRAIN_RESULTS, FINETUNE_RESULTS, *OUTPUTS))
        for path in (*weights, *results):
            path.unlink(missing_ok=True)
    (folder / HEADS).unlink(missing_ok=True)
    (folder / FINGERPRINT).unlink()
    # The lock of a run stays: another process may wait for it.
    for emptied in (*heads, folder / RUN_FOLDER, folder):
        if not any(emptied.iterdir()):
            emptied.rmdir()


def note_heads(folder: Path, names: list[str]) -> None:
    """Write down the folders of the checkpoints of all corpora, before they are written."""
    (folder / HEADS).parent.mkdir(parents=True, exist_ok=True)
    write_json(folder / HEADS, names)


def noted_heads(folder: Path) -> list[str]:
    """The names of the folders of [`note_heads`]; none if the run has one checkpoint."""
    return read_json(folder / HEADS) if (folder / HEADS).is_file() else []


def random_state() -> dict[str, Any]:
    """The state of all random number generators of this process, in types that load without running code."""
    kind, keys, *rest = cast(tuple[Any, ...], np.random.get_state())
    return {
        "python": random.getstate(),
        "numpy": (kind, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore a state from [`random_state`]."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
