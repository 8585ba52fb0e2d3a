"""Checks of what a model is called with, and what is read off its inputs before anything is computed."""

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from .configuration_precode import PreCodeConfig
from .layout import BatchLayout


def ids_or_embeds(
    config: PreCodeConfig, input_ids: Tensor | None, embeds: Tensor | None, name: str = "utterance"
) -> Tensor:
    """The token ids of utterances or their embeddings, whichever a model was called with.

    Args:
        config: of the model.
        input_ids: (D, U, T), or `None`.
        embeds: (D, U, h), or `None`.
        name: what the arguments are called in an error: `"utterance"` or `"negative_utterance"`.

    Raises:
        ValueError: both or neither were given, or embeddings that do not fit the model.
    """
    ids_name, embeds_name = ("input_ids" if name == "utterance" else f"{name}_input_ids", f"{name}_embeds")
    if (input_ids is None) == (embeds is None):
        raise ValueError(f"give `{ids_name}` or `{embeds_name}`; got {'neither' if embeds is None else 'both'}")
    if embeds is None:
        assert input_ids is not None
        return input_ids
    if config.text_config is None:
        raise ValueError(
            f"`{embeds_name}` are the pooled states of a text encoder; this model has the utterance encoder "
            f"{config.utterance_encoder!r}; give `{ids_name}`"
        )
    assert isinstance(config.text_config, PreTrainedConfig)
    size = config.text_config.hidden_size
    if embeds.dim() != 3 or embeds.shape[-1] != size or not embeds.is_floating_point():
        raise ValueError(
            f"`{embeds_name}` are numbers of the shape (dialogues, {name}s, {size}); got "
            f"{tuple(embeds.shape)} of {embeds.dtype}"
        )
    return embeds


def token_mask(input_ids: Tensor, attention_mask: Tensor | None, pad_token_id: int | None) -> Tensor:
    """The mask of tokens (D, U, T), its shape checked; of embeddings, where each is one token, (D, U, 1)."""
    if input_ids.is_floating_point():
        if attention_mask is None:
            attention_mask = torch.ones(input_ids.shape[:2], device=input_ids.device)
        elif attention_mask.dim() == 3:
            attention_mask = attention_mask.any(-1)
        if attention_mask.shape != input_ids.shape[:2]:
            raise ValueError(
                f"the attention mask of embeddings has their first two sizes, {tuple(input_ids.shape[:2])}; "
                f"got {tuple(attention_mask.shape)}"
            )
        return attention_mask.unsqueeze(-1)
    if input_ids.dim() != 3:
        raise ValueError(
            f"token ids have the shape (dialogues, utterances, tokens); got {tuple(input_ids.shape)}. "
            "One dialogue is a batch of one: `input_ids.unsqueeze(0)`; texts go to pipeline('conversation-emotion')"
        )
    if attention_mask is None:
        if pad_token_id is None:
            raise ValueError(
                "token ids need an `attention_mask`, as the model's configuration has `pad_token_id=None` and no token "
                "marks padding; give the mask, 1 for a token and 0 for padding, as PreCodeDataCollator makes it"
            )
        attention_mask = input_ids != pad_token_id
    if attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"the attention mask has the shape of the token ids, {tuple(input_ids.shape)}; "
            f"got {tuple(attention_mask.shape)}"
        )
    return attention_mask


def fingerprints(input_ids: Tensor, layout: BatchLayout) -> Tensor:
    """(N,), a number for the words of each utterance, or for its embedding: equal words, equal numbers.

    A sum of the token ids times powers of an odd number, modulo 2^64: other words get the same number once in 2^64.
    """
    width = input_ids.shape[-1]
    powers = torch.full((width,), 0x5851F42D4C957F2D, device=input_ids.device).cumprod(0)
    if input_ids.is_floating_point():
        bits = input_ids.flatten(0, 1)[layout.utterances].float().view(torch.int32).long()
        return ((bits + 1) * powers).sum(-1)
    tokens = input_ids.flatten()[layout.tokens]
    products = input_ids.new_zeros(input_ids.numel()).index_copy(
        0, layout.tokens, (tokens + 1) * powers[layout.tokens % width]
    )
    return products.view(-1, width).sum(-1)[layout.utterances]
