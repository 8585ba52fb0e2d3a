"""The output of the encoders for a batch, without padding, and the function that restores the padding."""

from dataclasses import dataclass

from torch import Size, Tensor

from .layout import BatchLayout


@dataclass
class EncodedBatch:
    """The N utterances of a batch, one dialogue after another, and its negatives.

    Args:
        inputs: (D, U, T) token ids, or (D, U, h) embeddings, that were encoded.
        layout: The positions of the utterances and the negatives among the padding.
        vectors: (N, d_u), the output of the utterance encoder.
        states: (N, d_s), the output of the conversation encoder.
        negatives: (D, K, d_u), the utterance encoder's vectors of the negatives, 0 at padding; `None` without
            negatives.
    """

    inputs: Tensor
    layout: BatchLayout
    vectors: Tensor
    states: Tensor
    negatives: Tensor | None = None

    @property
    def shape(self) -> Size:
        """(D, U): the padded size."""
        return self.inputs.shape[:2]

    def pad(self, rows: Tensor) -> Tensor:
        """Pad one row per utterance, (N, ...), to (D, U, ...), 0 at padding."""
        return pad(rows, self.layout.utterances, self.shape)

    def hidden_states(self) -> tuple[Tensor, Tensor]:
        """The vectors (D, U, d_u) and the states (D, U, d_s), 0 at padding."""
        return self.pad(self.vectors), self.pad(self.states)


def pad(rows: Tensor, places: Tensor, shape: tuple[int, ...], value: float = 0) -> Tensor:
    """Put rows (N, ...) at their places among the padding: (D, U, ...)."""
    padded = rows.new_full((shape[0] * shape[1], *rows.shape[1:]), value)
    return padded.index_copy(0, places, rows).view(*shape, *rows.shape[1:])
