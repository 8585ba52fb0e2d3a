"""Scores models on corpora that they were not trained on.

For comparison, it scores the most frequent label, and a linear model over the same training text."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from datasets import DatasetDict
from sklearn.pipeline import Pipeline

from data_scripts import label_names
from data_scripts.building.label_maps import LabelMap, map_labels
from modeling_precode import ERCScores
from modeling_precode.evaluation.metrics import with_macro_f1_of_supported
from modeling_precode.evaluation.scoring import score_split
from modeling_precode.training.fingerprint import dataset_digest

from .baselines import fit_bag_of_words, labeled_texts
from .checkpoints import Checkpoint
from .results import Results, key_of
from .views import has_files, load


@dataclass(frozen=True)
class ZeroShot:
    """A study of finished models on a split of corpora that they were not trained on.

    Args:
        name: The name of the study.
        split: The split to score.
        corpora: The arguments for reading each corpus, by name.
        label_map: The label map for the labels of the corpora and of the models.
        training: The arguments for reading the corpus that the linear model is trained on.
        metric: The score on the validation split of that corpus, by which the penalty of the linear model is chosen.
        checkpoints: The models.
    """

    name: str
    split: str
    corpora: dict[str, dict[str, Any]]
    label_map: str
    training: dict[str, Any]
    metric: str
    checkpoints: list[Checkpoint]

    @property
    def systems(self) -> dict[str, str]:
        """The values that the results of each system depend on, besides the corpus, by its name in the table."""
        rows = {"majority": "majority", f"bag of words, {self.training['corpus']}": self.bag_of_words_key}
        return rows | {one.name: one.key for one in self.checkpoints}

    def key(self, system: str, corpus: str) -> str:
        return key_of("zero-shot", self.systems[system], self.corpora[corpus], self.counterparts, self.split)

    @cached_property
    def counterparts(self) -> dict[str, str | None]:
        return dict(LabelMap.load(self.label_map).targets)

    @cached_property
    def training_corpus(self) -> DatasetDict:
        return map_labels(load(self.training, Path()), self.label_map)

    @cached_property
    def bag_of_words_key(self) -> str:
        digests = [dataset_digest(self.training_corpus[split]) for split in ("train", "validation")]
        return key_of("bag of words", self.training, digests, self.metric)

    @cached_property
    def bag_of_words(self) -> tuple[Pipeline, dict[str, Any]]:
        names = label_names(self.training_corpus)
        held_out, gold = labeled_texts(self.training_corpus["validation"])
        return fit_bag_of_words(
            *labeled_texts(self.training_corpus["train"]),
            held_out,
            lambda found: scores_of(found, gold, names)[self.metric],
        )

    def run(self, data_dir: Path, results: Results) -> None:
        """Add the missing lines of every corpus whose files exist."""
        for corpus, settings in self.corpora.items():
            missing = [system for system in self.systems if not results.get(self.key(system, corpus))]
            if not missing or not has_files(settings, data_dir):
                continue
            splits = load(settings, data_dir)
            for system, found in self.scores(splits, corpus, missing):
                line = {"key": self.key(system, corpus), "seed": None, "zero_shot": system, "settings": settings}
                scores = {self.split: found.pop("scores")}
                results.add({**line, "label_map": self.label_map, "scores": scores, **found})
                print(f"{self.name}: {system} on {corpus}", flush=True)

    def scores(self, splits: DatasetDict, corpus: str, systems: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The systems, each with the content of its line in the results."""
        mapped = map_labels(splits, self.label_map)
        names = label_names(mapped)
        texts, gold = labeled_texts(mapped[self.split])
        by_name = {one.name: one for one in self.checkpoints}
        for system in systems:
            if system == "majority":
                _, known = labeled_texts(mapped["train"])
                most = np.bincount(known).argmax()
                scores = scores_of(np.full(len(gold), most), gold, names)
                yield system, {"scores": scores, "chosen": {"label": names[most]}}
            elif system not in by_name:
                model, chosen = self.bag_of_words
                yield system, {"scores": scores_of(model.predict(texts), gold, names), "chosen": chosen}
            elif by_name[system].source is not None:
                found = score_split(
                    by_name[system].emotions,
                    splits[self.split],
                    splits["train"],
                    corpus=corpus,
                    split=self.split,
                    label_map=self.label_map,
                )
                yield system, {"scores": found.scores, "calibration_error": found.calibration_error}


def scores_of(predicted: np.ndarray, gold: np.ndarray, names: list[str]) -> dict[str, Any]:
    """Score as `precode evaluate` does: the macro F1 is over the labels that occur in `gold`."""
    return with_macro_f1_of_supported(ERCScores().compute(predictions=predicted, references=gold, label_names=names))
