"""Ensembles: the mean of the probabilities of all seeds of a run."""

from pathlib import Path
from typing import Any

import numpy as np
from transformers import pipeline

from data_scripts import label_names
from modeling_precode import ERCScores
from modeling_precode.evaluation.scoring import labels_of, predict_probabilities

from .experiments import Run, Study, ensemble_key
from .runner import Runner
from .views import load


def add_ensembles(studies: list[Study], runner: Runner) -> None:
    """Add the missing results of the ensembles of the studies, where the checkpoints of all seeds exist."""
    for study in studies:
        for (_, variant, _), run in study.runs.items():
            key = ensemble_key(run)
            if variant not in study.ensembles or runner.missing(run) or runner.results.get(key):
                continue
            folders = [path.parent for path in runner.predictions(run)]
            if all((folder / "model.safetensors").is_file() for folder in folders):
                scores = ensemble_scores(run, folders, runner.data_dir)
                runner.results.add(
                    {"key": key, "seed": None, "ensemble": run.key, "seeds": list(run.seeds), "scores": scores}
                )


def ensemble_scores(run: Run, folders: list[Path], data_dir: Path) -> dict[str, dict[str, Any]]:
    """The scores of the mean of the probabilities on the validation and the test split.

    Args:
        run: The run.
        folders: The checkpoint of every seed.
        data_dir: The folder with the corpora.
    """
    corpus = load(run.settings, data_dir)
    splits = [split for split in ("validation", "test") if split in corpus]
    sums = dict.fromkeys(splits, np.float64(0))
    for folder in folders:
        emotions = pipeline("conversation-emotion", model=str(folder))
        for split in splits:
            sums[split] = sums[split] + predict_probabilities(emotions, corpus[split])
    scores = {}
    for split in splits:
        labels = labels_of(corpus[split])
        scores[split] = ERCScores().compute(
            predictions=sums[split].argmax(1)[labels >= 0],
            references=labels[labels >= 0],
            label_names=label_names(corpus),
            excluded_label=run.settings.get("excluded_label"),
        )
    return scores
