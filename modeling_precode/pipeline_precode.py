"""The pipeline `conversation-emotion`: a person's dialogue in, an emotion for every utterance out."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from transformers import Pipeline, PreTrainedTokenizerBase
from transformers.tokenization_utils_base import LARGE_INTEGER

from .batching import batches, windows
from .data_collator import PreCodeDataCollator
from .dialogue_inputs import read_inputs, read_utterance
from .known_words import READABLE, count_known_words, known_share
from .speakers import SpeakerOrder
from .tokenization_precode import count_cut, encode_dialogues
from .tokenizer_files import check_tokenizer

if TYPE_CHECKING:
    from .modeling_precode import PreCodeForUtteranceClassification

logger = logging.getLogger(__name__)

TASK = "conversation-emotion"
DEFAULT_BATCH_TOKENS = 2**14


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

    One warning a call says how many utterances were longer than the model reads, if any, and where they were cut. One
    warning a pipeline says that fewer than half of a dialogue's words are known to the model.

    Args of a call:
        inputs: a dialogue: a list of strings, of `{"speaker", "text"}` or of `(speaker, text)` tuples, a numpy array or
            a pandas `Series` of these, a pandas `DataFrame` with the column `text` and perhaps `speaker`, or a string,
            which is a dialogue of one utterance. Or several dialogues: a list, an array, a `Series`, a column of a
            dataset, a generator or a dataset of PyTorch (such as `KeyDataset`) of dialogues; a `datasets.Dataset` or
            `IterableDataset`, or a `DataFrame`, with the column `utterances` and perhaps `speakers`; a `DataFrame` with
            the columns `text` and `dialogue_id`. A speaker that is missing (`None`, NaN) or empty is nobody.
        distribution: also give the probability of every label.
        top_k: in place of a dictionary an utterance, a list of the `top_k` most probable labels, as other pipelines of
            transformers give it: `{"label", "score"}`, the most probable first; all labels with `None`.
        known_words: also give `known_words`, the share of an utterance's words (for a text encoder, of its tokens)
            that are in the vocabulary, from 0 to 1. An utterance without any word is read as one unknown word.
        max_batch_tokens: tokens that go through the model at once (default: 16,384); a longer dialogue goes alone.
        batch_size: dialogues that go through the model at once, at most; as many as `max_batch_tokens` allows when not
            given.
        num_workers: taken as other pipelines take it. Dialogues are always read in this process, as that costs next to
            nothing.

    No result depends on the last three. All but `inputs` may also be given to `pipeline(...)`.

    Raises:
        ValueError: the input has none of these forms, or an argument is out of range.
    """

    model: "PreCodeForUtteranceClassification"
    tokenizer: PreTrainedTokenizerBase  # type: ignore[assignment]

    _load_tokenizer = True  # type: ignore[assignment]
    _load_image_processor = False  # type: ignore[assignment]
    _load_feature_extractor = False  # type: ignore[assignment]
    _load_processor = False  # type: ignore[assignment]

    _has_warned_of_unknown_words = False

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        check_tokenizer(self.model.name_or_path or "the model", self.tokenizer, self.model.config)

    # As in other pipelines an empty string stands for no `top_k`, since `None` has a meaning.
    def _sanitize_parameters(  # type: ignore[override]
        self,
        distribution: bool | None = None,
        max_batch_tokens: int | None = None,
        top_k: int | None | str = "",
        known_words: bool | None = None,
    ):
        if max_batch_tokens is not None:
            _check_at_least_one("max_batch_tokens", max_batch_tokens)
        forward = {} if max_batch_tokens is None else {"max_batch_tokens": max_batch_tokens}
        postprocess: dict[str, Any] = {} if distribution is None else {"distribution": distribution}
        if top_k != "":
            if top_k is not None:
                _check_at_least_one("top_k", top_k)
            postprocess["top_k"] = top_k
        if known_words is not None:
            postprocess["known_words"] = known_words
        return {}, forward, postprocess

    def __call__(  # type: ignore[override]
        self, inputs: Any, batch_size: int | None = None, num_workers: int | None = None, **kwargs: Any
    ) -> list | Iterator[list]:
        _, forward_params, postprocess_params = self._sanitize_parameters(**kwargs)
        postprocess_params = {**self._postprocess_params, **postprocess_params}
        for name in ("distribution", "known_words"):
            if postprocess_params.get(name) and "top_k" in postprocess_params:
                raise ValueError(f"`{name}` and `top_k` both say what is given of an utterance; give one of them")
        batch_size = self._batch_size if batch_size is None else batch_size
        if batch_size is not None:
            _check_at_least_one("batch_size", batch_size)
        max_batch_tokens = {**self._forward_params, **forward_params}.get("max_batch_tokens", DEFAULT_BATCH_TOKENS)
        dialogues, single = read_inputs(inputs)
        results = self._label(iter(dialogues), max_batch_tokens, batch_size, postprocess_params)
        if single:
            [result] = results
            return result
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

    @property
    def max_utterance_tokens(self) -> int | None:
        """The most tokens of an utterance that the tokenizer and the model read; `None` where neither has a limit."""
        limits = (self.tokenizer.model_max_length, self.model.max_utterance_tokens)
        return min((limit for limit in limits if limit is not None and limit < LARGE_INTEGER), default=None)

    def _label(
        self, dialogues: Iterator[list[dict]], max_batch_tokens: int, batch_size: int | None, params: dict
    ) -> Iterator[list]:
        cut = read = 0
        try:
            for window in windows(dialogues):
                encoded = self.preprocess(window)
                cut += self.count_cut(window, encoded)
                read += sum(map(len, window))
                results: list[list] = [[] for _ in window]
                for batch in batches(encoded, max_batch_tokens, batch_size):
                    rows = PreCodeDataCollator(self.tokenizer.pad_token_id)([encoded[i] for i in batch])
                    for i, probabilities in zip(batch, self.forward(rows), strict=True):
                        counts = count_known_words(encoded[i]["input_ids"], self.tokenizer)
                        self._warn_of_unknown_words(window[i], counts)
                        results[i] = self.postprocess((window[i], probabilities, counts), **params)
                yield from results
        finally:  # also where the results of a stream are not read to the end
            if cut:
                logger.warning(
                    "%d of %d utterances are longer than %d tokens, which is all that the model reads of one: what "
                    "they say after that has no part in the labels",
                    *(cut, read, self.max_utterance_tokens),
                )

    def _warn_of_unknown_words(self, dialogue: list[dict], counts: list[tuple[int, int]]) -> None:
        share = known_share(counts)
        if share >= READABLE or self._has_warned_of_unknown_words:
            return
        self._has_warned_of_unknown_words = True
        logger.warning(
            "only %.0f %% of a dialogue's words are known to the model (it begins %r): the labels mean little where a "
            "model was trained on another language or script; later dialogues get no such warning, and "
            "known_words=True gives the share of every utterance",
            *(100 * share, dialogue[0]["text"][:40]),
        )

    def preprocess(self, dialogues: list[list[dict]]) -> list[dict]:  # type: ignore[override]
        """Turns with a `text` and perhaps a `speaker` -> rows of `input_ids` and `speaker_ids`."""
        encoded = encode_dialogues(_columns(dialogues), self.tokenizer, **self._reading())
        return [dict(zip(encoded, row, strict=True)) for row in zip(*encoded.values(), strict=True)]

    def count_cut(self, dialogues: list[list[dict]], encoded: list[dict]) -> int:
        """How many utterances of these turns `preprocess`, which returned these rows, has cut."""
        input_ids = [row["input_ids"] for row in encoded]
        return count_cut(_columns(dialogues), input_ids, self.tokenizer, **self._reading())

    def _reading(self) -> dict[str, Any]:
        """How `encode_dialogues` reads an utterance for this model."""
        return {
            "max_utterance_tokens": self.max_utterance_tokens,
            "speaker_prefix": self.model.config.speaker_prefix,
        }

    def _forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:  # type: ignore[override]
        return self.probabilities(self.model(**batch, return_dict=True).logits)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return (logits.float() / self.model.config.temperature).softmax(-1)

    def postprocess(  # type: ignore[override]
        self,
        outputs: tuple[list[dict], torch.Tensor, list[tuple[int, int]]],
        distribution: bool = False,
        top_k: int | None | str = "",
        known_words: bool = False,
    ) -> list:
        """A dialogue's turns, their probabilities (U, C), and how many of their words are known and how many there are
        -> the turns with their emotions."""
        dialogue, probabilities, counts = outputs
        names = self.model.config.label_names
        if not isinstance(top_k, str):
            ranked = probabilities[: len(dialogue)].sort(descending=True, stable=True)
            pairs = [
                zip(*row, strict=True) for row in zip(ranked.values.tolist(), ranked.indices.tolist(), strict=True)
            ]
            return [[{"label": names[i], "score": score} for score, i in islice(row, top_k)] for row in pairs]
        results = []
        # A batch's dialogues are padded to its longest.
        for turn, row, count in zip(dialogue, probabilities[: len(dialogue)].tolist(), counts, strict=True):
            best = max(range(len(row)), key=row.__getitem__)
            result = {**turn, "label": names[best], "score": row[best]}
            if distribution:
                result["distribution"] = {names[i]: probability for i, probability in enumerate(row)}
            if known_words:
                result["known_words"] = known_share([count])
            results.append(result)
        return results


class EmotionStream:
    """One dialogue, labeled while it goes on: takes its utterances one at a time, in the pipeline's forms."""

    def __init__(self, emotions: ConversationEmotionPipeline, distribution: bool = False):
        self.emotions = emotions
        self.distribution = distribution
        self.logits = emotions.model.stream()
        self.speakers = SpeakerOrder()
        self.has_cut = False

    def __call__(self, utterance: str | tuple[str, str] | Mapping[str, str]) -> dict:
        """The next utterance -> the dictionary that the pipeline gives for it, from all that was said before.

        Raises:
            ValueError: it has none of the forms of an utterance.
        """
        turns = [read_utterance(utterance)]
        [row] = self.emotions.preprocess([turns])
        if not self.has_cut and self.emotions.count_cut([turns], [row]):
            self.has_cut = True
            logger.warning(
                "an utterance is longer than %d tokens, which is all that the model reads of one: what it says after "
                "that has no part in the labels; later ones are cut without a warning",
                self.emotions.max_utterance_tokens,
            )
        logits = self.logits(row["input_ids"][0], self.speakers(turns[0].get("speaker")))
        probabilities = self.emotions.probabilities(logits)
        counts = count_known_words(row["input_ids"], self.emotions.tokenizer)
        [result] = self.emotions.postprocess((turns, probabilities.unsqueeze(0), counts), self.distribution)
        return result

    def state_dict(self) -> dict[str, Any]:
        """All that the stream remembers of its dialogue, a few kilobytes that `torch.save` can keep: `state`, as in
        [`DialogueStream`], and the names of the `speakers`, in their order. The model is no part of it."""
        return {**self.logits.state_dict(), "speakers": list(self.speakers.ids)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what another stream of the same model remembered.

        Raises:
            ValueError: it is the state of a stream of another model, or no such state.
        """
        if "speakers" not in state:
            raise ValueError(f"the state of a stream has `state` and `speakers`; got {', '.join(state) or 'nothing'}")
        self.logits.load_state_dict({"state": state.get("state")})
        self.speakers = SpeakerOrder(state["speakers"])


def _check_at_least_one(name: str, value: Any) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be at least 1; got {value!r}")


def _columns(dialogues: Sequence[list[dict]]) -> dict[str, list]:
    """Turns as the columns that `encode_dialogues` reads."""
    return {
        "utterances": [[turn["text"] for turn in dialogue] for dialogue in dialogues],
        "speakers": [[turn.get("speaker") for turn in dialogue] for dialogue in dialogues],
    }
