"""Speaker ids, numbered by the order in which the speakers of a dialogue first speak."""

from collections.abc import Sequence
from typing import Any


class SpeakerOrder:
    """Numbers the speakers of one dialogue.

    A call with a name returns 1 for the first speaker, 2 for the second, and so on, and 0 for an unknown speaker.
    """

    def __init__(self, names: Sequence[str] = ()):
        """Start with the speakers who have already spoken, in their order."""
        self.ids = {name: number for number, name in enumerate(names, start=1)}

    def __call__(self, name: Any) -> int:
        """The number of a speaker: from 1 in the order in which they first speak, 0 for an unknown one."""
        name = speaker_name(name)
        return self.ids.setdefault(name, len(self.ids) + 1) if name else 0


def speaker_name(value: Any) -> str:
    """The name of a speaker without surrounding white space, or an empty string for a missing or an empty value."""
    return "" if is_missing(value) else str(value).strip()


def is_missing(value: Any) -> bool:
    """Whether a value is `None`, NaN, or another missing value of pandas (`NA`, `NaT`)."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # the truth value of `NA != NA` is undefined
        return True


def speaker_ids_of(names: list[Any] | None, count: int) -> list[int]:
    """The speaker ids of a dialogue's `count` utterances; all 0 without names.

    Raises:
        ValueError: There are names, but not one per utterance.
    """
    if not names:
        return [0] * count
    if len(names) != count:
        raise ValueError(f"a dialogue needs one speaker per utterance, or none; got {len(names)} for {count}")
    return list(map(SpeakerOrder(), names))
