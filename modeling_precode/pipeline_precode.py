"""The pipeline `conversation-emotion`, which returns an emotion for every utterance of a dialogue."""

from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from transformers import Pipeline, PreTrainedTokenizerBase
from transformers.tokenization_utils_base import LARGE_INTEGER

from .batching import successive_batches
from .data_collator import PreCodeDataCollator
from .emotion_labeling import EmotionLabelingMixin
from .steps import Steps
from .tokenizer_files import check_tokenizer

if TYPE_CHECKING:
    from .modeling_precode import PreCodeForUtteranceClassification
    from .pretrained import PreCodePreTrainedModel

TASK = "conversation-emotion"


def max_utterance_tokens_of(model: "PreCodePreTrainedModel", tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The maximum number of tokens of an utterance that a model and its tokenizer read; `None` without a limit."""
    limits = (tokenizer.model_max_length, model.max_utterance_tokens)
    return min((limit for limit in limits if limit is not None and limit < LARGE_INTEGER), default=None)


class ConversationEmotionPipeline(EmotionLabelingMixin, Pipeline):  # type: ignore[misc]
    """Labels every utterance of one or many dialogues. Each label depends on the whole dialogue.

    ```python
    from transformers import pipeline

    import modeling_precode

    emotions = pipeline("conversation-emotion", model="path/or/name")
    emotions(["I got the job!", "You did? That's wonderful!"])
    ```

    For a dialogue, a call returns a list with one dictionary per utterance: `text`, `speaker` if the input has one,
    `label`, `score` (the probability of the label), and with `distribution=True` the probability of every label by
    name. For several dialogues, it returns a list of such lists, in their order. For a stream of dialogues (a generator
    or a `datasets.IterableDataset`), it returns an iterator of such lists, which reads the stream as needed.

    If utterances are longer than the model reads, one warning per call says how many were cut, and after how many
    tokens. If less than half of the words of a dialogue are known to the model, a warning says so once per pipeline.

    Args of a call:
        inputs: One dialogue: a list of strings, of `{"speaker", "text"}` or of `(speaker, text)` tuples; a NumPy array
            or a pandas `Series` of these; a pandas `DataFrame` with the column `text` and optionally `speaker`; or a
            string, which is a dialogue of one utterance. Or several dialogues: a list, an array, a `Series`, a column
            of a dataset, a generator or a dataset of PyTorch (such as `KeyDataset`) of dialogues; a `datasets.Dataset`,
            `IterableDataset` or `DataFrame` with the column `utterances` and optionally `speakers`; or a `DataFrame`
            with the columns `text` and `dialogue_id`. A speaker that is missing (`None`, NaN) or empty is unknown.
        distribution: Also return the probability of every label; False by default.
        top_k: Return a list of the `top_k` most probable labels for an utterance, as other pipelines of transformers
            do: `{"label", "score"}`, the most probable first. `None` returns all labels.
        known_words: Also return `known_words`, the share of the words of an utterance (of its tokens, for a text
            encoder) that are in the vocabulary, from 0 to 1. An utterance without words counts as one unknown word.
        label_map: A mapping from every label of the model to the label to return for it, such as `{"joy": "positive",
            ...}`, or to None to leave it out. The probabilities of labels with the same new label are added.
        explain: Also return `explanation`: by how much the probability of the label falls if a part is left out.
            `utterances` has a number for each utterance of the dialogue (`None` for the utterance itself). `words` has
            `{"word", "start", "end", "change"}` for each word of the text, with offsets in characters. The model reads
            the dialogue again without each part, so the time grows with the square of the length of the dialogue.
        max_batch_tokens: The maximum number of tokens that go through the model at once; 16,384 by default. A longer
            dialogue is processed alone.
        batch_size: The maximum number of dialogues that go through the model at once; by default only
            `max_batch_tokens` limits it.
        num_workers: Has no effect. It is accepted because other pipelines have it. Dialogues are read in this process,
            which takes little time.

    The last three do not change the results. All arguments but `inputs` can also be passed to `pipeline(...)`.

    Raises:
        ValueError: The input has none of these forms, or an argument is out of range.
    """

    model: "PreCodeForUtteranceClassification"
    tokenizer: PreTrainedTokenizerBase  # type: ignore[assignment]

    _load_tokenizer = True  # type: ignore[assignment]
    _load_image_processor = False  # type: ignore[assignment]
    _load_feature_extractor = False  # type: ignore[assignment]
    _load_processor = False  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        check_tokenizer(self.model.name_or_path or "the model", self.tokenizer, self.model.config)

    @property
    def max_utterance_tokens(self) -> int | None:
        """The maximum number of tokens of an utterance that tokenizer and model read; `None` without a limit."""
        return max_utterance_tokens_of(self.model, self.tokenizer)

    def compute_probabilities(self, rows: list[dict]) -> torch.Tensor:  # type: ignore[override]
        """Compute the padded probabilities (D, U, C) of D rows of `preprocess`."""
        return self.forward(PreCodeDataCollator(self.tokenizer.pad_token_id)(rows))

    def _forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:  # type: ignore[override]
        return self.probabilities(self.model(**batch, return_dict=True).logits)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Convert logits (..., C) to probabilities (..., C), with the temperature of the model."""
        return (logits.float() / self.model.config.temperature).softmax(-1)

    @torch.inference_mode()
    def utterance_vectors(self, input_ids: list[list[int]], max_batch_tokens: int) -> torch.Tensor:
        """Compute the vectors (N, d_u) of utterances, each a list of token ids, without their context."""
        vectors = []
        for batch in successive_batches(input_ids, len, max_batch_tokens):
            steps = Steps.of([len(ids) for ids in batch]).to(self.model.device)
            tokens = torch.tensor(list(chain.from_iterable(batch)), device=self.model.device)
            vectors.append(self.model.precode.utterance_encoder(tokens, steps))
        return torch.cat(vectors)

    @torch.inference_mode()
    def probabilities_in_context(
        self, vectors: torch.Tensor, lengths: list[int], speaker_ids: list[int]
    ) -> torch.Tensor:
        """Compute the probabilities (N, C) of utterances, dialogue after dialogue, from their vectors (N, d_u)."""
        steps = Steps.of(lengths).to(vectors.device)
        speakers = torch.tensor(speaker_ids, device=vectors.device)
        states = self.model.precode.conversation_encoder(vectors, steps, speakers)
        return self.probabilities(self.model.classifier(torch.cat([vectors, states], dim=-1)))
