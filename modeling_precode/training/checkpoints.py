"""Checkpoints of training, each whole or not there at all.

A checkpoint is a folder `checkpoint-STEP`. It is written under another name, brought to the disk with a manifest of its
files' digests, and then renamed; nothing else is ever taken for a checkpoint.
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

from data_scripts.tools.whole_files import digest, disk_is_full, read_json, sync, whole_folder, write_json

from .fingerprint import write_fingerprint

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
RESUME = "run the same command with --resume_from_checkpoint latest"


@contextmanager
def whole_checkpoint(folder: Path) -> Iterator[Path]:
    """An empty folder to write into, which becomes the checkpoint `folder` once it is on the disk, with a manifest.

    Raises:
        OSError: something could not be written. Nothing of it is left, and an earlier `folder` is as it was.
    """
    with clear_write_errors(folder), whole_folder(folder) as staging:
        yield staging
        write_manifest(staging)


def finish_checkpoint(folder: Path) -> None:
    """Bring a checkpoint that `Trainer` wrote to the disk, and make it count by its manifest."""
    with clear_write_errors(folder):
        for path in folder.rglob("*"):
            sync(path)
        write_manifest(folder)
        sync(folder)


def write_manifest(folder: Path) -> None:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST]
    write_json(folder / MANIFEST, {str(path.relative_to(folder)): digest(path) for path in files})


@contextmanager
def clear_write_errors(folder: Path) -> Iterator[None]:
    """Say in one line why a checkpoint could not be written, and what to do."""
    try:
        yield
    # The writers of PyTorch and safetensors have errors of their own for a full disk.
    except (OSError, RuntimeError, SafetensorError) as error:
        full = disk_is_full(error, folder.parent)
        if isinstance(error, RuntimeError) and not full and "PytorchStreamWriter" not in str(error):
            raise  # not about the file: out of memory, say
        reason = "the disk is full" if full else str(error).strip().partition("\n")[0]
        advice = f"Make room, and {RESUME}" if full else f"Once this is fixed, {RESUME}"
        raise OSError(f"{folder} could not be written: {reason}; earlier checkpoints are intact. {advice}") from error


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
    for path in old[:-limit] if limit else []:
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


def resume_choice(given: str | bool | None) -> str | None:
    """What to resume from: a folder, or `"latest"`, for which users of `Trainer` write `True`; None for nothing."""
    if not given:
        return None
    return "latest" if str(given) in ("True", "true") else str(given)


def find_checkpoint(given: str | None, output_dir: Path) -> Path | None:
    """The checkpoint that `--resume_from_checkpoint` names: a folder, or `latest`, which may not be there yet."""
    if given is None or given == "latest":
        return newest_checkpoint(output_dir) if given else None
    if not Path(given).is_dir():
        raise FileNotFoundError(f"--resume_from_checkpoint {given}: no such folder; give a checkpoint-STEP, or latest")
    check_whole(Path(given))
    return Path(given)


def begin_run(output_dir: Path, fingerprint: dict[str, Any], resuming: bool) -> None:
    """Mark a folder as that of a run, and clear away what was half written when an earlier one was killed; what that
    one left to go on from is of no use to a run that begins anew."""
    for folder in (output_dir, *output_dir.glob("seed_*")):
        for path in folder.glob(".*.partial"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for _, checkpoint in checkpoints(folder):
            if not resuming or not (checkpoint / MANIFEST).is_file():
                remove_checkpoint(checkpoint)
        if not resuming:
            (folder / "results.json").unlink(missing_ok=True)
    write_fingerprint(output_dir, fingerprint)


def random_state() -> dict[str, Any]:
    """Where this process stands in its streams of random numbers, in types that load without running anything."""
    kind, keys, *rest = cast(tuple[Any, ...], np.random.get_state())
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
