"""The base class of all Pre-CODE models: configuration, initialization, loading and saving."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel
from transformers import initialization as init
from transformers.utils import SAFE_WEIGHTS_NAME

from .checkpoint_files import HUB_ARGUMENTS, read_config, read_shapes
from .configuration_precode import TOKEN_SETTINGS, WORD_SETTINGS, PreCodeConfig, check_text_config
from .conversation_encoder import SpeakerEmbedding
from .dialogue_encoding import window_token_ids
from .dialogue_text_encoder import DialogueTextEncoder
from .text_encoder import TextUtteranceEncoder, checkpointing_contexts, without_pooler
from .tokenizer_files import check_tokenizer_files

if TYPE_CHECKING:
    from .modeling_precode import PreCodeModel

_SAFETENSORS_ONLY = "weights are read from safetensors only; convert a pickle that you trust with save_pretrained"


class PreCodePreTrainedModel(PreTrainedModel):
    """The base class of all Pre-CODE models: configuration, initialization, loading and saving."""

    config: PreCodeConfig
    config_class = PreCodeConfig
    # The text encoder has the attention, and refuses what it does not support.
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = True
    base_model_prefix = "precode"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _auto_class: str | None = None  # type: ignore[assignment]

    def __init__(self, config: PreCodeConfig, *args: Any, **kwargs: Any):
        # The arguments of `from_pretrained` are set one by one, so their combination may be invalid.
        config.validate()
        super().__init__(config, *args, **kwargs)

    @property
    def base_model(self) -> "PreCodeModel":
        """The model without its head."""
        return super().base_model  # type: ignore[return-value]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, use_safetensors: bool | None = None, **kwargs):
        """Load a checkpoint, as in transformers, but with weights from safetensors only, because a pickle can run code.

        Args:
            pretrained_model_name_or_path: The folder, or the name on the Hub.
            args, kwargs: Further arguments of transformers' `from_pretrained`, and settings of [`PreCodeConfig`].
            use_safetensors: True or `None`.

        Raises:
            ValueError: `use_safetensors` is False, or settings, tokenizer and weights do not match. This is checked
                before any weights are read.
            OSError: There is no checkpoint, or it has no weights in safetensors.
        """
        if use_safetensors is False:
            raise ValueError(f"use_safetensors=False: {_SAFETENSORS_ONLY}")
        if pretrained_model_name_or_path is not None and not os.path.isfile(pretrained_model_name_or_path):
            kwargs = {**_checked_settings(cls, str(pretrained_model_name_or_path), kwargs), **kwargs}
        with _safetensors_only(pretrained_model_name_or_path):
            loaded = super().from_pretrained(pretrained_model_name_or_path, *args, use_safetensors=True, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        # Loading replaces every parameter with a trainable one.
        encoder = model.base_model.utterance_encoder
        encoder.freeze()
        if isinstance(encoder, DialogueTextEncoder):
            encoder.check_causal()
        return loaded

    @classmethod
    def from_utterance_encoder(
        cls, name_or_folder: str, text_pooling: str = "mean", revision: str | None = None, **config: Any
    ):
        """Create a model with a pre-trained text encoder of transformers, such as BERT.

        Its tokenizer is `AutoTokenizer.from_pretrained(name_or_folder)`.

        Args:
            name_or_folder: The text encoder, with weights in safetensors: a name on the Hub or a folder.
            text_pooling: The pooling of its states over the tokens: `"mean"`, `"cls"` or `"max_mean"`.
            revision: A branch, tag or commit of an encoder on the Hub.
            config: Further settings of [`PreCodeConfig`].

        Raises:
            OSError: There is no encoder, or it has no weights in safetensors.
            ValueError: The model is not a text encoder, such as CLIP, or a setting is out of range or has no effect.
        """
        text_config = AutoConfig.from_pretrained(name_or_folder, revision=revision)
        if isinstance(text_config, PreCodeConfig):
            raise ValueError(f"{name_or_folder}: is a Pre-CODE checkpoint; load it with {cls.__name__}.from_pretrained")
        check_text_config(text_config)
        # Do not publish local paths.
        text_config.name_or_path = "" if os.path.isdir(name_or_folder) else name_or_folder
        text_config.dtype = None
        config = {"pad_token_id": text_config.pad_token_id, **config}
        _check_settings(config)
        if config.get("text_context") == "dialogue":
            config = {**_window_token_ids(name_or_folder, config, revision=revision), **config}
        settings = PreCodeConfig(
            utterance_encoder="text_encoder", text_config=text_config, text_pooling=text_pooling, **config
        )
        with _safetensors_only(name_or_folder):
            encoder = AutoModel.from_pretrained(
                name_or_folder, revision=revision, use_safetensors=True, dtype=torch.float32
            )
        model = cls(settings)
        reader = model.base_model.utterance_encoder
        assert isinstance(reader, TextUtteranceEncoder)
        reader.encoder.load_state_dict(without_pooler(encoder).state_dict())
        return model

    @property
    def max_utterance_tokens(self) -> int | None:
        """The maximum number of tokens of an utterance that the model reads, special tokens included; `None` without a
        limit."""
        return getattr(self.base_model.utterance_encoder, "max_tokens", None)

    def _set_gradient_checkpointing(  # type: ignore[override]
        self, enable: bool = True, gradient_checkpointing_func: Any = None, **kwargs: Any
    ):
        if getattr(gradient_checkpointing_func, "keywords", {}).get("use_reentrant") is False:
            gradient_checkpointing_func = partial(gradient_checkpointing_func, context_fn=checkpointing_contexts)
        super()._set_gradient_checkpointing(enable, gradient_checkpointing_func, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module):
        if isinstance(module, (nn.Linear, nn.GRU)):
            # PyTorch's defaults, from which the original implementation trains.
            size = module.in_features if isinstance(module, nn.Linear) else module.hidden_size
            for parameter in module.parameters(recurse=False):
                init.uniform_(parameter, -(size**-0.5), size**-0.5)
        elif isinstance(module, SpeakerEmbedding):
            init.zeros_(module.weight)
        elif isinstance(module, nn.Embedding):
            # Vectors of about unit length, like the pre-trained word vectors that usually replace them.
            init.normal_(module.weight, std=module.embedding_dim**-0.5)
            if module.padding_idx is not None and not getattr(module.weight, "_is_hf_initialized", False):
                init.zeros_(module.weight[module.padding_idx])


def _checked_settings(
    model_class: type[PreCodePreTrainedModel], checkpoint: str, options: dict[str, Any]
) -> dict[str, Any]:
    """Check the saved files of a checkpoint. Return the settings that it lacks for the options of its loading."""
    where = {name: options[name] for name in HUB_ARGUMENTS if options.get(name) is not None}
    config = read_config(checkpoint, **where)
    if config is None:
        return {}
    if hasattr(config, "onnx"):
        raise ValueError(
            f"{checkpoint}: is an exported model; load it with modeling_precode.onnx_runtime.OnnxEmotionPipeline"
        )
    _check_checkpoint(model_class, checkpoint, config, options, where)
    if options.get("text_context") == "dialogue" and config.text_config and config.text_context == "utterance":
        return _window_token_ids(checkpoint, options, **where)
    return {}


def _check_checkpoint(
    model_class: type[PreCodePreTrainedModel],
    checkpoint: str,
    config: PreCodeConfig,
    options: dict[str, Any],
    where: dict[str, Any],
) -> None:
    """Check the saved files of a checkpoint, independent of the settings that it is loaded with."""
    if os.path.isdir(checkpoint):
        check_tokenizer_files(checkpoint, config, **where)
    if options.get("text_context") == "utterance" and config.conversation_encoder != "none":
        # The weights are the same, but Conversation Completion needs a mask token to read whole dialogues.
        config.text_context = "utterance"
    shapes = {
        _own_name(name): shape for name, shape in read_shapes(checkpoint, options.get("variant"), **where).items()
    }
    try:
        # Without memory for the weights.
        with torch.device("meta"):
            model = model_class(config)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{checkpoint}: no model can be built from its config.json: {reason}") from error
    for name, weight in model.state_dict().items():
        saved = shapes.get(_own_name(name), weight.shape)
        if saved != weight.shape:
            raise ValueError(
                f"{checkpoint}: by its config.json, {name} has the shape {tuple(weight.shape)}, but its weights have "
                f"{saved}; they come from different runs"
            )


def _window_token_ids(name_or_folder: str, given: dict[str, Any], **where: Any) -> dict[str, int | None]:
    """The special tokens of whole dialogues, from the tokenizer unless all of them are given."""
    if given.keys() >= set(TOKEN_SETTINGS):
        return {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name_or_folder, **where)
    except Exception as error:  # tokenizers of other libraries raise many classes
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{name_or_folder}: text_context='dialogue' needs the special tokens of its tokenizer, which cannot be "
            f"loaded; save the tokenizer there, or pass {', '.join(TOKEN_SETTINGS)}: {reason}"
        ) from error
    return window_token_ids(tokenizer)


def _check_settings(config: dict[str, Any]) -> None:
    """Raise a ValueError for a setting that has no effect on a new model with a text encoder."""
    if others := [name for name in WORD_SETTINGS if name in config]:
        raise ValueError(f"`{others[0]}` is for a model over words; leave it out with a text encoder")
    if config.get("max_window_tokens") is not None and config.get("text_context") != "dialogue":
        raise ValueError("`max_window_tokens` is for text_context='dialogue'; leave it out, or give both")


def _own_name(name: str) -> str:
    """The name of a tensor without the prefix that depends on the head."""
    return name.removeprefix(f"{PreCodePreTrainedModel.base_model_prefix}.")


@contextmanager
def _safetensors_only(name: str) -> Iterator[None]:
    """Add advice to the error for missing weights in safetensors."""
    try:
        yield
    except OSError as error:
        if SAFE_WEIGHTS_NAME not in str(error):
            raise
        raise OSError(f"{name}: no {SAFE_WEIGHTS_NAME}; {_SAFETENSORS_ONLY}") from error
