"""The conversation encoder: from vectors of utterances to their states in context."""

import torch
from torch import Tensor, nn

from .configuration_precode import PreCodeConfig
from .dropout import Dropout
from .gru import GRU, join
from .steps import Steps


class ConversationEncoder(nn.Module):
    """A GRU over the utterance vectors of each dialogue (paper, section 3.2.2).

    Takes the vectors (N, d_u) of all utterances, dialogue after dialogue, the steps of the dialogues, and optionally
    the speaker ids (N,). Returns the states in context (N, d_s). A model with `max_speakers` adds a speaker embedding
    to the vectors. With `conversation_encoder="none"` there is no GRU, and the states are these vectors.
    """

    def __init__(self, config: PreCodeConfig):
        super().__init__()
        sizes = config.utterance_hidden_size, config.conversation_hidden_size
        self.gru = GRU(*sizes, bidirectional=not config.causal) if config.conversation_encoder == "gru" else None
        self.speaker_embedding = SpeakerEmbedding(config.max_speakers, sizes[0]) if config.max_speakers else None
        self.dropout = Dropout(config.dropout)

    def forward(self, vectors: Tensor, steps: Steps, speaker_ids: Tensor | None = None) -> Tensor:
        """Compute the states of utterances in context.

        Args:
            vectors: (N, d_u), the vectors of all utterances, dialogue after dialogue.
            steps: The steps of the dialogues.
            speaker_ids: (N,), the speaker of each utterance; by default all are unknown.

        Returns:
            (N, d_s), the states, forward then backward.
        """
        states = self.with_speakers(vectors, speaker_ids)
        if self.gru is not None:
            states = join(self.gru(states, steps.items, steps), steps)
        return self.dropout(states)

    def with_speakers(self, vectors: Tensor, speaker_ids: Tensor | None) -> Tensor:
        """Add the speaker embeddings to vectors (N, d_u), if the model has them."""
        if self.speaker_embedding is None:
            return vectors
        if speaker_ids is None:
            speaker_ids = torch.zeros(len(vectors), dtype=torch.long, device=vectors.device)
        return vectors + self.speaker_embedding(speaker_ids)


class SpeakerEmbedding(nn.Embedding):
    """An embedding of the first `max_speakers` speakers. Later speakers share the vector of the last one.

    The vector of an unknown speaker is zero. All vectors are zero at first, so an untrained speaker embedding does not
    change what the model computes.
    """

    def __init__(self, max_speakers: int, size: int):
        super().__init__(max_speakers + 1, size, padding_idx=0)

    def forward(self, speaker_ids: Tensor) -> Tensor:
        """Embed the ids (N,) of [`SpeakerOrder`]: (N, size)."""
        return super().forward(speaker_ids.clamp(max=self.num_embeddings - 1))
