"""Scores of a finished model on the labeled dialogues of a corpus, beside what is right without reading a word."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from datasets import Dataset

from data_scripts import label_names
from data_scripts.building.label_maps import LabelMap, map_labels

from ..pipeline_precode import ConversationEmotionPipeline
from .calibration import expected_calibration_error, reliability
from .metrics import ERCScores, with_macro_f1_of_supported

# The label of an utterance without an emotion, in the names of all corpora here.
NEUTRAL = ("neutral", "no emotion")
# The likelihood of a label that the model does not have; it has a logarithm.
LOWEST = np.finfo(np.float32).tiny


@dataclass(kw_only=True)
class SplitScores:
    """Scores on the labeled utterances of a split.

    Args:
        corpus: Name of the corpus.
        split: Name of the split.
        labels: Of the split, in the order of the confusion matrix, after the label map.
        utterances: How many have a label.
        unlabeled: How many have none, and are context.
        excluded_label: What `micro_f1_without_<excluded_label>` leaves out; None where the split has no neutral label.
        scores: From [`ERCScores`], but `macro_f1` is over the labels that the split has. `macro_f1_with_predicted` is
            over those that were predicted too, as `run_finetune.py` reports it.
        calibration_error: Expected calibration error of the probabilities, from 0 to 1.
        reliability: Bins of a reliability diagram.
        baselines: `majority` (always the label that is most frequent in training) and `prior` (a label drawn at its
            share in training; the scores of the expected confusion matrix), each with the scores that a table shows.
        lacking: Labels of the split that the model cannot predict -> utterances, all counted as wrong.
        not_in_split: Labels that were predicted and that no utterance of the split has -> utterances.
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
    """Label dialogues with a pipeline, and score what it says. Nothing is trained.

    Args:
        emotions: `pipeline("conversation-emotion", model=...)`.
        dialogues: A labeled split, as `load_corpus` gives it.
        train: The training split, of which the baselines know the labels; by default they know those of `dialogues`.
        corpus: Name of the corpus, for messages and tables.
        split: Name of the split.
        label_map: As [`map_labels`] takes it, for the labels of the corpus and of the model.
        excluded_label: What a micro F1 leaves out; by default the neutral label, where there is one.
        max_batch_tokens: As the pipeline takes it.

    Raises:
        ValueError: A split without labels, a label that the label map does not have, or a model with a label that the
            corpus does not have.
    """
    if label_names(dialogues) is None:
        raise ValueError(f"corpus {corpus}: no column labels, so that there is nothing to score; got the split {split}")
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
    support, made = (np.bincount(ids, minlength=len(names)) for ids in (gold, predicted))
    can = np.asarray(folding.any(axis=0))
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
        lacking={
            name: int(count) for name, count, known in zip(names, support, can, strict=True) if count and not known
        },
        not_in_split={
            name: int(count) for name, count, present in zip(names, made, support, strict=True) if count and not present
        },
    )


def fold_model_labels(
    emotions: ConversationEmotionPipeline, names: list[str], corpus: str, label_map: LabelMap | None = None
) -> np.ndarray:
    """(labels of the model, labels of the corpus): 1 where one means the other.

    Raises:
        ValueError: the model has a label that the label map or, without one, the corpus does not have.
    """
    config = emotions.model.config
    model, labels = f"model {emotions.model.name_or_path}", config.label_names
    if label_map is not None:
        return label_map.fold(label_map.counterparts(labels, model))
    if others := [label for label in labels if label not in names]:
        raise ValueError(
            f"{model}: it labels {', '.join(others)}, and the corpus {corpus} has the labels {', '.join(names)}; give "
            "a label map for both"
        )
    return (np.array(labels)[:, None] == np.array(names)).astype(float)


def labels_of(dialogues: Dataset) -> np.ndarray:
    """(utterances,) the label ids of all utterances, -1 for none."""
    return np.array([label for labels in dialogues["labels"] for label in labels], dtype=np.int64)


def predict_probabilities(
    emotions: ConversationEmotionPipeline, dialogues: Dataset, max_batch_tokens: int | None = None
) -> np.ndarray:
    """(utterances, labels of the model): the probabilities of all utterances, dialogue after dialogue."""
    columns = [name for name in ("utterances", "speakers") if name in dialogues.column_names]
    options = {} if max_batch_tokens is None else {"max_batch_tokens": max_batch_tokens}
    results = emotions(dialogues.select_columns(columns), distribution=True, **options)
    return np.array([list(turn["distribution"].values()) for turns in results for turn in turns])


def _scores(predicted: np.ndarray, gold: np.ndarray, names: list[str], excluded_label: str | None) -> dict[str, Any]:
    scores = ERCScores().compute(
        predictions=predicted, references=gold, label_names=names, excluded_label=excluded_label
    )
    return with_macro_f1_of_supported(scores)


def _baselines(
    gold: np.ndarray, known: np.ndarray, names: list[str], excluded_label: str | None
) -> dict[str, dict[str, Any]]:
    counts = np.bincount(known[known >= 0], minlength=len(names))
    most = int(counts.argmax())
    majority = _scores(np.full(len(gold), most), gold, names, excluded_label)
    shown = ["accuracy", "weighted_f1", "macro_f1"]
    shown += [f"micro_f1_without_{excluded_label}"] if excluded_label is not None else []
    return {
        "majority": {"label": names[most], **{name: majority[name] for name in shown}},
        "prior": _prior_scores(gold, counts / counts.sum(), names, excluded_label),
    }


def _prior_scores(
    gold: np.ndarray, shares: np.ndarray, names: list[str], excluded_label: str | None
) -> dict[str, float]:
    """Scores of the expected confusion matrix where every label is drawn at its share."""
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
