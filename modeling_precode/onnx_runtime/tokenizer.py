"""The tokenizer of an exported model, loaded with tokenizers and without transformers."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ..limits import LARGEST_TOKENIZER, SIDES, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE
from ..word_encoding import TEXT_MODES, WordEncodingMixin
from .config import LENGTH, is_length, read_object

_SPECIAL_TOKENS = ("cls", "sep", "bos", "eos", "unk", "pad")


class ExportedTokenizer:
    """A tokenizer with those methods of a tokenizer of transformers that the labeling of dialogues uses.

    Args:
        path: The file `tokenizer.json`.
        settings: The content of `tokenizer_config.json`.
    """

    cls_token_id: int | None
    sep_token_id: int | None
    bos_token_id: int | None
    eos_token_id: int | None
    unk_token_id: int | None
    pad_token_id: int | None

    def __init__(self, path: Path, settings: dict[str, Any]):
        self.name_or_path = str(path)
        size = path.stat().st_size if path.is_file() else 0
        if size > LARGEST_TOKENIZER:
            raise ValueError(f"{path}: must have at most {LARGEST_TOKENIZER:,} bytes; got {size:,}")
        try:
            self.backend_tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises no other class
            reason = " ".join(str(error).split())
            raise ValueError(f"{path}: not a tokenizer: {reason}; export the model again") from None
        self.backend_tokenizer.no_padding()
        # "[PAD]" typed by a person is text, not padding.
        self.backend_tokenizer.encode_special_tokens = True
        self.model_max_length = settings.get("model_max_length")
        self.truncation_side = settings.get("truncation_side", "right")
        for name in _SPECIAL_TOKENS:
            token = settings.get(f"{name}_token")
            content = token["content"] if isinstance(token, dict) else token
            setattr(self, f"{name}_token_id", None if content is None else self.convert_tokens_to_ids(content))

    def __call__(
        self,
        texts: list[str],
        truncation: bool = False,
        max_length: int | None = None,
        add_special_tokens: bool = True,
        **_: Any,
    ) -> dict[str, list[list[int]]]:
        """Encode texts, as a tokenizer of transformers does."""
        if truncation and max_length is not None:
            self.backend_tokenizer.enable_truncation(max_length, direction=self.truncation_side)
        else:
            self.backend_tokenizer.no_truncation()
        try:
            return {
                "input_ids": [
                    encoding.ids
                    for encoding in self.backend_tokenizer.encode_batch(texts, add_special_tokens=add_special_tokens)
                ]
            }
        except Exception as error:  # the library raises no other class
            reason = " ".join(str(error).split())
            raise ValueError(f"{self.name_or_path}: cannot encode a text: {reason}; export the model again") from None

    def convert_tokens_to_ids(self, token: str) -> int | None:
        """The id of a token, or `None` if it is not in the vocabulary."""
        try:
            return self.backend_tokenizer.token_to_id(token)
        except UnicodeEncodeError:  # half of a surrogate pair, which is in no vocabulary
            return None


class ExportedWordTokenizer(WordEncodingMixin, ExportedTokenizer):
    """The word-level tokenizer of this library."""

    def __init__(self, path: Path, settings: dict[str, Any]):
        super().__init__(path, settings)
        self.text_mode = settings["text_mode"]
        if self.unk_token_id is None:
            raise ValueError(f"{path}: has no unknown word, the `unk_token` of its settings; export the model again")
        self.added_tokens_decoder = self.backend_tokenizer.get_added_tokens_decoder()
        self._vocabulary = self.backend_tokenizer.get_vocab()

    def __call__(self, texts: list[str], *args: Any, **kwargs: Any) -> dict[str, list[list[int]]]:
        """Encode texts, as a tokenizer of transformers does. An empty text becomes one unknown word."""
        # The backend does not normalize an empty text.
        return super().__call__([text or " " for text in texts], *args, **kwargs)

    def get_vocab(self) -> dict[str, int]:
        """The id of each word."""
        return self._vocabulary


def load_tokenizer(folder: str | Path) -> ExportedTokenizer:
    """Load the tokenizer of an exported model.

    Raises:
        ValueError: A file of the tokenizer is missing or damaged.
    """
    path = Path(folder, TOKENIZER_CONFIG_FILE)
    settings = read_object(path, "the settings of a tokenizer")
    _check_settings(path, settings)
    kind = ExportedWordTokenizer if "text_mode" in settings else ExportedTokenizer
    return kind(Path(folder, TOKENIZER_FILE), settings)


def _check_settings(path: Path, settings: dict[str, Any]) -> None:
    def check(name: str, is_valid: bool, needed: str) -> None:
        if not is_valid:
            got = f"{settings[name]!r:.80}"
            raise ValueError(f"{path}: `{name}` must be {needed}; got {got}; export the model again")

    check("model_max_length", is_length(settings.get("model_max_length")), LENGTH)
    check("truncation_side", settings.get("truncation_side", "right") in SIDES, " or ".join(SIDES))
    check("text_mode", settings.get("text_mode", "clean") in TEXT_MODES, f"one of {', '.join(TEXT_MODES)}")
    for name in (f"{name}_token" for name in _SPECIAL_TOKENS):
        token = settings.get(name)
        content = token.get("content") if isinstance(token, dict) else token
        check(name, isinstance(content, str) or token is None, "a string")
