"""A significance test of the difference between two systems: the paired bootstrap over dialogues."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

REPLICATES = 10_000
# A file of predictions, or its lines: one dialogue each, with `dialogue_id`, `labels` and `predictions`.
Predictions = str | Path | Iterable[Mapping[str, Any]]


def paired_bootstrap(
    ours: Sequence[Predictions],
    theirs: Sequence[Predictions],
    excluded_label: str | None = None,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Compare two systems' mean scores over their seeds, on the same dialogues.

    Dialogues are drawn with replacement, and every seed of both systems is scored on each draw. Lines with the same
    `dialogue_id` are one dialogue. The p-value is twice the share of draws in which the difference has the other sign
    or is 0. It is from 2 / `replicates` to 1.

    ```python
    comparison = paired_bootstrap(
        [f"runs/ours/seed_{seed}/test_predictions.jsonl" for seed in (1, 2, 3)],
        [f"runs/theirs/seed_{seed}/test_predictions.jsonl" for seed in (1, 2, 3)],
    )
    comparison["weighted_f1"]  # {"difference": 0.012, "low": 0.004, "high": 0.021, "p": 0.003}
    ```

    Args:
        ours: The test predictions of every seed of the first system: files `test_predictions.jsonl` that
            `run_finetune.py` writes, or lists of their lines. A line has `dialogue_id`, `labels` and `predictions`:
            label names, one per utterance. An utterance whose label is None is not scored.
        theirs: The same for the second system. The number of seeds may differ.
        excluded_label: Also compare the micro F1 without this label, such as the neutral label of DailyDialog.
        replicates: The number of draws.
        seed: Seed of the draws.

    Returns:
        By the name of a score (`macro_f1`, `weighted_f1` and, with `excluded_label`, `micro_f1_without_<label>`, as
        fractions): `difference` (ours minus theirs), `low` and `high` (the middle 95% of the draws) and `p`.

    Raises:
        ValueError: A system has no predictions, there is only one dialogue, the systems were not scored on the same
            dialogues and labels, a line is not a dialogue with predictions, or `excluded_label` does not occur.
        OSError: A file cannot be read.
    """
    for argument, files in (("ours", ours), ("theirs", theirs)):
        if isinstance(files, str | Path) or not len(files):
            raise ValueError(f"{argument} is {files!r}; give a list with the predictions of every seed")
    systems = [[_read(predictions) for predictions in system] for system in (ours, theirs)]
    _check_same_dialogues([seed for system in systems for seed in system])
    names = sorted({name for system in systems for seed_counts in system for name in seed_counts.names})
    scores = {"macro_f1": macro_f1, "weighted_f1": weighted_f1}
    if excluded_label is not None:
        if excluded_label not in names:
            raise ValueError(f"excluded_label is {excluded_label!r}; the labels are {', '.join(names)}")
        excluded = names.index(excluded_label)
        scores[f"micro_f1_without_{excluded_label}"] = lambda confusion: micro_f1_without(confusion, excluded)
    draws = _draw(systems[0][0], replicates, seed)
    first, second = (_mean_scores(system, names, scores, draws) for system in systems)
    return {name: _compare(first[name] - second[name]) for name in scores}


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Confusion matrices (..., classes, classes) -> (...): the mean F1 of all classes, 0 for one that never occurs."""
    return _f1(confusion).mean(-1)


def weighted_f1(confusion: np.ndarray) -> np.ndarray:
    """Confusion matrices (..., classes, classes) -> (...): the mean F1, classes weighted by their gold utterances."""
    support = confusion.sum(-1)
    return (_f1(confusion) * support).sum(-1) / support.sum(-1)


def micro_f1_without(confusion: np.ndarray, excluded: int) -> np.ndarray:
    """Confusion matrices (..., classes, classes) -> (...): F1 of the decisions on all classes but `excluded`."""
    others = np.delete(np.arange(confusion.shape[-1]), excluded)
    correct = confusion[..., others, others].sum(-1)
    decisions = confusion[..., others, :].sum((-2, -1)) + confusion[..., :, others].sum((-2, -1))
    return 2 * correct / np.maximum(decisions, 1)


class _SeedCounts:
    """Confusion matrices of one seed: the `ids` of dialogues, the `names` of labels, `counts` (dialogues, classes,
    classes)."""

    def __init__(self, source: str, pairs: dict[str, list[tuple[str, str]]]):
        self.source, self.ids = source, sorted(pairs)
        self.names = sorted({label for dialogue in pairs.values() for pair in dialogue for label in pair})
        if not self.names:
            raise ValueError(f"{source}: no utterance has a label")
        self.counts = np.zeros((len(pairs), len(self.names), len(self.names)))
        for row, dialogue in zip(self.counts, self.ids, strict=True):
            for gold, predicted in pairs[dialogue]:
                row[self.names.index(gold), self.names.index(predicted)] += 1

    def gold(self) -> dict[str, list[float]]:
        """The name of every gold label that occurs -> its number of utterances in each dialogue."""
        return {
            name: column.tolist()
            for name, column in zip(self.names, self.counts.sum(-1).T, strict=True)
            if column.any()
        }

    def counts_of(self, names: list[str]) -> np.ndarray:
        """`counts` with a row and a column for each of `names`."""
        counts = np.zeros((len(self.counts), len(names), len(names)))
        columns = [names.index(name) for name in self.names]
        counts[np.ix_(range(len(counts)), columns, columns)] = self.counts
        return counts


def _read(predictions: Predictions) -> _SeedCounts:
    if isinstance(predictions, str | Path):
        source = str(predictions)
        # Not `splitlines`: an utterance may contain other line separators than "\n".
        lines: Iterable[Any] = Path(predictions).read_text(encoding="utf-8").rstrip("\n").split("\n")
    else:
        source, lines = "predictions", predictions
    pairs: dict[str, list[tuple[str, str]]] = {}
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if isinstance(line, str) else line
            labels = list(zip(row["labels"], row["predictions"], strict=True))
            dialogue = row["dialogue_id"]
            if not isinstance(dialogue, str):
                raise TypeError(f"the `dialogue_id` {dialogue!r} is no string")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{source}, line {number}: not a dialogue with `dialogue_id`, `labels` and as many `predictions` "
                f"({type(error).__name__}: {error}); give a test_predictions.jsonl that precode finetune wrote"
            ) from error
        pairs.setdefault(dialogue, []).extend(pair for pair in labels if pair[0] is not None)
    return _SeedCounts(source, pairs)


def _check_same_dialogues(seeds: list[_SeedCounts]) -> None:
    first = seeds[0]
    for other in seeds[1:]:
        if missing := sorted(set(first.ids) ^ set(other.ids)):
            raise ValueError(
                f"{first.source} and {other.source} do not have the same dialogues: {missing[0]!r} is in only one"
            )
        if first.gold() != other.gold():
            raise ValueError(f"{first.source} and {other.source} have different gold labels for the same dialogues")


def _draw(dialogues: _SeedCounts, replicates: int, seed: int) -> np.ndarray:
    """How often each draw has each dialogue (replicates + 1, dialogues). The first row is the test split itself."""
    size = len(dialogues.ids)
    if size == 1:
        raise ValueError(
            f"{dialogues.source}: all lines have the `dialogue_id` {dialogues.ids[0]!r}, and dialogues are drawn; give "
            "at least two"
        )
    draws = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), replicates).astype(np.float64)
    return np.concatenate([np.ones((1, size)), draws])


def _mean_scores(system: list[_SeedCounts], names: list[str], scores: dict[str, Any], draws: np.ndarray) -> dict:
    """The name of a score -> its mean over the seeds on each draw (draws,)."""
    sums: dict[str, Any] = dict.fromkeys(scores, 0.0)
    for seed in system:
        counts = seed.counts_of(names)
        drawn = (draws @ counts.reshape(len(counts), -1)).reshape(-1, len(names), len(names))
        for name, score in scores.items():
            sums[name] = sums[name] + score(drawn) / len(system)
    return sums


def _compare(difference: np.ndarray) -> dict[str, float]:
    """The difference with its interval and p-value, from the differences on the test split and on every draw."""
    low, high = np.quantile(difference[1:], [0.025, 0.975])
    other_sign = (difference[1:] * np.sign(difference[0]) <= 0).mean()
    return {
        "difference": float(difference[0]),
        "low": float(low),
        "high": float(high),
        "p": float(min(2 * max(other_sign, 1 / (len(difference) - 1)), 1)),
    }


def _f1(confusion: np.ndarray) -> np.ndarray:
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)
    return 2 * correct / np.maximum(confusion.sum(-1) + confusion.sum(-2), 1)
