"""Checks the tokenizer of a checkpoint: its files, and whether the model can read all of its tokens."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase
from transformers.utils import CONFIG_NAME

from .checkpoint_files import check_size, find_file, read_object
from .configuration_precode import PreCodeConfig, quoted
from .limits import LARGEST_TOKENIZER, SHORTEST_UTTERANCE, SIDES, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE
from .word_encoding import TEXT_MODES


def check_tokenizer_files(checkpoint: str, config: PreCodeConfig, **where: Any) -> None:
    """Check the tokenizer of a checkpoint, if it has one, and whether the model can read all of its tokens.

    Args:
        checkpoint: The folder, or the name on the Hub.
        config: The configuration of the model.
        where: Arguments of `from_pretrained` that are in `HUB_ARGUMENTS`.

    Raises:
        ValueError: The model cannot read a token, or a file of the tokenizer is invalid.
    """
    path = find_file(checkpoint, TOKENIZER_CONFIG_FILE, **where)
    settings = {} if path is None else read_object(path)
    if path is not None:
        _check_tokenizer_settings(path, settings, config)
    path = find_file(checkpoint, TOKENIZER_FILE, **where)
    if path is None:
        return
    check_size(path, LARGEST_TOKENIZER)
    state = path.stat()
    ids = _read_token_ids(path, state.st_mtime_ns, state.st_size)
    check_token_ids(str(path), ids, config)
    if not str(settings.get("tokenizer_class")).startswith("PreCodeTokenizer"):
        return
    _check_number_of_tokens(checkpoint, len(ids), config)
    if len(set(ids.values())) != len(ids):
        twice = sorted(ids, key=ids.__getitem__)
        first, second = next(pair for pair in zip(twice, twice[1:], strict=False) if ids[pair[0]] == ids[pair[1]])
        raise ValueError(f"{path}: `vocab` must give every word an id of its own; got {ids[first]} for {first!r} and "
                         f"{second!r}")  # fmt: skip
    for name in ("pad_token", "unk_token"):
        token = _content(settings.get(name))
        if token not in ids:
            raise ValueError(f"{path}: `vocab` must contain the `{name}` of {TOKENIZER_CONFIG_FILE}; got {token!r}")
        if name == "pad_token" and config.pad_token_id not in (None, ids[token]):
            raise ValueError(
                f"{path}: the id of {token!r} must be the `pad_token_id` of {CONFIG_NAME}, {config.pad_token_id}; "
                f"got {ids[token]}"
            )


def check_tokenizer(name: str, tokenizer: PreTrainedTokenizerBase, config: PreCodeConfig) -> None:
    """Check that a model can read all tokens of a loaded tokenizer, as [`check_tokenizer_files`] does for files.

    Args:
        name: The name of the checkpoint, for messages.
        tokenizer: The tokenizer.
        config: The configuration of the model.

    Raises:
        ValueError: The model cannot read a token.
    """
    _check_number_of_tokens(name, len(tokenizer), config)
    check_token_ids(f"{name}: the tokenizer", tokenizer.get_vocab(), config)
    _check_max_length(f"{name}: the tokenizer", tokenizer.model_max_length)


def check_token_ids(what: str, ids: Mapping[str, int], config: PreCodeConfig) -> None:
    """Raise a ValueError if a token id is not below the `vocab_size` of the model. `what` names the tokens."""
    highest = max(ids, key=ids.__getitem__, default=None)
    if highest is not None and ids[highest] >= config.vocab_size:
        raise ValueError(
            f"{what}: the id of {quoted(highest)} must be less than the model's `vocab_size`, {config.vocab_size}; got "
            f"{ids[highest]}; model and tokenizer come from different runs"
        )


# Loading a checkpoint checks its tokenizer several times.
@lru_cache(maxsize=1)
def _read_token_ids(path: Path, changed: int, size: int) -> Mapping[str, int]:
    """The tokens of a `tokenizer.json` and their ids. The time of change and the size are keys of the cache."""
    try:
        ids = Tokenizer.from_file(str(path)).get_vocab(with_added_tokens=True)
    except Exception as error:  # the library raises no other class
        raise ValueError(f"{path}: not a tokenizer: {error}; save the tokenizer again") from None
    # The library does not need `added_tokens`, but transformers does.
    added = json.loads(path.read_text(encoding="utf-8")).get("added_tokens")
    if not isinstance(added, list):
        raise ValueError(f"{path}: `added_tokens` must be a list of tokens; got {quoted(added)}; save it again")
    return ids


def _check_number_of_tokens(name: str, number: int, config: PreCodeConfig) -> None:
    # The vocabulary of a text encoder may be larger.
    if number > config.vocab_size or (config.text_config is None and number != config.vocab_size):
        raise ValueError(
            f"{name}: the tokenizer has {number} words and the model {config.vocab_size}; they come from different runs"
        )


def _check_tokenizer_settings(path: Path, settings: dict[str, Any], config: PreCodeConfig) -> None:
    _check_max_length(str(path), settings.get("model_max_length"))
    for name in ("padding_side", "truncation_side"):
        if settings.get(name) not in (None, *SIDES):
            raise ValueError(f"{path}: `{name}` must be one of {', '.join(SIDES)}; got {quoted(settings[name])}")
    for name, value in settings.items():
        # `add_bos_token` and similar settings are true or false.
        is_token = name.endswith("_token") and not name.startswith("add_")
        if is_token and not (value is None or isinstance(_content(value), str)):
            raise ValueError(f"{path}: `{name}` must be a string; got {quoted(value)}")
    for name, kind in {"tokenizer_class": str, "split_special_tokens": bool, "auto_map": dict}.items():
        if name in settings and not isinstance(settings[name], kind):
            raise ValueError(f"{path}: `{name}` must be of the type {kind.__name__}; got {quoted(settings[name])}")
    for name, classes in (settings.get("auto_map") or {}).items():
        pair = classes if isinstance(classes, list) else [classes, None]  # a slow and a fast tokenizer
        # A class is named with its module, as in `tokenization.Tokenizer`.
        are_names = all(one is None or isinstance(one, str) and "." in one for one in pair)
        if len(pair) != 2 or not are_names or not any(pair):
            raise ValueError(f"{path}: `auto_map` must give {quoted(name)} the name of a class; got {quoted(classes)}")
    is_own = str(settings.get("tokenizer_class")).startswith("PreCodeTokenizer")
    if is_own and settings.get("text_mode") not in TEXT_MODES:
        raise ValueError(
            f"{path}: `text_mode` must be one of {', '.join(TEXT_MODES)}; got {quoted(settings.get('text_mode'))}"
        )
    added = settings.get("added_tokens_decoder") or {}
    if not isinstance(added, dict) or not all(isinstance(token, dict) for token in added.values()):
        raise ValueError(f"{path}: `added_tokens_decoder` must be a dictionary of tokens; got {quoted(added)}")
    for number, token in added.items():
        if not (number.isascii() and number.isdecimal() and isinstance(token.get("content"), str)):
            raise ValueError(
                f"{path}: `added_tokens_decoder` must give a number a token with `content`; got {quoted(number)}: "
                f"{quoted(token)}"
            )
    check_token_ids(str(path), {token["content"]: int(number) for number, token in added.items()}, config)


def _check_max_length(what: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < SHORTEST_UTTERANCE:
        raise ValueError(
            f"{what}: `model_max_length` must be a whole number of tokens, at least {SHORTEST_UTTERANCE}; got "
            f"{quoted(value)}"
        )


def _content(token: Any) -> Any:
    """The text of a special token, which is a string or a dictionary."""
    return token.get("content") if isinstance(token, dict) else token
