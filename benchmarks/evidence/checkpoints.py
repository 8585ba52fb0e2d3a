"""Finished models, which runs start from or which are scored without training."""

from argparse import Namespace
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from transformers import pipeline

from data_scripts.tools.whole_files import digest
from modeling_precode import ConversationEmotionPipeline
from modeling_precode.cli.predict import model_to_use
from modeling_precode.loading.checkpoints import load_config

from .results import key_of

# The files that determine the labels of a checkpoint.
CONTENT = ("*.safetensors", "config.json", "tokenizer.json")


@dataclass(frozen=True)
class Checkpoint:
    """A finished model.

    Args:
        name: The name in tables and messages.
        model: The value of `--model` in the scripts.
    """

    name: str
    model: str
    seeds = ()

    @cached_property
    def source(self) -> str | None:
        """The folder or the name on the Hub to load the model from; None, with a message, if there is none."""
        try:
            return load_config(self.model).name_or_path
        except OSError as error:
            print(f"checkpoint {self.name}: skipped; {error}", flush=True)
            return None

    @cached_property
    def key(self) -> str:
        """The key of the content of a folder, so that another model with the same name has different results."""
        folder = Path(self.source or self.model)
        files = sorted(path for pattern in CONTENT for path in folder.glob(pattern)) if folder.is_dir() else []
        return key_of("checkpoint", [digest(path) for path in files] or self.model)

    @cached_property
    def emotions(self) -> ConversationEmotionPipeline:
        """The pipeline.

        Raises:
            ValueError: The checkpoint has no head that labels.
        """
        model_to_use(Namespace(model=self.model, revision=None, device=None))
        return pipeline("conversation-emotion", model=self.source)
