"""The settings of an exported model, read without transformers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            export = settings["onnx"]
            if export["format_version"] > FORMAT_VERSION:
                raise ValueError(
                    f"{path}: `format_version` {export['format_version']} was exported by a newer version of precode; "
                    f"this is {__version__}, which reads {FORMAT_VERSION}; upgrade it, or export the model again"
                )
            return cls(label_names=_label_names(settings), **{name: export[name] for name in EXPORT_SETTINGS})
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path}: not the settings of an exported model: {error!r}; use precode export") from None


# The settings in the section `onnx` of the file.
EXPORT_SETTINGS = [name for name in ExportedConfig.__dataclass_fields__ if name != "label_names"]


def _label_names(settings: dict[str, Any]) -> list[str]:
    names = settings["id2label"]
    return [names[str(number)] for number in range(len(names))]
