"""Masked utterances: the targets of Conversation Completion, for a text encoder that reads the whole dialogue."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .encoded_batch import EncodedBatch
from .inputs import check_name_lengths, check_names_within, check_shape, token_mask, without_padding

if TYPE_CHECKING:
    from .modeling_precode import PreCodeModel

# The number of readings of a dialogue in which each target is masked once. In each, every sixth utterance is masked,
# which is about the share that is masked in training.
READINGS = 6


def encode_masked(
    model: "PreCodeModel",
    input_ids: Tensor,
    attention_mask: Tensor | None,
    negative_input_ids: Tensor | None,
    negative_attention_mask: Tensor | None,
    speaker_ids: Tensor | None,
    name_lengths: Tensor | None,
    masked_utterances: Tensor | None,
) -> tuple[EncodedBatch, Tensor]:
    """Encode utterances alone, as candidates, and in their dialogues, in which the targets are masked.

    Args:
        model: The encoder.
        input_ids, attention_mask, negative_input_ids, negative_attention_mask, speaker_ids, name_lengths,
            masked_utterances: As in [`PreCodeForConversationCompletion`].

    Returns:
        The candidates as a batch, in which the states of the targets are those where they are masked; and the targets
        (M,).
    """
    config = model.config
    check_name_lengths(config, input_ids, name_lengths)
    assert name_lengths is not None and config.mask_token_id is not None
    mask = token_mask(input_ids, attention_mask, config.pad_token_id).bool()
    check_shape(name_lengths, "name lengths", input_ids)
    check_names_within(name_lengths, mask.sum(-1))
    texts, text_mask = without_names(input_ids, mask, name_lengths)
    layout = model.layout(texts, text_mask, negative_input_ids, negative_attention_mask)
    vectors, negatives = model.vectors(texts, negative_input_ids, layout)
    if masked_utterances is None:
        readings, targets = masked_in_turn(mask.any(-1)), layout.targets
    else:
        readings = [masked_utterances.bool()]
        targets = without_padding(readings[0], "masked utterances", input_ids, layout).nonzero().squeeze(1)
    states = None
    for masked in readings:
        ids, visible = mask_utterances(input_ids, mask, name_lengths, masked, config.mask_token_id)
        found = model.encode(ids, visible, speaker_ids=speaker_ids, name_lengths=name_lengths).states
        is_masked = masked.flatten()[layout.utterances].unsqueeze(1)
        states = found if states is None else torch.where(is_masked, found, states)
    assert states is not None
    return EncodedBatch(texts, layout, vectors, states, negatives), targets


def mask_utterances(
    input_ids: Tensor, attention_mask: Tensor, name_lengths: Tensor, masked: Tensor, mask_token_id: int
) -> tuple[Tensor, Tensor]:
    """Replace the text of utterances by one mask token. The names of their speakers stay.

    Args:
        input_ids: (D, U, T) token ids.
        attention_mask: (D, U, T), true for a token.
        name_lengths: (D, U), the number of tokens at the start of each utterance that are the name of its speaker.
        masked: (D, U), true for an utterance to mask.
        mask_token_id: The mask token.

    Returns:
        The token ids and their attention mask (D, U, T).
    """
    offsets = torch.arange(input_ids.shape[-1], device=input_ids.device) - name_lengths.unsqueeze(-1)
    masked = masked.unsqueeze(-1)
    return input_ids.masked_fill(masked & (offsets == 0), mask_token_id), attention_mask & ~(masked & (offsets > 0))


def without_names(input_ids: Tensor, attention_mask: Tensor, name_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Remove the names of the speakers. The arguments and the result are those of [`mask_utterances`]."""
    width = input_ids.shape[-1]
    places = torch.arange(width, device=input_ids.device) + name_lengths.unsqueeze(-1)
    inside, places = places < width, places.clamp(max=width - 1)
    return input_ids.gather(-1, places), attention_mask.gather(-1, places) & inside


def masked_in_turn(has_utterance: Tensor) -> list[Tensor]:
    """The utterances to mask in each of several readings, so that every target is masked once.

    A target has a neighbor on both sides. No two neighbors are masked in one reading, and the readings of a dialogue do
    not depend on the other dialogues.

    Args:
        has_utterance: (D, U), true where there is an utterance.

    Returns:
        For each reading, the utterances to mask (D, U). At least one reading.
    """
    is_target = torch.zeros_like(has_utterance)
    is_target[:, 1:-1] = has_utterance[:, 2:]
    turn = (torch.arange(is_target.shape[1], device=is_target.device) - 1) % READINGS
    count = max(1, min(READINGS, is_target.shape[1] - 2))
    return [is_target & (turn == number) for number in range(count)]
