"""Checks of the inputs of a model, and values derived from them before the encoders run."""

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from .configuration_precode import PreCodeConfig
from .layout import BatchLayout


def ids_or_embeds(
    config: PreCodeConfig, input_ids: Tensor | None, embeds: Tensor | None, name: str = "utterance"
) -> Tensor:
    """Return the token ids or the embeddings of utterances, whichever a model was called with.

    Args:
        config: The configuration of the model.
        input_ids: (D, U, T), or `None`.
        embeds: (D, U, h), or `None`.
        name: The name of the arguments in an error message: `"utterance"` or `"negative_utterance"`.

    Raises:
        ValueError: Both or neither were given, or the embeddings do not fit the model.
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
            f"`{embeds_name}` must be floating-point numbers of the shape (dialogues, {name}s, {size}); got "
            f"{tuple(embeds.shape)} of {embeds.dtype}"
        )
    return embeds


def token_mask(input_ids: Tensor, attention_mask: Tensor | None, pad_token_id: int | None) -> Tensor:
    """Return the mask of tokens (D, U, T), or of embeddings (D, U, 1), after a check of its shape."""
    if input_ids.is_floating_point():
        if attention_mask is None:
            attention_mask = torch.ones(input_ids.shape[:2], device=input_ids.device)
        elif attention_mask.dim() == 3:
            attention_mask = attention_mask.any(-1)
        if attention_mask.shape != input_ids.shape[:2]:
            raise ValueError(
                f"the attention mask of embeddings must have their first two sizes, {tuple(input_ids.shape[:2])}; "
                f"got {tuple(attention_mask.shape)}"
            )
        return attention_mask.unsqueeze(-1)
    if input_ids.dim() != 3:
        raise ValueError(
            f"token ids must have the shape (dialogues, utterances, tokens); got {tuple(input_ids.shape)}. "
            "For one dialogue, use `input_ids.unsqueeze(0)`; for texts, use pipeline('conversation-emotion')"
        )
    if attention_mask is None:
        if pad_token_id is None:
            raise ValueError(
                "token ids need an `attention_mask`, because the model's configuration has `pad_token_id=None` and no "
                "token marks padding; pass the mask of PreCodeDataCollator, 1 for a token and 0 for padding"
            )
        attention_mask = input_ids != pad_token_id
    if attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"the attention mask must have the shape of the token ids, {tuple(input_ids.shape)}; "
            f"got {tuple(attention_mask.shape)}"
        )
    return attention_mask


def check_shape(numbers: Tensor, name: str, inputs: Tensor) -> None:
    """Raise a ValueError unless there is a number for each utterance; see [`without_padding`] for the arguments."""
    if numbers.shape != inputs.shape[:2]:
        raise ValueError(
            f"{name} must have the shape (dialogues, utterances), here {tuple(inputs.shape[:2])}; got "
            f"{tuple(numbers.shape)}"
        )


def without_padding(numbers: Tensor, name: str, inputs: Tensor, layout: BatchLayout) -> Tensor:
    """Return the numbers (N,) of the utterances of a batch.

    Args:
        numbers: (D, U), a number for each utterance.
        name: Their name in an error message.
        inputs: (D, U, ...), the token ids or embeddings of the batch.
        layout: The layout of the batch.

    Raises:
        ValueError: The numbers have another shape.
    """
    check_shape(numbers, name, inputs)
    return numbers.flatten()[layout.utterances]


def check_name_lengths(config: PreCodeConfig, inputs: Tensor, name_lengths: Tensor | None) -> None:
    """Check that token ids were encoded for the `text_context` of a model.

    Raises:
        ValueError: `name_lengths` is missing, or the model does not read it.
    """
    needed = config.text_context == "dialogue" and not inputs.is_floating_point()
    if needed == (name_lengths is not None):
        return
    reason = "needs `name_lengths`" if needed else "reads no `name_lengths`"
    if inputs.is_floating_point():
        raise ValueError("`name_lengths` belong to token ids; leave them out with `utterance_embeds`")
    raise ValueError(
        f"a model with `text_context` {config.text_context!r} {reason}: use encode_dialogues(..., "
        f"text_context={config.text_context!r})"
    )


def check_names_within(name_lengths: Tensor, lengths: Tensor) -> None:
    """Check that an utterance has tokens after the name of its speaker.

    Args:
        name_lengths, lengths: The number of tokens of the name and of the utterance, two tensors of the same shape.

    Raises:
        ValueError: It has none. This is checked on the CPU only, because a device would have to be waited for.
    """
    if name_lengths.device.type != "cpu":
        return
    wrong = (name_lengths < 0) | (name_lengths >= lengths.clamp(min=1))
    if wrong.any():
        raise ValueError(
            f"`name_lengths` must be at least 0 and less than the number of tokens of the utterance; got "
            f"{int(name_lengths[wrong][0])} of {int(lengths[wrong][0])} tokens"
        )


def utterance_hashes(input_ids: Tensor, layout: BatchLayout) -> Tensor:
    """Hash the words, or the embedding, of each utterance: (N,). Equal utterances have equal hashes.

    The hash is the sum of the token ids times powers of an odd number, modulo 2^64. Two different utterances collide
    with a probability of 1 in 2^64.
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
