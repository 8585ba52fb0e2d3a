"""Dialogues for Conversation Completion: tokenized, with the negatives of each, in batches for every process."""

import logging

import numpy as np
from accelerate import Accelerator
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from ..data_collator import PreCodeDataCollator
from ..dialogue_encoding import encode_dialogues
from .batches import DialogueBatches, DialogueLoader, EpochBatches
from .encoded_dialogues import EncodedDialogues
from .negatives import DialoguesWithNegatives, check_enough_dialogues
from .original_recipe import DialoguesWithDrawnNegatives, OriginalBatches, OriginalOrder
from .pretraining_arguments import ConversationCompletionArguments
from .recall import EVALUATION_NEGATIVES

logger = logging.getLogger(__name__)


def encode_with_negatives(examples: dict, tokenizer: PreTrainedTokenizerBase) -> dict:
    """Token ids of dialogues, and of their negatives if the corpus publishes them."""
    encoded = encode_dialogues(examples, tokenizer)
    if "negatives" in examples:
        negatives = encode_dialogues({"utterances": examples["negatives"]}, tokenizer)["input_ids"]
        if wrong := [len(row) for row in negatives if len(row) != EVALUATION_NEGATIVES]:
            raise ValueError(f"--corpus: a dialogue has {wrong[0]} negatives; each must have {EVALUATION_NEGATIVES}")
        encoded["negative_input_ids"] = negatives
    return encoded


def encode_split(
    dialogues: Dataset, tokenizer: PreTrainedTokenizerBase, split: str, args: ConversationCompletionArguments
) -> Dataset:
    """Tokenize the dialogues of a split that have a target, which are those of three utterances or more.

    Raises:
        ValueError: There are too few dialogues to draw negatives from.
    """
    if "dialogue_id" not in dialogues.column_names:
        dialogues = dialogues.add_column("dialogue_id", [str(number) for number in range(len(dialogues))])
    columns = [name for name in dialogues.column_names if name != "dialogue_id"]
    settings = {"tokenizer": tokenizer}
    encoded = dialogues.map(
        encode_with_negatives, batched=True, fn_kwargs=settings, remove_columns=columns, desc="tokenizing"
    )
    kept = encoded.filter(lambda ids: [len(dialogue) >= 3 for dialogue in ids], batched=True, input_columns="input_ids")
    if len(kept) < len(encoded):
        logger.info(f"{split}: left out {len(encoded) - len(kept)} dialogues of fewer than three utterances")
    if split == "train":
        drawn = args.num_negatives if args.objective == "sampled_bce" else 0
    else:
        drawn = 0 if "negative_input_ids" in kept.column_names else EVALUATION_NEGATIVES
    check_enough_dialogues(len(kept), drawn, split)
    return kept


def completion_loader(
    dialogues: Dataset, args: ConversationCompletionArguments, collator: PreCodeDataCollator, accelerator: Accelerator
) -> tuple[DialogueLoader, np.ndarray]:
    """A loader of this process's share of every training batch, and the utterances (dialogues,) of every dialogue."""
    encoded = EncodedDialogues(dialogues)
    num_utterances, num_tokens = encoded.sizes()
    train: EncodedDialogues | DialoguesWithDrawnNegatives | DialoguesWithNegatives = encoded
    batches: EpochBatches
    if args.recipe == "original" and args.objective == "sampled_bce":
        order = OriginalOrder(len(encoded), args.seed, num_utterances.tolist(), args.num_negatives)
        batches, train = OriginalBatches(order, args.batch_size), DialoguesWithDrawnNegatives(encoded)
    else:
        budget = {"batch_size": args.batch_size} if args.batch_tokens is None else {"batch_tokens": args.batch_tokens}
        place = {"process_index": accelerator.process_index, "num_processes": accelerator.num_processes}
        batches = DialogueBatches(num_tokens, args.seed, **budget, **place)
        if args.objective == "sampled_bce":
            train = DialoguesWithNegatives(encoded, args.num_negatives, args.seed)
    loader = DialogueLoader(train, batches, collate_fn=collator, pin_memory=accelerator.device.type == "cuda")
    return loader, num_utterances
