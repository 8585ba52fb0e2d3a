"""The evaluation of a fine-tuned model: the predictions of all processes for a split, and their scores."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object, send_to_device
from torch.utils.data import DataLoader
from transformers import EvalPrediction, PreTrainedModel
from transformers.trainer_utils import PredictionOutput

from ..data_collator import IGNORED_LABEL
from ..evaluation.metrics import ERCScores, score_values, with_macro_f1_of_supported
from .finetuning_arguments import UtteranceClassificationArguments
from .finetuning_corpus import corpora_of
from .multi_task import CorpusHeads


class UtteranceScorer:
    """Scores predictions over the utterances that have a label.

    Args:
        names: The names of the labels, in the order of the class ids.
        args: The settings of the run.
        heads: The heads of the corpora, if every corpus has its own labels.
    """

    def __init__(self, names: list[str], args: UtteranceClassificationArguments, heads: CorpusHeads | None = None):
        self.names, self.args, self.heads = names, args, heads
        self.metric = ERCScores()

    def metrics(self, prediction: EvalPrediction) -> dict[str, float]:
        """The scores of an evaluation that are one number each.

        With several corpora, they include the metric that chooses the checkpoint for each corpus.
        """
        corpora = prediction.inputs if isinstance(prediction.inputs, np.ndarray) else None
        scores, metric = self.scores(prediction, corpora), self.args.metric_for_best_model
        by_corpus = scores.get("corpora", {})
        of_corpora = {f"{metric}_of_{name}": one[metric] for name, one in by_corpus.items() if metric in one}
        return {**score_values(scores), **of_corpora}

    def scores(
        self, prediction: EvalPrediction | PredictionOutput, corpora: np.ndarray | None = None
    ) -> dict[str, Any]:
        """All scores of [`ERCScores`].

        Args:
            prediction: Logits (dialogues, utterances, labels) and label ids (dialogues, utterances).
            corpora: (dialogues,) the name of each dialogue's corpus, where there are several.

        Returns:
            The scores. With several corpora, `corpora` has the scores of each, with a `macro_f1` over the labels that
            the corpus has. Every score that is one number is then the mean over the corpora. With heads, the scores of
            a corpus are over its own labels, and there are no others that are more than one number.
        """
        labeled = logits_and_labels(prediction)[1] != IGNORED_LABEL
        if corpora is None:
            return self._scores(prediction, labeled, self.names)
        scored = {str(name): labeled & (corpora == name)[:, None] for name in dict.fromkeys(corpora)}
        if self.heads is not None:
            scores = {}
            labels, ranges = self.heads.labels, self.heads.ranges
            by_corpus = {
                name: self._scores(prediction, own, labels[name], ranges[name].start) for name, own in scored.items()
            }
        else:
            scores = self._scores(prediction, labeled, self.names)
            by_corpus = {
                name: with_macro_f1_of_supported(self._scores(prediction, own, self.names))
                for name, own in scored.items()
            }
        figures = score_values(next(iter(by_corpus.values())))
        means = {metric: float(np.mean([one[metric] for one in by_corpus.values()])) for metric in figures}
        return {**scores, **means, "corpora": by_corpus}

    def _scores(
        self, prediction: EvalPrediction | PredictionOutput, scored: np.ndarray, names: list[str], first: int = 0
    ) -> dict[str, Any]:
        """The scores of some utterances, whose labels have the class ids from `first` on."""
        logits, labels = logits_and_labels(prediction)
        return self.metric.compute(
            predictions=logits.argmax(-1)[scored] - first,
            references=labels[scored] - first,
            label_names=names,
            focused_labels=self.args.focused_labels,
            excluded_label=self.args.excluded_label,
        )


def predict_dialogues(
    model: PreTrainedModel, loader: DataLoader, device: torch.device, after_batch: Callable[[], None]
) -> tuple[EvalPrediction, float | None]:
    """Predict this process's batches, and gather the predictions of all processes in the order of the corpus.

    Args:
        model: The model, in evaluation mode.
        loader: This process's batches, from [`evaluation_loader`].
        device: The device of the model.
        after_batch: Called after every batch.

    Returns:
        The prediction, and the mean loss over the labeled utterances, or None without any. The prediction's logits are
        (dialogues, utterances, labels) and its label ids (dialogues, utterances). With several corpora, its `inputs`
        are their names (dialogues,).
    """
    own_batches, own_loss = [], 0.0
    for batch in loader:
        labels = batch.get("labels", torch.full(batch["attention_mask"].shape[:2], IGNORED_LABEL))
        # `Trainer.prediction_step` would wait for the other processes, which may have one batch less.
        with torch.no_grad():
            output = model(**send_to_device(batch, device))
        if output.loss is not None:
            own_loss += float(output.loss) * int((labels != IGNORED_LABEL).sum())
        own_batches.append((output.logits.float().cpu().numpy(), labels.numpy()))
        after_batch()
    gathered = gather_object([(own_batches, own_loss)])
    batches = [
        share[i] for i in range(max(len(share) for share, _ in gathered)) for share, _ in gathered if i < len(share)
    ]
    logits, labels = (_stack([batch[part] for batch in batches]) for part in (0, 1))
    count = int((labels != IGNORED_LABEL).sum())
    loss = sum(loss for _, loss in gathered) / count if count else None
    return EvalPrediction(predictions=logits, label_ids=labels, inputs=corpora_of(loader.dataset)), loss


def logits_and_labels(prediction: EvalPrediction | PredictionOutput) -> tuple[np.ndarray, np.ndarray]:
    """The logits (dialogues, utterances, labels) and the label ids (dialogues, utterances) of a prediction."""
    logits, labels = prediction.predictions, prediction.label_ids
    assert isinstance(logits, np.ndarray) and isinstance(labels, np.ndarray)
    return logits, labels


def labeled_utterances(prediction: EvalPrediction | PredictionOutput) -> tuple[np.ndarray, np.ndarray]:
    """The logits (utterances, labels) and the label ids (utterances,) of all utterances that have a label."""
    logits, labels = logits_and_labels(prediction)
    has_label = labels != IGNORED_LABEL
    return logits[has_label], labels[has_label]


def _stack(batches: list[np.ndarray]) -> np.ndarray:
    """One array of all dialogues, padded to the utterances of the longest one."""
    width = max(batch.shape[1] for batch in batches)
    padding = [[(0, 0), (0, width - batch.shape[1]), *[(0, 0)] * (batch.ndim - 2)] for batch in batches]
    padded = [np.pad(batch, pad, constant_values=IGNORED_LABEL) for batch, pad in zip(batches, padding, strict=True)]
    return np.concatenate(padded)
