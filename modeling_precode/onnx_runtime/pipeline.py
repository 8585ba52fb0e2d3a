"""The pipeline for exported models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..emotion_labeling import EmotionLabelingMixin
from .model import OnnxModel
from .tokenizer import load_tokenizer


class OnnxEmotionPipeline(EmotionLabelingMixin):
    """Labels every utterance of a dialogue with an exported model, without torch and transformers.

    ```python
    from modeling_precode.onnx_runtime import OnnxEmotionPipeline

    emotions = OnnxEmotionPipeline("path/to/export")
    emotions([("Ana", "I got the job!"), ("Ben", "You did? That's wonderful!")])
    ```

    A call takes the same inputs and arguments as [`ConversationEmotionPipeline`], and returns the same results. A model
    in int8 computes a label from 8-bit numbers whose scale depends on the other utterances of a batch; a label whose
    probability is close to that of another label may therefore change with `max_batch_tokens` and `batch_size`.

    Args:
        folder: The folder that `precode export` wrote.
        num_threads: The number of threads; by default the environment variable `OMP_NUM_THREADS`, or one per core.
        batch_size: As in a call.
        defaults: Further arguments of a call: `distribution`, `top_k`, `known_words` and `max_batch_tokens`.

    Raises:
        ValueError: The folder contains no exported model, or onnxruntime cannot run it.
    """

    device = "cpu"

    def __init__(
        self, folder: str | Path, num_threads: int | None = None, batch_size: int | None = None, **defaults: Any
    ):
        self.model = OnnxModel(folder, num_threads)
        self.tokenizer = load_tokenizer(folder)
        self._batch_size = batch_size
        _, self._forward_params, self._postprocess_params = self._sanitize_parameters(**defaults)

    @property
    def max_utterance_tokens(self) -> int | None:
        """The maximum number of tokens of an utterance that the model reads; `None` without a limit."""
        return self.model.config.max_utterance_tokens

    def compute_probabilities(self, rows: list[dict]) -> Sequence[np.ndarray]:
        """Compute the probabilities (U, C) of each row of `input_ids` and `speaker_ids`."""
        return [self.probabilities(logits) for logits in self.model.logits(rows)]

    def utterance_vectors(self, input_ids: list[list[int]], max_batch_tokens: int) -> np.ndarray:
        """Compute the vectors (N, d_u) of utterances, each a list of token ids, without their context."""
        return self.model.vectors(input_ids)

    def probabilities_in_context(self, vectors: np.ndarray, lengths: list[int], speaker_ids: list[int]) -> np.ndarray:
        """Compute the probabilities (N, C) of utterances, dialogue after dialogue, from their vectors (N, d_u)."""
        return self.probabilities(self.model.logits_in_context(vectors, lengths, speaker_ids))

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Convert logits (..., C) to probabilities (..., C), with the temperature of the model."""
        scaled = logits / np.float32(self.model.config.temperature)
        shares = np.exp(scaled - scaled.max(-1, keepdims=True))
        return shares / shares.sum(-1, keepdims=True)
