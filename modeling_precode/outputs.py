"""The outputs of the Pre-CODE models. `modeling_precode.py` explains the letters of the shapes."""

from dataclasses import dataclass

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class PreCodeModelOutput(ModelOutput):
    """Output of [`PreCodeModel`].

    Args:
        last_hidden_state: (D, U, d_s), the states of the conversation encoder, forward then backward; 0 at padding.
        utterance_vectors: (D, U, d_u), the vectors of the utterance encoder; 0 at padding.
        utterance_mask: (D, U), true where there is an utterance.
        hidden_states: `(utterance_vectors, last_hidden_state)`, with `output_hidden_states=True`.
    """

    last_hidden_state: Tensor | None = None
    utterance_vectors: Tensor | None = None
    utterance_mask: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


@dataclass
class ConversationCompletionOutput(ModelOutput):
    """Output of [`PreCodeForConversationCompletion`].

    Args:
        loss: The ConvCom loss over the target positions of the batch; 0 without target positions.
        logits: (D, U, 1 + K), the scores of the true utterance and of every negative at every position. At positions
            without a neighbor on both sides, they are the lowest number of the dtype.
        hidden_states: As in [`PreCodeModelOutput`].
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


@dataclass
class UtteranceClassificationOutput(ModelOutput):
    """Output of [`PreCodeForUtteranceClassification`].

    Args:
        loss: The classification loss, if labels were given.
        logits: (D, U, C), the score of every class for every utterance; 0 at padding.
        hidden_states: As in [`PreCodeModelOutput`].
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
