"""Negatives of Conversation Completion: utterances drawn from other dialogues, for every dialogue of a corpus."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from .encoded_dialogues import EncodedDialogues, inputs_of


def check_enough_dialogues(num_dialogues: int, num_negatives: int, split: str | None = None) -> None:
    """Raise a ValueError if there are fewer than `num_negatives` other dialogues for each dialogue.

    With a split, they are its dialogues of three utterances or more.
    """
    if num_dialogues <= num_negatives:
        place, kind = (f"split {split}: ", "dialogues of three utterances or more") if split else ("", "dialogues")
        raise ValueError(
            f"{place}{num_negatives} negatives from different other dialogues need at least {num_negatives + 1} "
            f"{kind}; got {num_dialogues}. Give more dialogues"
        )


class DialoguesWithNegatives(Dataset):
    """Dialogues with the negatives of each: `num_negatives` different other dialogues, one random utterance of each.

    The negatives of a dialogue depend only on the seed, the epoch and the index of the dialogue. They do not depend on
    the order of access or on the number of workers or processes. Without calls of [`redraw`] they stay fixed, as in
    evaluation.

    Args:
        dialogues: Rows with `input_ids`, a list of utterances, each a list of token ids, and optionally `speaker_ids`
            and `name_lengths`. The negatives have no names.
        num_negatives: The number of negatives per dialogue.
        seed: Seed of the draws.

    Raises:
        ValueError: There are not enough other dialogues.
    """

    def __init__(self, dialogues: Sequence[dict[str, Any]] | EncodedDialogues, num_negatives: int, seed: int):
        check_enough_dialogues(len(dialogues), num_negatives)
        self.dialogues = dialogues
        self.num_negatives = num_negatives
        self.seed = seed
        self.epoch = 0

    # Not named `set_epoch`: Accelerate calls a method of that name at every pass, also in evaluation.
    def redraw(self, epoch: int) -> None:
        """Draw new negatives, those of an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.dialogues)

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = np.random.default_rng((self.seed, self.epoch, index))
        others = generator.choice(len(self.dialogues) - 1, self.num_negatives, replace=False)
        negatives = []
        for other in others:
            # Skip this dialogue.
            row = self.dialogues[int(other) + int(other >= index)]
            place = generator.integers(len(row["input_ids"]))
            name_length = row["name_lengths"][place] if "name_lengths" in row else 0
            negatives.append(row["input_ids"][place][name_length:])
        return {**inputs_of(self.dialogues[index]), "negative_input_ids": negatives}
