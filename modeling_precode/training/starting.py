"""The corpus, the tokenizer and the model that a run starts from: from scratch, a checkpoint or a text encoder."""

import logging
from typing import Any, TypeVar

import datasets
import numpy as np
import torch
from datasets import DatasetDict
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from data_scripts import label_names, load_corpus
from data_scripts.building.label_maps import map_labels
from data_scripts.building.mixing import mix_corpora
from data_scripts.building.options import corpus_names, parse_corpus
from data_scripts.tools.progress import with_progress

from ..configuration_precode import TEXT_POOLINGS, PreCodeConfig
from ..default_model import checkpoint_path
from ..loading.checkpoints import load_config, load_tokenizer
from ..modeling_precode import ClassificationHead, PreCodeForUtteranceClassification, PreCodePreTrainedModel
from ..tokenization_precode import PreCodeTokenizer
from .arguments import PARTS, CorpusArguments, EncoderArguments, TextEncoderTrainingArguments
from .finetuning_corpus import label_settings
from .optimization import TEXT_ENCODER_LEARNING_RATE, parameter_groups
from .word_vectors import load_word_vectors

logger = logging.getLogger(__name__)

Model = TypeVar("Model", bound=PreCodePreTrainedModel)

SPLITS = ("train", "validation", "test")


def load_splits(args: CorpusArguments) -> DatasetDict:
    """Load the corpus, with the label map and the fraction of the training split in the arguments.

    A larger fraction contains every smaller one.

    Raises:
        ValueError: The corpus lacks a split, or the label map does not fit it.
    """
    if args.has_several:
        raise ValueError(f"--corpus {' '.join(args.corpus)}: several corpora are for fine-tuning; give one")
    return _splits_of(args.corpus, args.data_dir, args, SPLITS)


def load_corpora(args: CorpusArguments, separate_labels: bool = False) -> tuple[DatasetDict, dict[str, list[str]]]:
    """Load a corpus, or several as one, and find training dialogues that occur in held-out splits; see [`mix_corpora`].

    Raises:
        ValueError: As [`load_splits`], or the corpora have different labels, and `separate_labels` is false.
    """
    if not args.has_several:
        return load_splits(args), {}
    named = zip(corpus_names(args.corpus), args.corpus, strict=True)
    corpora = {name: _splits_of(*parse_corpus(corpus), args, SPLITS[:1]) for name, corpus in named}
    return mix_corpora(corpora, separate_labels)


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
        raise ValueError(
            f"--train_dialogues {args.train_dialogues}: the training split has {dialogues}; give a smaller number"
        )
    if args.train_dialogues is not None or args.train_fraction == 1:
        return args.train_dialogues
    return max(round(args.train_fraction * dialogues), 1)


def build_tokenizer(args: EncoderArguments, dialogues: datasets.Dataset) -> PreTrainedTokenizerBase:
    """Load or train the tokenizer.

    Args:
        args: The arguments of the model.
        dialogues: The training dialogues, which a new vocabulary is counted from.

    Raises:
        ValueError: Arguments cannot be used together.
        OSError: There is no tokenizer to load.
    """
    if args.model is not None:
        args.refuse_all_but(args.WITH_MODEL, "is for a model from scratch; leave it out with --model")
        return load_tokenizer(args.model)
    if args.text_encoder is not None:
        args.refuse_all_but(args.FROM_TEXT_ENCODER, "cannot be used with --text_encoder; leave one of them out")
        return load_text_tokenizer(args.text_encoder, args.max_utterance_tokens)
    args.refuse(("transferred_parts",), "is for a checkpoint; give one with --model, or leave it out")
    if args.tokenizer is not None:
        args.refuse(("min_count", "max_utterance_tokens"), "is for a new vocabulary; leave it out with --tokenizer")
        return load_vocabulary(args)
    batches = (row for batch in dialogues.select_columns("utterances").iter(1000) for row in batch["utterances"])
    counted = with_progress(batches, "counting words", len(dialogues), "dialogues")
    tokenizer = PreCodeTokenizer.train(counted, args.min_count, args.text_mode)
    tokenizer.model_max_length = args.max_utterance_tokens
    return tokenizer


def load_vocabulary(args: EncoderArguments) -> PreTrainedTokenizerBase:
    """The tokenizer of another checkpoint, with its normalization."""
    assert args.tokenizer is not None
    tokenizer = load_tokenizer(args.tokenizer)
    mode: Any = getattr(tokenizer, "text_mode", None)
    if args.text_mode != mode and args.is_requested("text_mode"):
        raise ValueError(
            f"--text_mode {args.text_mode}: the tokenizer of {args.tokenizer} normalizes text as {mode!r}; leave "
            "--text_mode out, or leave out --tokenizer"
        )
    args.take("text_mode", mode)
    return tokenizer


def load_text_tokenizer(text_encoder: str, max_utterance_tokens: int) -> PreTrainedTokenizerBase:
    """The tokenizer of a text encoder. It truncates utterances to `max_utterance_tokens`."""
    tokenizer = AutoTokenizer.from_pretrained(text_encoder)
    if max_utterance_tokens > tokenizer.model_max_length:
        raise ValueError(
            f"--max_utterance_tokens {max_utterance_tokens}: {text_encoder} reads at most "
            f"{tokenizer.model_max_length}; give a smaller number"
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
    """Build or load the model that the run starts from.

    Args:
        args: The arguments of the model.
        model_class: The class of the model, which determines the head.
        tokenizer: The tokenizer of the model.
        seed: Seed of the word vectors that the file of word vectors does not have.
        config: Further settings of the configuration.

    Raises:
        ValueError: An argument has no meaning for this model.
    """
    for name in ("max_speakers", "freeze_word_vectors", *args.WITH_TEXT_ENCODER):
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
        limit, requested = model.max_utterance_tokens, args.is_requested("max_utterance_tokens")
        if requested and limit is not None and args.max_utterance_tokens > limit:
            raise ValueError(
                f"--max_utterance_tokens {args.max_utterance_tokens}: the model reads at most {limit} at once; give a "
                "smaller number"
            )
    else:
        model = model_over_words(args, model_class, tokenizer, seed, {**config, "causal": args.causal})
    if args.max_window_tokens is not None and model.config.text_context != "dialogue":
        raise ValueError(
            f"--max_window_tokens {args.max_window_tokens}: this is for --text_context dialogue; leave it out"
        )
    args.take("causal", model.config.causal)
    # `--recipe original` sets it to true for every checkpoint, without a request.
    is_meant = args.freeze_word_vectors is False or "freeze_word_vectors" in args.requested
    if is_meant and model.config.text_config is not None:
        value = str(args.freeze_word_vectors).lower()
        raise ValueError(
            f"--freeze_word_vectors {value}: the model reads with a text encoder; give --freeze_text_encoder {value}"
        )
    return model


def model_from_checkpoint(args: EncoderArguments, model_class: type[Model], config: dict[str, Any]) -> Model:
    """Load a checkpoint, and initialize the parts that are not transferred."""
    assert args.model is not None
    saved = load_config(args.model)
    if args.causal and not saved.causal:
        # The forward half of a bidirectional encoder has the same names and shapes.
        config["causal"] = True
    speakers = saved.max_speakers
    if speakers and args.max_speakers not in (None, 0, speakers):
        raise ValueError(f"--max_speakers {args.max_speakers}: {args.model} distinguishes {speakers}; leave this out")
    if "word_vectors" not in args.transferred_parts and saved.text_config is None:
        config.setdefault("freeze_word_vectors", False)  # random vectors are useless if nothing trains them
    model = load_pretrained(model_class, args.model, **config)
    if model.config.conversation_encoder != saved.conversation_encoder:
        change = "is left out" if saved.conversation_encoder == "gru" else "is new"
        logger.info(f"{args.model}: the conversation encoder {change}, and the head is new")
    if model.config.utterance_encoder == "text_encoder" and set(PARTS[:2]) - set(args.transferred_parts):
        raise ValueError(
            f"--transferred_parts {' '.join(args.transferred_parts)}: a text encoder is transferred as a whole; give "
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
    """Build a model from scratch, with a GRU utterance encoder over word vectors."""
    for name in args.WITH_TEXT_ENCODER:
        value = getattr(args, name)
        if name != "dropout" and value not in (None, getattr(PreCodeConfig, name)):
            raise ValueError(f"--{name} {value}: this is for a text encoder; give one with --text_encoder")
    vectors = None
    if args.word_vectors is not None:
        vectors, coverage = load_word_vectors(args.word_vectors, tokenizer.get_vocab(), args.word_vector_size, seed)
        logger.info(f"{coverage:,} of {len(tokenizer):,} words have a vector in {args.word_vectors}")
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
    """Build or load a model for the labels of a corpus. A checkpoint's head is kept if it has the same labels.

    Args:
        args: The arguments of the model.
        tokenizer: The tokenizer of the model.
        seed: Seed of the word vectors that the file of word vectors does not have.
        corpus: The corpus, with the column `labels`.
        keep_head: Whether to refuse a checkpoint without a head for these labels, because it is only scored.

    Raises:
        ValueError: An argument has no meaning for this model, or the checkpoint has other labels.
    """
    names = label_names(corpus)
    assert names is not None
    saved = load_config(args.model) if args.model else None
    labels = []
    if saved is not None and "PreCodeForUtteranceClassification" in (saved.architectures or []):
        labels = saved.label_names
    if keep_head and labels != names:
        raise ValueError(
            f"--model {args.model}: has the labels {', '.join(labels) or 'none'}; the corpus has {', '.join(names)}; "
            "train it on this corpus first"
        )
    model = build_model(
        args,
        PreCodeForUtteranceClassification,
        tokenizer,
        seed,
        **label_settings(corpus),
        class_weights=None,
        **({} if keep_head else {"temperature": 1.0}),  # not the temperature of an earlier head
    )
    if saved is not None and labels != names:
        # `from_pretrained` has loaded a head of the same shape, but for other labels.
        model.classifier = ClassificationHead(model.config)
        if labels:
            logger.info(f"{args.model} has the labels {', '.join(labels)}; the head for {', '.join(names)} is new")
    return model


def check_text_encoder_options(args: TextEncoderTrainingArguments, model: PreCodePreTrainedModel) -> None:
    """Check the arguments for a text encoder, and set the default learning rate, so that it is saved with the result.

    Raises:
        ValueError: An argument has no meaning for this model.
    """
    frozen = model.config.freeze_text_encoder
    trained = model.config.text_config is not None and not frozen
    for name, applies in {"text_encoder_learning_rate": trained, "layer_decay": trained, "vector_type": frozen}.items():
        if getattr(args, name) is not None and not applies:
            kind = "frozen" if name == "vector_type" else "trained"
            raise ValueError(f"--{name} {getattr(args, name)}: this is for a {kind} text encoder; leave it out")
    if trained and args.text_encoder_learning_rate is None:
        args.text_encoder_learning_rate = TEXT_ENCODER_LEARNING_RATE
    # This raises an error for an invalid setting before anything is written.
    parameter_groups(model, 0.0, args.text_encoder_learning_rate, args.layer_decay)


def check_gradient_checkpointing(model: PreCodePreTrainedModel, enabled: bool) -> None:
    """Raise a ValueError if gradient checkpointing is enabled without a trained text encoder."""
    if enabled and (model.config.text_config is None or model.config.freeze_text_encoder):
        raise ValueError("--gradient_checkpointing: this is for a trained text encoder; leave it out")


@torch.no_grad()
def initialize_others(model: PreCodePreTrainedModel, kept: list[str]) -> None:
    """Initialize the parts of the encoder that are not kept, as in a model from scratch."""
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


def load_pretrained(model_class: type[Model], checkpoint: str, **config: Any) -> Model:
    """Call `from_pretrained` without its report of a new head, and in float32, whatever type was saved."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        return model_class.from_pretrained(
            checkpoint_path(checkpoint), ignore_mismatched_sizes=True, dtype=torch.float32, **config
        )
    finally:
        transformers_logging.set_verbosity(verbosity)
