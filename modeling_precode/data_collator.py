"""Dialogues of token ids -> the padded tensors of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .layout import BatchLayout

IGNORED_LABEL = -100


@dataclass
class PreCodeDataCollator:
    """Pads dialogues into a batch.

    Takes rows with `input_ids` (a list of utterances, each a list of token ids) and, where present, `speaker_ids` (a
    number an utterance), `labels` (an id an utterance; -1 for an utterance without a label), with these
    `label_distributions` (for every utterance the probabilities of the classes, or an empty list), and
    `negative_input_ids` (as `input_ids`). Other columns are left out.

    Returns tensors: `input_ids` and `attention_mask` (dialogues, utterances, tokens), padded on the right;
    `speaker_ids` (dialogues, utterances), 0 where there is no utterance; `labels` (dialogues, utterances), -100 where
    there is no label or no utterance; `soft_targets` (dialogues, utterances, classes), 0 where there is none,
    and left out where no utterance of the batch has one; `negative_input_ids` and `negative_attention_mask` (dialogues,
    negatives, tokens). An utterance that has a distribution but no label gets its most likely class as its label, so
    that it counts as labeled.

    With `vectors`, an utterance's `input_ids` are one number, the row of its vector; and in place of `input_ids` and
    `negative_input_ids` come `utterance_embeds` (dialogues, utterances, h) and `negative_utterance_embeds`, 0 at
    padding, with masks as of one token an utterance.

    Args:
        pad_token_id: of the tokenizer; `None` where it has none, and padding is marked by the mask alone.
        with_layout: also return `layout`, where everything stands in the batch. The model works it out from the masks
            otherwise, for which a GPU must wait.
        vectors: of utterances, (rows, h), as `UtteranceVectors` are.
    """

    pad_token_id: int | None = 0
    with_layout: bool = False
    vectors: Any = None

    def __call__(self, dialogues: Sequence[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = {}
        batch["input_ids"], batch["attention_mask"] = self._pad([row["input_ids"] for row in dialogues])
        if "negative_input_ids" in dialogues[0]:
            negatives = [row["negative_input_ids"] for row in dialogues]
            batch["negative_input_ids"], batch["negative_attention_mask"] = self._pad(negatives)
        if "speaker_ids" in dialogues[0]:
            batch["speaker_ids"] = self._pad_numbers([row["speaker_ids"] for row in dialogues], 0)
        if "labels" in dialogues[0]:
            labels = self._pad_numbers([row["labels"] for row in dialogues], IGNORED_LABEL)
            batch["labels"] = labels.masked_fill_(labels < 0, IGNORED_LABEL)
        if {"labels", "label_distributions"} <= set(dialogues[0]):
            self._add_distributions(batch, [row["label_distributions"] for row in dialogues])
        if self.with_layout:
            batch["layout"] = BatchLayout.of(batch["attention_mask"], batch.get("negative_attention_mask"))
        if self.vectors is not None:
            for kind in ("", "negative_"):
                if f"{kind}input_ids" in batch:
                    rows = batch.pop(f"{kind}input_ids").squeeze(-1).numpy()
                    embeds = self.vectors[rows] * batch[f"{kind}attention_mask"].numpy().astype(bool)
                    batch[f"{kind}utterance_embeds"] = torch.from_numpy(embeds)
        return batch

    def _add_distributions(self, batch: dict[str, Any], dialogues: list[Sequence[Sequence[float]]]) -> None:
        num_classes = max((len(one) for dialogue in dialogues for one in dialogue), default=0)
        if not num_classes:
            return
        labels = batch["labels"]
        distributions = np.zeros((*labels.shape, num_classes), dtype=np.float32)
        for i, dialogue in enumerate(dialogues):
            for j, distribution in enumerate(dialogue):
                if len(distribution):
                    distributions[i, j] = distribution
        batch["soft_targets"] = torch.from_numpy(distributions)
        without_label = (labels == IGNORED_LABEL) & (batch["soft_targets"].sum(-1) > 0)
        batch["labels"] = torch.where(without_label, batch["soft_targets"].argmax(-1), labels)

    def _pad_numbers(self, dialogues: list[Sequence[int]], padding: int) -> torch.Tensor:
        numbers = np.full((len(dialogues), max(map(len, dialogues))), padding, dtype=np.int64)
        for row, dialogue in zip(numbers, dialogues, strict=True):
            row[: len(dialogue)] = dialogue
        return torch.from_numpy(numbers)

    def _pad(self, dialogues: list[list[list[int]]]) -> tuple[torch.Tensor, torch.Tensor]:
        shape = (
            len(dialogues),
            max(len(dialogue) for dialogue in dialogues),
            max(len(utterance) for dialogue in dialogues for utterance in dialogue),
        )
        # Where a vector is taken for padding too, it is the first.
        padding = (self.pad_token_id or 0) if self.vectors is None else 0
        input_ids = np.full(shape, padding, dtype=np.int64)
        attention_mask = np.zeros(shape, dtype=np.int64)
        for i, dialogue in enumerate(dialogues):
            for j, utterance in enumerate(dialogue):
                input_ids[i, j, : len(utterance)] = utterance
                attention_mask[i, j, : len(utterance)] = 1
        return torch.from_numpy(input_ids), torch.from_numpy(attention_mask)
