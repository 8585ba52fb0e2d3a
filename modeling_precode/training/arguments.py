"""Command-line arguments that pre-training and fine-tuning share, and what they lead to: a corpus's options, a
tokenizer and a model."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np
import torch
from datasets import DatasetDict
from tqdm import tqdm
from transformers import AutoConfig, AutoTokenizer, HfArgumentParser, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from data_scripts import load_corpus
from data_scripts.building.options import parse_options

from ..configuration_precode import GRU_UTTERANCE_ENCODERS, SIZES, TEXT_POOLINGS, PreCodeConfig
from ..sharing.language import check_language
from ..tokenization_precode import MAX_UTTERANCE_TOKENS, TEXT_MODES, PreCodeTokenizer
from .fingerprint import FINGERPRINT, start_digest
from .optimization import TEXT_ENCODER_LEARNING_RATE, parameter_groups
from .utterance_vectors import VECTOR_TYPES, UtteranceVectors
from .word_vectors import load_word_vectors

logger = logging.getLogger(__name__)

TRACKERS = ("tensorboard", "trackio", "wandb")
RECIPES = ("default", "original")
PARTS = ("word_vectors", "utterance_encoder", "conversation_encoder")
# Seconds that a process waits for another: the first one may have a corpus to build, and its utterances to encode.
DDP_TIMEOUT = 24 * 60 * 60
# Of an argument that is true where it is given without a value.
BARE = {"nargs": "?", "const": True}


def argument(help: str, default: Any = None, **metadata: Any) -> Any:
    """A field of a dataclass of arguments, with its help."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": help, **metadata})
    return field(default=default, metadata={"help": help, **metadata})


def parse_arguments(
    classes: tuple[type, ...],
    description: str | None,
    original: Callable[[str, str | None], dict[str, Any]],
    **defaults: Any,
) -> tuple[Any, ...]:
    """The command line as one object a class; `defaults` go before those of the classes.

    With `--recipe original`, what is not given on the command line is `original(corpus, model)`, and so is what is
    not given of an argument of several settings.
    """
    parser = HfArgumentParser(classes, description=description, allow_abbrev=False)
    given, _ = parser.parse_known_args()
    if given.recipe == "original" and given.text_encoder:
        raise ValueError(f"--text_encoder {given.text_encoder}: --recipe original has none; leave one of them out")
    settings = original(given.corpus, given.model) if given.recipe == "original" else {}
    parser.set_defaults(**{**defaults, **settings})
    parsed = parser.parse_args_into_dataclasses()
    for name in (name for name, value in settings.items() if isinstance(value, dict)):
        [arguments] = [arguments for arguments in parsed if hasattr(arguments, name)]
        setattr(arguments, name, {**settings[name], **(getattr(arguments, name) or {})})
    return parsed


@dataclass
class CorpusArguments:
    corpus: str = argument("A corpus's name, the folder of a dataset, or a dataset's name on the Hub.", "sample")
    data_dir: str | None = argument("Where the corpus's published files are: a folder, or for some corpora a file.")
    corpus_options: list[str] = argument("Options of the corpus, as name=value.", [])
    language: str | None = argument(
        "Language of the corpus for the model card, an ISO 639 code such as de (default: that of a published corpus, "
        "or a guess from the text)."
    )
    num_proc: int | None = argument("Processes that build the corpus.")
    train_fraction: float = argument("Train on this part of the training dialogues, drawn by a fixed seed.", 1.0)

    def __post_init__(self):
        if not 0 < self.train_fraction <= 1:
            raise ValueError(f"--train_fraction must be more than 0 and at most 1; got {self.train_fraction}")
        if self.language is not None:
            check_language(self.language)

    def load(self) -> DatasetDict:
        """The corpus, with the part of its training split that is asked for. Each part holds the smaller ones."""
        corpus = load_corpus(self.corpus, self.data_dir, num_proc=self.num_proc, **self.options())
        check_splits(corpus)
        if self.train_fraction < 1:
            size = max(round(self.train_fraction * len(corpus["train"])), 1)
            order = np.random.default_rng(0).permutation(len(corpus["train"]))
            corpus["train"] = corpus["train"].select(sorted(order[:size]))
        return corpus

    def options(self) -> dict[str, Any]:
        return parse_options(self.corpus_options, "--corpus_options")


@dataclass
class EncoderArguments:
    WITH_TEXT_ENCODER: ClassVar = (
        *("freeze_text_encoder", "speaker_prefix", "vector_type", "text_encoder_learning_rate", "layer_decay"),
        "dropout",
    )
    WITH_MODEL: ClassVar = ("model", "transferred_parts", "max_speakers", "freeze_word_vectors", *WITH_TEXT_ENCODER)
    FROM_TEXT_ENCODER: ClassVar = (
        *(
            "text_encoder",
            "text_pooling",
            "size",
            "hidden_size",
            "causal",
            "max_speakers",
            "max_utterance_tokens",
            *WITH_TEXT_ENCODER,
        ),
    )

    model: str | None = argument("Start from this checkpoint: a folder or a name on the Hub. From scratch without it.")
    transferred_parts: list[str] = argument(
        "With --model: what is taken from the checkpoint; the other parts start anew.", list(PARTS), choices=list(PARTS)
    )
    tokenizer: str | None = argument(
        "From scratch: take the tokenizer of this checkpoint, its vocabulary and how it normalises text."
    )
    size: str = argument("From scratch: hidden sizes 150, 300 or 450.", "small", choices=list(SIZES))
    hidden_size: int | None = argument("From scratch: hidden sizes other than the three.")
    utterance_encoder: str = argument(
        "From scratch: the kind of utterance encoder.", "gru2", choices=list(GRU_UTTERANCE_ENCODERS)
    )
    text_encoder: str | None = argument(
        "From scratch: a text encoder of transformers as the utterance encoder, with its weights and its tokenizer: a "
        "folder or a name on the Hub."
    )
    text_pooling: str | None = argument(
        "Over the text encoder's states: mean (the default), cls or max_mean.", choices=list(TEXT_POOLINGS)
    )
    freeze_text_encoder: bool | None = argument(
        "Keep the text encoder as it is: the vector of every utterance is computed once and kept on the disk (default: "
        "as in the checkpoint; from scratch, no).",
        **BARE,
    )
    vector_type: str | None = argument(
        "Of the vectors of a frozen text encoder: float32 (the default) or float16.", choices=list(VECTOR_TYPES)
    )
    speaker_prefix: bool | None = argument(
        "In fine-tuning: the text encoder reads the speaker before the text, `Ross: Hi.` (default: as in the "
        "checkpoint; from scratch, no).",
        **BARE,
    )
    text_encoder_learning_rate: float | None = argument(
        f"Of a trained text encoder (default: {TEXT_ENCODER_LEARNING_RATE})."
    )
    layer_decay: float | None = argument(
        "Every layer of a trained text encoder learns at the rate of the one above times this (default: 1)."
    )
    causal: bool = argument("From scratch: read forward only, to label a dialogue while it goes on.", False)
    max_speakers: int | None = argument(
        "Tell so many speakers of a dialogue apart (default: as in the checkpoint; from scratch none)."
    )
    pooling_length: int | None = argument("From scratch: pool as if utterances had this many tokens (original: 60).")
    min_count: int = argument("From scratch: words seen less often in the training split are unknown.", 2)
    text_mode: str = argument("From scratch: how text is normalised.", "clean", choices=list(TEXT_MODES))
    max_utterance_tokens: int = argument("From scratch: longer utterances are cut.", MAX_UTTERANCE_TOKENS)
    word_vectors: str | None = argument("From scratch: GloVe text or word2vec binary; plain, gzip or zip.")
    word_vector_size: int | None = argument("From scratch: size of a word vector (default: the file's, or 300).")
    freeze_word_vectors: bool | None = argument(
        "Keep the word vectors as they are (default: as in the checkpoint; from scratch, if they come from a file)."
    )
    dropout: float | None = argument("Dropout.")

    def settings(self) -> dict[str, Any]:
        """What had a part in a run: with a checkpoint or a text encoder, not the options of other models."""
        names = vars(self) if self.text_encoder is None else self.FROM_TEXT_ENCODER
        if self.model is not None:
            names = self.WITH_MODEL
        return {name: getattr(self, name) for name in names}

    def build_tokenizer(self, utterances: Iterator[list[str]]) -> PreTrainedTokenizerBase:
        """The tokenizer to start from; from scratch, its vocabulary is that of the training split's dialogues."""
        if self.model is not None:
            self.refuse_all_but(self.WITH_MODEL, "is for a model from scratch; leave it out with --model")
            return load_tokenizer(self.model)
        if self.text_encoder is not None:
            self.refuse_all_but(self.FROM_TEXT_ENCODER, "does not go with --text_encoder; leave one of them out")
            return self.load_text_tokenizer()
        if self.tokenizer is not None:
            others = [
                option.name for option in fields(self) if option.name not in ("min_count", "max_utterance_tokens")
            ]
            self.refuse_all_but(others, "is for a new vocabulary; leave it out with --tokenizer")
            return load_tokenizer(self.tokenizer)
        counted = tqdm(utterances, "counting words", unit=" dialogues", leave=False, disable=None)
        tokenizer = PreCodeTokenizer.train(counted, self.min_count, self.text_mode)
        tokenizer.model_max_length = self.max_utterance_tokens
        return tokenizer

    def load_text_tokenizer(self) -> PreTrainedTokenizerBase:
        tokenizer = AutoTokenizer.from_pretrained(self.text_encoder)
        if self.max_utterance_tokens > tokenizer.model_max_length:
            raise ValueError(
                f"--max_utterance_tokens {self.max_utterance_tokens}: {self.text_encoder} reads "
                f"{tokenizer.model_max_length} at most; give less"
            )
        tokenizer.model_max_length = self.max_utterance_tokens
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer

    def build_model(
        self, model_class: type[PreTrainedModel], tokenizer: PreTrainedTokenizerBase, seed: int, **config: Any
    ) -> PreTrainedModel:
        """The model to start from.

        Args:
            model_class: with which head.
            tokenizer: with its vocabulary.
            seed: of word vectors that the file lacks.
            config: further settings of the model.
        """
        model = self.make(model_class, tokenizer, seed, **config)
        self.settle(model)
        return model

    def make(
        self, model_class: type[PreTrainedModel], tokenizer: PreTrainedTokenizerBase, seed: int, **config: Any
    ) -> PreTrainedModel:
        for name in ("max_speakers", "freeze_word_vectors", "freeze_text_encoder", "speaker_prefix", "dropout"):
            if getattr(self, name) is not None:
                config[name] = getattr(self, name)
        if self.model is not None:
            speakers = load_config(self.model).max_speakers
            if speakers and self.max_speakers not in (None, 0, speakers):
                raise ValueError(f"--max_speakers {self.max_speakers}: {self.model} knows {speakers}; leave it out")
            model = load_pretrained(model_class, self.model, **config)
            if model.config.utterance_encoder == "text_encoder" and set(PARTS[:2]) - set(self.transferred_parts):
                raise ValueError(
                    f"--transferred_parts {' '.join(self.transferred_parts)}: a text encoder is taken whole; give "
                    f"{' '.join(PARTS[:2])} too"
                )
            initialize_others(model, self.transferred_parts)
            return model
        config["causal"] = self.causal
        if self.text_encoder is not None:
            config["text_pooling"] = self.text_pooling or TEXT_POOLINGS[0]
            config |= {"pad_token_id": tokenizer.pad_token_id, **self.hidden_sizes()}
            return model_class.from_utterance_encoder(self.text_encoder, **config)

        vectors = None
        if self.word_vectors is not None:
            vectors, found = load_word_vectors(self.word_vectors, tokenizer.get_vocab(), self.word_vector_size, seed)
            logger.info(f"{found:,} of {len(tokenizer):,} words have a vector in {self.word_vectors}")
            config.setdefault("freeze_word_vectors", True)
        model = model_class(
            PreCodeConfig(
                vocab_size=len(tokenizer),
                word_vector_size=vectors.shape[1] if vectors is not None else self.word_vector_size or 300,
                utterance_encoder=self.utterance_encoder,
                **self.hidden_sizes(),
                pooling_length=self.pooling_length,
                **config,
            )
        )
        if vectors is not None:
            with torch.no_grad():
                model.get_input_embeddings().weight.copy_(torch.from_numpy(vectors))
        return model

    def settle(self, model: PreTrainedModel) -> None:
        """Refuse what has no meaning for a model, and write down what holds where nothing was given."""
        # `--recipe original` gives true to every checkpoint.
        if self.freeze_word_vectors is False and model.config.text_config is not None:
            raise ValueError(
                "--freeze_word_vectors false: the model reads with a text encoder; give --freeze_text_encoder false"
            )
        frozen = model.config.freeze_text_encoder
        trained = model.config.text_config is not None and not frozen
        fitting = {"text_encoder_learning_rate": trained, "layer_decay": trained, "vector_type": frozen}
        for name, fits in {**fitting, "text_pooling": self.text_encoder is not None}.items():
            if getattr(self, name) is not None and not fits:
                kind = {"vector_type": "frozen", "text_pooling": "new"}.get(name, "trained")
                raise ValueError(f"--{name} {getattr(self, name)}: this is for a {kind} text encoder; leave it out")
        if trained and self.text_encoder_learning_rate is None:
            self.text_encoder_learning_rate = TEXT_ENCODER_LEARNING_RATE
        # It says what does not fit, and here nothing has been written yet.
        parameter_groups(model, 0.0, self.text_encoder_learning_rate, self.layer_decay)

    def hidden_sizes(self) -> dict[str, int]:
        size = SIZES[self.size] if self.hidden_size is None else self.hidden_size
        return {"utterance_hidden_size": size, "conversation_hidden_size": size}

    def refuse_all_but(self, names: Sequence[str], reason: str) -> None:
        for option in fields(self):
            default = option.default if option.default_factory is MISSING else option.default_factory()
            if option.name not in names and getattr(self, option.name) != default:
                raise ValueError(f"--{option.name} {reason}")

    def fingerprint(self) -> dict[str, Any]:
        """What a resumed run must share with the run that it goes on, by its name for a person."""
        settings = {f"--{name}": value for name, value in vars(self).items()}
        starts = {"the start's digest": self.model, "the text encoder's digest": self.text_encoder}
        return settings | {what: start_digest(start) for what, start in starts.items() if start}

    def with_vectors(
        self, splits: dict[str, datasets.Dataset], model: PreTrainedModel, bf16: bool
    ) -> tuple[dict[str, datasets.Dataset], UtteranceVectors | None]:
        """Dialogues for training: where the model's text encoder is frozen, with rows of its vectors, and these."""
        if not model.config.freeze_text_encoder:
            return splits, None
        vectors = UtteranceVectors(splits, model, self.vector_type or VECTOR_TYPES[0], bf16)
        return {name: vectors.dialogues(split) for name, split in splits.items()}, vectors


def check_gradient_checkpointing(model: PreTrainedModel, wanted: bool) -> None:
    if wanted and (model.config.text_config is None or model.config.freeze_text_encoder):
        raise ValueError("--gradient_checkpointing: this is for a trained text encoder; leave it out")


@torch.no_grad()
def initialize_others(model: PreTrainedModel, kept: list[str]) -> None:
    """Give the parts of the encoder that are not kept new weights, as a model from scratch has them."""
    precode = model.base_model
    words = model.get_input_embeddings()
    others = {
        "word_vectors": [words],
        "utterance_encoder": [module for module in precode.utterance_encoder.modules() if module is not words],
        "conversation_encoder": list(precode.conversation_encoder.modules()),
    }
    for module in (module for part, modules in others.items() if part not in kept for module in modules):
        for parameter in module.parameters(recurse=False):
            parameter._is_hf_initialized = False
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
            f"{PreCodeConfig.model_type!r}, made by run_pretrain.py or run_finetune.py"
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


def load_pretrained(model_class: type[PreTrainedModel], checkpoint: str, **config: Any) -> PreTrainedModel:
    """`from_pretrained` that takes a new head for granted, and so does not report it."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        return model_class.from_pretrained(checkpoint, ignore_mismatched_sizes=True, **config)
    finally:
        transformers_logging.set_verbosity(verbosity)


def check_splits(corpus: dict) -> None:
    if missing := [split for split in ("train", "validation", "test") if split not in corpus]:
        raise ValueError(f"--corpus: no split {', '.join(missing)}; found {', '.join(corpus)}")


def check_output_dir(path: str, overwrite: bool, resume: str | None) -> None:
    """Refuse to write among files that are there already, but for those of a run to go on."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"--output_dir {path}: a file; give a folder")
    if resume and (folder / FINGERPRINT).is_file():
        return
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise FileExistsError(f"--output_dir {path}: not empty; give another folder, or --overwrite_output_dir")


def check_tracker(report_to: str) -> None:
    """Stop at the start where the tracker's package is missing."""
    if report_to == "none":
        return
    if report_to not in TRACKERS:
        raise ValueError(f"--report_to {report_to}: unknown; known are none, {', '.join(TRACKERS)}")
    if find_spec(report_to) is None:
        raise ValueError(f"--report_to {report_to}: not installed; pip install {report_to}")


def use_cores(device: torch.device) -> None:
    """On a CPU, give this process its share of the cores, where `OMP_NUM_THREADS` does not say how many threads."""
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(max(cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)), 1))


def start_output(main_process: bool) -> None:
    """Log lines on standard output, from one process; progress bars only on a terminal."""
    level = logging.INFO if main_process else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stdout)
    for client in ("httpx", "httpx2"):
        logging.getLogger(client).setLevel(logging.WARNING)
    # Those of loading and saving last milliseconds, and break the lines of the log.
    transformers_logging.disable_progress_bar()
    if not (main_process and sys.stderr.isatty()):
        datasets.disable_progress_bars()
