"""Command-line arguments that pre-training and fine-tuning share, as validated dataclasses."""

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from data_scripts.building.label_maps import LABEL_MAPS, LabelMap
from data_scripts.building.options import corpus_names, parse_corpus, parse_options

from ..configuration_precode import (
    CONVERSATION_ENCODERS,
    GRU_UTTERANCE_ENCODERS,
    SIZES,
    TEXT_CONTEXTS,
    TEXT_POOLINGS,
)
from ..sharing.language import check_language
from ..tokenization_precode import DEFAULT_TEXT_MODE, MAX_UTTERANCE_TOKENS, TEXT_MODES
from .fingerprint import RUN_FOLDER, START, start_digest
from .optimization import TEXT_ENCODER_LEARNING_RATE
from .run_lock import LOCK
from .utterance_vectors import VECTOR_TYPES

TRACKERS = ("tensorboard", "trackio", "wandb")
RECIPES = ("default", "original")
PARTS = ("word_vectors", "utterance_encoder", "conversation_encoder")
# For an argument that is true when it has no value.
FLAG = {"nargs": "?", "const": True}


def argument(help: str, default: Any = None, **metadata: Any) -> Any:
    """A field of a dataclass of arguments, with its help text."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": help, **metadata})
    return field(default=default, metadata={"help": help, **metadata})


@dataclass
class CorpusArguments:
    """Arguments that choose the training corpus. The fields have help texts.

    Raises:
        ValueError: A value is out of range, or arguments cannot be used together.
    """

    # A list if there are several corpora.
    corpus: str = argument(
        "Name of a corpus, folder of a dataset, or name of a dataset on the Hub. Fine-tuning also takes several "
        "corpora, each with its folder: sample meld=MELD.",
        "sample",
        nargs="+",
    )
    data_dir: str | None = argument("The published files of the corpus: a folder, or for some corpora a file.")
    corpus_options: list[str] = argument("Options of the corpus, as name=value.", [])
    label_map: str | None = argument(
        f"Map the corpus's labels to one set: {', '.join(LABEL_MAPS)}, or a YAML file of lines `label: counterpart`. "
        "An utterance whose label has no counterpart is kept as context."
    )
    language: str | None = argument(
        "Language of the corpus for the model card, an ISO 639 code such as de (default: that of a published corpus, "
        "or a guess from the text)."
    )
    num_proc: int | None = argument("Number of processes that build the corpus.")
    train_fraction: float = argument("Share of the training dialogues to train on, drawn with a fixed seed.", 1.0)
    train_dialogues: int | None = argument(
        "Number of training dialogues to train on, drawn with a fixed seed (default: all)."
    )

    def __post_init__(self):
        self._read_corpus()
        if not 0 < self.train_fraction <= 1:
            raise ValueError(f"--train_fraction must be more than 0 and at most 1; got {self.train_fraction}")
        if self.train_dialogues is not None and self.train_dialogues < 1:
            raise ValueError(f"--train_dialogues must be at least 1; got {self.train_dialogues}")
        if self.train_dialogues is not None and self.train_fraction < 1:
            raise ValueError(
                f"--train_dialogues {self.train_dialogues} and --train_fraction {self.train_fraction}: leave one out"
            )
        if self.language is not None:
            check_language(self.language)
        if self.label_map is not None:
            LabelMap.load(self.label_map)  # raises an error that says what is wrong

    def _read_corpus(self) -> None:
        """Read one corpus as a name and an optional folder, and several as the list of them."""
        if not isinstance(self.corpus, str) and len(self.corpus) == 1:
            [self.corpus] = self.corpus
        if not isinstance(self.corpus, str):
            for option in ("data_dir", "corpus_options"):
                if getattr(self, option):
                    raise ValueError(
                        f"--{option} cannot be used with several corpora: give NAME=DATA_DIR for each, without options"
                    )
            corpus_names(self.corpus)  # raises an error for equal names
        elif "=" in self.corpus and not Path(self.corpus).exists():
            name, data_dir = parse_corpus(self.corpus)
            if self.data_dir is not None:
                raise ValueError(f"--corpus {self.corpus} and --data_dir {self.data_dir}: leave one of the folders out")
            self.corpus, self.data_dir = name, data_dir

    @property
    def has_several(self) -> bool:
        """Whether there are several corpora."""
        return not isinstance(self.corpus, str)

    @property
    def name(self) -> str:
        """The name of the corpus, or the names of all corpora."""
        return ", ".join(corpus_names(self.corpus)) if self.has_several else self.corpus

    def options(self) -> dict[str, Any]:
        """The options of the corpus as a dictionary."""
        return parse_options(self.corpus_options, "--corpus_options")

    def fingerprint(self) -> dict[str, Any]:
        """The values that a resumed run must share, besides the digests of its splits, by their names in messages."""
        return {} if self.label_map is None else {"the label map": dict(LabelMap.load(self.label_map).targets)}


@dataclass
class TextEncoderTrainingArguments:
    """Arguments of both trainers for a text encoder: how to train it, or save the vectors of a frozen one."""

    text_encoder_learning_rate: float | None = argument(
        f"Learning rate of a trained text encoder (default: {TEXT_ENCODER_LEARNING_RATE})."
    )
    layer_decay: float | None = argument(
        "Factor of the learning rate from each layer of a trained text encoder to the one below (default: 1)."
    )
    vector_type: str | None = argument(
        "Type of the saved vectors of a frozen text encoder: float32 (the default) or float16.",
        choices=list(VECTOR_TYPES),
    )

    def text_encoder_settings(self) -> dict[str, Any]:
        """These arguments by name, for the model card."""
        return {option.name: getattr(self, option.name) for option in fields(TextEncoderTrainingArguments)}


@dataclass
class EncoderArguments:
    """Arguments that choose the model to start from. The fields have help texts.

    `WITH_TEXT_ENCODER`, `WITH_MODEL` and `FROM_TEXT_ENCODER` are the arguments that apply to a model with a text
    encoder, to `--model` and to `--text_encoder`.
    """

    WITH_TEXT_ENCODER: ClassVar = (
        "freeze_text_encoder",
        "speaker_prefix",
        "text_context",
        "conversation_encoder",
        "max_window_tokens",
        "dropout",
    )
    WITH_MODEL: ClassVar = (
        *("model", "transferred_parts", "causal", "max_speakers", "freeze_word_vectors"),
        *WITH_TEXT_ENCODER,
    )
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

    model: str | None = argument(
        "Checkpoint to start from: a folder, a name on the Hub, or default, the model that comes with the package. "
        "Without it, train from scratch."
    )
    transferred_parts: list[str] = argument(
        "With --model: the parts to take from the checkpoint. The other parts are initialized.",
        list(PARTS),
        choices=list(PARTS),
    )
    tokenizer: str | None = argument(
        "From scratch: use the tokenizer of this checkpoint, with its vocabulary and normalization."
    )
    size: str = argument("From scratch: hidden size 150, 300 or 450.", "small", choices=list(SIZES))
    hidden_size: int | None = argument("From scratch: another hidden size, in place of --size.")
    utterance_encoder: str = argument(
        "From scratch: type of the utterance encoder.", "gru2", choices=list(GRU_UTTERANCE_ENCODERS)
    )
    text_encoder: str | None = argument(
        "From scratch: use this text encoder of transformers as the utterance encoder, with its weights and its "
        "tokenizer: a folder or a name on the Hub."
    )
    text_pooling: str | None = argument(
        "How to pool the states of the text encoder: mean (the default), cls or max_mean.", choices=list(TEXT_POOLINGS)
    )
    freeze_text_encoder: bool | None = argument(
        "Do not train the text encoder: the vector of every utterance is computed once and saved on disk (default: as "
        "in the checkpoint; from scratch, no).",
        **FLAG,
    )
    speaker_prefix: bool | None = argument(
        "Put the speaker before the text that the encoder reads, `Ross: Hi.` In pre-training, only with --text_context "
        "dialogue (default: as in the checkpoint; from scratch, no).",
        **FLAG,
    )
    text_context: str | None = argument(
        "What the text encoder reads at once, an utterance or the whole dialogue (default: as in the checkpoint; from "
        "scratch, utterance).",
        choices=list(TEXT_CONTEXTS),
    )
    conversation_encoder: str | None = argument(
        "With --text_context dialogue: what reads the vectors of the utterances, a GRU or nothing (default: as in the "
        "checkpoint; from scratch, gru).",
        choices=list(CONVERSATION_ENCODERS),
    )
    max_window_tokens: int | None = argument(
        "With --text_context dialogue: a longer dialogue is read in windows of this many tokens (default: as in the "
        "checkpoint; from scratch, 512 or what the text encoder reads)."
    )
    causal: bool = argument(
        "Read forward only, to label a dialogue in progress. From a checkpoint that reads both ways, the forward half "
        "is used.",
        False,
    )
    max_speakers: int | None = argument(
        "Number of speakers to distinguish in a dialogue (default: as in the checkpoint; from scratch, none)."
    )
    pooling_length: int | None = argument(
        "From scratch: pool as if every utterance had this many tokens (original: 60)."
    )
    min_count: int = argument("From scratch: words that occur less often in the training split are unknown.", 2)
    text_mode: str = argument("From scratch: how text is normalized.", DEFAULT_TEXT_MODE, choices=list(TEXT_MODES))
    max_utterance_tokens: int = argument("From scratch: utterances are cut to this many tokens.", MAX_UTTERANCE_TOKENS)
    word_vectors: str | None = argument(
        "From scratch: file of word vectors, GloVe text or word2vec binary; plain, gzip or zip."
    )
    word_vector_size: int | None = argument("From scratch: size of the word vectors (default: as in the file, or 300).")
    freeze_word_vectors: bool | None = argument(
        "Do not train the word vectors (default: as in the checkpoint; from scratch, yes if they come from a file)."
    )
    dropout: float | None = argument("Dropout probability (default: 0.1 in pre-training, 0.5 in fine-tuning).")

    def __post_init__(self) -> None:
        self.derived: set[str] = set()
        # The names on the command line, where even a default value is a request.
        self.requested: set[str] = set()

    def take(self, name: str, value: Any) -> None:
        """Set an argument to the value in a checkpoint or tokenizer, which another one may not have."""
        if getattr(self, name) != value:
            self.derived.add(name)
            setattr(self, name, value)

    def settings(self) -> dict[str, Any]:
        """The arguments that affect the model: with a checkpoint or a text encoder, not those for other models."""
        names: Iterable[str] = [option.name for option in fields(self)]
        if self.text_encoder is not None:
            names = self.FROM_TEXT_ENCODER
        if self.model is not None:
            names = self.WITH_MODEL
        return {name: getattr(self, name) for name in names}

    def hidden_sizes(self) -> dict[str, int]:
        """The settings of the configuration for the hidden sizes."""
        size = SIZES[self.size] if self.hidden_size is None else self.hidden_size
        return {"utterance_hidden_size": size, "conversation_hidden_size": size}

    def refuse_all_but(self, names: Sequence[str], reason: str) -> None:
        """Raise a ValueError if an argument that is not in `names` was requested or does not have its default value."""
        self.refuse([option.name for option in fields(self) if option.name not in names], reason)

    def refuse(self, names: Sequence[str], reason: str) -> None:
        """Raise a ValueError if an argument in `names` was requested or does not have its default value."""
        for name in names:
            if self.is_requested(name):
                raise ValueError(f"--{name} {reason}")

    def is_requested(self, name: str) -> bool:
        """Whether an argument is on the command line or does not have its default value."""
        [option] = [option for option in fields(self) if option.name == name]
        default = option.default if option.default_factory is MISSING else option.default_factory()
        return name in self.requested or getattr(self, name) != default

    def fingerprint(self) -> dict[str, Any]:
        """The values that a resumed run must share with the run that it continues, by their names in messages."""
        settings = {f"--{name}": value for name, value in asdict(self).items()}
        starts = {START: self.model, "the text encoder's digest": self.text_encoder}
        return settings | {name: start_digest(start) for name, start in starts.items() if start}


def check_output_dir(path: str, overwrite: bool, resume: str | None, start: str | None = None) -> None:
    """Refuse an output folder that is not empty, except to overwrite it or to resume its run.

    A folder with the checkpoint `start` of the run cannot be overwritten.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"--output_dir {path}: is a file; give a folder")
    # A run that ended as it started has no fingerprint yet.
    if resume and (folder / RUN_FOLDER).is_dir():
        return
    # A run that failed before its first step leaves its lock.
    is_used = any(not entry.is_dir() and not entry.match(LOCK) for entry in folder.rglob("*"))
    if is_used and not overwrite:
        raise FileExistsError(f"--output_dir {path}: not empty; give another folder, or --overwrite_output_dir")
    if overwrite and start and Path(start).resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"--output_dir {path}: --overwrite_output_dir would delete --model {start}; give another folder"
        )


def check_tracker(report_to: str) -> None:
    """Raise a ValueError if the tracker is unknown or its package is not installed."""
    if report_to == "none":
        return
    if report_to not in TRACKERS:
        raise ValueError(f"--report_to {report_to}: unknown; known are none, {', '.join(TRACKERS)}")
    if find_spec(report_to) is None:
        raise ValueError(f"--report_to {report_to}: not installed; pip install {report_to}")
