"""The paper's utterance encoders: word vectors, one GRU or two over them, and pooling."""

import torch
from torch import Tensor, nn

from .configuration_precode import PreCodeConfig
from .dropout import Dropout
from .gru import GRU, join
from .pooling import pool
from .steps import Steps


class GRUUtteranceEncoder(nn.Module):
    """Encodes the token ids of N utterances as one vector per utterance, (N, d_u) (paper, section 3.2.1)."""

    def __init__(self, config: PreCodeConfig):
        super().__init__()
        size = config.utterance_hidden_size
        self.kind = config.utterance_encoder
        self.max_norm = config.word_vector_max_norm
        self.pooling_length = config.pooling_length
        self.frozen = config.freeze_word_vectors
        self.word_embedding = nn.Embedding(config.vocab_size, config.word_vector_size, padding_idx=config.pad_token_id)
        self.gru = GRU(config.word_vector_size, size)
        if self.kind == "stacked_gru":
            self.second_gru = GRU(2 * size, size)
        self.projection = nn.Linear(2 * size, size)
        self.dropout = Dropout(config.dropout)
        self.freeze()

    def freeze(self) -> None:
        """Mark the word vectors as trainable or not, as the configuration says."""
        self.word_embedding.weight.requires_grad_(not self.frozen)

    def get_input_embeddings(self) -> nn.Embedding:
        """The word vectors."""
        return self.word_embedding

    def set_input_embeddings(self, embedding: nn.Embedding) -> None:
        """Replace the word vectors."""
        self.word_embedding = embedding

    def forward(self, tokens: Tensor, steps: Steps) -> Tensor:
        """Encode the ids of all tokens (I,), utterance after utterance: vectors (N, d_u)."""
        if tokens.device.type == "cpu":
            # A word is looked up and multiplied once, however often it occurs in the batch.
            words, word_of_token = torch.unique(tokens, return_inverse=True)
            states = self.gru(self.embed(words), word_of_token[steps.items], steps)
        else:
            states = self.gru(self.embed(tokens), steps.items, steps)
        if self.kind == "gru2":
            # Pooling does not depend on the order of the tokens, so each direction keeps its own order.
            forward_pool, backward_pool = pool(states, steps, self.pooling_length)
            vectors = self.project(torch.cat([forward_pool, backward_pool], dim=-1))
        else:
            if self.kind == "stacked_gru":
                states = self.second_gru(self.dropout(join(states, steps)), steps.items, steps)
            projected = self.project(join(states, steps)).index_select(0, steps.items[0]).unsqueeze(0)
            vectors = pool(projected, steps, self.pooling_length, torch.tanh(self.projection.bias))[0]
        return self.dropout(vectors.index_select(0, steps.ranks))

    def embed(self, input_ids: Tensor) -> Tensor:
        """Word vectors, with norms of at most `word_vector_max_norm`."""
        vectors = self.word_embedding(input_ids)
        if self.max_norm is None:
            return vectors
        with torch.no_grad():
            norms = vectors.norm(dim=-1, keepdim=True)
            # The same scale as in `nn.Embedding(max_norm=...)`, which would change the weights in every forward pass.
            scale = torch.where(norms > self.max_norm, self.max_norm / (norms + 1e-7), 1.0)
        return vectors * scale

    def project(self, states: Tensor) -> Tensor:
        """Apply Linear and tanh: states (..., 2 d_u) to vectors (..., d_u)."""
        return torch.tanh(self.projection(states))
