"""Class weights of the emotion loss: rare focused classes have larger weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any


def focused_class_weights(
    counts: Mapping[str, int] | Sequence[int],
    focused: Collection[str] | Collection[int],
    rate: float = 0.5,
) -> list[float]:
    """The class weights of the negative log-likelihood that the original trains with.

    The weight of a focused class k is `(n_min / n_k) ** rate`, where `n_min` is the smallest count of a focused class.
    The weights are then scaled to sum to 1. Any other class has the weight 0: its utterances stay in the dialogue as
    context, but do not contribute to the loss.

    Args:
        counts: Number of training utterances of each class, in the order of the class ids: a mapping from label name to
            count, or a sequence of counts.
        focused: The classes that are scored: label names if `counts` is a mapping, class ids if it is a sequence.
        rate: 0 gives all focused classes the same weight, 1 weights them by inverse frequency. The original trains with
            0.5, and computes its dev loss with 0.

    Returns:
        One weight per class, in the order of the class ids.

    Raises:
        ValueError: There is no focused class, or a focused class is not in `counts` or has no training utterance.
    """
    by_class: dict[Any, int] = dict(counts) if isinstance(counts, Mapping) else dict(enumerate(counts))
    if not focused:
        raise ValueError("No focused class: name at least one of " + ", ".join(map(str, by_class)) + ".")
    for label in focused:
        if label not in by_class:
            raise ValueError(f"Focused class {label!r} is not among the classes {list(by_class)}.")
        if by_class[label] <= 0:
            raise ValueError(
                f"Focused class {label!r} has {by_class[label]} training utterances, so it cannot have a weight: "
                "leave it out of the focused classes, or add data for it."
            )
    smallest = min(by_class[label] for label in focused)
    unscaled = [(smallest / count) ** rate if label in focused else 0.0 for label, count in by_class.items()]
    total = sum(unscaled)
    return [float(weight / total) for weight in unscaled]
