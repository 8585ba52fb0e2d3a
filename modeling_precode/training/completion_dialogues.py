"""Dialogues for Conversation Completion: tokenized, with the negatives of each, in batches for every process."""

import logging
from typing import Any

import numpy as np
from accelerate import Accelerator
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from ..configuration_precode import PreCodeConfig
from ..data_collator import PreCodeDataCollator
from ..modeling_precode import PreCodePreTrainedModel
from ..pipeline_precode import max_utterance_tokens_of
from .batches import DialogueBatches, DialogueLoader, EpochBatches
from .encoded_dialogues import CACHE_KEY, EncodedDialogues, encode_rows
from .masking import MaskedDialogues, num_masked
from .negatives import DialoguesWithNegatives, check_enough_dialogues
from .original_recipe import DialoguesWithDrawnNegatives, OriginalBatches, OriginalOrder
from .pretraining_arguments import ConversationCompletionArguments
from .recall import EVALUATION_NEGATIVES

logger = logging.getLogger(__name__)


def encode_with_negatives(examples: dict, **settings: Any) -> dict:
    """Token ids of dialogues, and of their negatives, without names, if the corpus publishes them.

    Args:
        examples: A batch of rows, as [`encode_dialogues`] takes it, optionally with `negatives`.
        settings: The arguments of [`encode_rows`].
    """
    encoded = encode_rows(examples, **settings)
    if "negatives" in examples:
        negatives = encode_rows({"utterances": examples["negatives"]}, **settings)["input_ids"]
        if wrong := [len(row) for row in negatives if len(row) != EVALUATION_NEGATIVES]:
            raise ValueError(f"--corpus: a dialogue has {wrong[0]} negatives; each must have {EVALUATION_NEGATIVES}")
        encoded["negative_input_ids"] = negatives
    return encoded


def encode_split(
    dialogues: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    split: str,
    args: ConversationCompletionArguments,
    model: PreCodePreTrainedModel,
) -> Dataset:
    """Tokenize the dialogues of a split that have a target, which are those of three utterances or more.

    Raises:
        ValueError: No dialogue has a target, or there are too few other dialogues for its candidates.
    """
    if "dialogue_id" not in dialogues.column_names:
        dialogues = dialogues.add_column("dialogue_id", [str(number) for number in range(len(dialogues))])
    columns = [name for name in dialogues.column_names if name != "dialogue_id"]
    config, most = model.config, max_utterance_tokens_of(model, tokenizer)
    settings: dict[str, Any] = {"tokenizer": tokenizer, "max_utterance_tokens": most, **CACHE_KEY}
    if config.text_context == "dialogue":
        # Only then are names no help in the choice among the candidates, which have none.
        settings |= {"text_context": config.text_context, "speaker_prefix": config.speaker_prefix}
    encoded = dialogues.map(
        encode_with_negatives, batched=True, fn_kwargs=settings, remove_columns=columns, desc="tokenizing"
    )
    kept = encoded.filter(lambda ids: [len(dialogue) >= 3 for dialogue in ids], batched=True, input_columns="input_ids")
    if len(kept) < len(encoded):
        logger.info(f"{split}: left out {len(encoded) - len(kept)} dialogues of fewer than three utterances")
    if not len(kept):
        raise ValueError(
            f"split {split}: none of its {len(encoded)} dialogues has three utterances or more, and the one to predict "
            "is between two others; give longer dialogues"
        )
    if split == "train" and args.objective == "in_batch_softmax":
        if len(kept) == 1:
            raise ValueError(
                f"split {split}: --objective in_batch_softmax takes the candidates from other dialogues, and only 1 of "
                f"{len(encoded)} dialogues has three utterances or more; give at least 2"
            )
    elif split == "train" or "negative_input_ids" not in kept.column_names:
        check_enough_dialogues(len(kept), args.num_negatives if split == "train" else EVALUATION_NEGATIVES, split)
    return kept


def completion_loader(
    dialogues: Dataset,
    args: ConversationCompletionArguments,
    config: PreCodeConfig,
    collator: PreCodeDataCollator,
    accelerator: Accelerator,
) -> tuple[DialogueLoader, np.ndarray, np.ndarray]:
    """A loader of this process's share of every training batch.

    Returns:
        The loader; and the numbers of utterances and of targets of every dialogue, two arrays (dialogues,).
    """
    encoded = EncodedDialogues(dialogues)
    num_utterances, num_tokens = encoded.sizes()
    num_targets, sampled = num_utterances - 2, args.objective == "sampled_bce"
    train: EncodedDialogues | DialoguesWithDrawnNegatives | DialoguesWithNegatives | MaskedDialogues = encoded
    batches: EpochBatches
    if args.recipe == "original" and sampled:
        order = OriginalOrder(len(encoded), args.seed, num_utterances.tolist(), args.num_negatives)
        batches, train = OriginalBatches(order, args.batch_size), DialoguesWithDrawnNegatives(encoded)
    else:
        budget = {"batch_size": args.batch_size} if args.batch_tokens is None else {"batch_tokens": args.batch_tokens}
        place = {"process_index": accelerator.process_index, "num_processes": accelerator.num_processes}
        batches = DialogueBatches(num_tokens, args.seed, **budget, **place)
        drawn = DialoguesWithNegatives(encoded, args.num_negatives, args.seed) if sampled else encoded
        train = drawn
        if config.text_context == "dialogue":
            train, num_targets = MaskedDialogues(drawn, args.seed), num_masked(num_utterances)
        if not sampled and args.in_batch_candidates == "process" and batches.fewest < 2 * accelerator.num_processes:
            raise ValueError(
                "--in_batch_candidates process: a process may get a single dialogue, which has no candidates; give a "
                "larger --batch_size or --batch_tokens, or --in_batch_candidates all"
            )
    loader = DialogueLoader(train, batches, collate_fn=collator, pin_memory=accelerator.device.type == "cuda")
    return loader, num_utterances, num_targets
