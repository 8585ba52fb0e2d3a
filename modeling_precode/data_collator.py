"""Pads dialogues of token ids into the tensors of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .layout import BatchLayout

IGNORED_LABEL = -100
PER_UTTERANCE = ("speaker_ids", "name_lengths", "masked_utterances", "labels", "label_distributions")


@dataclass
class PreCodeDataCollator:
    """Pads dialogues into a batch.

    Each row has `input_ids` (a list of utterances, each a list of token ids). These columns are optional:

    * `speaker_ids`, `name_lengths` and `masked_utterances`: one integer per utterance.
    * `labels`: one class id per utterance, -1 for an utterance without a label.
    * `label_distributions` (only with `labels`): for each utterance, the probabilities of the classes, or an empty
      list.
    * `negative_input_ids`: in the form of `input_ids`.

    Other columns are dropped. A plain `transformers.Trainer` drops `label_distributions` before, because they are no
    argument of the model; with `remove_unused_columns=False`, it keeps them.

    A call returns a dictionary of tensors:

    * `input_ids` and `attention_mask` (dialogues, utterances, tokens), padded on the right.
    * `speaker_ids`, `name_lengths` and `masked_utterances` (dialogues, utterances), 0 where there is no utterance.
    * `labels` (dialogues, utterances), -100 where there is no label or no utterance.
    * `soft_targets` (dialogues, utterances, classes), 0 for an utterance without a distribution; left out if no
      utterance of the batch has one. An utterance with a distribution but no label gets its most likely class as its
      label, so that it counts as labeled.
    * `negative_input_ids` and `negative_attention_mask` (dialogues, negatives, tokens).

    With `vectors`, the `input_ids` of an utterance are a single number, the row of its vector. The batch then has
    `utterance_embeds` (dialogues, utterances, h) and `negative_utterance_embeds`, 0 at padding, in place of `input_ids`
    and `negative_input_ids`. The masks are those of utterances of one token.

    Args:
        pad_token_id: The padding token of the tokenizer. With `None`, for a tokenizer without one, only the mask marks
            padding.
        with_layout: Also return `layout`, the positions of all utterances and tokens in the batch. Without it, the
            model computes the layout from the masks, and a GPU has to wait for that.
        vectors: (rows, h), the vectors of utterances, such as `UtteranceVectors`.
    """

    pad_token_id: int | None = 0
    with_layout: bool = False
    vectors: Any = None

    def __call__(self, dialogues: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Pad dialogues into a batch. The class describes the rows and the batch.

        Raises:
            ValueError: A row has no utterances, or a column with one entry per utterance has another length.
        """
        self._check_lengths(dialogues)
        batch: dict[str, Any] = {}
        batch["input_ids"], batch["attention_mask"] = self._pad([row["input_ids"] for row in dialogues])
        if "negative_input_ids" in dialogues[0]:
            negatives = [row["negative_input_ids"] for row in dialogues]
            batch["negative_input_ids"], batch["negative_attention_mask"] = self._pad(negatives)
        for name in ("speaker_ids", "name_lengths", "masked_utterances"):
            if name in dialogues[0]:
                batch[name] = self._pad_ids([row[name] for row in dialogues], 0)
        if "labels" in dialogues[0]:
            labels = self._pad_ids([row["labels"] for row in dialogues], IGNORED_LABEL)
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

    def _check_lengths(self, dialogues: Sequence[dict[str, Any]]) -> None:
        for number, row in enumerate(dialogues):
            size = len(row["input_ids"])
            if not size:
                raise ValueError(f"row {number} of the batch has no utterances in `input_ids`; leave the row out")
            for name in PER_UTTERANCE:
                if name in row and len(row[name]) != size:
                    raise ValueError(
                        f"row {number} of the batch: `{name}` has {len(row[name])} entries, and `input_ids` has "
                        f"{size}; give one entry per utterance"
                    )

    def _add_distributions(self, batch: dict[str, Any], dialogues: list[Sequence[Sequence[float]]]) -> None:
        dialogues = [[() if one is None else one for one in dialogue] for dialogue in dialogues]
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

    def _pad_ids(self, dialogues: list[Sequence[int]], padding: int) -> torch.Tensor:
        padded = np.full((len(dialogues), max(map(len, dialogues))), padding, dtype=np.int64)
        for row, dialogue in zip(padded, dialogues, strict=True):
            row[: len(dialogue)] = dialogue
        return torch.from_numpy(padded)

    def _pad(self, dialogues: list[list[list[int]]]) -> tuple[torch.Tensor, torch.Tensor]:
        shape = (
            len(dialogues),
            max(len(dialogue) for dialogue in dialogues),
            max(len(utterance) for dialogue in dialogues for utterance in dialogue),
        )
        # With vectors, padding looks up a vector too: the first one.
        padding = (self.pad_token_id or 0) if self.vectors is None else 0
        input_ids = np.full(shape, padding, dtype=np.int64)
        attention_mask = np.zeros(shape, dtype=np.int64)
        for i, dialogue in enumerate(dialogues):
            for j, utterance in enumerate(dialogue):
                input_ids[i, j, : len(utterance)] = utterance
                attention_mask[i, j, : len(utterance)] = 1
        return torch.from_numpy(input_ids), torch.from_numpy(attention_mask)
