"""What the Pre-CODE models return; the letters of the shapes are those of `modeling_precode.py`."""

from dataclasses import dataclass

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class PreCodeModelOutput(ModelOutput):
    """Output of [`PreCodeModel`].

    Args:
        last_hidden_state: (D, U, d_s), the conversation encoder's states, forward then backward; 0 at padding.
        utterance_vectors: (D, U, d_u), the utterance encoder's vectors; 0 at padding.
        utterance_mask: (D, U), true where there is an utterance.
        hidden_states: with `output_hidden_states=True`, `(utterance_vectors, last_hidden_state)`.
    """

    last_hidden_state: Tensor | None = None
    utterance_vectors: Tensor | None = None
    utterance_mask: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


@dataclass
class ConversationCompletionOutput(ModelOutput):
    """Output of [`PreCodeForConversationCompletion`].

    Args:
        loss: the ConvCom loss over the batch's target positions; 0 when it has none.
        logits: (D, U, 1 + K), score of the true utterance and of every negative at every position; the dtype's
            lowest number at positions without a neighbor on both sides.
        hidden_states: as in [`PreCodeModelOutput`].
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


@dataclass
class UtteranceClassificationOutput(ModelOutput):
    """Output of [`PreCodeForUtteranceClassification`].

    Args:
        loss: the classification loss, where labels were given.
        logits: (D, U, C), score of every class for every utterance; 0 at padding.
        hidden_states: as in [`PreCodeModelOutput`].
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
