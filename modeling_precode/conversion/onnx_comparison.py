"""Compares an exported model with the model that it was exported from, on labeled dialogues."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import torch
from datasets import Dataset

from data_scripts import label_names

from ..batching import batches
from ..data_collator import PreCodeDataCollator
from ..dialogue_inputs import read_inputs
from ..emotion_labeling import DEFAULT_BATCH_TOKENS
from ..evaluation.metrics import ERCScores
from ..limits import TOKENIZER_FILE
from ..onnx_runtime.pipeline import OnnxEmotionPipeline
from ..pipeline_precode import ConversationEmotionPipeline

# The largest difference of a logit that the order of additions in float32 may cause.
TOLERANCE = 1e-4
# The numbers of utterances in a long dialogue and in a long batch of one-word utterances.
LONG_DIALOGUE = 100
# The number of utterances of a dialogue in progress.
STREAMED = 3


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How an exported model differs from the original.

    Args:
        utterances: The number of utterances of the corpus.
        difference: The largest absolute difference of a logit.
        agreement: The share of utterances with the same label, from 0 to 1.
        original_f1, exported_f1: The weighted F1 of both, from 0 to 1; `None` if the corpus lacks a label of the
            model.
    """

    utterances: int
    difference: float
    agreement: float
    original_f1: float | None = None
    exported_f1: float | None = None

    @property
    def loss(self) -> float:
        """The weighted F1, in points, that the exported model loses."""
        assert self.original_f1 is not None and self.exported_f1 is not None
        return 100 * (self.original_f1 - self.exported_f1)

    def check_numbers(self) -> None:
        """Check that the logits are equal.

        Raises:
            ValueError: A logit differs by more than the tolerance.
        """
        if not self.difference <= TOLERANCE:
            raise ValueError(
                f"the exported model has other results than the model: logits differ by {self.difference:.2g}, and at "
                f"most {TOLERANCE:g} is allowed; the exporter of torch {torch.__version__} does not support this model"
            )

    def check_labels(self, corpus: str, allowed_loss: float) -> None:
        """Check that the labels are as good.

        Raises:
            ValueError: The weighted F1 is lower by more than `allowed_loss` points.
        """
        if self.loss > allowed_loss:
            raise ValueError(
                f"quantization loses {self.loss:.2f} points of weighted F1 on the corpus {corpus}, and at most "
                f"{allowed_loss:g} are allowed; export the model without quantization, or use --allow_loss"
            )


def check_corpus(emotions: ConversationEmotionPipeline, dialogues: Dataset, corpus: str) -> None:
    """Check that a corpus has the labels of a model, so that its labels can be scored.

    Raises:
        ValueError: It does not have them.
    """
    names = label_names(dialogues)
    missing = [label for label in emotions.model.config.label_names if label not in (names or [])]
    if missing:
        reason = "it has no labels" if names is None else f"it has no {', '.join(missing)}"
        raise ValueError(
            f"the corpus {corpus} cannot measure what quantization loses: {reason}; use --check with a corpus that has "
            "the labels of the model"
        )


def compare(emotions: ConversationEmotionPipeline, exported: OnnxEmotionPipeline, dialogues: Dataset) -> Comparison:
    """Label dialogues with both models, and compare the logits and the labels.

    Args:
        emotions: The pipeline with the original model.
        exported: The pipeline with the exported model.
        dialogues: Dialogues with `utterances`, and optionally `labels`.
    """
    turns = list(read_inputs(dialogues)[0])
    of_corpus = _both(emotions, exported, turns)
    shapes = list(_shapes(turns))
    pairs = [of_corpus, *(_both(emotions, exported, [shape]) for shape in shapes)]
    if emotions.model.config.causal:
        pairs += [_both_streams(emotions, exported, shape[:STREAMED]) for shape in shapes]
    original, predicted = (logits.argmax(1) for logits in of_corpus)
    model_labels, names = emotions.model.config.label_names, label_names(dialogues)
    scores = {}
    if names is not None and set(model_labels) <= set(names):
        ids = np.array([names.index(label) for label in model_labels])
        gold = np.fromiter(chain.from_iterable(dialogues["labels"]), np.int64)
        scores = {
            name: ERCScores().compute(predictions=ids[labels], references=gold, label_names=names)["weighted_f1"]
            for name, labels in {"original_f1": original, "exported_f1": predicted}.items()
        }
    return Comparison(
        utterances=len(original),
        difference=float(np.max([np.abs(one - other).max() for one, other in pairs])),
        agreement=float((original == predicted).mean()),
        **scores,
    )


def _shapes(dialogues: list[list[dict]]) -> Iterator[list[dict]]:
    """Dialogues of extreme shapes: one utterance, many utterances, an empty and a long utterance."""
    turns = list(islice(chain.from_iterable(dialogues), LONG_DIALOGUE))
    yield turns[:1]
    yield turns
    yield [{"text": ""}, {"text": " ".join(turn["text"] for turn in turns)}, *turns[:1]]
    yield [{"text": turn["text"].split(" ")[0]} for turn in turns[:3]]


def _both_streams(
    emotions: ConversationEmotionPipeline, exported: OnnxEmotionPipeline, dialogue: list[dict]
) -> tuple[np.ndarray, np.ndarray]:
    """The logits (utterances, classes) of the streams of the original and of the exported model for one dialogue."""
    [row] = emotions.preprocess([dialogue])
    original, other = emotions.model.stream(), exported.model.stream()
    names = row.get("name_lengths", [None] * len(dialogue))
    turns = list(zip(row["input_ids"], row["speaker_ids"], names, strict=True))
    return np.stack([original(*turn).numpy() for turn in turns]), np.stack([other(*turn) for turn in turns])


def _both(
    emotions: ConversationEmotionPipeline, exported: OnnxEmotionPipeline, dialogues: list[list[dict]]
) -> tuple[np.ndarray, np.ndarray]:
    """The logits of the original and of the exported model, each (utterances, classes)."""
    rows = emotions.preprocess(dialogues)
    if exported.preprocess(dialogues) != rows:
        kind = type(emotions.tokenizer).__name__
        raise ValueError(
            f"a tokenizer of the kind {kind} cannot be exported: its {TOKENIZER_FILE} gives other token ids"
        )
    pairs: list[tuple[np.ndarray, np.ndarray]] = [(np.empty(0), np.empty(0))] * len(rows)
    # The batches of a call of the pipelines: in 8 bits, results depend on them.
    for batch in batches(rows, DEFAULT_BATCH_TOKENS):
        some = [rows[i] for i in batch]
        inputs = PreCodeDataCollator(emotions.tokenizer.pad_token_id)(some)
        with torch.no_grad():
            original = emotions.model(**inputs, return_dict=True).logits.numpy()
        for i, padded, logits in zip(batch, original, exported.model.logits(some), strict=True):
            pairs[i] = padded[: len(logits)], logits
    original_logits, exported_logits = zip(*pairs, strict=True)
    return np.concatenate(original_logits), np.concatenate(exported_logits)
