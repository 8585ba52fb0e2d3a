"""Whether two systems differ: the paired bootstrap over dialogues, each system with several seeds."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

REPLICATES = 10_000


def confusions(path: Path) -> tuple[list[str], np.ndarray]:
    """Label names, and (dialogues, classes, classes) utterances, one row a gold label and one column a predicted one,
    of a file that `run_finetune.py` writes; dialogues are in the order of their ids."""
    with open(path, encoding="utf-8") as file:
        dialogues = [json.loads(line) for line in file]
    by_id: dict[str, list[tuple[str, str]]] = {}
    for dialogue in dialogues:
        pairs = [pair for pair in zip(dialogue["labels"], dialogue["predictions"], strict=True) if pair[0] is not None]
        # In a view without context, an utterance is a dialogue: it is resampled with the others of its own.
        by_id.setdefault(dialogue["dialogue_id"].partition("#")[0], []).extend(pairs)
    names = sorted({label for pairs in by_id.values() for pair in pairs for label in pair})
    counts = np.zeros((len(by_id), len(names), len(names)))
    for row, (_, pairs) in zip(counts, sorted(by_id.items()), strict=True):
        for gold, predicted in pairs:
            row[names.index(gold), names.index(predicted)] += 1
    return names, counts


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """(..., classes, classes) -> (...), mean of the F1 of the classes that occur."""
    return _f1(confusion).mean(-1)


def weighted_f1(confusion: np.ndarray) -> np.ndarray:
    support = confusion.sum(-1)
    return (_f1(confusion) * support).sum(-1) / support.sum(-1)


def micro_f1_without(confusion: np.ndarray, excluded: int) -> np.ndarray:
    others = np.delete(np.arange(confusion.shape[-1]), excluded)
    correct = confusion[..., others, others].sum(-1)
    decisions = confusion[..., others, :].sum((-2, -1)) + confusion[..., :, others].sum((-2, -1))
    return 2 * correct / np.maximum(decisions, 1)


def _f1(confusion: np.ndarray) -> np.ndarray:
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)
    return 2 * correct / np.maximum(confusion.sum(-1) + confusion.sum(-2), 1)


def paired_bootstrap(ours: Sequence[Path], theirs: Sequence[Path], excluded: str | None = None) -> dict[str, dict]:
    """The difference of two systems' mean scores over their seeds, in the same dialogues.

    Dialogues are drawn with replacement 10,000 times; every seed of both systems is scored on each draw. `p` is twice
    the share of draws in which the difference has the other sign (or is 0), at most 1.

    Args:
        ours, theirs: the test predictions of every seed.
        excluded: the label that the micro F1 leaves out.

    Returns:
        name of a score -> `difference`, `low` and `high` (the middle 95 % of the draws), and `p`.
    """
    systems = [[confusions(path) for path in paths] for paths in (ours, theirs)]
    names = sorted({name for system in systems for found, _ in system for name in found})
    scores = {"macro_f1": macro_f1, "weighted_f1": weighted_f1}
    if excluded is not None:
        scores[f"micro_f1_without_{excluded}"] = lambda confusion: micro_f1_without(confusion, names.index(excluded))
    generator = np.random.default_rng(0)
    size = len(systems[0][0][1])
    if any(len(counts) != size for system in systems for _, counts in system):
        raise ValueError(f"{ours[0]} and {theirs[0]} are not of the same dialogues")
    draws = generator.multinomial(size, np.full(size, 1 / size), REPLICATES).astype(np.float64)
    draws = np.concatenate([np.ones((1, size)), draws])  # the first is the test split itself
    values = {name: [] for name in scores}
    for system in systems:
        sums = dict.fromkeys(scores, 0.0)
        for found, counts in system:
            confusion = np.zeros((size, len(names), len(names)))
            places = [names.index(name) for name in found]
            confusion[np.ix_(range(size), places, places)] = counts
            drawn = (draws @ confusion.reshape(size, -1)).reshape(-1, len(names), len(names))
            for name, score in scores.items():
                sums[name] = sums[name] + score(drawn) / len(system)
        for name in scores:
            values[name].append(sums[name])
    compared = {}
    for name, (first, second) in values.items():
        difference = first - second
        low, high = np.quantile(difference[1:], [0.025, 0.975])
        other_sign = (np.sign(difference[1:]) != np.sign(difference[0])).mean()
        compared[name] = {
            "difference": float(difference[0]),
            "low": float(low),
            "high": float(high),
            "p": float(min(2 * max(other_sign, 1 / REPLICATES), 1)),
        }
    return compared
