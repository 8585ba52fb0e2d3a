"""Encodes dialogues as token ids, with any tokenizer."""

import sys
from typing import Any

from .dialogue_windows import SPECIAL_TOKENS
from .speakers import speaker_ids_of, speaker_name
from .word_encoding import WordEncodingMixin, token_ids


def encode_dialogues(
    examples: dict[str, list],
    tokenizer: Any,
    max_utterance_tokens: int | None = None,
    speaker_prefix: bool = False,
    text_context: str = "utterance",
) -> dict[str, list]:
    """Add `input_ids` and `speaker_ids` to a batch of dialogues, for `Dataset.map(..., batched=True)`.

    Args:
        examples: A batch of rows with `utterances`, a list of strings per dialogue, and optionally `speakers`, a name
            or `None` for each utterance.
        tokenizer: Any tokenizer.
        max_utterance_tokens: The maximum number of tokens, special tokens included; longer utterances are cut on the
            right. By default the tokenizer's `model_max_length`. If the tokenizer has no such limit, pass
            `model.max_utterance_tokens`.
        speaker_prefix: Put the name of the speaker before the text, as in `Ross: Hi.`, if an utterance has one. Use the
            model's `config.speaker_prefix`.
        text_context: What the model reads at once, its `config.text_context`.

    Returns:
        `input_ids`: for every dialogue a list of utterances, each a list of token ids, unpadded and never empty. With
        `speakers` also `speaker_ids`: one integer per utterance, 1 for the first speaker of the dialogue, 2 for the
        second, and so on, 0 for an unknown speaker. With `text_context="dialogue"`, the token ids have no special
        tokens, and `name_lengths` says how many of those of an utterance are the name of its speaker, which takes at
        most half of them.

    Raises:
        ValueError: A dialogue has speakers, but not one per utterance.
    """
    dialogues, result = examples["utterances"], {}
    if "speakers" in examples:
        named = zip(examples["speakers"], dialogues, strict=True)
        result["speaker_ids"] = [speaker_ids_of(names, len(texts)) for names, texts in named]
    utterances = _named_texts(examples, speaker_prefix)
    if text_context == "dialogue":
        encoded, name_lengths = _without_special_tokens(utterances, tokenizer, max_utterance_tokens, speaker_prefix)
        lengths = iter(name_lengths)
        result["name_lengths"] = [[next(lengths) for _ in dialogue] for dialogue in dialogues]
    else:
        encoded = _with_special_tokens(utterances, tokenizer, max_utterance_tokens)
    rows = iter(encoded)
    return {"input_ids": [[next(rows) for _ in dialogue] for dialogue in dialogues], **result}


def count_cut(
    examples: dict[str, list],
    input_ids: list[list[list[int]]],
    tokenizer: Any,
    max_utterance_tokens: int | None,
    speaker_prefix: bool = False,
    text_context: str = "utterance",
) -> int:
    """Count the utterances that `encode_dialogues` has cut.

    Args:
        examples, tokenizer, max_utterance_tokens, speaker_prefix, text_context: The arguments of that call.
        input_ids: The `input_ids` that it returned.
    """
    if max_utterance_tokens is None:
        return 0
    most = max_utterance_tokens if text_context == "utterance" else _room(max_utterance_tokens)
    encoded = [ids for dialogue in input_ids for ids in dialogue]
    utterances = _named_texts(examples, speaker_prefix)
    full = [utterance for utterance, ids in zip(utterances, encoded, strict=True) if len(ids) >= most]
    if not full:
        return 0
    if text_context == "dialogue":
        return sum(len(ids) > most for ids in _without_special_tokens(full, tokenizer, sys.maxsize, speaker_prefix)[0])
    # In this mode, `encode_utterances` is many times faster than a call.
    if getattr(tokenizer, "text_mode", None) == "unicode":
        return sum(len(ids) > most for ids in _with_special_tokens(full, tokenizer, sys.maxsize))
    texts = [with_speaker(*one) for one in full]
    return sum(len(ids) > most for ids in _token_ids(tokenizer, texts, truncation=False, verbose=False))


def window_token_ids(tokenizer: Any) -> dict[str, int | None]:
    """The special tokens of a dialogue that is read as one sequence, as settings of [`PreCodeConfig`].

    The mask token, which only Conversation Completion needs, is `None` if the tokenizer has none.

    Args:
        tokenizer: The tokenizer of the text encoder.

    Raises:
        ValueError: The tokenizer has no start token, or no separator.
    """
    found = {"mask_token_id": getattr(tokenizer, "mask_token_id", None)}
    for setting, names in {"start_token_id": ("cls", "bos"), "separator_token_id": ("sep", "eos")}.items():
        ids = [getattr(tokenizer, f"{name}_token_id", None) for name in names]
        known = [token for token in ids if token is not None]
        if not known:
            raise ValueError(
                f"{tokenizer.name_or_path}: has no {names[0]}_token and no {names[1]}_token, which text_context="
                "'dialogue' needs; use text_context='utterance'"
            )
        found[setting] = known[0]
    return found


def with_speaker(name: Any, text: str) -> str:
    """A text with the name of its speaker before it, as in `Ross: Hi.`, if the name is not empty."""
    name = speaker_name(name)
    return f"{name}: {text}" if name else text


def _named_texts(examples: dict[str, list], speaker_prefix: bool) -> list[tuple[str, str]]:
    """The name of the speaker, or an empty string, and the text of every utterance, one dialogue after another."""
    dialogues = examples["utterances"]
    if not speaker_prefix or "speakers" not in examples:
        return [("", text) for dialogue in dialogues for text in dialogue]
    return [
        (speaker_name(name), text)
        for names, texts in zip(examples["speakers"], dialogues, strict=True)
        for name, text in zip(names or [None] * len(texts), texts, strict=True)
    ]


def _with_special_tokens(utterances: list[tuple[str, str]], tokenizer: Any, max_length: int | None) -> list[list[int]]:
    """The token ids of utterances as they are read alone."""
    texts = [with_speaker(*one) for one in utterances]
    if isinstance(tokenizer, WordEncodingMixin):
        return tokenizer.encode_utterances(texts, max_length)
    options = {"truncation": True, "max_length": max_length}
    return [ids or [_stand_in(tokenizer)] for ids in _token_ids(tokenizer, texts, **options)]


def _without_special_tokens(
    utterances: list[tuple[str, str]], tokenizer: Any, max_length: int | None, speaker_prefix: bool
) -> tuple[list[list[int]], list[int]]:
    """The token ids of utterances as they are read in their dialogue, and the number of those of the name.

    Some tokenizers encode a text differently after a space. With `speaker_prefix`, every text has the space that
    separates it from a name, so that equal texts have equal token ids, with and without a name.
    """
    room = _room(max_length or tokenizer.model_max_length)
    names = list(dict.fromkeys(name for name, _ in utterances if name))
    # `verbose=False` suppresses warnings about texts that are too long for a model.
    options = {"add_special_tokens": False, "truncation": False, "verbose": False}
    ids_of_names = _token_ids(tokenizer, [f"{name}:" for name in names], **options)
    name_ids: dict[str, list[int]] = {"": [], **dict(zip(names, ids_of_names, strict=True))}
    texts = [f" {text}" if speaker_prefix else text for _, text in utterances]
    encoded, name_lengths = [], []
    for (name, _), ids in zip(utterances, _token_ids(tokenizer, texts, **options), strict=True):
        own_name = name_ids[name][: room // 2]
        encoded.append([*own_name, *(ids or [_stand_in(tokenizer)])][:room])
        name_lengths.append(len(own_name))
    return encoded, name_lengths


def _token_ids(tokenizer: Any, texts: list[str], **options: Any) -> list[list[int]]:
    """The token ids of texts, where "[PAD]" that was typed by a person is text, not padding."""
    return token_ids(tokenizer, texts, split_special_tokens=True, **options) if texts else []


def _room(max_length: int) -> int:
    """The tokens of an utterance without special tokens that is not longer than `max_length` with them."""
    return max(max_length - SPECIAL_TOKENS, 1)


def _stand_in(tokenizer: Any) -> int:
    """The token that represents an utterance without tokens."""
    known = (tokenizer.unk_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id)
    found = next((token for token in known if token is not None), None)
    if found is None:
        raise ValueError(
            f"{tokenizer.name_or_path}: has no token for an utterance without words; its tokenizer_config.json must "
            "name an unk_token or a pad_token; save the tokenizer again"
        )
    return found
