"""The positions of the tokens in a padded batch, and the order in which the encoders read them."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .steps import Steps


@dataclass
class BatchLayout:
    """The positions of the D dialogues of a batch, their N utterances and all tokens among the padding.

    A layout is computed on the host from the masks, so that a step on a GPU never waits for a size.

    Args:
        tokens: (tokens,), the places of the tokens in the flattened `input_ids`.
        utterances: (N,), the places of the utterances among the D x U.
        dialogues: (N,), the dialogue of each utterance.
        targets: (M,), the indices, among the N, of the utterances with a neighbor on both sides.
        conversation_steps: The steps of the dialogues that have an utterance.
        utterance_steps: The steps of the utterances, followed by the negatives.
        lengths: (D, U), the numbers of tokens of the utterances, 0 at padding. They stay on the host.
        negative_tokens: (tokens,), the places of the tokens in the flattened `negative_input_ids`; `None` without
            negatives.
        negatives: (K',), the places of the negatives among the D x K; `None` without negatives.
        negative_lengths: (D, K), the numbers of tokens of the negatives, also on the host; `None` without negatives.
    """

    tokens: Tensor
    utterances: Tensor
    dialogues: Tensor
    targets: Tensor
    conversation_steps: Steps
    utterance_steps: Steps
    lengths: np.ndarray
    negative_tokens: Tensor | None = None
    negatives: Tensor | None = None
    negative_lengths: np.ndarray | None = None

    @classmethod
    def of(cls, attention_mask: Tensor, negative_attention_mask: Tensor | None = None) -> "BatchLayout":
        """Compute the layout from the masks (D, U, T) and (D, K, T'), 1 for a token and 0 for padding.

        Raises:
            ValueError: The padding is not on the right, or there is no utterance.
        """
        lengths, tokens = _lengths(attention_mask)
        sizes = (lengths > 0).sum(1)
        dialogues = np.repeat(np.arange(len(sizes)), sizes)
        position = np.arange(len(dialogues)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        targets = np.flatnonzero((position > 0) & (position < sizes[dialogues] - 1))
        utterances = np.flatnonzero(lengths)
        all_lengths = [lengths[lengths > 0]]
        negatives: dict[str, Any] = {}
        if negative_attention_mask is not None:
            negative_lengths, negative_tokens = _lengths(negative_attention_mask)
            all_lengths.append(negative_lengths[negative_lengths > 0])
            places = {"negative_tokens": negative_tokens, "negatives": np.flatnonzero(negative_lengths)}
            negatives = {name: torch.from_numpy(of_name) for name, of_name in places.items()}
            negatives["negative_lengths"] = negative_lengths
        steps = Steps.of(sizes[sizes > 0]), Steps.of(np.concatenate(all_lengths))
        rows = [torch.from_numpy(places) for places in (tokens, utterances, dialogues, targets)]
        return cls(rows[0], rows[1], rows[2], rows[3], *steps, lengths, **negatives)

    def lengths_by_dialogue(self) -> list[np.ndarray]:
        """The numbers of tokens of the utterances of each dialogue, without padding."""
        return [row[row > 0] for row in self.lengths if row[0]]

    def lengths_of_all(self) -> np.ndarray:
        """The numbers of tokens of the utterances, followed by those of the negatives, without padding."""
        found = [lengths[lengths > 0] for lengths in (self.lengths, self.negative_lengths) if lengths is not None]
        return np.concatenate(found)

    def to(self, device: torch.device | str, non_blocking: bool = True) -> "BatchLayout":
        """Copy the layout to another device."""
        return self._each(lambda part: part.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "BatchLayout":
        """Copy the layout to pinned memory. `DataLoader` calls this method."""
        return self._each(lambda part: part.pin_memory())

    def _each(self, move: Callable[[Any], Any]) -> "BatchLayout":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(
            self, **{name: move(value) for name, value in values.items() if isinstance(value, Tensor | Steps)}
        )


def _lengths(attention_mask: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The number of tokens of each utterance (D, U), and the places of all tokens."""
    mask = attention_mask.numpy(force=True).astype(bool)
    lengths = mask.sum(-1)
    has_tokens = lengths > 0
    right = np.arange(mask.shape[-1]) < lengths[..., None]
    if (mask != right).any() or (has_tokens[:, 1:] & ~has_tokens[:, :-1]).any():
        raise ValueError(
            "dialogues and utterances must be padded on the right, and every utterance needs a token; got a mask with "
            "a token after padding. Use PreCodeDataCollator, or a tokenizer with padding_side='right'"
        )
    if not has_tokens.any():
        raise ValueError("the batch has no utterance: every token is masked")
    return lengths, np.flatnonzero(mask)
