"""A text encoder of transformers that reads a dialogue as one sequence, so that an utterance is read in its context."""

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from .configuration_precode import PreCodeConfig
from .dialogue_windows import MAX_WINDOW_TOKENS, SPECIAL_TOKENS, WindowedTokens
from .text_encoder import TextUtteranceEncoder, max_tokens_of, visibility_mask

# The number of tokens with which an encoder is checked. It is more than a layer with local attention sees.
CHECKED_TOKENS = 256


class DialogueTextEncoder(TextUtteranceEncoder):
    """Encodes N utterances as one vector per utterance, (N, d_u). The text encoder reads them in their dialogue.

    A dialogue is one sequence: the start token, and then its utterances, each with a separator after it. A dialogue
    that is longer than `max_tokens` is read in the windows of [`dialogue_windows`]. The states are pooled over the
    tokens of the utterance's text, without the name of its speaker. Then follow Linear, tanh and dropout.

    With `causal`, a token sees the tokens of its own and of earlier utterances only.

    Raises:
        ValueError: The text encoder does not read as many tokens as `max_window_tokens`, or cannot be causal.
    """

    def __init__(self, config: PreCodeConfig):
        super().__init__(config)
        limit, self.causal = self.max_tokens, config.causal
        self.max_tokens = config.max_window_tokens or min(MAX_WINDOW_TOKENS, limit or MAX_WINDOW_TOKENS)
        if limit is not None and self.max_tokens > limit:
            raise ValueError(
                f"`max_window_tokens` {self.max_tokens}: the text encoder reads at most {limit}; give a smaller number"
            )
        self.special_tokens = (config.start_token_id, config.separator_token_id)
        self.check_causal()

    def check_causal(self) -> None:
        """Raise a ValueError if the model is causal and its text encoder does not limit what a token sees."""
        if self.causal and self.projection.weight.device.type != "meta":
            check_visibility(self.encoder)

    def forward(self, tokens: Tensor, lengths: list[np.ndarray], name_lengths: Tensor) -> Tensor:  # type: ignore[override]
        """Encode utterances: vectors (N, d_u). The arguments are those of `pooled`."""
        return self.project(self.pooled(tokens, lengths, name_lengths))

    def encode_alone(self, tokens: Tensor, lengths: np.ndarray) -> Tensor:
        """Encode utterances, each as a dialogue of its own: vectors (N, d_u).

        Args:
            tokens: (I,), the ids of all tokens, utterance after utterance, without names and special tokens.
            lengths: (N,), the number of tokens of each utterance.
        """
        return self(tokens, list(lengths[:, np.newaxis]), tokens.new_zeros(len(lengths)))

    def pooled(self, tokens: Tensor, lengths: list[np.ndarray], name_lengths: Tensor) -> Tensor:  # type: ignore[override]
        """Compute the pooled states (N, h) of utterances.

        Args:
            tokens: (I,), the ids of all tokens, utterance after utterance, without special tokens.
            lengths: For each dialogue, the number of tokens of each of its utterances: D arrays (U,).
            name_lengths: (N,), the number of tokens at the start of each utterance that are the name of its speaker.
        """
        assert self.max_tokens is not None
        self.check_length(max(int(dialogue.max()) for dialogue in lengths) + SPECIAL_TOKENS)
        windows, device = WindowedTokens(lengths, self.max_tokens, self.causal), tokens.device
        order = np.argsort(-windows.lengths, kind="stable")  # longest first, so that a chunk has little padding
        starts = np.cumsum(windows.lengths) - windows.lengths
        # The start token is the last but one, and the separator the last.
        ids = torch.cat([tokens, tokens.new_tensor(self.special_tokens)])[_on(windows.tokens, device)]
        utterances, offsets = _on(windows.utterances, device), _on(windows.offsets, device)
        # The utterance of each token that its vector is pooled from; -1 for other tokens.
        pooled_into = torch.where(offsets >= name_lengths[utterances], utterances, -1)
        visible = utterances if self.causal else None
        pools, numbers = [], []
        with self.gradients():
            chunks = self.states(ids, _on(starts[order], device), windows.lengths[order], visible)
            for rows, places, mask, states in chunks:
                first, counts = windows.first[order[rows]], windows.counts[order[rows]]
                own = np.arange(counts.max()) < counts[:, np.newaxis]
                numbers.append((first[:, np.newaxis] + np.arange(counts.max()))[own])
                targets = _on(first, device).unsqueeze(1) + torch.arange(counts.max(), device=device)
                # (R, M, T), which tokens of a window each of its utterances is pooled from.
                member = (pooled_into[places].unsqueeze(1) == targets.unsqueeze(2)) & mask.unsqueeze(1)
                pools.append(pool_spans(states, member, self.pooling).flatten(0, 1)[_on(np.flatnonzero(own), device)])
        ranks = np.argsort(np.concatenate(numbers), kind="stable")
        return torch.cat(pools).index_select(0, _on(ranks, device))


def _on(numbers: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(numbers).to(device, non_blocking=True)


def pool_spans(states: Tensor, member: Tensor, pooling: str) -> Tensor:
    """Pool the states of sequences (R, T, h) over sets of their tokens (R, M, T) to (R, M, h).

    A token belongs to at most one set.
    """
    # A product of low-precision numbers would round the states.
    with torch.autocast(states.device.type, enabled=False):
        weights = member.to(states.dtype)
        mean = weights @ states / weights.sum(-1, keepdim=True).clamp(min=1)
    if pooling == "mean":
        return mean
    rows, count, size = states.shape[0], member.shape[1], states.shape[2]
    # Tokens that belong to no set go into one more, which is left out.
    sets = torch.where(member.any(1), member.int().argmax(1), count)
    lowest = states.new_full((rows, count + 1, size), torch.finfo(states.dtype).min)
    maximum = lowest.scatter_reduce(1, sets.unsqueeze(-1).expand(-1, -1, size), states, "amax")
    return mean + maximum[:, :count]


@torch.no_grad()
def check_visibility(encoder: PreTrainedModel) -> None:
    """Check that a text encoder takes a mask (R, 1, T, T) of the tokens that each token sees, and follows it.

    Raises:
        ValueError: It does not.
    """
    kind, weight = encoder.config.model_type, encoder.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    size = min(CHECKED_TOKENS, max_tokens_of(encoder) or CHECKED_TOKENS)
    early = torch.arange(size, device=weight.device) < size // 2
    # Two sequences with the same first half.
    inputs = (
        torch.sin(torch.arange(2 * size * weight.shape[1], device=weight.device)).view(2, size, -1).to(weight.dtype)
    )
    inputs[1, early] = inputs[0, early]
    everything = torch.ones_like(inputs[..., 0], dtype=torch.long)
    limited = visibility_mask((~early).long().expand(2, -1), everything.bool(), inputs.dtype)
    training = encoder.training
    encoder.eval()
    try:
        masks = (everything, torch.zeros_like(limited), limited)
        plain, free, causal = (
            encoder(inputs_embeds=inputs, attention_mask=mask).last_hidden_state.float() for mask in masks
        )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # the models raise many classes
        reason = " ".join(str(error).split())[:200]
        attention = encoder.config._attn_implementation
        advice = "" if attention in ("sdpa", "eager") else f" with attn_implementation={attention!r}; try 'sdpa'"
        raise ValueError(f"{_refusal(kind)} it takes no such mask{advice}: {type(error).__name__}: {reason}") from error
    finally:
        encoder.train(training)
    effect = (plain - causal)[:, early].abs().max()
    if (causal[0, early] - causal[1, early]).abs().max() >= effect / 2:
        raise ValueError(f"{_refusal(kind)} it does not follow such a mask")
    if (free - plain).abs().max() >= effect / 2:
        raise ValueError(f"{_refusal(kind)} with such a mask, its layers with local attention see every token")


def _refusal(kind: str) -> str:
    return (
        f"`text_context` 'dialogue' with `causal`: a {kind!r} cannot be limited to earlier utterances; use "
        "text_context='utterance', or another text encoder, such as BERT or MPNet:"
    )
