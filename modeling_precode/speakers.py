"""Who speaks, by the order in which the speakers of a dialogue first say something."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


class SpeakerOrder:
    """The speakers of one dialogue: a name -> 1 for the first who spoke, 2 for the second, and so on; 0 for nobody."""

    def __init__(self, names: Sequence[str] = ()):
        """Begin with those who have spoken already, in their order."""
        self.ids = {name: number for number, name in enumerate(names, start=1)}

    def __call__(self, name: Any) -> int:
        name = speaker_name(name)
        return self.ids.setdefault(name, len(self.ids) + 1) if name else 0


class SpeakerEmbedding(nn.Embedding):
    """A vector for each of the first speakers, the last of them for all who come later, and zeros for nobody.

    All begin at zero, so that a model which has yet to learn who speaks computes what one without this does.
    """

    def __init__(self, max_speakers: int, size: int):
        super().__init__(max_speakers + 1, size, padding_idx=0)

    def forward(self, speaker_ids: Tensor) -> Tensor:
        """(N,) from [`SpeakerOrder`] -> (N, size)."""
        return super().forward(speaker_ids.clamp(max=self.num_embeddings - 1))


def speaker_name(value: Any) -> str:
    """The name of a speaker, without white space around it, and empty for nobody (a missing or an empty value)."""
    return "" if is_missing(value) else str(value).strip()


def is_missing(value: Any) -> bool:
    """Whether a value is `None`, NaN, or what else stands for a missing value in pandas (`NA`, `NaT`)."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # `NA` is neither equal to itself nor not
        return True


def speaker_ids_of(names: list[Any] | None, count: int) -> list[int]:
    """The ids of a dialogue's `count` utterances; all 0 where a corpus names no speakers.

    Raises:
        ValueError: there is another number of names.
    """
    if not names:
        return [0] * count
    if len(names) != count:
        raise ValueError(f"a dialogue has a speaker for each utterance, or none; got {len(names)} for {count}")
    return list(map(SpeakerOrder(), names))
