"""Encodes dialogues as token ids, with any tokenizer."""

import sys
from typing import Any

from .speakers import speaker_ids_of, speaker_name
from .word_encoding import WordEncodingMixin, token_ids


def encode_dialogues(
    examples: dict[str, list], tokenizer: Any, max_utterance_tokens: int | None = None, speaker_prefix: bool = False
) -> dict[str, list]:
    """Add `input_ids` and `speaker_ids` to a batch of dialogues, for `Dataset.map(..., batched=True)`.

    Args:
        examples: A batch of rows with `utterances`, a list of strings per dialogue, and optionally `speakers`, a name
            or `None` for each utterance.
        tokenizer: Any tokenizer.
        max_utterance_tokens: The maximum number of tokens; longer utterances are cut on the right. By default the
            tokenizer's `model_max_length`. If the tokenizer has no such limit, pass `model.max_utterance_tokens`.
        speaker_prefix: Put the name of the speaker before the text, as in `Ross: Hi.`, if an utterance has one. Use the
            model's `config.speaker_prefix`.

    Returns:
        `input_ids`: for every dialogue a list of utterances, each a list of token ids, unpadded and never empty. With
        `speakers` also `speaker_ids`: one integer per utterance, 1 for the first speaker of the dialogue, 2 for the
        second, and so on, 0 for an unknown speaker.

    Raises:
        ValueError: A dialogue has speakers, but not one per utterance.
    """
    dialogues, result = examples["utterances"], {}
    if "speakers" in examples:
        named = zip(examples["speakers"], dialogues, strict=True)
        result["speaker_ids"] = [speaker_ids_of(names, len(texts)) for names, texts in named]
    utterances = _texts(examples, speaker_prefix)
    if isinstance(tokenizer, WordEncodingMixin):
        encoded = tokenizer.encode_utterances(utterances, max_utterance_tokens)
    elif utterances:
        # "[PAD]" typed by a person is text, not padding.
        options = {"truncation": True, "max_length": max_utterance_tokens, "split_special_tokens": True}
        encoded = token_ids(tokenizer, utterances, **options)
        encoded = [ids or [_stand_in(tokenizer)] for ids in encoded]
    else:
        encoded = []
    rows = iter(encoded)
    return {"input_ids": [[next(rows) for _ in dialogue] for dialogue in dialogues], **result}


def count_cut(
    examples: dict[str, list],
    input_ids: list[list[list[int]]],
    tokenizer: Any,
    max_utterance_tokens: int | None,
    speaker_prefix: bool = False,
) -> int:
    """Count the utterances that `encode_dialogues` has cut.

    Args:
        examples, tokenizer, max_utterance_tokens, speaker_prefix: The arguments of that call.
        input_ids: The `input_ids` that it returned.
    """
    if max_utterance_tokens is None:
        return 0
    encoded = [ids for dialogue in input_ids for ids in dialogue]
    texts = _texts(examples, speaker_prefix)
    full = [text for text, ids in zip(texts, encoded, strict=True) if len(ids) >= max_utterance_tokens]
    if not full:
        return 0
    # In this mode, `encode_utterances` is many times faster than a call.
    if getattr(tokenizer, "text_mode", None) == "unicode":
        return sum(len(ids) > max_utterance_tokens for ids in tokenizer.encode_utterances(full, sys.maxsize))
    # `verbose=False` suppresses warnings about texts that are too long for a model.
    options = {"truncation": False, "split_special_tokens": True, "verbose": False}
    return sum(len(ids) > max_utterance_tokens for ids in token_ids(tokenizer, full, **options))


def _texts(examples: dict[str, list], speaker_prefix: bool) -> list[str]:
    """The texts of all utterances, one dialogue after another."""
    dialogues = examples["utterances"]
    if speaker_prefix and "speakers" in examples:
        dialogues = [
            [with_speaker(name, text) for name, text in zip(names, texts, strict=True)] if names else texts
            for names, texts in zip(examples["speakers"], dialogues, strict=True)
        ]
    return [utterance for dialogue in dialogues for utterance in dialogue]


def with_speaker(name: Any, text: str) -> str:
    """A text with the name of its speaker before it, as in `Ross: Hi.`, if the name is not empty."""
    name = speaker_name(name)
    return f"{name}: {text}" if name else text


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
