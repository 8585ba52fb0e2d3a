"""The utterances that Conversation Completion masks in training, for a text encoder that reads the dialogue."""

from typing import Any

import numpy as np
from torch.utils.data import Dataset

from ..modeling_precode import PreCodePreTrainedModel
from .encoded_dialogues import EncodedDialogues
from .negatives import DialoguesWithNegatives
from .pretraining_arguments import ConversationCompletionArguments

MASKED_SHARE = 0.15


def num_masked(num_utterances: np.ndarray) -> np.ndarray:
    """The number of utterances that are masked in dialogues with these numbers of utterances, three or more."""
    return np.maximum(np.rint(MASKED_SHARE * num_utterances), 1).astype(np.int64)


def draw_masked(num_utterances: int, generator: np.random.Generator) -> np.ndarray:
    """Draw the utterances to mask: an array (utterances,) with 1 for each of them and 0 for the others.

    They have a neighbor on both sides, and no two of them are neighbors. All such choices are equally likely.
    """
    count = int(num_masked(np.array(num_utterances)))
    # Places without those that are taken by the neighbor after each chosen utterance.
    places = np.sort(generator.choice(num_utterances - 1 - count, count, replace=False)) + np.arange(count)
    masked = np.zeros(num_utterances, dtype=np.int64)
    masked[1 + places] = 1
    return masked


class MaskedDialogues(Dataset):
    """Dialogues with the column `masked_utterances`.

    The utterances depend only on the seed, the epoch and the index of the dialogue. They do not depend on the order of
    access or on the number of workers or processes.

    Args:
        dialogues: The dialogues, each of three utterances or more.
        seed: Seed of the draws.
    """

    def __init__(self, dialogues: EncodedDialogues | DialoguesWithNegatives, seed: int):
        self.dialogues = dialogues
        self.seed = seed
        self.epoch = 0

    # Not named `set_epoch`: Accelerate calls a method of that name at every pass, also in evaluation.
    def redraw(self, epoch: int) -> None:
        """Draw the utterances, and the negatives if there are any, of an epoch."""
        self.epoch = epoch
        if isinstance(self.dialogues, DialoguesWithNegatives):
            self.dialogues.redraw(epoch)

    def __len__(self) -> int:
        return len(self.dialogues)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.dialogues[index]
        # The last number distinguishes this draw from that of the negatives.
        generator = np.random.default_rng((self.seed, self.epoch, index, 1))
        return {**row, "masked_utterances": draw_masked(len(row["input_ids"]), generator)}


def check_masking(model: PreCodePreTrainedModel, args: ConversationCompletionArguments) -> None:
    """Check the settings of a run whose model masks utterances.

    Raises:
        ValueError: A setting cannot be used with such a model.
    """
    if model.config.text_context != "dialogue":
        return
    if model.config.freeze_text_encoder:
        raise ValueError(
            "--freeze_text_encoder: with --text_context dialogue, other utterances are masked in every epoch, so no "
            "vectors can be saved; give --freeze_text_encoder false, or --text_context utterance"
        )
    if args.recipe == "original":
        raise ValueError(
            "--recipe original: the original has no masked utterances; give --text_context utterance, or leave "
            "--recipe out"
        )
