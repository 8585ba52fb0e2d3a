"""Checks of those settings in a `config.json` that transformers uses before it validates them."""

import re
from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

DTYPES = ("float16", "bfloat16", "float32", "float64")
MOST_LABELS = 2**16
# The maximum number of layers, heads or experts of a text encoder.
MOST_PARTS = 2**12
_PARTS = re.compile("layers?$|heads?$|experts?$|blocks?$|depths?$")
_MARKUP = re.compile("<[a-zA-Z/!?]")
# The maximum number of characters of a value in an error, and of what transformers says about one.
_LONGEST_QUOTE, _LONGEST_REASON = 80, 400


def quoted(value: Any) -> str:
    """The beginning of the `repr` of a value, in which control characters are escaped."""
    text = repr(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."


def shortened(reason: str) -> str:
    """The beginning of a message of transformers, which may quote a whole file."""
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}..."


def check_saved_settings(config_class: type[PreTrainedConfig], settings: Mapping[str, Any]) -> None:
    """Check the settings of a file that every configuration has.

    Args:
        config_class: The class of the configuration.
        settings: The content of the file.

    Raises:
        ValueError: A setting has another type or is out of range.
    """
    for name in settings:
        if callable(getattr(config_class, name, None)) or name.startswith("__"):
            raise ValueError(f"{quoted(name)} is not the name of a setting; remove it")
    present = {name: value for name, value in settings.items() if value is not None}
    architectures = present.get("architectures", [])
    if not isinstance(architectures, list) or not all(isinstance(name, str) for name in architectures):
        raise ValueError(f"`architectures` must be a list of names; got {quoted(architectures)}")
    for name in ("dtype", "torch_dtype"):
        if name in present and str(present[name]).removeprefix("torch.") not in DTYPES:
            raise ValueError(f"`{name}` must be one of {', '.join(DTYPES)}; got {quoted(present[name])}")
    if present.get("return_dict", True) is not True:
        raise ValueError(
            f"`return_dict` must be true; got {quoted(present['return_dict'])}; pass return_dict=False to a call of "
            "the model"
        )
    for name in ("custom_pipelines", "text_config", "label2id"):
        if not isinstance(present.get(name, {}), dict):
            raise ValueError(f"`{name}` must be a dictionary; got {quoted(present[name])}")
    classes = settings.get("auto_map", {})
    if not isinstance(classes, dict) or not all(isinstance(name, str) for name in classes.values()):
        raise ValueError(f"`auto_map` must give the names of classes; got {quoted(classes)}")
    labels = present.get("num_labels", 1)
    if not isinstance(labels, int) or isinstance(labels, bool) or not 1 <= labels <= MOST_LABELS:
        raise ValueError(f"`num_labels` must be a whole number from 1 to {MOST_LABELS:,}; got {quoted(labels)}")
    if "transformers_weights" in present:
        raise ValueError(
            f"`transformers_weights` must not name another file; got {quoted(present['transformers_weights'])}; "
            "weights are read from model.safetensors only"
        )
    check_label_names(present.get("id2label"))
    _check_label_ids(present)


def check_label_names(names: Any) -> None:
    """Check `id2label`: it must have a name for every number from 0, without gaps.

    Raises:
        ValueError: It has another form, or a name is empty, occurs twice, or contains markup.
    """
    if names is None:
        return
    if not isinstance(names, dict) or not 1 <= len(names) <= MOST_LABELS:
        raise ValueError(f"`id2label` must give a name to each of 1 to {MOST_LABELS:,} labels; got {quoted(names)}")
    ids = {str(number) for number in names}
    if missing := [number for number in range(len(names)) if str(number) not in ids]:
        raise ValueError(
            f"`id2label` must give a name to every number from 0 to {len(names) - 1}; got {quoted(list(names))}, "
            f"without {missing[0]}"
        )
    seen: set[str] = set()
    for number, name in names.items():
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"`id2label` must give label {number} a name; got {quoted(name)}")
        if _MARKUP.search(name):
            raise ValueError(f"`id2label` must give label {number} a name without markup; got {quoted(name)}")
        if name in seen:
            raise ValueError(f"`id2label` must give every label a name of its own; got {quoted(name)} twice")
        seen.add(name)


def _check_label_ids(settings: Mapping[str, Any]) -> None:
    """Check that `label2id` and `class_weights` match `id2label`."""
    names = settings.get("id2label")
    if names is None:
        return
    ids = {name: int(number) for number, name in names.items()}
    for name, number in settings.get("label2id", {}).items():
        if ids.get(name, number) != number:
            raise ValueError(
                f"`label2id` must give {quoted(name)} the number that `id2label` gives it, {ids[name]}; got "
                f"{quoted(number)}"
            )
    weights = settings.get("class_weights")
    if isinstance(weights, list) and len(weights) != len(names):
        raise ValueError(f"`class_weights` must have a weight for each of {len(names)} labels; got {len(weights)}")


def check_text_settings(settings: Mapping[str, Any]) -> None:
    """Check the `text_config` of a file before transformers builds a configuration from it.

    Raises:
        ValueError: The type of the model is unknown, or it has too many parts.
    """
    kind = settings.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING or kind == "precode":
        raise ValueError(
            f"`text_config`: `model_type` must be a type of model that this version of transformers knows; got "
            f"{quoted(kind)}"
        )
    if settings.get("dtype") is not None and str(settings["dtype"]).removeprefix("torch.") not in DTYPES:
        raise ValueError(f"`text_config`: `dtype` must be one of {', '.join(DTYPES)}; got {quoted(settings['dtype'])}")
    for name, value in settings.items():
        if _PARTS.search(name) and isinstance(value, int | float) and not 0 <= value <= MOST_PARTS:
            raise ValueError(f"`text_config`: `{name}` must be at most {MOST_PARTS:,}; got {quoted(value)}")
    labels = settings.get("num_labels")
    if labels is not None and not (isinstance(labels, int) and 1 <= labels <= MOST_LABELS):
        raise ValueError(f"`text_config`: `num_labels` must be a whole number; got {quoted(labels)}")
