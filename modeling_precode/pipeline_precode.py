"""The pipeline `conversation-emotion`: a person's dialogue in, an emotion for every utterance out."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from transformers import Pipeline

from .data_collator import PreCodeDataCollator
from .speakers import SpeakerOrder
from .tokenization_precode import encode_dialogues

TASK = "conversation-emotion"
DEFAULT_BATCH_TOKENS = 2**14
# Dialogues that are sorted into batches together, and so the most that a stream holds in memory.
WINDOW = 1000
_FORMS = (
    'a dialogue is a list of utterances: strings, {"speaker": ..., "text": ...} or (speaker, text); '
    "several dialogues are a list of such lists, or a Dataset with the column `utterances`"
)


class ConversationEmotionPipeline(Pipeline):
    """Labels every utterance of a dialogue, or of many, from the whole dialogue.

    ```python
    from transformers import pipeline

    import modeling_precode

    emotions = pipeline("conversation-emotion", model="path/or/name")
    emotions(["I got the job!", "You did? That's wonderful!"])
    ```

    A call returns, for a dialogue, a list with a dictionary an utterance: `text`, `speaker` where one was given,
    `label`, `score` (the label's probability), and with `distribution=True` the probability of every label by name.
    For several dialogues it returns a list of such lists, in their order; for a stream of dialogues (a generator or a
    `datasets.IterableDataset`) an iterator of such lists, which reads on as it is asked.

    Args of a call:
        inputs: a dialogue (a list of strings, of `{"speaker", "text"}` or of `(speaker, text)` tuples), a list of
            dialogues, a generator of them, or a `datasets.Dataset` or `IterableDataset` with the column `utterances`
            and, optionally, `speakers`.
        distribution: also give the probability of every label.
        max_batch_tokens: tokens that go through the model at once; a longer dialogue goes alone.
            No result depends on it.

    Raises:
        ValueError: the input has none of these forms, or `max_batch_tokens` is less than 1.
    """

    _load_tokenizer = True
    _load_image_processor = False
    _load_feature_extractor = False
    _load_processor = False

    def _sanitize_parameters(self, distribution: bool | None = None, max_batch_tokens: int | None = None):
        if max_batch_tokens is not None and max_batch_tokens < 1:
            raise ValueError(f"max_batch_tokens must be at least 1; got {max_batch_tokens}")
        forward = {} if max_batch_tokens is None else {"max_batch_tokens": max_batch_tokens}
        return {}, forward, {} if distribution is None else {"distribution": distribution}

    def __call__(self, inputs: Any, **kwargs: Any) -> list | Iterator[list[dict]]:
        _, forward_params, postprocess_params = self._sanitize_parameters(**kwargs)
        max_batch_tokens = {**self._forward_params, **forward_params}.get("max_batch_tokens", DEFAULT_BATCH_TOKENS)
        postprocess_params = {**self._postprocess_params, **postprocess_params}
        dialogues, single = _read(inputs)
        results = self._label(iter(dialogues), max_batch_tokens, postprocess_params)
        if single:
            return next(results)
        return list(results) if hasattr(inputs, "__len__") else results

    def stream(self, distribution: bool = False) -> "EmotionStream":
        """A new dialogue, to be given utterance by utterance; for a model with `causal=True`.

        ```python
        live = emotions.stream()
        live(("Ana", "I got the job!"))  # {"speaker": "Ana", "text": "I got the job!", "label": "joy", "score": ...}
        ```

        Args:
            distribution: also give the probability of every label.

        Raises:
            ValueError: the model reads in both directions.
        """
        return EmotionStream(self, distribution)

    def _label(self, dialogues: Iterator[list[dict]], max_batch_tokens: int, params: dict) -> Iterator[list[dict]]:
        while window := list(islice(dialogues, WINDOW)):
            encoded = self.preprocess(window)
            results: list[list[dict]] = [[] for _ in window]
            for batch in _batches(encoded, max_batch_tokens):
                rows = PreCodeDataCollator(self.tokenizer.pad_token_id)([encoded[i] for i in batch])
                for i, probabilities in zip(batch, self.forward(rows), strict=True):
                    results[i] = self.postprocess((window[i], probabilities), **params)
            yield from results

    def preprocess(self, dialogues: list[list[dict]]) -> list[dict]:
        """Turns with a `text` and perhaps a `speaker` -> rows of `input_ids` and `speaker_ids`."""
        texts = {
            "utterances": [[turn["text"] for turn in dialogue] for dialogue in dialogues],
            "speakers": [[str(turn.get("speaker", "")) for turn in dialogue] for dialogue in dialogues],
        }
        encoded = encode_dialogues(texts, self.tokenizer, speaker_prefix=self.model.config.speaker_prefix)
        return [dict(zip(encoded, row, strict=True)) for row in zip(*encoded.values(), strict=True)]

    def _forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.probabilities(self.model(**batch).logits)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return (logits.float() / self.model.config.temperature).softmax(-1)

    def postprocess(self, outputs: tuple[list[dict], torch.Tensor], distribution: bool = False) -> list[dict]:
        """A dialogue's turns and their probabilities (U, C) -> the turns with their emotions."""
        dialogue, probabilities = outputs
        names = self.model.config.id2label
        results = []
        # A batch's dialogues are padded to its longest.
        for turn, row in zip(dialogue, probabilities[: len(dialogue)].tolist(), strict=True):
            best = max(range(len(row)), key=row.__getitem__)
            result = {**turn, "label": names[best], "score": row[best]}
            if distribution:
                result["distribution"] = {names[i]: probability for i, probability in enumerate(row)}
            results.append(result)
        return results


class EmotionStream:
    """One dialogue, labelled while it goes on: takes its utterances one at a time, in the pipeline's forms."""

    def __init__(self, emotions: ConversationEmotionPipeline, distribution: bool = False):
        self.emotions = emotions
        self.distribution = distribution
        self.logits = emotions.model.stream()
        self.speakers = SpeakerOrder()

    def __call__(self, utterance: str | tuple[str, str] | Mapping[str, str]) -> dict:
        """The next utterance -> the dictionary that the pipeline gives for it, from all that was said before.

        Raises:
            ValueError: it has none of the forms of an utterance.
        """
        turns = _dialogue([utterance])
        [row] = self.emotions.preprocess([turns])
        logits = self.logits(row["input_ids"][0], self.speakers(str(turns[0].get("speaker", ""))))
        probabilities = self.emotions.probabilities(logits)
        [result] = self.emotions.postprocess((turns, probabilities.unsqueeze(0)), self.distribution)
        return result


def _batches(encoded: list[dict], max_tokens: int) -> list[list[int]]:
    """Indices of dialogues of like length, in batches of at most `max_tokens` tokens."""
    sizes = [sum(map(len, row["input_ids"])) for row in encoded]
    batches: list[list[int]] = []
    tokens = max_tokens
    for index in sorted(filter(sizes.__getitem__, range(len(sizes))), key=lambda i: len(encoded[i]["input_ids"])):
        if tokens + sizes[index] > max_tokens:
            batches.append([])
            tokens = 0
        batches[-1].append(index)
        tokens += sizes[index]
    return batches


def _read(inputs: Any) -> tuple[Iterable[list[dict]], bool]:
    """What a person gave -> dialogues of `{"text", "speaker"?}`, and whether it was a single one."""
    if hasattr(inputs, "column_names"):  # a Dataset; the package `datasets` need not be there
        return _rows(inputs), False
    if isinstance(inputs, Iterator):
        return (_one_of_many(dialogue) for dialogue in inputs), False
    if not isinstance(inputs, list | tuple):
        raise ValueError(f"{_FORMS}; got {_shown(inputs)}")
    if all(isinstance(item, list) for item in inputs) and inputs:
        return [_dialogue(dialogue) for dialogue in inputs], False
    return [_dialogue(list(inputs))], True


def _rows(dataset: Any) -> Iterable[list[dict]]:
    columns = dataset.column_names
    if isinstance(columns, dict):
        split = next(iter(columns), "train")
        raise ValueError(f"got a DatasetDict with the splits {', '.join(columns)}; give one of them: [{split!r}]")
    # A stream may not know its columns before its first row.
    if columns is not None and "utterances" not in columns:
        raise ValueError(f"the dataset has the columns {', '.join(columns)}; {_FORMS}")
    return (_row(row) for row in dataset)


def _row(row: Mapping[str, Any]) -> list[dict]:
    """A row of a dataset; a corpus that names no speakers has none, or empty names."""
    if not isinstance(row.get("utterances"), list):
        raise ValueError(f"{_FORMS}; got the row {_shown(row)}")
    utterances = row["utterances"]
    names = row.get("speakers") or [""] * len(utterances)
    if len(names) != len(utterances):
        raise ValueError(f"a row has a speaker for each utterance, or none; got {len(names)} for {len(utterances)}")
    return _dialogue([{"speaker": name or None, "text": text} for name, text in zip(names, utterances, strict=True)])


def _one_of_many(dialogue: Any) -> list[dict]:
    if not isinstance(dialogue, list | tuple):
        raise ValueError(f"{_FORMS}; got, from an iterator of dialogues, {_shown(dialogue)}")
    return _dialogue(list(dialogue))


def _dialogue(turns: list) -> list[dict]:
    dialogue = []
    for turn in turns:
        if isinstance(turn, str):
            dialogue.append({"text": turn})
        elif isinstance(turn, Mapping) and isinstance(turn.get("text"), str):
            dialogue.append({key: turn[key] for key in ("speaker", "text") if turn.get(key) is not None})
        elif isinstance(turn, tuple) and len(turn) == 2 and all(isinstance(part, str) for part in turn):
            dialogue.append({"speaker": turn[0], "text": turn[1]})
        else:
            raise ValueError(f"{_FORMS}; got the utterance {_shown(turn)}")
    return dialogue


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({type(value).__name__})"
