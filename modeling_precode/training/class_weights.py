"""Class weights of the emotion loss: rarer focused classes weigh more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any


def focused_class_weights(
    counts: Mapping[str, int] | Sequence[int],
    focused: Collection[str] | Collection[int],
    rate: float = 0.5,
) -> list[float]:
    """Weights of the class-weighted negative log-likelihood, as the original trains with.

    A focused class k weighs `(n_min / n_k) ** rate`, where `n_min` is the smallest count among the focused classes;
    the weights are then scaled to sum to 1. A class outside the focused set weighs 0: its utterances stay in the
    dialogue as context, but teach nothing.

    Args:
        counts: training utterances of each class, in the order of the class ids: a mapping from label name to count,
            or a sequence of counts.
        focused: the classes that are scored: label names where `counts` is a mapping, class ids where it is a sequence.
        rate: 0 weighs the focused classes alike, 1 by inverse frequency. The original trains with 0.5, and computes
            its dev loss with 0.

    Returns:
        One weight a class, in the order of the class ids.

    Raises:
        ValueError: no focused class, a focused class that `counts` does not have, or one without a training utterance.
    """
    by_class: dict[Any, int] = dict(counts) if isinstance(counts, Mapping) else dict(enumerate(counts))
    if not focused:
        raise ValueError("No focused class: name at least one of " + ", ".join(map(str, by_class)) + ".")
    for label in focused:
        if label not in by_class:
            raise ValueError(f"Focused class {label!r} is not among the classes {list(by_class)}.")
        if by_class[label] <= 0:
            raise ValueError(
                f"Focused class {label!r} has {by_class[label]} training utterances, so it has no weight: "
                "leave it out of the focused classes or add data for it."
            )
    smallest = min(by_class[label] for label in focused)
    raw = [(smallest / count) ** rate if label in focused else 0.0 for label, count in by_class.items()]
    total = sum(raw)
    return [float(weight / total) for weight in raw]
