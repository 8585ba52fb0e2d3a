"""The settings of an exported model, read without transformers."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..limits import LARGEST_SETTINGS, LARGEST_SIZE, SHORTEST_UTTERANCE, SHORTEST_WINDOW
from ..version import __version__

CONFIG_FILE = "config.json"
UTTERANCE_GRAPH, CONVERSATION_GRAPH = "utterance_encoder.onnx", "conversation_encoder.onnx"
# Increases when older versions cannot read new exported folders.
FORMAT_VERSION = 1


def is_exported(folder: str | Path) -> bool:
    """Whether a folder contains a model exported by `precode export`."""
    return Path(folder, UTTERANCE_GRAPH).is_file()


@dataclass(frozen=True, kw_only=True)
class ExportedConfig:
    """The settings of an exported model that are needed to run it.

    Args:
        label_names: The labels, in the order of the classes.
        temperature: The number by which logits are divided before they become probabilities.
        causal: Whether the model reads forward only.
        max_speakers: The number of speakers that the model distinguishes; 0 if it does not know who speaks.
        speaker_prefix: Whether an utterance is read with the name of its speaker before it.
        utterance_hidden_size: The size of the vector of an utterance.
        conversation_hidden_size: The size of a state of the conversation encoder in one direction.
        max_utterance_tokens: The maximum number of tokens of an utterance; `None` without a limit.
        quantization: `"int8"`, or `None` for float32.
        text_context: What a text encoder reads at once, `"utterance"` or `"dialogue"`.
        max_window_tokens: The maximum number of tokens of a window, if that is a dialogue.
        start_token_id: The token at the start of a window.
        separator_token_id: The token after every utterance of a window.
    """

    label_names: list[str]
    temperature: float
    causal: bool
    max_speakers: int
    speaker_prefix: bool
    utterance_hidden_size: int
    conversation_hidden_size: int
    max_utterance_tokens: int | None
    quantization: str | None
    text_context: str = "utterance"
    max_window_tokens: int = LARGEST_SIZE
    start_token_id: int = 0
    separator_token_id: int = 0

    @classmethod
    def read(cls, folder: str | Path) -> "ExportedConfig":
        """Read the settings of an exported model.

        Raises:
            ValueError: The folder contains no exported model, one of a newer version, or an incomplete one.
        """
        path = Path(folder, CONFIG_FILE)
        missing = [
            name for name in (UTTERANCE_GRAPH, CONVERSATION_GRAPH, CONFIG_FILE) if not Path(folder, name).exists()
        ]
        if missing:
            raise ValueError(f"{folder}: no exported model, because there is no {missing[0]}; use precode export")
        settings = read_object(path, "the settings of an exported model")
        try:
            export = settings["onnx"]
            if export["format_version"] > FORMAT_VERSION:
                raise ValueError(
                    f"{path}: `format_version` {export['format_version']} was exported by a newer version of precode; "
                    f"this is {__version__}, which reads {FORMAT_VERSION}; upgrade it, or export the model again"
                )
            values = {name: export[name] for name in EXPORT_SETTINGS}
            values |= {name: export[name] for name in WINDOW_SETTINGS if name in export}
            config = cls(label_names=_label_names(settings), **values)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: not the settings of an exported model: {error!r:.200}; use precode export"
            ) from None
        for name, (is_valid, needed) in _CHECKS.items():
            value = getattr(config, name)
            if not is_valid(value):
                raise ValueError(f"{path}: `{name}` must be {needed}; got {value!r:.80}; export the model again")
        return config


def read_object(path: Path, what: str) -> dict[str, Any]:
    """Read a file with one JSON object.

    Args:
        path: The file.
        what: What it should contain, for messages.

    Raises:
        ValueError: The file is missing or too large, or is not a JSON object.
    """
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_SETTINGS:
            raise ValueError(f"must be a file of at most {LARGEST_SETTINGS:,} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
        reason = f"must be a JSON object; got {content!r:.80}"
    except RecursionError:
        reason = "it is nested too deep"
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
    raise ValueError(f"{path}: not {what}: {reason}; export the model again")


# The settings in the section `onnx` of the file. The first ones are only there for a model that reads whole dialogues.
WINDOW_SETTINGS = ("text_context", "max_window_tokens", "start_token_id", "separator_token_id")
EXPORT_SETTINGS = [
    name for name in ExportedConfig.__dataclass_fields__ if name not in ("label_names", *WINDOW_SETTINGS)
]


def _label_names(settings: dict[str, Any]) -> list[str]:
    names = settings["id2label"]
    return [names[str(number)] for number in range(len(names))]


def _is_whole(value: Any, least: int, most: int | None = LARGEST_SIZE) -> bool:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return is_int and value >= least and (most is None or value <= most)


def _are_labels(names: list[Any]) -> bool:
    are_names = all(isinstance(name, str) and name.strip() for name in names)
    return are_names and 1 <= len(names) == len(set(names)) <= LARGEST_SIZE


def _is_temperature(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_length(value: Any) -> bool:
    """Whether a value is a maximum number of tokens of an utterance."""
    return value is None or _is_whole(value, SHORTEST_UTTERANCE, None)


LENGTH = f"a whole number of tokens, at least {SHORTEST_UTTERANCE}, or null"
_SIZE = f"a whole number from 1 to {LARGEST_SIZE:,}"
# For each setting, whether a value is valid, and what a message says that it must be.
_CHECKS = {
    "label_names": (_are_labels, f"a different name for each of 1 to {LARGEST_SIZE:,} labels"),
    "temperature": (_is_temperature, "a number above 0"),
    "causal": (_is_flag, "true or false"),
    "speaker_prefix": (_is_flag, "true or false"),
    "max_speakers": (lambda value: _is_whole(value, 0), f"a whole number from 0 to {LARGEST_SIZE:,}"),
    "utterance_hidden_size": (lambda value: _is_whole(value, 1), _SIZE),
    "conversation_hidden_size": (lambda value: _is_whole(value, 1), _SIZE),
    "max_utterance_tokens": (is_length, LENGTH),
    "text_context": (lambda value: value in ("utterance", "dialogue"), '"utterance" or "dialogue"'),
    "max_window_tokens": (
        lambda value: _is_whole(value, SHORTEST_WINDOW),
        f"a whole number from {SHORTEST_WINDOW} to {LARGEST_SIZE:,}",
    ),
    "start_token_id": (lambda value: _is_whole(value, 0, None), "the id of a token"),
    "separator_token_id": (lambda value: _is_whole(value, 0, None), "the id of a token"),
    "quantization": (lambda value: value in (None, "int8"), '"int8" or null'),
}
