"""What the encoders make of a batch, without its padding, and how it is padded again."""

from dataclasses import dataclass

from torch import Size, Tensor

from .layout import BatchLayout


@dataclass
class EncodedBatch:
    """The N utterances of a batch, one dialogue after another, and its negatives.

    Args:
        inputs: (D, U, T) token ids, or (D, U, h) embeddings, of which the utterances were encoded.
        layout: where the utterances and the negatives are among the padding.
        vectors: (N, d_u), the utterance encoder's.
        states: (N, d_s), the conversation encoder's.
        negatives: (D, K, d_u), the utterance encoder's vectors of the negatives, 0 at padding; `None` without any.
    """

    inputs: Tensor
    layout: BatchLayout
    vectors: Tensor
    states: Tensor
    negatives: Tensor | None = None

    @property
    def shape(self) -> Size:
        """(D, U)."""
        return self.inputs.shape[:2]

    def pad(self, rows: Tensor) -> Tensor:
        """A row for each utterance (N, ...) -> (D, U, ...), 0 at padding."""
        return pad(rows, self.layout.utterances, self.shape)

    def hidden_states(self) -> tuple[Tensor, Tensor]:
        """The vectors (D, U, d_u) and the states (D, U, d_s), 0 at padding."""
        return self.pad(self.vectors), self.pad(self.states)


def pad(rows: Tensor, places: Tensor, shape: tuple[int, ...], value: float = 0) -> Tensor:
    """Rows (N, ...) put at their places among padding: (D, U, ...)."""
    padded = rows.new_full((shape[0] * shape[1], *rows.shape[1:]), value)
    return padded.index_copy(0, places, rows).view(*shape, *rows.shape[1:])
