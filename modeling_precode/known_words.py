"""How many of a dialogue's words the vocabulary has."""

from typing import Any

# A model can hardly read a dialogue with a smaller share of known words.
READABLE = 0.5


def count_known_words(input_ids: list[list[int]], tokenizer: Any) -> list[tuple[int, int]]:
    """For each utterance of a dialogue, the number of its known tokens and of all its tokens.

    Tokens that a tokenizer adds, such as `[CLS]`, do not count, and neither does a lone `▁`, SentencePiece's space. A
    tokenizer without a token for what is unknown, such as one of bytes, knows everything.

    Args:
        input_ids: the token ids of each utterance, unpadded.
        tokenizer: the tokenizer that they come from.
    """
    added = {tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}
    # GPT-2 has one token for the end of a text and for what is unknown, and knows everything.
    unknown = None if tokenizer.unk_token_id in added else tokenizer.unk_token_id
    added.add(tokenizer.convert_tokens_to_ids("▁"))
    added -= {None, unknown}
    counts = []
    for ids in input_ids:
        words = len(ids) - sum(map(ids.count, added))
        counts.append((words - (0 if unknown is None else ids.count(unknown)), words))
    return counts


def known_share(counts: list[tuple[int, int]]) -> float:
    """The share of known words, from 0 to 1, of what was counted; 1 where there is no word."""
    words = sum(count for _, count in counts)
    return sum(known for known, _ in counts) / words if words else 1.0
