"""Multi-task fine-tuning: one encoder, and a classification head for the labels of each corpus.

In training, the classifier has the labels of all corpora, one corpus after another, and a dialogue can only have those
of its corpus. Every corpus then gets an ordinary checkpoint: the encoder, and its part of the classifier.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from transformers.trainer_utils import PredictionOutput

from data_scripts import label_names
from data_scripts.building.mixing import CORPUS, LABEL_SEPARATOR

from ..data_collator import IGNORED_LABEL, PreCodeDataCollator
from ..evaluation.calibration import calibrate
from ..modeling_precode import PreCodeForUtteranceClassification
from ..sharing.run_summary import RunSummary

# The names of other folders in the output folder of a run or a seed.
_OTHER_FOLDERS = re.compile(r"(seed_|checkpoint-|nonfinite-)\d+")
# The parameters that have one row per label.
_OUTPUT = ("classifier.output.weight", "classifier.output.bias")


class CorpusHeads:
    """The labels of each corpus, as ranges of the labels of all corpora.

    `labels` are the labels of each corpus, `ranges` their class ids, and `folders` the name of the folder for its
    checkpoint, all by the name of the corpus.

    Args:
        names: The names of all labels, from `mix_corpora(corpora, separate_labels=True)`.

    Raises:
        ValueError: The labels of a corpus are not one after another, or corpora have no folder of their own.
    """

    def __init__(self, names: Sequence[str]):
        self.labels: dict[str, list[str]] = {}
        for name in names:
            corpus, _, label = name.partition(LABEL_SEPARATOR)
            self.labels.setdefault(corpus, []).append(label)
        if [f"{corpus}{LABEL_SEPARATOR}{label}" for corpus in self.labels for label in self.labels[corpus]] != [*names]:
            raise ValueError(
                f"the labels of every corpus must follow one another, as `CORPUS{LABEL_SEPARATOR}LABEL`; got "
                f"{', '.join(names)}; mix the corpora with mix_corpora(corpora, separate_labels=True)"
            )
        self.num_labels = len(names)
        ends = np.cumsum([len(labels) for labels in self.labels.values()]).tolist()
        self.ranges = {
            corpus: slice(end - len(labels), end)
            for (corpus, labels), end in zip(self.labels.items(), ends, strict=True)
        }
        self.folders = {corpus: re.sub(r"[^\w.-]+", "-", corpus) for corpus in self.labels}
        for corpus, folder in self.folders.items():
            if list(self.folders.values()).count(folder) > 1 or _OTHER_FOLDERS.fullmatch(folder):
                raise ValueError(f"--multi_task: the folder {folder} for corpus {corpus} has another use; rename it")

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def mask(self, corpora: Sequence[str]) -> torch.Tensor:
        """The classes (dialogues, classes) that dialogues of these corpora can have, as booleans.

        Raises:
            ValueError: A corpus has no head.
        """
        if unknown := [corpus for corpus in corpora if corpus not in self.ranges]:
            raise ValueError(f"corpus {unknown[0]} has no head; there are heads for {', '.join(self)}")
        mask = torch.zeros(len(corpora), self.num_labels, dtype=torch.bool)
        for row, corpus in zip(mask, corpora, strict=True):
            row[self.ranges[corpus]] = True
        return mask

    def checkpoint(
        self, model: PreCodeForUtteranceClassification, summary: RunSummary
    ) -> PreCodeForUtteranceClassification:
        """A model for the labels of one corpus, with copies of the encoder and of its part of the classifier.

        Args:
            model: The model with the labels of all corpora.
            summary: The summary for that corpus, from [`summary`].
        """
        corpus = summary.head
        classes, config = self.ranges[corpus], deepcopy(model.config)
        config.temperature = (summary.calibration or {}).get("temperature", 1.0)
        config.training_summary = summary.to_dict()
        config.id2label = dict(enumerate(self.labels[corpus]))
        config.label2id = {label: i for i, label in enumerate(self.labels[corpus])}
        if config.class_weights is not None:
            config.class_weights = config.class_weights[classes]
        weights = {name: value[classes] if name in _OUTPUT else value for name, value in model.state_dict().items()}
        # The initial weights, which are replaced, must not change the draws of a run.
        with torch.random.fork_rng(devices=[]):
            head = PreCodeForUtteranceClassification(config)
        head.load_state_dict(weights)
        return head.to(model.device, model.dtype).eval()  # type: ignore[arg-type]

    def summary(self, summary: RunSummary, corpus: str) -> RunSummary:
        """The summary of a run, with the scores and the calibration of one corpus only."""
        scores = {split: found["corpora"] for split, found in summary.scores.items()}
        return replace(
            summary,
            head=corpus,
            scores={split: found[corpus] for split, found in scores.items() if corpus in found},
            calibration=(summary.calibration or {}).get(corpus),
        )

    def calibrate(self, splits: DatasetDict, predictions: Mapping[str, PredictionOutput]) -> dict[str, dict[str, Any]]:
        """Fit the temperature of every corpus that has validation dialogues.

        Args:
            splits: The dialogues of all corpora, by split.
            predictions: The predictions of some splits, among them `validation`.

        Returns:
            The result of [`calibrate`] for every corpus.
        """
        results = {}
        for corpus, classes in self.ranges.items():
            utterances = {}
            for split, prediction in predictions.items():
                logits, labels = prediction.predictions, prediction.label_ids
                assert isinstance(logits, np.ndarray) and isinstance(labels, np.ndarray)
                scored = (labels != IGNORED_LABEL) & (np.array(splits[split][CORPUS]) == corpus)[:, None]
                if scored.any():
                    utterances[split] = (logits[scored][:, classes], labels[scored] - classes.start)
            if "validation" in utterances:
                results[corpus] = calibrate(utterances)
        return results

    def dialogues(self, rows: Dataset, logits: np.ndarray, corpus: str) -> tuple[list[dict[str, Any]], np.ndarray]:
        """The dialogues of one corpus with its own labels, and their logits for these.

        Args:
            rows: The dialogues of all corpora.
            logits: (dialogues, utterances, labels), those of all corpora.
            corpus: The name of the corpus.
        """
        classes = self.ranges[corpus]
        own = np.flatnonzero(np.array(rows[CORPUS]) == corpus)
        dialogues = []
        for row in rows.select(own).remove_columns(CORPUS):
            assert isinstance(row, dict)
            row["labels"] = [label - classes.start if label >= 0 else -1 for label in row["labels"]]
            if "label_distributions" in row:
                row["label_distributions"] = [shares[classes] for shares in row["label_distributions"]]
            dialogues.append(row)
        return dialogues, logits[own][:, :, classes]


def heads_of(corpus: DatasetDict, multi_task: bool) -> CorpusHeads | None:
    """The heads of a corpus for `multi_task`, and None without it.

    Raises:
        ValueError: With `multi_task`, there is one corpus, or all corpora have the same labels. Without it, they have
            separate labels.
    """
    rows, names = corpus["train"], label_names(corpus) or []
    corpora = set(rows.unique(CORPUS)) if CORPUS in rows.column_names else set()
    are_separate = bool(corpora) and {name.partition(LABEL_SEPARATOR)[0] for name in names} == corpora
    if not multi_task and are_separate:
        raise ValueError("the corpora have separate labels; set multi_task, or mix them without separate_labels")
    if not multi_task:
        return None
    if len(corpora) < 2:
        raise ValueError("--multi_task: there is one corpus; leave this out, or give several with --corpus")
    if not are_separate:
        raise ValueError(
            "--multi_task: the corpora have the same labels and need one head; mix them with mix_corpora(corpora, "
            "separate_labels=True)"
        )
    return CorpusHeads(names)


@dataclass
class MultiTaskCollator(PreCodeDataCollator):
    """A [`PreCodeDataCollator`] whose rows have the name of their corpus.

    The batch also has `class_mask` (dialogues, classes), the classes that the dialogues of a corpus can have.
    """

    heads: CorpusHeads | None = None

    def __call__(self, dialogues: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Pad dialogues into a batch, with its class mask."""
        assert self.heads is not None
        return {**super().__call__(dialogues), "class_mask": self.heads.mask([row[CORPUS] for row in dialogues])}
