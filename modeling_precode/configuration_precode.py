"""The configuration of a Pre-CODE model: every setting that defines it."""

import math
import os
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.utils import CONFIG_NAME, cached_file

from .limits import LARGEST_SIZE, SHORTEST_WINDOW
from .setting_checks import check_label_names, check_saved_settings, check_text_settings, quoted, shortened
from .version import __version__

# The paper's sizes (section 4.1): the hidden size of the utterance encoder and of the conversation encoder.
SIZES = {"small": 150, "mid": 300, "large": 450}
GRU_UTTERANCE_ENCODERS = ("gru", "gru2", "stacked_gru")
UTTERANCE_ENCODERS = (*GRU_UTTERANCE_ENCODERS, "text_encoder")
TEXT_POOLINGS = ("mean", "cls", "max_mean")
TEXT_CONTEXTS = ("utterance", "dialogue")
CONVERSATION_ENCODERS = ("gru", "none")
# The settings of models over words only, and those of models with a text encoder only.
WORD_SETTINGS = ("vocab_size", "word_vector_size", "word_vector_max_norm", "freeze_word_vectors", "pooling_length")
TOKEN_SETTINGS = ("start_token_id", "separator_token_id", "mask_token_id")
WINDOW_SETTINGS = ("text_context", "conversation_encoder", "max_window_tokens", *TOKEN_SETTINGS)
TEXT_SETTINGS = ("text_config", "text_pooling", "freeze_text_encoder", "speaker_prefix", *WINDOW_SETTINGS)
CONVCOM_OBJECTIVES = ("in_batch_softmax", "sampled_bce")
# The maximum size of a vocabulary. A checkpoint with a larger one could exhaust the memory.
LARGEST_VOCABULARY = 2**24

# The modules that every checkpoint carries, so that it loads without this package.
CODE = (
    *("configuration_precode", "modeling_precode", "tokenization_precode", "data_collator", "pipeline_precode"),
    *("pretrained", "inputs", "outputs", "encoded_batch", "conversation_encoder", "gru_encoder", "text_encoder"),
    *("gru", "kernels", "pooling", "dropout", "layout", "steps", "gathering", "speakers", "streaming"),
    *("dialogue_inputs", "known_words", "explanation", "label_folding", "nonspacing_marks", "unicode_words", "version"),
    *("batching", "dialogue_encoding", "emotion_labeling", "word_encoding", "classification_head"),
    *("dialogue_text_encoder", "dialogue_windows", "masked_dialogues", "completion_losses", "stream_state"),
    *("checkpoint_files", "setting_checks", "tokenizer_files", "limits"),
)
# The classes in the code of a checkpoint, by which transformers loads it without this package.
AUTO_MAP = {
    "AutoConfig": "configuration_precode.PreCodeConfig",
    "AutoModel": "modeling_precode.PreCodeModel",
    "AutoModelForPreTraining": "modeling_precode.PreCodeForConversationCompletion",
    "AutoModelForSequenceClassification": "modeling_precode.PreCodeForUtteranceClassification",
}
_PIPELINE = {"impl": "pipeline_precode.ConversationEmotionPipeline", "pt": ["AutoModelForSequenceClassification"]}
# The Hub's page of a text classifier shows the second name.
CUSTOM_PIPELINES = {"conversation-emotion": _PIPELINE, "text-classification": _PIPELINE}
IS_INSTALLED = not __name__.startswith("transformers_modules.")
# Increases when earlier versions would misread new checkpoints.
FORMAT_VERSION = 3
# The version of checkpoints without `text_context` "dialogue", which earlier versions read as they should.
UTTERANCE_FORMAT_VERSION = 2


@strict
class PreCodeConfig(PreTrainedConfig):
    """Configuration of [`PreCodeModel`] and its heads.

    Args:
        vocab_size: The number of words in the vocabulary, including `<pad>` and `<unk>`. With a text encoder, it is the
            vocabulary size of `text_config`.
        word_vector_size: The size of a word vector (d_w in the paper).
        word_vector_max_norm: The maximum norm of a word vector. Longer vectors are scaled down to it on look-up. `None`
            means no limit.
        freeze_word_vectors: Do not train the word vectors.
        utterance_encoder: The encoder that computes the vector of an utterance from its tokens. `"gru2"`: a biGRU,
            pooling, then Linear and tanh. `"gru"`: a biGRU, Linear and tanh at every token, then pooling.
            `"stacked_gru"`: as `"gru"`, with two biGRUs. Pooling is the maximum over the tokens plus their mean.
            `"text_encoder"`: a model of transformers, pooling, then Linear and tanh. The settings of words above do not
            apply to it.
        text_config: The configuration of the text encoder, or a dictionary with its `model_type`.
        text_pooling: The pooling of the text encoder's states over the tokens: `"mean"`, `"cls"` (the first state) or
            `"max_mean"` (maximum plus mean).
        freeze_text_encoder: Do not train the text encoder.
        text_context: What the text encoder reads at once. `"utterance"`: every utterance alone. `"dialogue"`: the
            dialogue as one sequence, so that it reads an utterance in its context. A dialogue that is longer than
            `max_window_tokens` is read in windows that overlap by half.
        conversation_encoder: What reads the vectors of the utterances of a dialogue. `"gru"`: a GRU. `"none"`, only
            with `text_context="dialogue"`: nothing, so that the attention of the text encoder is the only context. The
            state of an utterance is then its vector, plus the vector of its speaker with `max_speakers`.
        max_window_tokens: The maximum number of tokens of such a sequence. `None` means 512, or the limit of the text
            encoder if that is lower.
        start_token_id: The token at the start of such a sequence. `from_utterance_encoder` and `from_pretrained` take
            it from the tokenizer.
        separator_token_id: The token after every utterance of such a sequence, also from the tokenizer.
        mask_token_id: The token that stands for a hidden utterance in Conversation Completion with such sequences, also
            from the tokenizer. `None` if it has no mask token.
        speaker_prefix: Put the name of the speaker before the text of an utterance, as in `Ross: Hi.`. This is only for
            a text encoder.
        utterance_hidden_size: The size of the vector of an utterance, and of a state of its GRU in one direction (d_u).
        conversation_hidden_size: The size of a state of the conversation encoder in one direction (d_c).
        causal: Read the dialogue forward only. Later utterances then do not change a label, and
            [`~PreCodeForUtteranceClassification.stream`] can label a dialogue in progress.
        max_speakers: The number of speakers that the model distinguishes, in the order in which they first speak. Later
            speakers count as the last one. 0 for a model that does not know who speaks.
        pooling_length: With a number, pooling treats every utterance as if it were padded to that many tokens. The
            original implementation does this with 60. With `None`, pooling covers only the tokens of the utterance.
        dropout: The probability, in training, with which an element of the vector of an utterance, of a conversation
            state, or between stacked GRUs is set to 0.
        classifier_hidden_size: The size of the hidden layer of the classification head.
        convcom_objective: The loss of Conversation Completion. `"in_batch_softmax"`: cross-entropy over the true
            utterance and all utterances of the other dialogues in the batch. `"sampled_bce"`: the binary cross-entropy
            of the original, over the true utterance and sampled negatives.
        class_weights: The weight of each class in the classification loss. `None` gives all classes the same weight.
        temperature: The pipeline divides the logits by this number before it computes probabilities. It comes from
            [`fit_temperature`]. The logits of the model itself are not divided.
        training_summary: A record of the training: corpus, seed, arguments and metrics.
        format_version: The version of the checkpoint's format. A checkpoint with a newer version than the code is
            refused.
    """

    model_type = "precode"
    attribute_map = {"hidden_size": "conversation_hidden_size"}
    sub_configs = {"text_config": AutoConfig}
    _auto_class = "AutoConfig"

    vocab_size: int = 2
    word_vector_size: int = 300
    word_vector_max_norm: float | int | None = 1.0
    freeze_word_vectors: bool = False
    utterance_encoder: str = "gru2"
    utterance_hidden_size: int = 300
    conversation_hidden_size: int = 300
    causal: bool = False
    max_speakers: int = 0
    pooling_length: int | None = None
    dropout: float | int = 0.5
    classifier_hidden_size: int = 100
    convcom_objective: str = "in_batch_softmax"
    class_weights: list[float] | None = None
    temperature: float | int = 1.0
    training_summary: dict | None = None
    format_version: int = UTTERANCE_FORMAT_VERSION
    pad_token_id: int | None = 0
    text_config: dict | PreTrainedConfig | None = None
    text_pooling: str = "mean"
    freeze_text_encoder: bool = False
    speaker_prefix: bool = False
    text_context: str = TEXT_CONTEXTS[0]
    conversation_encoder: str = CONVERSATION_ENCODERS[0]
    max_window_tokens: int | None = None
    start_token_id: int | None = None
    separator_token_id: int | None = None
    mask_token_id: int | None = None

    def __post_init__(self, **kwargs: Any):
        if IS_INSTALLED:
            # The package has registered the same pipeline. For a custom one, transformers would ask for trust in the
            # checkpoint's code. The package cannot register `text-classification`, which is another pipeline for other
            # models.
            others = kwargs.get("custom_pipelines") or {}
            kwargs["custom_pipelines"] = {
                task: value for task, value in others.items() if task != "conversation-emotion"
            }
        check_label_names(self.id2label)
        if isinstance(self.text_config, dict):
            check_text_settings(self.text_config)
            self.text_config = AutoConfig.for_model(**self.text_config)
        if self.text_config is not None:
            check_text_config(self.text_config)
            self.vocab_size = self.text_config.vocab_size
        super().__post_init__(**kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any):
        """Create a configuration from a dictionary, as in transformers. Errors name the file and the setting.

        Raises:
            ValueError: A setting is invalid.
        """
        try:
            check_saved_settings(cls, config_dict)
            cls(**config_dict)
        except Exception as error:  # transformers raises many classes
            # The cause of a `StrictDataclassError` says what is wrong.
            reason = shortened(" ".join(str(error.__cause__ or error).split()))
            name = kwargs.get("name_or_path")
            raise ValueError(f"{Path(name, CONFIG_NAME)}: {reason}" if name else reason) from error
        return super().from_dict(config_dict, **kwargs)

    @property
    def conversation_state_size(self) -> int:
        """The size d_s of the state of an utterance in context: d_c for a causal model, else 2 d_c.

        Without a conversation encoder, it is d_u.
        """
        if self.conversation_encoder == "none":
            return self.utterance_hidden_size
        return self.conversation_hidden_size * (1 if self.causal else 2)

    @property
    def label_names(self) -> list[str]:
        """The labels, in the order of the classes."""
        names: dict[Any, str] = self.id2label or {}
        return [names[number] for number in range(len(names))]

    def to_dict(self) -> dict[str, Any]:
        """The settings, with the places of all classes in the code of a checkpoint, whichever of them is saved."""
        others = WORD_SETTINGS if self.utterance_encoder == "text_encoder" else TEXT_SETTINGS
        version = FORMAT_VERSION
        if self.text_context == "utterance":
            others, version = (*others, *WINDOW_SETTINGS), UTTERANCE_FORMAT_VERSION
        settings = {name: value for name, value in super().to_dict().items() if name not in others}
        # Copies, because transformers modifies both. A configuration of an older format is saved in the current one.
        code = {"auto_map": dict(AUTO_MAP), "custom_pipelines": deepcopy(CUSTOM_PIPELINES)}
        return {**settings, **code, "format_version": version}

    def save_pretrained(self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs: Any) -> None:
        """Save `config.json` as transformers does, and the code that a checkpoint carries next to it."""
        super().save_pretrained(save_directory, **kwargs)
        for name in CODE:
            source = Path(__file__).with_name(f"{name}.py")
            if not source.is_file():
                # This is the code of a checkpoint. Transformers has copied only the modules in use.
                assert self.name_or_path is not None
                commit = getattr(self, "_commit_hash", None)  # newer versions of transformers do not keep it
                cached = cached_file(self.name_or_path, source.name, revision=commit)
                assert cached is not None
                source = Path(cached)
            target = Path(save_directory, source.name)
            if not (target.exists() and target.samefile(source)):
                shutil.copyfile(source, target)
        if push_to_hub:
            self.push_to_hub(kwargs.pop("repo_id", Path(save_directory).name), **kwargs)

    def validate_format(self):
        """Raise a ValueError if the checkpoint has a newer format than this code."""
        if self.format_version > FORMAT_VERSION:
            raise ValueError(
                f"`format_version` {self.format_version}: the checkpoint is from a newer version of precode; this is "
                f"{__version__}, which reads {FORMAT_VERSION}; pip install --upgrade precode, or, if you trust the "
                "code in the checkpoint, load it with trust_remote_code=True and without this package"
            )

    def validate_sizes(self):
        """Raise a ValueError if a size, a probability or a weight is out of range."""
        names = ("vocab_size", "word_vector_size", "utterance_hidden_size", "conversation_hidden_size")
        for name in (*names, "classifier_hidden_size", "pooling_length"):
            value = getattr(self, name)
            largest = LARGEST_VOCABULARY if name == "vocab_size" else LARGEST_SIZE
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be at least 1; got {value}")
            if value is not None and value > largest:
                raise ValueError(f"`{name}` must be at most {largest:,}; got {value:,}")
        if not 0 <= self.max_speakers <= LARGEST_SIZE:
            raise ValueError(f"`max_speakers` must be at least 0 and at most {LARGEST_SIZE:,}; got {self.max_speakers}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"`dropout` must be at least 0 and less than 1; got {self.dropout}")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"`temperature` must be more than 0; got {self.temperature}")
        if self.word_vector_max_norm is not None and not 0 < self.word_vector_max_norm < math.inf:
            raise ValueError(f"`word_vector_max_norm` must be more than 0, or None; got {self.word_vector_max_norm}")
        if wrong := [weight for weight in self.class_weights or [] if not 0 <= weight < math.inf]:
            raise ValueError(f"`class_weights` must be at least 0; got {wrong[0]}")

    def validate_labels(self):
        """Raise a ValueError if `id2label` is not a list of distinct names."""
        check_label_names(self.id2label)

    def validate_padding(self):
        """Raise a ValueError if `pad_token_id` is not in the vocabulary."""
        # A text encoder checks its own padding token.
        if self.text_config is None and not 0 <= (self.pad_token_id or 0) < self.vocab_size:
            raise ValueError(
                f"`pad_token_id` must be at least 0 and less than `vocab_size`, {self.vocab_size}; got "
                f"{self.pad_token_id}"
            )

    def validate_choices(self):
        """Raise a ValueError if a setting with fixed choices has another value."""
        choices = {"utterance_encoder": UTTERANCE_ENCODERS, "convcom_objective": CONVCOM_OBJECTIVES}
        choices |= {"text_pooling": TEXT_POOLINGS, "text_context": TEXT_CONTEXTS}
        choices |= {"conversation_encoder": CONVERSATION_ENCODERS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"`{name}` must be one of {', '.join(known)}; got {getattr(self, name)!r}")

    def validate_text_encoder(self):
        """Raise a ValueError if a setting of text encoders does not match `utterance_encoder`."""
        if self.conversation_encoder == "none" and self.text_context != "dialogue":
            raise ValueError(
                "`conversation_encoder` 'none' is for `text_context` 'dialogue', where the text encoder reads the "
                f"context; got `text_context` {self.text_context!r}"
            )
        if self.utterance_encoder == "text_encoder":
            if self.text_config is None:
                raise ValueError(
                    "`utterance_encoder` 'text_encoder' needs a `text_config`; got None; "
                    "PreCodeModel.from_utterance_encoder(name_or_folder) creates a model with one"
                )
            if self.text_config.is_encoder_decoder:
                raise ValueError(
                    f"`text_config`: a {self.text_config.model_type!r} is an encoder with a decoder; use an encoder"
                )
            if self.text_context == "dialogue":
                self._validate_windows()
            return
        others = [name for name in ("text_config", "freeze_text_encoder", "speaker_prefix") if getattr(self, name)]
        others += ["text_context"] * (self.text_context != TEXT_CONTEXTS[0])
        if others:
            raise ValueError(f"`{others[0]}` is for `utterance_encoder` 'text_encoder'; got {self.utterance_encoder!r}")

    def _validate_windows(self) -> None:
        if self.text_pooling == "cls":
            raise ValueError(
                "`text_pooling` 'cls' cannot be used with `text_context` 'dialogue', where it is the state of the "
                "whole dialogue; use 'mean' or 'max_mean'"
            )
        for name in TOKEN_SETTINGS:
            value = getattr(self, name)
            if name == "mask_token_id" and value is None:
                continue  # the classification head does not need it
            if value is None or not 0 <= value < self.vocab_size:
                raise ValueError(
                    f"`{name}` must be the id of a token for `text_context` 'dialogue', less than {self.vocab_size}; "
                    f"got {value}; from_utterance_encoder and from_pretrained(..., text_context='dialogue') set it"
                )
        if self.max_window_tokens is not None and not SHORTEST_WINDOW <= self.max_window_tokens <= LARGEST_SIZE:
            raise ValueError(
                f"`max_window_tokens` must be at least {SHORTEST_WINDOW} and at most {LARGEST_SIZE:,}; got "
                f"{self.max_window_tokens}"
            )


def check_text_config(text_config: PreTrainedConfig) -> None:
    """Check that a configuration belongs to a text encoder.

    Raises:
        ValueError: It has no size of states or no vocabulary, like that of a model of text and images, or one is out of
            range.
    """
    if missing := [name for name in ("hidden_size", "vocab_size") if getattr(text_config, name, None) is None]:
        raise ValueError(
            f"`text_config`: the configuration of a {text_config.model_type!r} has no `{missing[0]}`; use that of a "
            "text encoder, such as BERT"
        )
    for name, largest in {"hidden_size": LARGEST_SIZE, "vocab_size": LARGEST_VOCABULARY}.items():
        value = getattr(text_config, name)
        if not isinstance(value, int) or not 1 <= value <= largest:
            raise ValueError(
                f"`text_config`: `{name}` must be a whole number from 1 to {largest:,}; got {quoted(value)}"
            )
