"""Counts the words of a dialogue that are in the vocabulary."""

from typing import Any

# With a smaller share of known words, a model can hardly read a dialogue.
READABLE = 0.5


def count_known_words(input_ids: list[list[int]], tokenizer: Any) -> list[tuple[int, int]]:
    """Count the known tokens and all tokens of each utterance of a dialogue.

    Tokens that the tokenizer adds, such as `[CLS]`, do not count. Neither does a lone `▁`, SentencePiece's space. For a
    tokenizer without an unknown token, such as a byte-level one, all tokens are known. An utterance without words
    counts as one unknown token.

    Args:
        input_ids: The token ids of each utterance, unpadded.
        tokenizer: The tokenizer that produced them.
    """
    added = {tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}
    # GPT-2 uses its end-of-text token as its unknown token too, but all tokens are known to it.
    unknown = None if tokenizer.unk_token_id in added else tokenizer.unk_token_id
    added.add(tokenizer.convert_tokens_to_ids("▁"))
    added -= {None, unknown}
    counts = []
    for ids in input_ids:
        words = len(ids) - sum(map(ids.count, added))
        known = words - (0 if unknown is None else ids.count(unknown))
        counts.append((known, words) if words else (0, 1))
    return counts


def known_share(counts: list[tuple[int, int]]) -> float:
    """The share of known words, from 0 to 1; 1 if there are no words."""
    words = sum(count for _, count in counts)
    return sum(known for known, _ in counts) / words if words else 1.0
