"""Dialogues for fine-tuning: encoded for the model, and in batches for training and evaluation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase

from data_scripts.building.mixing import CORPUS

from ..data_collator import PreCodeDataCollator
from ..modeling_precode import PreCodeForUtteranceClassification
from ..pipeline_precode import max_utterance_tokens_of
from .batches import DialogueBatches, DialogueLoader, EpochBatches, WeightedBatches, WholeBatches
from .encoded_dialogues import CACHE_KEY, INPUTS, encode_rows
from .finetuning_arguments import UtteranceClassificationArguments
from .multi_task import CorpusHeads, MultiTaskCollator
from .original_recipe import OriginalBatches, OriginalOrder
from .utterance_vectors import with_vectors


def encode_splits(
    splits: DatasetDict,
    model: PreCodeForUtteranceClassification,
    tokenizer: PreTrainedTokenizerBase,
    args: UtteranceClassificationArguments,
) -> tuple[DatasetDict, PreCodeDataCollator]:
    """Tokenize dialogues, and compute their vectors where the model's text encoder is frozen.

    Args:
        splits: The dialogues, as `load_corpus` returns them.
        model: The model, on its device.
        tokenizer: The model's tokenizer.
        args: The settings of the run.

    Returns:
        The encoded dialogues, and the collator that builds batches of them.

    Raises:
        ValueError: Every corpus has its own head, and the dialogues have no name of a corpus.
    """
    config = model.config
    settings = {
        "tokenizer": tokenizer,
        "speaker_prefix": config.speaker_prefix,
        "text_context": config.text_context,
        "max_utterance_tokens": max_utterance_tokens_of(model, tokenizer),
    }
    encoded = splits.map(encode_rows, batched=True, fn_kwargs={**settings, **CACHE_KEY}, desc="tokenizing")
    encoded, vectors = with_vectors(encoded, model, args.vector_type, args.bf16)
    if not args.multi_task:
        return encoded, PreCodeDataCollator(tokenizer.pad_token_id, with_layout=True, vectors=vectors)
    if any(CORPUS not in rows.column_names for rows in splits.values()):
        raise ValueError(f"--multi_task: the column {CORPUS} is missing, which says which head a dialogue needs")
    heads = CorpusHeads(config.label_names)
    return encoded, MultiTaskCollator(tokenizer.pad_token_id, with_layout=True, vectors=vectors, heads=heads)


def training_batches(
    num_tokens: np.ndarray, corpora: Sequence[str] | np.ndarray | None, args: UtteranceClassificationArguments
) -> EpochBatches:
    """Choose the batches of every epoch, as the recipe and the weights of the corpora require.

    Args:
        num_tokens: (dialogues,) the number of tokens of every training dialogue.
        corpora: (dialogues,) the corpus of every training dialogue; needed with `args.corpus_weights` only.
        args: The settings of the run.

    Returns:
        This process's share of every batch.
    """
    batch_size = args.per_device_train_batch_size * args.world_size
    assert args.seed is not None
    if args.recipe == "original":
        return OriginalBatches(OriginalOrder(len(num_tokens), args.seed), batch_size)
    place = {"process_index": args.process_index, "num_processes": args.world_size}
    if args.corpus_weights is not None:
        assert corpora is not None
        return WeightedBatches(num_tokens, corpora, args.corpus_weights, seed=args.seed, batch_size=batch_size, **place)
    return DialogueBatches(num_tokens, args.seed, batch_size, **place)


def training_loader(
    dialogues: Dataset, batches: EpochBatches, collator: PreCodeDataCollator, args: UtteranceClassificationArguments
) -> DialogueLoader:
    """Load encoded dialogues in the batches of [`training_batches`]."""
    targets = ("labels", "label_distributions") if args.soft_labels else ("labels",)
    columns = [name for name in (*INPUTS, *targets, CORPUS) if name in dialogues.column_names]
    return DialogueLoader(dialogues.select_columns(columns), batches, **_loading(collator, args))


def evaluation_loader(
    dialogues: Dataset, collator: PreCodeDataCollator, args: UtteranceClassificationArguments
) -> DataLoader:
    """Load encoded dialogues in their order. Every process takes whole batches."""
    columns = [name for name in (*INPUTS, "labels", CORPUS) if name in dialogues.column_names]
    batches = WholeBatches(len(dialogues), args.per_device_eval_batch_size, args.process_index, args.world_size)
    return DataLoader(
        dialogues.select_columns(columns),
        batch_sampler=batches,
        generator=torch.Generator(),
        **_loading(collator, args),
    )


def _loading(collator: PreCodeDataCollator, args: UtteranceClassificationArguments) -> dict[str, Any]:
    pinned = args.dataloader_pin_memory and args.device.type == "cuda"
    return {"collate_fn": collator, "num_workers": args.dataloader_num_workers, "pin_memory": pinned}
