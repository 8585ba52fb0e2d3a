"""Metrics of both tasks, as `evaluate.Metric`s that need no network.

They are the recall of Conversation Completion and the scores of emotion recognition in conversations (ERC).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from .citation import CITATION

# References of an utterance without a label: in a corpus, in a padded batch, and as a name.
UNLABELED = (-1, -100, "")


class _InMemoryMetric(evaluate.Metric):
    """A metric that keeps its rows in memory, so that processes do not share a file."""

    def __init__(self, config_name: str | None = None, keep_in_memory: bool | None = None, **kwargs: Any):
        if keep_in_memory is None:  # `evaluate` gathers the rows of several processes from files only
            keep_in_memory = kwargs.get("num_process", 1) == 1
        super().__init__(config_name, keep_in_memory, **kwargs)

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Add rows. A batch may be empty."""
        if predictions is not None and references is not None and 0 in (len(predictions), len(references)):
            # The base class reads the first row, to distinguish ids from names.
            if len(predictions) == len(references):
                return
            raise ValueError(
                f"Mismatch in the number of predictions ({len(predictions)}) and references ({len(references)})"
            )
        # The base class copies this method, and `super()` does not work in the copy.
        evaluate.Metric.add_batch(self, predictions=predictions, references=references, **kwargs)

    def _finalize(self) -> None:
        if self.writer is None:  # `compute()` was called before any `add_batch()`
            raise ValueError(f"{type(self).__name__} has nothing to score: no predictions were added.")
        super()._finalize()
        if self.process_id == 0 and len(self.data) == 0:
            raise ValueError(f"{type(self).__name__} has nothing to score: predictions and references are empty.")


class ConvComRecall(_InMemoryMetric):
    """R_N@k of Conversation Completion, the metric of the paper: is the true utterance among the k best of N?

    `compute(predictions=, references=, candidate_counts=(5, 11), cutoffs=(1, 2))` takes

    * `predictions`: (rows, candidates) raw logits, one row per target position, in the order of drawing the candidates;
    * `references`: (rows,) the column of the true utterance, 0 in this project;
    * `candidate_counts`: the values of N. The true utterance and the first N - 1 of the others are ranked;
    * `cutoffs`: the values of k, each from 1 to N - 1 for every N.

    It returns `{"R_5@1": ..., "R_5@2": ..., "R_11@1": ..., "R_11@2": ...}` as fractions of the rows.
    A tie with the true utterance counts against the model, and so does NaN. The original ranks the sigmoids: large
    logits saturate into ties there, and its top-k resolves them arbitrarily. Without ties both give the same result.

    Raises:
        ValueError: There are no rows, rows have different lengths, a reference is not a column, or an N or k is out of
            range.
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Recall R_N@k of the true utterance among N candidates (Conversation Completion).",
            citation=CITATION,
            inputs_description=type(self).__doc__,
            features=datasets.Features(
                {"predictions": datasets.Sequence(datasets.Value("float64")), "references": datasets.Value("int64")}
            ),
        )

    def _compute(
        self,
        predictions: Sequence[Sequence[float]],
        references: Sequence[int],
        candidate_counts: Sequence[int] = (5, 11),
        cutoffs: Sequence[int] = (1, 2),
    ) -> dict[str, float]:
        width = len(predictions[0])
        for row, scores in enumerate(predictions):
            if len(scores) != width:
                raise ValueError(f"predictions[{row}] has {len(scores)} candidates, predictions[0] has {width}.")
        true_columns = np.asarray(references, dtype=np.int64)
        _check_range("references", true_columns, width, "candidates")
        for count in candidate_counts:
            if count > width:
                raise ValueError(f"R_{count} needs {count} candidates per row; predictions have {width}.")
            for cutoff in cutoffs:
                if not 1 <= cutoff < count:
                    raise ValueError(f"R_{count}@{cutoff}: the cutoff must be from 1 to {count - 1}.")

        logits = np.asarray(predictions, dtype=np.float64)
        is_true = np.arange(width) == true_columns[:, None]
        others = logits[~is_true].reshape(len(logits), width - 1)
        # "Not lower", and not "higher": ties and NaN count against the model.
        ahead = ~(others < logits[is_true][:, None])
        recalls = {}
        for count in candidate_counts:
            rank = ahead[:, : count - 1].sum(axis=1)
            for cutoff in cutoffs:
                recalls[f"R_{count}@{cutoff}"] = float((rank < cutoff).mean())
        return recalls


class ERCScores(_InMemoryMetric):
    """Scores of emotion recognition in conversations: those that later work reports, and those of the original.

    `compute(predictions=, references=, label_names=, focused_labels=None, excluded_label=None)` takes

    * `predictions`, `references`: (utterances,) class ids, or names from `label_names`. An utterance without a label
      (a reference of -1, -100 or an empty name) is not scored;
    * `label_names`: the names of all classes, in the order of the ids;
    * `focused_labels`: the names of the classes that the original's scores count; None for all;
    * `excluded_label`: a name that the micro F1 leaves out, such as the neutral class of DailyDialog.

    It returns fractions from 0 to 1, with 0 for a ratio whose denominator is 0:

    * `accuracy`, `weighted_f1`, `macro_f1`: as scikit-learn computes them. `macro_f1` is the mean over the labels that
      occur in the references or the predictions; a label that occurs in the predictions only has an F1 of 0;
    * `labels_without_support`: the names of the labels that do not occur in the references, in their order;
    * `micro_f1_without_<excluded_label>`, with an excluded label: F1 over the decisions on all other labels together;
    * `WA`: the accuracy on the utterances whose gold label is focused; `UWA`: the mean recall of the focused labels;
      `focused_macro_f1`: the mean of their `focused_f1`. These are the original's scores, rounded to 0.01 percent at
      each step;
    * `per_label`: `{name: {"precision", "recall", "f1", "support"}}`, and `focused_f1` for a focused label, whose
      precision counts only the utterances with both gold and predicted label focused;
    * `confusion_matrix`: (classes, classes) utterances, one row per gold label, one column per predicted label.

    Raises:
        ValueError: No utterance has a label, the lengths differ, an id is not a class, or a name is not in
            `label_names`.
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Accuracy, F1 and the Pre-CODE scores (WA, UWA, focused macro F1) of emotion labels.",
            citation=CITATION,
            inputs_description=type(self).__doc__,
            features=[
                datasets.Features({"predictions": datasets.Value(kind), "references": datasets.Value(kind)})
                for kind in ("int64", "string")
            ],
        )

    def _compute(
        self,
        predictions: Sequence[int] | Sequence[str],
        references: Sequence[int] | Sequence[str],
        label_names: Sequence[str],
        focused_labels: Sequence[str] | None = None,
        excluded_label: str | None = None,
    ) -> dict[str, Any]:
        names = list(label_names)
        classes = _label_ids("label_names", names, names)
        focused = classes if focused_labels is None else _label_ids("focused_labels", focused_labels, names)
        gold, predicted = _labeled_ids(references, predictions, names)
        confusion = np.bincount(gold * len(names) + predicted, minlength=len(names) ** 2).reshape(len(names), -1)
        correct, support = confusion.diagonal(), confusion.sum(axis=1)
        precision, recall = _ratio(correct, confusion.sum(axis=0)), _ratio(correct, support)
        f1 = _f1(precision, recall)
        # In percent, and rounded at each step, as in the original, so that the same epoch is the best one.
        focused_recall = _percent(recall[focused])
        focused_precision = _percent(_ratio(correct[focused], confusion[np.ix_(focused, focused)].sum(axis=0)))
        focused_f1 = np.round(_f1(focused_precision, focused_recall), 2)

        scores: dict[str, Any] = {
            "accuracy": float(correct.sum() / confusion.sum()),
            "weighted_f1": float((f1 * support).sum() / confusion.sum()),
            "macro_f1": float(f1[support + confusion.sum(axis=0) > 0].mean()),
            "labels_without_support": [name for name, count in zip(names, support, strict=True) if not count],
        }
        if excluded_label is not None:
            excluded = _label_ids("excluded_label", [excluded_label], names)
            others = np.setdiff1d(classes, excluded)
            decisions = confusion[others].sum() + confusion[:, others].sum()
            scores[f"micro_f1_without_{excluded_label}"] = float(_ratio(2 * correct[others].sum(), decisions))
        scores["WA"] = float(_percent(_ratio(correct[focused].sum(), support[focused].sum())) / 100)
        scores["UWA"] = float(np.round(focused_recall.mean(), 2) / 100)
        scores["focused_macro_f1"] = float(np.round(focused_f1.mean(), 2) / 100)
        columns = {"precision": precision, "recall": recall, "f1": f1, "support": support}
        scores["per_label"] = {
            name: {column: values[i].item() for column, values in columns.items()} for i, name in enumerate(names)
        }
        for i, value in zip(focused, focused_f1, strict=True):
            scores["per_label"][names[i]]["focused_f1"] = value.item() / 100
        scores["confusion_matrix"] = confusion.tolist()
        return scores


def score_values(scores: dict[str, Any]) -> dict[str, float]:
    """The scores that are one number each."""
    return {name: value for name, value in scores.items() if isinstance(value, float)}


def with_macro_f1_of_supported(scores: dict[str, Any]) -> dict[str, Any]:
    """Scores of [`ERCScores`] for a model that may predict labels that the corpus does not have.

    `macro_f1` is over the labels that occur in the references, `macro_f1_with_predicted` over the predicted labels too.
    """
    supported = [label["f1"] for label in scores["per_label"].values() if label["support"]]
    return {**scores, "macro_f1": float(np.mean(supported)), "macro_f1_with_predicted": scores["macro_f1"]}


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, and 0 where the whole is 0."""
    return part / np.maximum(whole, 1)


def _percent(ratio: np.ndarray) -> np.ndarray:
    return np.round(100 * ratio, 2)


def _f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    total = precision + recall
    return 2 * precision * recall / np.where(total > 0, total, 1)


def _label_ids(argument: str, labels: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """The class ids of `labels`; there must be at least one, and each must be in `names`, once."""
    unknown = [label for label in labels if label not in names]
    if unknown or not len(labels) or len(set(labels)) < len(labels):
        fault = f"has {unknown[0]!r}" if unknown else "repeats a label" if len(labels) else "is empty"
        raise ValueError(f"{argument} {fault}: give distinct names from label_names, {list(names)}.")
    return np.array([names.index(label) for label in labels])


def _labeled_ids(
    references: Sequence[int] | Sequence[str], predictions: Sequence[int] | Sequence[str], names: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The class ids of the references and the predictions of all utterances that have a label, checked."""
    labeled = [index for index, label in enumerate(references) if label not in UNLABELED]
    if not labeled:
        raise ValueError("ERCScores has nothing to score: no utterance has a label.")
    ids = []
    for argument, labels in (("references", references), ("predictions", predictions)):
        if isinstance(labels[0], str):
            for index in labeled:
                if labels[index] not in names:
                    raise ValueError(f"{argument}[{index}] is {labels[index]!r}: give names from label_names, {names}.")
            ids.append(np.array([names.index(str(labels[index])) for index in labeled]))
        else:
            all_ids = np.asarray(labels, dtype=np.int64)
            _check_range(argument, all_ids, len(names), "labels", labeled)
            ids.append(all_ids[labeled])
    return ids[0], ids[1]


def _check_range(
    argument: str, ids: np.ndarray, size: int, noun: str, checked: Sequence[int] | slice = slice(None)
) -> None:
    wrong = np.arange(len(ids))[checked][(ids[checked] < 0) | (ids[checked] >= size)]
    if len(wrong):
        raise ValueError(f"{argument}[{wrong[0]}] is {ids[wrong[0]]}: with {size} {noun} it must be 0 to {size - 1}.")
