"""Explains the labels of a dialogue by how a probability changes without another utterance or a word."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from .speakers import speaker_ids_of
from .steps import Steps

if TYPE_CHECKING:
    from .modeling_precode import PreCodeForUtteranceClassification

WORD = re.compile(r"\S+")


class Run(NamedTuple):
    """A dialogue that goes through the conversation encoder: the rows of its utterance vectors, and its speakers."""

    rows: list[int]
    speaker_ids: list[int]


def explain(
    model: "PreCodeForUtteranceClassification",
    dialogue: list[dict],
    input_ids: list[list[int]],
    encode: Callable[[list[dict]], list[list[int]]],
    probabilities_of: Callable[[Tensor], Tensor],
    results: Sequence[tuple[int, float]],
    max_batch_tokens: int,
) -> list[dict[str, Any]]:
    """Explain the labels of a dialogue. The model reads the dialogue again without each utterance and each word.

    Only what changes is computed again. Without an utterance, that is the conversation encoder. Without a word, it is
    the vector of its utterance too.

    Args:
        model: The model.
        dialogue: The turns, each with `text` and optionally `speaker`.
        input_ids: The token ids of each turn.
        encode: A function from turns to their token ids, which computed those of the dialogue.
        probabilities_of: A function from logits (N, classes) to probabilities (N, labels).
        results: The label id and its probability for each turn.
        max_batch_tokens: The maximum number of tokens, and of utterance vectors, that are computed at once.

    Returns:
        For each turn: `utterances`, the change by each utterance of the dialogue (None for the turn itself), and
        `words`, dictionaries of `word`, `start`, `end` (character offsets in the text) and `change`. A change is the
        probability of the label minus its probability without that part. It is positive if the part speaks for the
        label.
    """
    words = [(place, match) for place, turn in enumerate(dialogue) for match in WORD.finditer(turn["text"])]
    shortened = [{**dialogue[place], "text": without(match)} for place, match in words]
    vectors = utterance_vectors(model, [*input_ids, *(encode(shortened) if words else [])], max_batch_tokens)
    everyone = list(range(len(dialogue)))
    names = [turn.get("speaker") for turn in dialogue]
    explanations: list[dict[str, Any]] = [{"utterances": [None] * len(dialogue), "words": []} for _ in dialogue]
    if len(dialogue) > 1:
        remaining = [[place for place in everyone if place != left_out] for left_out in everyone]
        runs = (Run(rows, speaker_ids_of([names[place] for place in rows], len(rows))) for rows in remaining)
        for left_out, shares in enumerate(
            probabilities_of_runs(model, vectors, runs, probabilities_of, max_batch_tokens)
        ):
            for place, share in zip(remaining[left_out], shares, strict=True):
                label, score = results[place]
                explanations[place]["utterances"][left_out] = score - float(share[label])
    speaker_ids = speaker_ids_of(names, len(names))
    replaced = (
        Run([*everyone[:place], row, *everyone[place + 1 :]], speaker_ids)
        for row, (place, _) in enumerate(words, start=len(dialogue))
    )
    changed = probabilities_of_runs(model, vectors, replaced, probabilities_of, max_batch_tokens)
    for (place, match), shares in zip(words, changed, strict=True):
        label, score = results[place]
        change = score - float(shares[place][label])
        word = {"word": match[0], "start": match.start(), "end": match.end(), "change": change}
        explanations[place]["words"].append(word)
    return explanations


def without(word: re.Match[str]) -> str:
    """The text without a word and without the space next to it."""
    before, after = word.string[: word.start()].rstrip(), word.string[word.end() :].lstrip()
    return f"{before} {after}".strip()


def utterance_vectors(
    model: "PreCodeForUtteranceClassification", input_ids: list[list[int]], max_batch_tokens: int
) -> Tensor:
    """The vectors (N, d_u) of utterances with these token ids."""
    vectors = []
    for batch in batches(input_ids, len, max_batch_tokens):
        steps = Steps.of([len(ids) for ids in batch]).to(model.device)
        tokens = torch.tensor(list(chain.from_iterable(batch)), device=model.device)
        vectors.append(model.precode.utterance_encoder(tokens, steps))
    return torch.cat(vectors)


def probabilities_of_runs(
    model: "PreCodeForUtteranceClassification",
    vectors: Tensor,
    runs: Iterator[Run],
    probabilities_of: Callable[[Tensor], Tensor],
    max_utterances: int,
) -> Iterator[list[list[float]]]:
    """The probabilities of all labels, for each utterance of each run."""
    for batch in batches(runs, lambda run: len(run.rows), max_utterances):
        lengths = [len(run.rows) for run in batch]
        rows = torch.tensor([row for run in batch for row in run.rows], device=vectors.device)
        speaker_ids = torch.tensor([speaker for run in batch for speaker in run.speaker_ids], device=vectors.device)
        chosen = vectors[rows]
        states = model.precode.conversation_encoder(chosen, Steps.of(lengths).to(vectors.device), speaker_ids)
        shares = probabilities_of(model.classifier(torch.cat([chosen, states], dim=-1))).tolist()
        for end, length in zip(accumulate(lengths), lengths, strict=True):
            yield shares[end - length : end]


def batches(items: Any, size_of: Callable[[Any], int], most: int) -> Iterator[list]:
    """Group consecutive items so that their sizes add up to at most `most`. A larger item is a group of its own."""
    batch: list = []
    total = 0
    for item in items:
        if batch and total + size_of(item) > most:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size_of(item)
    if batch:
        yield batch
