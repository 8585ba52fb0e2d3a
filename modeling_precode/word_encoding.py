"""Encodes text with a word-level tokenizer, many times faster than its backend and with the same token ids."""

from itertools import chain
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from tokenizers import Tokenizer, normalizers, pre_tokenizers

from .unicode_words import EMPTY_WORD, SPACED_APOSTROPHE, plain_words

UNK_TOKEN = "<unk>"
TEXT_MODES = ("clean", "original", "unicode")

# The same normalization for ASCII: everything except letters and `!?` becomes a space.
_ASCII = {code: chr(code).lower() if chr(code).isalpha() or chr(code) in "!?" else " " for code in range(128)}

# The number of pieces of text whose token ids are cached, and the number of characters of the longest one. In scripts
# without spaces, a piece is a sentence, which hardly occurs twice.
_CACHE_SIZE, _LONGEST_PIECE = 2**18, 32

# The caches are no attributes of the tokenizers, because `datasets` compares tokenizers by their attributes.
_pieces_of_tokenizers: WeakKeyDictionary[Any, "_Pieces"] = WeakKeyDictionary()

# A fast tokenizer stores the maximum length of a call in its backend, where a call in another thread may change it.
_one_call_at_a_time = Lock()


def token_ids(tokenizer: Any, texts: list[str], **options: Any) -> list[list[int]]:
    """The token ids of texts from a tokenizer that several threads may share.

    Args:
        tokenizer: Any tokenizer.
        texts: The texts.
        options: Further arguments of its call.
    """
    with _one_call_at_a_time:
        return tokenizer(texts, return_attention_mask=False, **options)["input_ids"]


class WordEncodingMixin:
    """Encodes many utterances at once with a word-level tokenizer, [`PreCodeTokenizer`] or one without transformers."""

    def encode_utterances(self: Any, utterances: list[str], max_length: int | None = None) -> list[list[int]]:
        """Encode many utterances. The token ids are those of a call, but for ASCII and in the text mode `"unicode"`
        this method is many times faster.

        Args:
            utterances: Texts.
            max_length: The maximum number of tokens; longer utterances are cut on the right. By default
                `model_max_length`.
        """
        max_length = max_length or self.model_max_length
        unchanged = len(self.added_tokens_decoder) == 2
        if self.text_mode == "unicode" and unchanged:
            pieces = self._pieces()
            all_ids = (list(chain.from_iterable(map(pieces.__getitem__, pieces_of(text)))) for text in utterances)
            return [ids[:max_length] or [pieces.unknown] for ids in all_ids]
        # This takes as long as encoding a thousand utterances.
        vocabulary, unknown = self.get_vocab(), self.unk_token_id
        plain = self.text_mode == "clean" and unchanged
        encoded: list[list[int]] = []
        others = []
        for place, text in enumerate(utterances):
            if plain and text.isascii():
                words = text.translate(_ASCII).replace("!", " ! ").replace("?", " ? ").split()
                encoded.append([vocabulary.get(word, unknown) for word in words[:max_length] or [UNK_TOKEN]])
            else:
                encoded.append([])
                others.append(place)
        if others:
            texts = [utterances[place] for place in others]
            ids = token_ids(self, texts, truncation=True, max_length=max_length)
            for place, utterance in zip(others, ids, strict=True):
                encoded[place] = utterance
        return encoded

    def _pieces(self: Any) -> "_Pieces":
        pieces = _pieces_of_tokenizers.get(self)
        if pieces is None or len(pieces) > _CACHE_SIZE:
            pieces = _Pieces(self.backend_tokenizer, self.get_vocab(), self.unk_token_id)
            _pieces_of_tokenizers[self] = pieces
        return pieces


class _Pieces(dict[str, tuple[int, ...]]):
    """A cache of the token ids of pieces of text without white space, in the text mode `unicode`.

    The token ids of a piece do not depend on the pieces before and after it.
    """

    def __init__(self, backend: Tokenizer, vocabulary: dict[str, int], unknown: int):
        self.normalizer = backend.normalizer
        self.pre_tokenizer = backend.pre_tokenizer
        self.vocabulary = vocabulary
        self.unknown = unknown

    def __missing__(self, piece: str) -> tuple[int, ...]:
        words = plain_words(piece)
        if words is None:
            words = words_of(self.normalizer, self.pre_tokenizer, piece)
        # A tuple, because the garbage collector traverses lists again and again.
        ids = tuple([self.vocabulary.get(word, self.unknown) for word in words])
        if len(piece) <= _LONGEST_PIECE:
            self[piece] = ids
        return ids


def pieces_of(text: str) -> list[str]:
    """The pieces of a text between white space. A contraction that was split at its apostrophe is one piece."""
    if " ' " in text or " \u2019 " in text:
        text = SPACED_APOSTROPHE.sub("'", text)
    return text.split()


def words_of(normalizer: normalizers.Normalizer, pre_tokenizer: pre_tokenizers.PreTokenizer, text: str) -> list[str]:
    """The words of a text; the list may be empty."""
    words = pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text))
    return [word for word, _ in words if word != EMPTY_WORD]
