"""Scores of a trained model on the labeled dialogues of a corpus, and of baselines that do not read the text."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from datasets import Dataset

from data_scripts import label_names
from data_scripts.building.label_maps import LabelMap, map_labels
from data_scripts.loading.row_checks import check_rows

from ..pipeline_precode import ConversationEmotionPipeline
from .calibration import expected_calibration_error, reliability
from .metrics import ERCScores, with_macro_f1_of_supported

# The names of the label for no emotion, in all corpora of this library.
NEUTRAL = ("neutral", "no emotion")
# The probability of a label that the model does not have. It is above 0, so that it has a logarithm.
LOWEST = np.finfo(np.float32).tiny


@dataclass(kw_only=True)
class SplitScores:
    """Scores on the labeled utterances of a split.

    Args:
        corpus: Name of the corpus.
        split: Name of the split.
        labels: Labels of the split after the label map, in the order of the confusion matrix.
        utterances: Number of utterances with a label.
        unlabeled: Number of utterances without a label, which are context.
        excluded_label: The label that `micro_f1_without_<excluded_label>` leaves out, or None if the split has no
            neutral label.
        scores: Scores of [`ERCScores`], but `macro_f1` is over the labels that occur in the split.
            `macro_f1_with_predicted` is over the predicted labels too, as `run_finetune.py` reports it.
        calibration_error: Expected calibration error of the probabilities, from 0 to 1.
        reliability: Bins of a reliability diagram, from [`reliability`].
        baselines: Scores of `majority`, which always predicts the most frequent label of the training split, and of
            `prior`, which draws labels by their shares in the training split. The latter are the scores of the expected
            confusion matrix.
        lacking: Labels of the split that the model cannot predict -> number of utterances, all counted as wrong.
        not_in_split: Predicted labels that do not occur in the split -> number of utterances.
    """

    corpus: str
    split: str
    labels: list[str]
    utterances: int
    unlabeled: int
    excluded_label: str | None
    scores: dict[str, Any]
    calibration_error: float
    reliability: list[dict[str, float]]
    baselines: dict[str, dict[str, float]]
    lacking: dict[str, int]
    not_in_split: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The fields as a dictionary, for JSON."""
        return asdict(self)


def score_split(
    emotions: ConversationEmotionPipeline,
    dialogues: Dataset,
    train: Dataset | None = None,
    *,
    corpus: str = "custom",
    split: str = "test",
    label_map: Any = None,
    excluded_label: str | None = None,
    max_batch_tokens: int | None = None,
) -> SplitScores:
    """Label dialogues with a pipeline, and score the predictions. Nothing is trained.

    Args:
        emotions: `pipeline("conversation-emotion", model=...)`.
        dialogues: A labeled split, as `load_corpus` returns it.
        train: The training split, for the label counts of the baselines; by default they use those of `dialogues`.
        corpus: Name of the corpus, for messages and tables.
        split: Name of the split.
        label_map: A label map for the labels of the corpus and of the model, as [`map_labels`] takes it.
        excluded_label: The label that a micro F1 leaves out; by default the neutral label, if there is one.
        max_batch_tokens: Maximum number of tokens in a batch; by default that of the pipeline.

    Raises:
        ValueError: The split has no labels, a label is not in the label map, or the model has a label that the corpus
            does not have. Or a dialogue has no utterances, or other numbers of labels or speakers than of utterances.
    """
    if label_names(dialogues) is None:
        raise ValueError(f"corpus {corpus}: the split {split} has no column labels, so there is nothing to score")
    check_rows(dialogues, f"corpus {corpus}, split {split}")
    if label_map is not None:
        label_map = LabelMap.load(label_map)
        dialogues, train = map_labels(dialogues, label_map), train and map_labels(train, label_map)
    names = label_names(dialogues)
    assert names is not None
    folding = fold_model_labels(emotions, names, corpus, label_map)
    labels = labels_of(dialogues)
    gold, has_label = labels[labels >= 0], labels >= 0
    if not len(gold):
        raise ValueError(f"corpus {corpus}: no utterance of the split {split} has a label")
    if excluded_label is None:
        excluded_label = next((name for name in names if name.casefold() in NEUTRAL), None)
    probabilities = (predict_probabilities(emotions, dialogues, max_batch_tokens) @ folding)[has_label]
    predicted = probabilities.argmax(1)
    shares = np.maximum(probabilities, LOWEST)
    return SplitScores(
        corpus=corpus,
        split=split,
        labels=names,
        utterances=len(gold),
        unlabeled=len(labels) - len(gold),
        excluded_label=excluded_label,
        scores=_scores(predicted, gold, names, excluded_label),
        calibration_error=expected_calibration_error(np.log(shares), gold),
        reliability=reliability(np.log(shares), gold),
        baselines=_baselines(gold, labels_of(train or dialogues), names, excluded_label),
        lacking=_counts(gold, names, np.asarray(~folding.any(axis=0))),
        not_in_split=_counts(predicted, names, ~np.isin(np.arange(len(names)), gold)),
    )


def fold_model_labels(
    emotions: ConversationEmotionPipeline, names: list[str], corpus: str, label_map: LabelMap | None = None
) -> np.ndarray:
    """The matrix (labels of the model, labels of the corpus) that is 1 where two labels have the same meaning.

    Raises:
        ValueError: The model has a label that the label map or, without a label map, the corpus does not have.
    """
    config = emotions.model.config
    model, labels = f"model {emotions.model.name_or_path}", config.label_names
    if label_map is not None:
        return label_map.fold(label_map.counterparts(labels, model))
    if others := [label for label in labels if label not in names]:
        raise ValueError(
            f"{model} has the labels {', '.join(others)}, which the corpus {corpus} does not have; it has "
            f"{', '.join(names)}. Give a label map for both"
        )
    return (np.array(labels)[:, None] == np.array(names)).astype(float)


def labels_of(dialogues: Dataset) -> np.ndarray:
    """(utterances,) the label ids of all utterances, -1 for an utterance without a label."""
    return np.array([label for labels in dialogues["labels"] for label in labels], dtype=np.int64)


def predict_probabilities(
    emotions: ConversationEmotionPipeline, dialogues: Dataset, max_batch_tokens: int | None = None
) -> np.ndarray:
    """(utterances, labels of the model): the probabilities of all utterances, dialogue after dialogue."""
    columns = [name for name in ("utterances", "speakers") if name in dialogues.column_names]
    options = {} if max_batch_tokens is None else {"max_batch_tokens": max_batch_tokens}
    results = emotions(dialogues.select_columns(columns), distribution=True, **options)
    return np.array([list(turn["distribution"].values()) for turns in results for turn in turns])


def _counts(ids: np.ndarray, names: list[str], counted: np.ndarray) -> dict[str, int]:
    """The number of occurrences of each of the counted labels that occurs."""
    counts = np.bincount(ids, minlength=len(names))
    return {name: int(counts[i]) for i, name in enumerate(names) if counted[i] and counts[i]}


def _scores(predicted: np.ndarray, gold: np.ndarray, names: list[str], excluded_label: str | None) -> dict[str, Any]:
    scores = ERCScores().compute(
        predictions=predicted, references=gold, label_names=names, excluded_label=excluded_label
    )
    return with_macro_f1_of_supported(scores)


def _baselines(
    gold: np.ndarray, train_labels: np.ndarray, names: list[str], excluded_label: str | None
) -> dict[str, dict[str, Any]]:
    counts = np.bincount(train_labels[train_labels >= 0], minlength=len(names))
    most_frequent = int(counts.argmax())
    majority = _scores(np.full(len(gold), most_frequent), gold, names, excluded_label)
    shown = ["accuracy", "weighted_f1", "macro_f1"]
    shown += [f"micro_f1_without_{excluded_label}"] if excluded_label is not None else []
    return {
        "majority": {"label": names[most_frequent], **{name: majority[name] for name in shown}},
        "prior": _prior_scores(gold, counts / counts.sum(), names, excluded_label),
    }


def _prior_scores(
    gold: np.ndarray, shares: np.ndarray, names: list[str], excluded_label: str | None
) -> dict[str, float]:
    """Scores of the expected confusion matrix if every label is drawn by its share."""
    support = np.bincount(gold, minlength=len(names)) / len(gold)
    f1 = 2 * support * shares / np.maximum(support + shares, LOWEST)
    scores = {
        "accuracy": float((support * shares).sum()),
        "weighted_f1": float((f1 * support).sum()),
        "macro_f1": float(f1[support > 0].mean()),
    }
    if excluded_label is not None:
        others = np.array(names) != excluded_label
        decisions = support[others].sum() + shares[others].sum()
        micro = 2 * (support * shares)[others].sum() / max(decisions, LOWEST)
        scores[f"micro_f1_without_{excluded_label}"] = float(micro)
    return scores
