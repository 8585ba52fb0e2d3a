"""What a run starts from: its corpus, its tokenizer and its model, from scratch, a checkpoint or a text encoder."""

import logging
from pathlib import Path
from typing import Any, TypeVar

import datasets
import numpy as np
import torch
from datasets import DatasetDict
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from data_scripts import label_names, load_corpus
from data_scripts.building.label_maps import map_labels
from data_scripts.building.mixing import mix_corpora
from data_scripts.building.options import corpus_names, parse_corpus

from ..configuration_precode import TEXT_POOLINGS, PreCodeConfig
from ..modeling_precode import ClassificationHead, PreCodeForUtteranceClassification, PreCodePreTrainedModel
from ..tokenization_precode import PreCodeTokenizer
from .arguments import PARTS, CorpusArguments, EncoderArguments, TextEncoderTrainingArguments
from .finetuning_corpus import label_settings
from .optimization import TEXT_ENCODER_LEARNING_RATE, parameter_groups
from .progress import with_progress
from .utterance_vectors import VECTOR_TYPES, UtteranceVectors
from .word_vectors import load_word_vectors

logger = logging.getLogger(__name__)

Model = TypeVar("Model", bound=PreCodePreTrainedModel)

SPLITS = ("train", "validation", "test")


def load_splits(args: CorpusArguments) -> DatasetDict:
    """The corpus, with the labels of the label map and the part of its training split that are asked for. Each part
    holds the smaller ones.

    Raises:
        ValueError: a corpus that lacks a split, or a label map that does not fit it.
    """
    if args.has_several:
        raise ValueError(f"--corpus {' '.join(args.corpus)}: several corpora are for fine-tuning; give one")
    return _splits_of(args.corpus, args.data_dir, args, SPLITS)


def load_mixture(args: CorpusArguments) -> tuple[DatasetDict, dict[str, list[str]]]:
    """Several corpora as one, and what was found of their training dialogues in held-out splits; see [`mix_corpora`].

    Raises:
        ValueError: as [`load_splits`], or corpora of different labels.
    """
    named = zip(corpus_names(args.corpus), args.corpus, strict=True)
    return mix_corpora({name: _splits_of(*parse_corpus(given), args, SPLITS[:1]) for name, given in named})


def _splits_of(name: str, data_dir: str | None, args: CorpusArguments, needed: tuple[str, ...]) -> DatasetDict:
    corpus = load_corpus(name, data_dir, num_proc=args.num_proc, **args.options())
    if missing := [split for split in needed if split not in corpus]:
        raise ValueError(f"--corpus: no split {', '.join(missing)}; found {', '.join(corpus)}")
    if args.label_map is not None:
        corpus = map_labels(corpus, args.label_map)
    if (size := _training_size(args, len(corpus["train"]))) is not None:
        order = np.random.default_rng(0).permutation(len(corpus["train"]))
        corpus["train"] = corpus["train"].select(sorted(order[:size]))
    return corpus


def _training_size(args: CorpusArguments, dialogues: int) -> int | None:
    """The number of training dialogues to train on, out of `dialogues`, or None for all."""
    if args.train_dialogues is not None and args.train_dialogues > dialogues:
        raise ValueError(f"--train_dialogues {args.train_dialogues}: the training split has {dialogues}; give less")
    if args.train_dialogues is not None or args.train_fraction == 1:
        return args.train_dialogues
    return max(round(args.train_fraction * dialogues), 1)


def build_tokenizer(args: EncoderArguments, dialogues: datasets.Dataset) -> PreTrainedTokenizerBase:
    """The tokenizer to start from. From scratch, its vocabulary is that of the given training dialogues.

    Raises:
        ValueError: options that do not go together.
        OSError: no tokenizer where one should be.
    """
    if args.model is not None:
        args.refuse_all_but(args.WITH_MODEL, "is for a model from scratch; leave it out with --model")
        return load_tokenizer(args.model)
    if args.text_encoder is not None:
        args.refuse_all_but(args.FROM_TEXT_ENCODER, "does not go with --text_encoder; leave one of them out")
        return load_text_tokenizer(args.text_encoder, args.max_utterance_tokens)
    if args.tokenizer is not None:
        args.refuse(("min_count", "max_utterance_tokens"), "is for a new vocabulary; leave it out with --tokenizer")
        return load_vocabulary(args)
    batches = (row for batch in dialogues.select_columns("utterances").iter(1000) for row in batch["utterances"])
    counted = with_progress(batches, "counting words", len(dialogues), "dialogues")
    tokenizer = PreCodeTokenizer.train(counted, args.min_count, args.text_mode)
    tokenizer.model_max_length = args.max_utterance_tokens
    return tokenizer


def load_vocabulary(args: EncoderArguments) -> PreTrainedTokenizerBase:
    """The tokenizer of another checkpoint, which brings its own normalization."""
    assert args.tokenizer is not None
    tokenizer = load_tokenizer(args.tokenizer)
    mode: Any = getattr(tokenizer, "text_mode", None)
    if args.text_mode not in (mode, EncoderArguments.text_mode):
        raise ValueError(
            f"--text_mode {args.text_mode}: the tokenizer of {args.tokenizer} normalizes text as {mode!r}; leave "
            "--text_mode out, or leave out --tokenizer"
        )
    args.text_mode = mode
    return tokenizer


def load_text_tokenizer(text_encoder: str, max_utterance_tokens: int) -> PreTrainedTokenizerBase:
    """The tokenizer of a text encoder, which cuts utterances at the given number of tokens."""
    tokenizer = AutoTokenizer.from_pretrained(text_encoder)
    if max_utterance_tokens > tokenizer.model_max_length:
        raise ValueError(
            f"--max_utterance_tokens {max_utterance_tokens}: {text_encoder} reads {tokenizer.model_max_length} at "
            "most; give less"
        )
    tokenizer.model_max_length = max_utterance_tokens
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def build_model(
    args: EncoderArguments,
    model_class: type[Model],
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    **config: Any,
) -> Model:
    """The model to start from.

    Args:
        args: what the model is made of.
        model_class: with which head.
        tokenizer: with its vocabulary.
        seed: of word vectors that the file lacks.
        config: further settings of the model.

    Raises:
        ValueError: options that have no meaning for this model.
    """
    for name in ("max_speakers", "freeze_word_vectors", "freeze_text_encoder", "speaker_prefix", "dropout"):
        if getattr(args, name) is not None:
            config[name] = getattr(args, name)
    if args.text_pooling is not None and args.text_encoder is None:
        raise ValueError(f"--text_pooling {args.text_pooling}: this is for a new text encoder; leave it out")
    if args.model is not None:
        model = model_from_checkpoint(args, model_class, config)
    elif args.text_encoder is not None:
        config |= {"causal": args.causal, "pad_token_id": tokenizer.pad_token_id, **args.hidden_sizes()}
        config["text_pooling"] = args.text_pooling or TEXT_POOLINGS[0]
        model = model_class.from_utterance_encoder(args.text_encoder, **config)
    else:
        model = model_over_words(args, model_class, tokenizer, seed, {**config, "causal": args.causal})
    args.causal = model.config.causal
    # `--recipe original` gives true to every checkpoint.
    if args.freeze_word_vectors is False and model.config.text_config is not None:
        raise ValueError(
            "--freeze_word_vectors false: the model reads with a text encoder; give --freeze_text_encoder false"
        )
    return model


def model_from_checkpoint(args: EncoderArguments, model_class: type[Model], config: dict[str, Any]) -> Model:
    assert args.model is not None
    saved = load_config(args.model)
    if args.causal and not saved.causal:
        # Of an encoder that reads both ways, the forward half has the same names and shapes.
        config["causal"] = True
    speakers = saved.max_speakers
    if speakers and args.max_speakers not in (None, 0, speakers):
        raise ValueError(f"--max_speakers {args.max_speakers}: {args.model} knows {speakers}; leave it out")
    model = load_pretrained(model_class, args.model, **config)
    if model.config.utterance_encoder == "text_encoder" and set(PARTS[:2]) - set(args.transferred_parts):
        raise ValueError(
            f"--transferred_parts {' '.join(args.transferred_parts)}: a text encoder is taken whole; give "
            f"{' '.join(PARTS[:2])} too"
        )
    initialize_others(model, args.transferred_parts)
    return model


def model_over_words(
    args: EncoderArguments,
    model_class: type[Model],
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    config: dict[str, Any],
) -> Model:
    vectors = None
    if args.word_vectors is not None:
        vectors, found = load_word_vectors(args.word_vectors, tokenizer.get_vocab(), args.word_vector_size, seed)
        logger.info(f"{found:,} of {len(tokenizer):,} words have a vector in {args.word_vectors}")
        config.setdefault("freeze_word_vectors", True)
    model = model_class(
        PreCodeConfig(
            vocab_size=len(tokenizer),
            word_vector_size=vectors.shape[1] if vectors is not None else args.word_vector_size or 300,
            utterance_encoder=args.utterance_encoder,
            pooling_length=args.pooling_length,
            **{**args.hidden_sizes(), **config},
        )
    )
    if vectors is not None:
        words = model.get_input_embeddings()
        assert isinstance(words, torch.nn.Embedding)
        with torch.no_grad():
            words.weight.copy_(torch.from_numpy(vectors))
    return model


def build_classifier(
    args: EncoderArguments, tokenizer: PreTrainedTokenizerBase, seed: int, corpus: DatasetDict, keep_head: bool = False
) -> PreCodeForUtteranceClassification:
    """A model that labels utterances with the labels of a corpus. The head of a checkpoint is kept where its labels are
    the same.

    Args:
        args: what the model is made of.
        tokenizer: with its vocabulary.
        seed: of word vectors that the file lacks.
        corpus: with the column `labels`.
        keep_head: refuse a checkpoint without a head for these labels; it is to be scored, not trained.

    Raises:
        ValueError: options that have no meaning for this model, or a checkpoint with other labels.
    """
    names = label_names(corpus)
    assert names is not None
    saved = load_config(args.model) if args.model else None
    labels = []
    if saved is not None and "PreCodeForUtteranceClassification" in (saved.architectures or []):
        labels = saved.label_names
    if keep_head and labels != names:
        raise ValueError(
            f"--model {args.model}: labels {', '.join(labels) or 'nothing'}, and the corpus has {', '.join(names)}; "
            "train it on this corpus first"
        )
    model = build_model(
        args,
        PreCodeForUtteranceClassification,
        tokenizer,
        seed,
        **label_settings(corpus),
        class_weights=None,
        **({} if keep_head else {"temperature": 1.0}),  # not that of a head before
    )
    if saved is not None and labels != names:
        # A head of the same shape would have been loaded, for other labels.
        model.classifier = ClassificationHead(model.config)
        if labels:
            logger.info(f"{args.model} labels {', '.join(labels)}; the head for {', '.join(names)} is new")
    return model


def check_text_encoder_options(args: TextEncoderTrainingArguments, model: PreCodePreTrainedModel) -> None:
    """Refuse options that have no meaning for the model, and fill in the learning rate of a trained text encoder, so
    that it is saved with the result."""
    frozen = model.config.freeze_text_encoder
    trained = model.config.text_config is not None and not frozen
    for name, fits in {"text_encoder_learning_rate": trained, "layer_decay": trained, "vector_type": frozen}.items():
        if getattr(args, name) is not None and not fits:
            kind = "frozen" if name == "vector_type" else "trained"
            raise ValueError(f"--{name} {getattr(args, name)}: this is for a {kind} text encoder; leave it out")
    if trained and args.text_encoder_learning_rate is None:
        args.text_encoder_learning_rate = TEXT_ENCODER_LEARNING_RATE
    # This names a setting that does not fit, before anything is written.
    parameter_groups(model, 0.0, args.text_encoder_learning_rate, args.layer_decay)


def check_gradient_checkpointing(model: PreCodePreTrainedModel, wanted: bool) -> None:
    if wanted and (model.config.text_config is None or model.config.freeze_text_encoder):
        raise ValueError("--gradient_checkpointing: this is for a trained text encoder; leave it out")


def with_vectors(
    splits: DatasetDict, model: PreCodePreTrainedModel, vector_type: str | None, bf16: bool
) -> tuple[DatasetDict, UtteranceVectors | None]:
    """Encoded dialogues for training. Where the model's text encoder is frozen, they hold rows of its vectors."""
    if not model.config.freeze_text_encoder:
        return splits, None
    vectors = UtteranceVectors(splits, model, vector_type or VECTOR_TYPES[0], bf16)
    return DatasetDict({name: vectors.dialogues(split) for name, split in splits.items()}), vectors


@torch.no_grad()
def initialize_others(model: PreCodePreTrainedModel, kept: list[str]) -> None:
    """Give the parts of the encoder that are not kept new weights, as a model from scratch has them."""
    precode = model.base_model
    words = model.get_input_embeddings()
    others: dict[str, list[torch.nn.Module]] = {
        "word_vectors": [words],
        "utterance_encoder": [module for module in precode.utterance_encoder.modules() if module is not words],
        "conversation_encoder": list(precode.conversation_encoder.modules()),
    }
    for module in (module for part, modules in others.items() if part not in kept for module in modules):
        for parameter in module.parameters(recurse=False):
            parameter._is_hf_initialized = False  # type: ignore[attr-defined]
        model._init_weights(module)


def load_config(checkpoint: str, revision: str | None = None) -> PreCodeConfig:
    """The configuration of a Pre-CODE checkpoint, or a one-line error that says what stands there instead."""
    folder = Path(checkpoint)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{checkpoint}: no config.json in this folder; give a folder made by save_pretrained")
    if not folder.exists() and (folder.is_absolute() or checkpoint.startswith(".") or checkpoint.count("/") != 1):
        raise FileNotFoundError(f"{checkpoint}: no such folder; give a folder made by save_pretrained or a Hub name")
    config = AutoConfig.from_pretrained(checkpoint, revision=revision)
    if not isinstance(config, PreCodeConfig):
        raise ValueError(
            f"{checkpoint}: a checkpoint of the kind {config.model_type!r}; this needs one of the kind "
            f"{PreCodeConfig.model_type!r}, made by precode pretrain or precode finetune"
        )
    return config


def load_tokenizer(checkpoint: str) -> PreTrainedTokenizerBase:
    config = load_config(checkpoint)
    if Path(checkpoint).is_dir() and not (Path(checkpoint) / "tokenizer_config.json").is_file():
        raise FileNotFoundError(f"{checkpoint}: no tokenizer in this folder; save the one it was trained with there")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    # A text encoder may have room for more.
    if len(tokenizer) > config.vocab_size or (config.text_config is None and len(tokenizer) != config.vocab_size):
        raise ValueError(
            f"{checkpoint}: the tokenizer has {len(tokenizer)} words and the model {config.vocab_size}; "
            "they come from different runs"
        )
    return tokenizer


def load_pretrained(model_class: type[Model], checkpoint: str, **config: Any) -> Model:
    """`from_pretrained` that takes a new head for granted, and so does not report it."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        return model_class.from_pretrained(checkpoint, ignore_mismatched_sizes=True, **config)
    finally:
        transformers_logging.set_verbosity(verbosity)
