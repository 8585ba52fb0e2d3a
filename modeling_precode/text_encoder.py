"""An utterance encoder that uses a text encoder of transformers, such as BERT."""

import inspect
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from .batching import chunks
from .configuration_precode import PreCodeConfig
from .dropout import Dropout
from .steps import Steps

# The number of tokens, padding included, that go through the encoder at once. The limit keeps memory independent of the
# number of dialogues. On a CPU, a small number is faster: the data stays in the cache, and there is less padding.
CHUNK_TOKENS, CPU_CHUNK_TOKENS = 2**14, 2**9
# Without cuDNN's attention, which makes a new plan for every shape: every chunk has its own shape.
ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


class TextUtteranceEncoder(nn.Module):
    """Encodes the token ids of N utterances as one vector per utterance, (N, d_u), with the model of
    `config.text_config`.

    The states of that model are pooled over the tokens of each utterance, (N, h). Then follow Linear, tanh and dropout,
    as in the utterance encoder `gru2`. A frozen text encoder stays in evaluation mode, without dropout.

    Raises:
        ValueError: The model does not take vectors of tokens (`inputs_embeds`).
    """

    def __init__(self, config: PreCodeConfig):
        super().__init__()
        assert isinstance(config.text_config, PreTrainedConfig)
        self.pooling = config.text_pooling
        self.frozen = config.freeze_text_encoder
        self.encoder = without_pooler(AutoModel.from_config(config.text_config))
        if "inputs_embeds" not in inspect.signature(self.encoder.forward).parameters:
            raise ValueError(
                f"`text_config`: a {config.text_config.model_type!r} takes no `inputs_embeds`; use a text encoder"
            )
        self.max_tokens = max_tokens_of(self.encoder)
        self.projection = nn.Linear(config.text_config.hidden_size, config.utterance_hidden_size)
        self.dropout = Dropout(config.dropout)
        self.freeze()

    def freeze(self) -> None:
        """Mark the text encoder as trainable or not, as the configuration says."""
        self.encoder.requires_grad_(not self.frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> "TextUtteranceEncoder":
        """Set the training mode. A frozen text encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def get_input_embeddings(self) -> nn.Module:
        """The embeddings of the tokens."""
        return self.encoder.get_input_embeddings()

    def set_input_embeddings(self, embedding: nn.Module) -> None:
        """Replace the embeddings of the tokens."""
        self.encoder.set_input_embeddings(embedding)

    def forward(self, tokens: Tensor, steps: Steps) -> Tensor:
        """Encode the ids of all tokens (I,), utterance after utterance: vectors (N, d_u)."""
        return self.project(self.pooled(tokens, steps))

    def project(self, pooled: Tensor) -> Tensor:
        """Project pooled states (N, h) to vectors (N, d_u)."""
        return self.dropout(torch.tanh(self.projection(pooled.to(self.projection.weight.dtype))))

    def pooled(self, tokens: Tensor, steps: Steps) -> Tensor:
        """Compute the pooled states (N, h) from the ids of all tokens (I,), utterance after utterance."""
        lengths = steps.lengths()  # longest first, so that a chunk has little padding
        self.check_length(int(lengths[0]))
        with self.gradients():
            chunks_of_states = self.states(tokens, steps.items[0, : len(lengths)], lengths)
            pools = [pool_tokens(states, mask.unsqueeze(-1), self.pooling) for _, _, mask, states in chunks_of_states]
        return torch.cat(pools).index_select(0, steps.ranks)

    def check_length(self, longest: int) -> None:
        """Raise a ValueError if `longest`, special tokens included, is more tokens than the text encoder reads."""
        if self.max_tokens is not None and longest > self.max_tokens:
            raise ValueError(
                f"an utterance has {longest} tokens; the text encoder reads at most {self.max_tokens}; use "
                f"encode_dialogues(..., max_utterance_tokens={self.max_tokens})"
            )

    def gradients(self) -> AbstractContextManager:
        """The context in which the states of a frozen text encoder have no gradient."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen)

    def states(
        self, tokens: Tensor, starts: Tensor, lengths: np.ndarray, groups: Tensor | None = None
    ) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
        """Compute the states of sequences, in chunks of similar lengths.

        Args:
            tokens: (I,), the ids of all tokens.
            starts: (R,), the place of the first token of each sequence.
            lengths: (R,), their lengths, in descending order.
            groups: (I,), a number for each token, which then sees the tokens with the same or a lower number only.

        Yields:
            The rows of a chunk; the places of their tokens (R, T); a mask (R, T), false at padding; and the states
            (R, T, h).
        """
        # Look up all words at once: each look-up has a gradient of the size of the whole vocabulary.
        words, word_of_token = tokens, torch.arange(len(tokens), device=tokens.device)
        if tokens.device.type == "cpu":
            words, word_of_token = tokens.unique(return_inverse=True)
        word_vectors = self.get_input_embeddings()(words)
        for rows in chunks(lengths, CPU_CHUNK_TOKENS if tokens.device.type == "cpu" else CHUNK_TOKENS):
            offsets = torch.arange(lengths[rows.start], device=tokens.device)
            mask = offsets < torch.from_numpy(lengths[rows]).to(tokens.device, non_blocking=True).unsqueeze(1)
            places = (starts[rows].unsqueeze(1) + offsets) * mask
            inputs = F.embedding(word_of_token[places], word_vectors)
            attention = mask.long() if groups is None else visibility_mask(groups[places], mask, inputs.dtype)
            with sdpa_kernel(ATTENTION):
                states = self.encoder(inputs_embeds=inputs, attention_mask=attention).last_hidden_state
            yield rows, places, mask, states


def visibility_mask(groups: Tensor, mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The numbers to add to the scores of attention (R, 1, T, T): 0 for a token that another one sees, or the lowest.

    Args:
        groups: (R, T), a number for each token, which sees the tokens with the same or a lower number.
        mask: (R, T), false at padding.
        dtype: The type of the result.
    """
    # Padding sees the first token too: without any, it would have no result.
    is_first = torch.arange(mask.shape[1], device=mask.device) == 0
    visible = (groups.unsqueeze(2) >= groups.unsqueeze(1)) & mask.unsqueeze(1) | is_first
    return torch.zeros_like(visible, dtype=dtype).masked_fill(~visible, torch.finfo(dtype).min).unsqueeze(1)


def checkpointing_contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
    """The contexts of the forward pass and of its recomputation in the backward pass, for gradient checkpointing."""
    return nullcontext(), sdpa_kernel(ATTENTION)


def without_pooler(encoder: PreTrainedModel) -> PreTrainedModel:
    """Remove the pooling layer over the first state that some encoders have: nothing would train it here."""
    if "add_pooling_layer" in inspect.signature(type(encoder)).parameters:
        encoder.pooler = None  # type: ignore[assignment]
    return encoder


def max_tokens_of(encoder: PreTrainedModel) -> int | None:
    """The maximum number of tokens that an encoder reads, special tokens included; `None` if it states no limit."""
    tables = [
        module
        for name, module in encoder.named_modules()
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding)
    ]
    if not tables:
        limit = getattr(encoder.config, "max_position_embeddings", None)
        return limit if limit is not None and limit > 0 else None  # XLNet states -1 for no limit
    # The tables of RoBERTa and similar models start with rows for padding, and number the positions after them.
    return min(table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1) for table in tables)


def pool_tokens(states: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """Pool the states of padded tokens (N, T, h) with the mask (N, T, 1) to (N, h)."""
    if pooling == "cls":
        return states[:, 0]
    mean = (states * mask).sum(1) / mask.sum(1)
    if pooling == "mean":
        return mean
    return mean + states.masked_fill(~mask, torch.finfo(states.dtype).min).amax(1)
