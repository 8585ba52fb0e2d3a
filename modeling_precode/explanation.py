"""Explains the labels of a dialogue by how a probability changes without another utterance or a word."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from .batching import successive_batches
from .label_folding import LabelFolding
from .speakers import speaker_ids_of

if TYPE_CHECKING:
    from .emotion_labeling import EmotionLabelingMixin

WORD = re.compile(r"\S+")
# A longer word, and text that the model does not read, count as a token for each so many characters.
TOKEN_CHARACTERS = 16


class EncodedDialogue(NamedTuple):
    """A dialogue that goes through the conversation encoder: the rows of its utterance vectors, and its speakers."""

    rows: list[int]
    speaker_ids: list[int]


def explain(
    reader: "EmotionLabelingMixin",
    dialogue: list[dict],
    input_ids: list[list[int]],
    results: Sequence[tuple[int, float]],
    max_batch_tokens: int,
    folding: LabelFolding | None,
) -> list[dict[str, Any]]:
    """Explain the labels of a dialogue. The model reads the dialogue again without each utterance and each word.

    Only what changes is computed again. Without an utterance, that is the conversation encoder. Without a word, it is
    the vector of its utterance too. If the text encoder reads whole dialogues, everything is computed again.

    Args:
        reader: The pipeline. Unless its text encoder reads whole dialogues, it also reads in two steps: every utterance
            alone, and then the dialogue.
        dialogue: The turns, each with `text` and optionally `speaker`.
        input_ids: The token ids of each turn.
        results: The label id and its probability for each turn.
        max_batch_tokens: The maximum number of tokens, and of utterance vectors, that are computed at once.
        folding: The folding of the labels, or None.

    Returns:
        For each turn: `utterances`, the change by each utterance of the dialogue (None for the turn itself), and
        `words`, dictionaries of `word`, `start`, `end` (character offsets in the text) and `change`. A change is the
        probability of the label minus its probability without that part. It is positive if the part speaks for the
        label.
    """
    if not dialogue:
        return []
    words = [(place, match) for place, turn in enumerate(dialogue) for match in WORD.finditer(turn["text"])]
    shortened = [(place, {**dialogue[place], "text": without(match)}) for place, match in words]
    everyone = range(len(dialogue)) if len(dialogue) > 1 else ()
    remaining = [[place for place in everyone if place != left_out] for left_out in everyone]
    read_again = read_whole if reader.model.config.text_context == "dialogue" else read_separately
    without_utterances, without_words = read_again(
        reader, dialogue, input_ids, remaining, shortened, max_batch_tokens, folding
    )
    explanations: list[dict[str, Any]] = [{"utterances": [None] * len(dialogue), "words": []} for _ in dialogue]
    for left_out, shares in enumerate(without_utterances):
        for place, share in zip(remaining[left_out], shares, strict=True):
            label, score = results[place]
            explanations[place]["utterances"][left_out] = score - float(share[label])
    for (place, match), shares in zip(words, without_words, strict=True):
        label, score = results[place]
        change = score - float(shares[place][label])
        word = {"word": match[0], "start": match.start(), "end": match.end(), "change": change}
        explanations[place]["words"].append(word)
    return explanations


def explanation_size(dialogue: list[dict], input_ids: list[list[int]], text_context: str = "utterance") -> int:
    """The number of tokens, and of utterances in context, that the model reads to explain a dialogue.

    Args:
        dialogue: The turns, each with `text`.
        input_ids: The token ids of each turn.
        text_context: What the text encoder of the model reads at once, `"utterance"` or `"dialogue"`.
    """
    words = [sum(1 for _ in WORD.finditer(turn["text"])) for turn in dialogue]
    tokens = [
        max(len(ids), len(turn["text"]) // TOKEN_CHARACTERS) for turn, ids in zip(dialogue, input_ids, strict=True)
    ]
    parts = len(dialogue) + sum(words)
    if text_context == "dialogue":
        return (1 + parts) * sum(tokens) + parts * len(dialogue)
    without_a_word = sum(count * size for count, size in zip(words, tokens, strict=True))
    return sum(tokens) + without_a_word + parts * len(dialogue)


def without(word: re.Match[str]) -> str:
    """The text without a word and without the space next to it."""
    before, after = word.string[: word.start()].rstrip(), word.string[word.end() :].lstrip()
    return f"{before} {after}".strip()


def read_separately(
    reader: "EmotionLabelingMixin",
    dialogue: list[dict],
    input_ids: list[list[int]],
    remaining: list[list[int]],
    shortened: list[tuple[int, dict]],
    max_batch_tokens: int,
    folding: LabelFolding | None,
) -> tuple[Iterator[list[list[float]]], Iterator[list[list[float]]]]:
    """The probabilities of all labels, for each utterance of a changed dialogue, from the vectors of its utterances.

    Args:
        reader, dialogue, input_ids, max_batch_tokens, folding: As in [`explain`].
        remaining: The places of the utterances of each dialogue that lacks an utterance.
        shortened: The place and the turn for each dialogue in which one turn is another.

    Returns:
        The probabilities for the dialogues of `remaining`, and for those of `shortened`.
    """
    everyone, names = list(range(len(dialogue))), [turn.get("speaker") for turn in dialogue]
    shortened_ids = reader.preprocess([[turn for _, turn in shortened]])[0]["input_ids"] if shortened else []
    vectors = reader.utterance_vectors([*input_ids, *shortened_ids], max_batch_tokens)
    parts = (EncodedDialogue(rows, speaker_ids_of([names[place] for place in rows], len(rows))) for rows in remaining)
    speaker_ids = speaker_ids_of(names, len(names))
    replaced = (
        EncodedDialogue([*everyone[:place], row, *everyone[place + 1 :]], speaker_ids)
        for row, (place, _) in enumerate(shortened, start=len(dialogue))
    )
    read = partial(probabilities_of_dialogues, reader, vectors, max_utterances=max_batch_tokens, folding=folding)
    return read(parts), read(replaced)


def read_whole(
    reader: "EmotionLabelingMixin",
    dialogue: list[dict],
    input_ids: list[list[int]],
    remaining: list[list[int]],
    shortened: list[tuple[int, dict]],
    max_batch_tokens: int,
    folding: LabelFolding | None,
) -> tuple[Iterator[list[list[float]]], Iterator[list[list[float]]]]:
    """As [`read_separately`], from the changed dialogues themselves."""
    tokens = sum(map(len, input_ids))

    def read(dialogues: Iterator[list[dict]]) -> Iterator[list[list[float]]]:
        for batch in successive_batches(dialogues, lambda _: tokens, max_batch_tokens):
            rows = reader.compute_probabilities(reader.preprocess(batch))
            for turns, probabilities in zip(batch, rows, strict=True):
                own = probabilities[: len(turns)]
                yield (folding(own) if folding else own).tolist()

    parts = ([dialogue[place] for place in places] for places in remaining)
    return read(parts), read([*dialogue[:place], turn, *dialogue[place + 1 :]] for place, turn in shortened)


def probabilities_of_dialogues(
    reader: "EmotionLabelingMixin",
    vectors: Any,
    dialogues: Iterator[EncodedDialogue],
    *,
    max_utterances: int,
    folding: LabelFolding | None,
) -> Iterator[list[list[float]]]:
    """The probabilities of all labels, for each utterance of each dialogue."""
    for batch in successive_batches(dialogues, lambda dialogue: len(dialogue.rows), max_utterances):
        lengths = [len(dialogue.rows) for dialogue in batch]
        rows = [row for dialogue in batch for row in dialogue.rows]
        speaker_ids = [speaker for dialogue in batch for speaker in dialogue.speaker_ids]
        probabilities = reader.probabilities_in_context(vectors[rows], lengths, speaker_ids)
        shares = (folding(probabilities) if folding else probabilities).tolist()
        for end, length in zip(accumulate(lengths), lengths, strict=True):
            yield shares[end - length : end]
