"""The labels of a corpus for fine-tuning: their names, checks, distributions and weights."""

from collections import Counter
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict

from data_scripts import label_names
from data_scripts.building.mixing import CORPUS
from data_scripts.loading.row_checks import check_rows

from ..evaluation.metrics import ERCScores, score_values
from ..modeling_precode import PreCodeForUtteranceClassification
from .class_weights import focused_class_weights
from .finetuning_arguments import UtteranceClassificationArguments
from .multi_task import heads_of


def label_settings(corpus: DatasetDict | Dataset) -> dict[str, Any]:
    """The settings `id2label` and `label2id` of a model for a corpus.

    Args:
        corpus: A corpus with labels, or one of its splits.
    """
    names = label_names(corpus) or []
    return {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}


def check_corpus(
    corpus: DatasetDict, model: PreCodeForUtteranceClassification, args: UtteranceClassificationArguments
) -> list[str]:
    """Check that a corpus fits a model and the settings.

    Returns:
        The names of the corpus's labels.

    Raises:
        ValueError: The corpus lacks labels or distributions, has other labels than the model, or is a single corpus
            with `args.corpus_weights` or `args.multi_task`. Or a dialogue has no utterances, or other numbers of labels
            or speakers than of utterances.
    """
    for split, rows in corpus.items():
        check_rows(rows, f"--corpus, split {split}")
    names = check_labels(corpus, args)
    check_model_labels(model, names)
    if args.corpus_weights is not None and CORPUS not in corpus["train"].column_names:
        raise ValueError("--corpus_weights: there is one corpus; leave this out, or give several with --corpus")
    if args.soft_labels:
        check_distributions(corpus["train"], names)
    return names


def check_labels(corpus: DatasetDict, args: UtteranceClassificationArguments) -> list[str]:
    """The label names of a corpus, after checks of the labels and of the metric.

    Raises:
        ValueError: A split has no labels, a label or metric in the settings is unknown, or the labels do not fit
            `args.multi_task`.
    """
    names = label_names(corpus)
    if names is None:
        raise ValueError("--corpus: this corpus has no labels; fine-tuning needs a corpus with the column `labels`")
    for split, rows in corpus.items():
        if not any(label >= 0 for labels in rows["labels"] for label in labels):
            raise ValueError(f"--corpus: no utterance of the split {split} has a label")
    heads = heads_of(corpus, args.multi_task)
    # An unknown label would otherwise end the run after its first epoch.
    for labels in [names] if heads is None else heads.labels.values():
        example = ERCScores().compute(
            predictions=[0],
            references=[0],
            label_names=labels,
            focused_labels=args.focused_labels,
            excluded_label=args.excluded_label,
        )
    known = [*score_values(example), "loss"]
    if args.metric_for_best_model not in known:
        raise ValueError(f"--metric_for_best_model {args.metric_for_best_model}: unknown; known are {', '.join(known)}")
    return names


def check_model_labels(model: PreCodeForUtteranceClassification, names: list[str]) -> None:
    """Raise a ValueError if the model does not have exactly these labels."""
    known = model.config.label_names
    if known != names:
        raise ValueError(
            f"the model has the labels {', '.join(known)}, and the corpus has {', '.join(names)}; load the model with "
            "**label_settings(corpus)"
        )


def check_distributions(rows: Dataset, names: list[str]) -> None:
    """Raise a ValueError if the training split has no label distributions, or an invalid one."""
    if "label_distributions" not in rows.column_names:
        raise ValueError("--soft_labels: the training split has no column label_distributions; leave this out")
    for number, dialogue in enumerate(rows["label_distributions"]):
        for index, shares in enumerate(one or [] for one in dialogue):
            is_distribution = len(shares) == len(names) and min(shares) >= 0 and abs(sum(shares) - 1) < 1e-3
            if len(shares) and not is_distribution:
                raise ValueError(
                    f"--soft_labels: label_distributions of training dialogue {number}, utterance {index}: give "
                    f"{len(names)} probabilities that add up to 1, or an empty list; got {shares!r:.200}"
                )


def class_weights(corpus: DatasetDict, names: list[str], args: UtteranceClassificationArguments) -> list[float] | None:
    """The class weights of the loss, or None without `args.class_weight_rate`. Every head has its own."""
    if args.class_weight_rate is None:
        return None
    heads = heads_of(corpus, args.multi_task)
    counts = Counter(label for labels in corpus["train"]["labels"] for label in labels)
    weights, first = [], 0
    for labels in [names] if heads is None else heads.labels.values():
        by_name = {name: counts[first + i] for i, name in enumerate(labels)}
        weights += focused_class_weights(by_name, args.focused_labels or labels, args.class_weight_rate)
        first += len(labels)
    return weights


def corpora_of(rows: Dataset) -> np.ndarray | None:
    """(dialogues,) the name of every dialogue's corpus, or None if there is only one corpus."""
    return np.array(rows[CORPUS]) if CORPUS in rows.column_names else None
