"""Labels dialogues with emotions.

This is the code that the pipeline of transformers and the one of `modeling_precode.onnx_runtime` share. It does not
depend on how the probabilities are computed.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .batching import batches, windows
from .dialogue_encoding import count_cut, encode_dialogues
from .dialogue_inputs import read_inputs, read_utterance
from .explanation import explain
from .known_words import READABLE, count_known_words, known_share
from .label_folding import LabelFolding
from .speakers import SpeakerOrder

logger = logging.getLogger(__name__)

DEFAULT_BATCH_TOKENS = 2**14


class EmotionLabelingMixin:
    """The calls of a pipeline that labels dialogues. [`ConversationEmotionPipeline`] describes them.

    A pipeline defines `tokenizer`, `model` with `config` and `stream`, and the methods that raise NotImplementedError
    here. The parameters of its constructor are in `_forward_params`, `_postprocess_params` and `_batch_size`.
    """

    tokenizer: Any
    model: Any
    _forward_params: dict[str, Any]
    _postprocess_params: dict[str, Any]
    _batch_size: int | None
    _has_warned_of_unknown_words = False

    @property
    def max_utterance_tokens(self) -> int | None:
        """The maximum number of tokens of an utterance that tokenizer and model read; `None` without a limit."""
        raise NotImplementedError

    def compute_probabilities(self, rows: list[dict]) -> Sequence[Any]:
        """Compute the probabilities (U, C) of each row of `input_ids` and `speaker_ids`. Rows of padding may follow."""
        raise NotImplementedError

    def probabilities(self, logits: Any) -> Any:
        """Convert logits (..., C) to probabilities (..., C)."""
        raise NotImplementedError

    def utterance_vectors(self, input_ids: list[list[int]], max_batch_tokens: int) -> Any:
        """Compute the vectors (N, d_u) of utterances, each a list of token ids, without their context."""
        raise NotImplementedError

    def probabilities_in_context(self, vectors: Any, lengths: list[int], speaker_ids: list[int]) -> Any:
        """Compute the probabilities (N, C) of utterances, dialogue after dialogue, from their vectors (N, d_u)."""
        raise NotImplementedError

    # As in other pipelines, an empty string means that `top_k` is not set, because `None` has another meaning.
    def _sanitize_parameters(
        self,
        distribution: bool | None = None,
        max_batch_tokens: int | None = None,
        top_k: int | None | str = "",
        known_words: bool | None = None,
        label_map: Mapping[str, str | None] | None = None,
        explain: bool | None = None,
    ):
        if max_batch_tokens is not None:
            _check_at_least_one("max_batch_tokens", max_batch_tokens)
        forward = {} if max_batch_tokens is None else {"max_batch_tokens": max_batch_tokens}
        postprocess: dict[str, Any] = {}
        for name, value in {"distribution": distribution, "known_words": known_words, "explain": explain}.items():
            if value is None:
                continue
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be True or False; got {value!r}")
            postprocess[name] = value
        if top_k != "":
            if top_k is not None:
                _check_at_least_one("top_k", top_k)
            postprocess["top_k"] = top_k
        if label_map is not None:
            postprocess["folding"] = LabelFolding(label_map, self.model.config.label_names)
        return {}, forward, postprocess

    def _with_defaults(self, postprocess: dict[str, Any]) -> dict[str, Any]:
        """Add the arguments that the pipeline was created with. Raises a ValueError if two define the result."""
        merged = {**self._postprocess_params, **postprocess}
        for name in ("distribution", "known_words", "explain"):
            if merged.get(name) and "top_k" in merged:
                raise ValueError(f"`{name}` and `top_k` both define the result for an utterance; use one of them")
        return merged

    def __call__(
        self, inputs: Any, batch_size: int | None = None, num_workers: int | None = None, **kwargs: Any
    ) -> list | Iterator[list]:
        """Label dialogues. [`ConversationEmotionPipeline`] describes the arguments and the result."""
        _, forward_params, postprocess_params = self._sanitize_parameters(**kwargs)
        postprocess_params = self._with_defaults(postprocess_params)
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

    def stream(
        self, distribution: bool | None = None, label_map: Mapping[str, str | None] | None = None
    ) -> "EmotionStream":
        """Start a dialogue that is labeled utterance by utterance. The model must have `causal=True`.

        ```python
        live = emotions.stream()
        live(("Ana", "I got the job!"))  # {"speaker": "Ana", "text": "I got the job!", "label": "joy", "score": ...}
        ```

        Args:
            distribution, label_map: As in a call. By default, and with `known_words` and `top_k`, as the pipeline was
                created. An utterance in progress has no `explanation`.

        Raises:
            ValueError: The model reads in both directions, the map lacks a label, or both `distribution` and the
                `top_k` of the pipeline define the result.
        """
        _, _, params = self._sanitize_parameters(distribution=distribution, label_map=label_map)
        return EmotionStream(self, self._with_defaults(params))

    def _label(
        self, dialogues: Iterator[list[dict]], max_batch_tokens: int, batch_size: int | None, params: dict
    ) -> Iterator[list]:
        params = dict(params)
        explains = params.pop("explain", False)
        cut = read = 0
        try:
            for window in windows(dialogues):
                encoded = self.preprocess(window)
                cut += self.count_cut(window, encoded)
                read += sum(map(len, window))
                results = self.label_encoded(window, encoded, max_batch_tokens, batch_size, **params)
                if explains:
                    for dialogue, row, turns in zip(window, encoded, results, strict=True):
                        self.add_explanations(dialogue, row, turns, max_batch_tokens, params.get("folding"))
                yield from results
        finally:  # also if the results of a stream are not read to the end
            if cut:
                logger.warning(
                    "%d of %d utterances are longer than %d tokens, the maximum for this model: the text after that "
                    "does not influence the labels",
                    *(cut, read, self.max_utterance_tokens),
                )

    def label_encoded(
        self,
        dialogues: list[list[dict]],
        encoded: list[dict],
        max_batch_tokens: int,
        batch_size: int | None = None,
        **params: Any,
    ) -> list[list]:
        """Label dialogues of which there are the rows that `preprocess` returns.

        Args:
            dialogues: Turns with a `text` and perhaps a `speaker`.
            encoded: The row of each dialogue.
            max_batch_tokens, batch_size: As in a call.
            params: The arguments of `postprocess`.
        """
        results: list[list] = [[] for _ in dialogues]
        for batch in batches(encoded, max_batch_tokens, batch_size):
            for i, probabilities in zip(batch, self.compute_probabilities([encoded[i] for i in batch]), strict=True):
                counts = count_known_words(encoded[i]["input_ids"], self.tokenizer)
                self._warn_of_unknown_words(dialogues[i], counts)
                results[i] = self.postprocess((dialogues[i], probabilities, counts), **params)
        return results

    def add_explanations(
        self,
        dialogue: list[dict],
        row: dict,
        results: list[dict],
        max_batch_tokens: int,
        folding: LabelFolding | None = None,
    ) -> None:
        """Add `explanation` to the results of a dialogue.

        Args:
            dialogue: The turns.
            row: The row that `preprocess` returned for them.
            results: The dictionaries of the turns, with `label` and `score`.
            max_batch_tokens: As in a call.
            folding: The folding of the labels, or `None`.
        """
        names = folding.names if folding else self.model.config.label_names
        labels = [(names.index(result["label"]), result["score"]) for result in results]
        explanations = explain(self, dialogue, row["input_ids"], labels, max_batch_tokens, folding)
        for result, explanation in zip(results, explanations, strict=True):
            result["explanation"] = explanation

    def _warn_of_unknown_words(self, dialogue: list[dict], counts: list[tuple[int, int]]) -> None:
        share = known_share(counts)
        if share >= READABLE or self._has_warned_of_unknown_words:
            return
        self._has_warned_of_unknown_words = True
        logger.warning(
            "only %.0f %% of a dialogue's words are known to the model (it begins %r): if the model was trained on "
            "another language or script, the labels are not reliable; this warning appears only once, and "
            "known_words=True (precode predict: --known_words) returns the share for every utterance",
            *(100 * share, dialogue[0]["text"][:40]),
        )

    def preprocess(self, dialogues: list[list[dict]]) -> list[dict]:
        """Encode the turns of dialogues, each with `text` and optionally `speaker`, as rows of `encode_dialogues`."""
        encoded = encode_dialogues(_columns(dialogues), self.tokenizer, **self._reading())
        return [dict(zip(encoded, row, strict=True)) for row in zip(*encoded.values(), strict=True)]

    def count_cut(self, dialogues: list[list[dict]], encoded: list[dict]) -> int:
        """Count the utterances that `preprocess` has cut.

        Args:
            dialogues: The turns.
            encoded: The rows that `preprocess` returned for them.
        """
        input_ids = [row["input_ids"] for row in encoded]
        return count_cut(_columns(dialogues), input_ids, self.tokenizer, **self._reading())

    def _reading(self) -> dict[str, Any]:
        """The arguments of `encode_dialogues` for this model."""
        return {
            "max_utterance_tokens": self.max_utterance_tokens,
            "speaker_prefix": self.model.config.speaker_prefix,
            "text_context": self.model.config.text_context,
        }

    def postprocess(
        self,
        outputs: tuple[list[dict], Any, list[tuple[int, int]]],
        distribution: bool = False,
        top_k: int | None | str = "",
        known_words: bool = False,
        folding: LabelFolding | None = None,
    ) -> list:
        """Add the emotions to the turns of a dialogue.

        Args:
            outputs: The turns, their probabilities (U, C), and for each the numbers of known words and of all words.
            distribution, top_k, known_words: As in a call.
            folding: The folding of the labels, or `None`.

        Returns:
            The result of a call for the dialogue.
        """
        dialogue, probabilities, counts = outputs
        names = self.model.config.label_names
        if folding:
            names, probabilities = folding.names, folding(probabilities)
        # The dialogues of a batch are padded to the longest one.
        rows = probabilities[: len(dialogue)].tolist()
        if not isinstance(top_k, str):
            ranked = [sorted(range(len(row)), key=row.__getitem__, reverse=True)[:top_k] for row in rows]
            return [
                [{"label": names[i], "score": row[i]} for i in best] for row, best in zip(rows, ranked, strict=True)
            ]
        results = []
        for turn, row, count in zip(dialogue, rows, counts, strict=True):
            best = max(range(len(row)), key=row.__getitem__)
            result = {**turn, "label": names[best], "score": row[best]}
            if distribution:
                result["distribution"] = {names[i]: probability for i, probability in enumerate(row)}
            if known_words:
                result["known_words"] = known_share([count])
            results.append(result)
        return results


class EmotionStream:
    """A dialogue in progress. A call takes the next utterance, in any form that the pipeline takes, and labels it.

    Args:
        emotions: The pipeline.
        params: The arguments of its `postprocess`, and `explain`, which is left out.
    """

    def __init__(self, emotions: EmotionLabelingMixin, params: Mapping[str, Any]):
        self.emotions = emotions
        self.params = {name: value for name, value in params.items() if name != "explain"}
        self.logits = emotions.model.stream()
        self.speakers = SpeakerOrder()
        self.has_cut = False

    def __call__(self, utterance: str | tuple[str, str] | Mapping[str, str]) -> dict:
        """Label the next utterance, with all earlier utterances as its context.

        Returns:
            The dictionary that the pipeline returns for an utterance.

        Raises:
            ValueError: The utterance has none of the known forms.
        """
        turns = [read_utterance(utterance)]
        [row] = self.emotions.preprocess([turns])
        if not self.has_cut and self.emotions.count_cut([turns], [row]):
            self.has_cut = True
            logger.warning(
                "an utterance is longer than %d tokens, the maximum for this model: the text after that does not "
                "influence the labels; this warning appears only once",
                self.emotions.max_utterance_tokens,
            )
        name = {"name_length": row["name_lengths"][0]} if "name_lengths" in row else {}
        logits = self.logits(row["input_ids"][0], self.speakers(turns[0].get("speaker")), **name)
        probabilities = self.emotions.probabilities(logits)
        counts = count_known_words(row["input_ids"], self.emotions.tokenizer)
        outputs = (turns, probabilities[None], counts)
        [result] = self.emotions.postprocess(outputs, **self.params)
        return result

    def state_dict(self) -> dict[str, Any]:
        """The state of the stream, without the model: a few kilobytes that `torch.save` can save.

        Returns:
            The state of [`DialogueStream`], and `speakers`, the names in the order in which they first spoke.
        """
        return {**self.logits.state_dict(), "speakers": list(self.speakers.ids)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of another stream of the same model.

        Raises:
            ValueError: The state comes from another model, or is not the state of a stream.
        """
        if "speakers" not in state:
            raise ValueError(f"the state of a stream needs `state` and `speakers`; got {', '.join(state) or 'nothing'}")
        own = {name: value for name, value in state.items() if name != "speakers"}
        self.logits.load_state_dict(own)
        self.speakers = SpeakerOrder(state["speakers"])


def _check_at_least_one(name: str, value: Any) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be at least 1; got {value!r}")


def _columns(dialogues: Sequence[list[dict]]) -> dict[str, list]:
    """Convert turns to the columns that `encode_dialogues` reads."""
    return {
        "utterances": [[turn["text"] for turn in dialogue] for dialogue in dialogues],
        "speakers": [[turn.get("speaker") for turn in dialogue] for dialogue in dialogues],
    }
