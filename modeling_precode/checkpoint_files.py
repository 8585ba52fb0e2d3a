"""Finds the files of a checkpoint, and reads its settings and the headers of its weights before loading it."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

from .configuration_precode import PreCodeConfig, quoted
from .limits import LARGEST_SETTINGS

# The maximum number of nested levels of a file of settings.
DEEPEST = 100
# The maximum length of the name of a file.
LONGEST_NAME = 255
HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")


def find_file(checkpoint: str, name: str, **where: Any) -> Path | None:
    """Find a file of a checkpoint in a folder or on the Hub. A file on the Hub is downloaded.

    Args:
        checkpoint: The folder, or the name on the Hub.
        name: The name of the file.
        where: Arguments of `from_pretrained` that are in `HUB_ARGUMENTS`.

    Returns:
        The path of the file, or `None` if it does not exist.
    """
    if Path(checkpoint).is_dir():
        path = Path(checkpoint, where.get("subfolder") or "", name)
        return path if path.is_file() else None
    quiet = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    found = cached_file(checkpoint, name, **quiet, **where)
    return None if found is None else Path(found)


def read_object(path: Path) -> dict[str, Any]:
    """Read a file with one JSON object.

    Raises:
        ValueError: The file is too large, is not a JSON object, or is nested too deeply.
    """
    check_size(path, LARGEST_SETTINGS)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path}: nested more than {DEEPEST} levels deep; save the checkpoint again") from None
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}; save the checkpoint again") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must be a JSON object; got {quoted(content)}")
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node)]
        level = [child for child in level if isinstance(child, dict | list)]
    if level:
        raise ValueError(f"{path}: nested more than {DEEPEST} levels deep; save the checkpoint again")
    return content


def read_config(checkpoint: str, **where: Any) -> PreCodeConfig | None:
    """Read the configuration that a Pre-CODE checkpoint was saved with.

    Args:
        checkpoint: The folder, or the name on the Hub.
        where: Arguments of `from_pretrained` that are in `HUB_ARGUMENTS`.

    Returns:
        The configuration, or `None` if there is no `config.json`.

    Raises:
        ValueError: The checkpoint is of another kind, or a setting is invalid.
    """
    path = find_file(checkpoint, CONFIG_NAME, **where)
    if path is None:
        return None
    settings = read_object(path)
    if settings.get("model_type") != PreCodeConfig.model_type:
        raise ValueError(
            f"{checkpoint}: has the model type {quoted(settings.get('model_type'))}; use a checkpoint of the type "
            f"{PreCodeConfig.model_type!r}, from precode pretrain or precode finetune"
        )
    return PreCodeConfig.from_dict(settings, name_or_path=checkpoint)


def read_shapes(checkpoint: str, variant: str | None = None, **where: Any) -> dict[str, tuple[int, ...]]:
    """Read the shapes of a checkpoint's weights from the headers of its safetensors files.

    Args:
        checkpoint: The folder, or the name on the Hub.
        variant: The variant in the names of the files, such as `"fp16"`, or `None`.
        where: Arguments of `from_pretrained` that are in `HUB_ARGUMENTS`.

    Returns:
        The shape of each tensor by its name; empty without weights.

    Raises:
        ValueError: A header does not match its file, or an index of shards names a file that is not a safetensors file
            of the checkpoint.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in _weights_files(checkpoint, variant, where):
        try:
            with safe_open(path, "pt") as weights:
                shapes |= {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{path}: not a safetensors file: {error}; download or save the weights again") from None
    return shapes


def _weights_files(checkpoint: str, variant: str | None, where: dict[str, Any]) -> list[Path]:
    whole = find_file(checkpoint, _with_variant(SAFE_WEIGHTS_NAME, variant), **where)
    is_local = Path(checkpoint).is_dir()
    if whole is not None and not is_local:
        return [whole]
    path = find_file(checkpoint, _with_variant(SAFE_WEIGHTS_INDEX_NAME, variant), **where)
    if path is None:
        return [] if whole is None else [whole]
    index = read_object(path)
    for name in ("metadata", "weight_map"):
        if not isinstance(index.get(name), dict):
            raise ValueError(f"{path}: `{name}` must be a dictionary; got {quoted(index.get(name))}")
    if not index["weight_map"]:
        raise ValueError(f"{path}: `weight_map` must name the file of each weight; got {{}}; save the checkpoint again")
    shards: list[Path] = []
    for file in dict.fromkeys(map(_shard_name, index["weight_map"].values())):
        shard = None
        is_name = len(file) <= LONGEST_NAME and "\\" not in file and Path(file).name == file
        if is_name and file.endswith(".safetensors"):
            shard = find_file(checkpoint, file, **where)
        if shard is None:
            raise ValueError(
                f"{path}: `weight_map` must name safetensors files of the checkpoint; got {quoted(file)}; weights are "
                "read from there only"
            )
        shards.append(shard)
    return shards if whole is None else [whole]


def _shard_name(file: Any) -> str:
    return file if isinstance(file, str) else quoted(file)


def _with_variant(name: str, variant: str | None) -> str:
    if variant is None:
        return name
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.{variant}{dot}{suffix}"


def check_size(path: Path, largest: int) -> None:
    """Raise a ValueError if a path is not a regular file, or the file has more than `largest` bytes."""
    if not path.is_file():
        raise ValueError(f"{path}: must be a file; got a folder or a device")
    if path.stat().st_size > largest:
        raise ValueError(f"{path}: must have at most {largest:,} bytes; got {path.stat().st_size:,}")
