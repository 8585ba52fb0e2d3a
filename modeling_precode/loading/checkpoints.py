"""The configuration and the tokenizer of a checkpoint, with errors that name what is missing."""

from pathlib import Path

from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from ..checkpoint_files import read_config
from ..configuration_precode import PreCodeConfig
from ..default_model import checkpoint_path
from ..limits import TOKENIZER_CONFIG_FILE
from ..tokenizer_files import check_tokenizer, check_tokenizer_files


def load_config(checkpoint: str, revision: str | None = None) -> PreCodeConfig:
    """Load the configuration of a Pre-CODE checkpoint.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It is a checkpoint of another kind of model.
    """
    source = checkpoint_path(checkpoint)
    folder = Path(source)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"{checkpoint}: no config.json in this folder; give a folder that save_pretrained wrote"
        )
    if not folder.exists() and (folder.is_absolute() or checkpoint.startswith(".") or checkpoint.count("/") != 1):
        raise FileNotFoundError(
            f"{checkpoint}: no such folder; give a folder that save_pretrained wrote, or a name on the Hub"
        )
    where = {} if revision is None else {"revision": revision}
    config = read_config(source, **where)
    if config is None:
        try:
            config = AutoConfig.from_pretrained(source, revision=revision)
        except OSError as error:  # it says why there is none on the Hub
            reason = " ".join(str(error).split())
            raise FileNotFoundError(f"{checkpoint}: no such folder, and not loaded from the Hub: {reason}") from error
    assert isinstance(config, PreCodeConfig)
    check_tokenizer_files(source, config, **where)
    return config


def load_tokenizer(checkpoint: str, revision: str | None = None) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a checkpoint.

    Raises:
        FileNotFoundError: There is no such checkpoint, or it has no tokenizer.
        ValueError: The model cannot read a token.
    """
    config = load_config(checkpoint, revision)
    source = checkpoint_path(checkpoint)
    if Path(source).is_dir() and not (Path(source) / TOKENIZER_CONFIG_FILE).is_file():
        raise FileNotFoundError(f"{checkpoint}: no tokenizer in this folder; save the tokenizer of its training there")
    tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
    check_tokenizer(checkpoint, tokenizer, config)
    return tokenizer
