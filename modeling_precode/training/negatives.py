"""Negatives of Conversation Completion: utterances of other dialogues, drawn for every dialogue of a corpus."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from .encoded_dialogues import EncodedDialogues, inputs_of


def check_enough_dialogues(num_dialogues: int, num_negatives: int, split: str | None = None) -> None:
    """ValueError where a dialogue has fewer than `num_negatives` other dialogues, with the name of the split."""
    if num_dialogues <= num_negatives:
        place = f"split {split}: " if split else ""
        raise ValueError(
            f"{place}{num_negatives} negatives from different other dialogues need at least {num_negatives + 1} "
            f"dialogues; got {num_dialogues}. Give more dialogues"
        )


class DialoguesWithNegatives(Dataset):
    """Dialogues with the negatives of each: `num_negatives` different other dialogues, one random utterance of each.

    What is drawn for a dialogue depends on the seed, the epoch and the dialogue's place, and on nothing else: not on
    the order of access, the number of workers or of processes. Without calls of [`redraw`] the negatives stay fixed,
    as evaluation wants them.

    Args:
        dialogues: rows with `input_ids`, a list of utterances, each a list of token ids, and perhaps `speaker_ids`.
        num_negatives: negatives a dialogue.
        seed: of the draw.

    Raises:
        ValueError: there are not enough other dialogues.
    """

    def __init__(self, dialogues: Sequence[dict[str, Any]] | EncodedDialogues, num_negatives: int, seed: int):
        check_enough_dialogues(len(dialogues), num_negatives)
        self.dialogues = dialogues
        self.num_negatives = num_negatives
        self.seed = seed
        self.epoch = 0

    # Not `set_epoch`: Accelerate calls that at every pass, in evaluation too.
    def redraw(self, epoch: int) -> None:
        """Draw anew from here on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.dialogues)

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = np.random.default_rng((self.seed, self.epoch, index))
        others = generator.choice(len(self.dialogues) - 1, self.num_negatives, replace=False)
        negatives = []
        for other in others:
            # Every dialogue but this one.
            utterances = self.dialogues[int(other) + int(other >= index)]["input_ids"]
            negatives.append(utterances[generator.integers(len(utterances))])
        return {**inputs_of(self.dialogues[index]), "negative_input_ids": negatives}
