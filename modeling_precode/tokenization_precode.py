"""The word-level tokenizer of Pre-CODE: normalization, vocabulary, and the encoding of dialogues."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.trainers import WordLevelTrainer
from transformers import PreTrainedTokenizerFast

from .nonspacing_marks import NONSPACING_MARKS
from .speakers import speaker_ids_of, speaker_name
from .unicode_words import SPACED_APOSTROPHE, plain_words, unicode_normalizer, unicode_pre_tokenizer

PAD_TOKEN, UNK_TOKEN = "<pad>", "<unk>"
MAX_UTTERANCE_TOKENS = 60
TEXT_MODES = ("clean", "original", "unicode")
# The text mode of a new vocabulary.
DEFAULT_TEXT_MODE = "unicode"

# In the original, the empty string is a word wherever an utterance begins or ends with something other than a letter.
# A backend cannot store an empty token. This character stands for it; normalization removes it from all text.
EMPTY_WORD = "∅"

# The characters that Python's `str.strip` removes.
_WHITE_SPACE = "\t\n\x0b\x0c\r\x1c-\x1f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

# The same normalization for ASCII: everything except letters and `!?` becomes a space.
_ASCII = {code: chr(code).lower() if chr(code).isalpha() or chr(code) in "!?" else " " for code in range(128)}


# The number of pieces of text whose token ids are cached.
_CACHE_SIZE = 2**18


def _normalizer(text_mode: str) -> normalizers.Normalizer:
    """The normalization of the paper: lower case, no accents, only letters and `!?`; `!` and `?` are separate words."""
    replace = normalizers.Replace
    if text_mode == "clean":
        # A text without words becomes a word that is in no vocabulary, so that an utterance is never empty.
        return normalizers.Sequence(
            [
                replace(Regex(f"\\A[{_WHITE_SPACE}{NONSPACING_MARKS}]+\\z"), " "),
                normalizers.Lowercase(),
                normalizers.NFD(),
                replace(Regex(f"[{NONSPACING_MARKS}]+"), ""),
                replace("!", " ! "),
                replace("?", " ? "),
                replace(Regex("[^a-z!?]+"), " "),
                replace(Regex("\\A \\z"), EMPTY_WORD),
            ]
        )
    return normalizers.Sequence(
        [
            replace(EMPTY_WORD, "."),
            normalizers.Lowercase(),
            replace(Regex(f"\\A[{_WHITE_SPACE}]+\\z"), EMPTY_WORD),
            replace(Regex(f"\\A[{_WHITE_SPACE}]+|[{_WHITE_SPACE}]+\\z"), ""),
            normalizers.NFD(),
            replace(Regex(f"\\A[{NONSPACING_MARKS}]+\\z"), EMPTY_WORD),
            replace(Regex(f"[{NONSPACING_MARKS}]+"), ""),
            replace("!", " !"),
            replace("?", " ?"),
            replace(Regex(f"[^a-z!?{EMPTY_WORD}]+"), " "),
            replace(Regex("\\A "), f"{EMPTY_WORD} "),
            replace(Regex(" \\z"), f" {EMPTY_WORD}"),
        ]
    )


class PreCodeTokenizer(PreTrainedTokenizerFast):
    """Word-level tokenizer with `<pad>` = 0 and `<unk>` = 1. An utterance has at least 1 token and at most 60.

    Create one from dialogues with [`~PreCodeTokenizer.train`], or from a word list with
    [`~PreCodeTokenizer.from_vocabulary`]. Load one with `from_pretrained`. `text_mode`, which is saved with the
    tokenizer, defines what a word is:

    * `"clean"`: the words of the paper, from the letters a to z without accents. `!` and `?` are words too.
    * `"original"`: also the empty words that the original implementation counts at the ends of an utterance. Its
      vocabularies need this mode.
    * `"unicode"` (the default): words of every script in lower case, numbers, emoji, emoticons, `!` and `?`.
      Contractions are split as in GloVe (`do n't`, `i 'm`). Chinese, Japanese and Thai are split into characters. A
      link becomes `<url>`, and a mention `<user>`. A word that is not in the vocabulary loses its accents, and more
      than three repetitions of a letter become three (`soooooo` is `sooo`). The file of the tokenizer contains these
      rules.
    """

    model_input_names = ["input_ids", "attention_mask"]
    padding_side = "right"
    truncation_side = "right"
    _auto_class = "AutoTokenizer"

    @classmethod
    def train(
        cls, dialogues: Iterable[list[str]], min_count: int = 2, text_mode: str = DEFAULT_TEXT_MODE
    ) -> "PreCodeTokenizer":
        """Build the vocabulary from dialogues: every word that occurs at least `min_count` times, most frequent first
        (paper, section 4.1).

        Args:
            dialogues: Lists of utterances.
            min_count: The minimum number of occurrences of a word.
            text_mode: What a word is: `"clean"`, `"original"` or `"unicode"`.
        """
        if text_mode == "unicode":
            return cls.from_vocabulary(_frequent_words(dialogues, min_count), text_mode)
        backend = _backend({PAD_TOKEN: 0, UNK_TOKEN: 1}, text_mode)
        specials = [PAD_TOKEN, UNK_TOKEN]
        trainer = WordLevelTrainer(
            vocab_size=2**31, min_frequency=min_count, special_tokens=specials, show_progress=False
        )
        backend.train_from_iterator((utterance or " " for dialogue in dialogues for utterance in dialogue), trainer)
        vocabulary = backend.get_vocab()
        if text_mode == "clean":
            vocabulary.pop(EMPTY_WORD, None)
        return cls.from_vocabulary(sorted(vocabulary, key=vocabulary.__getitem__), text_mode)

    @classmethod
    def from_vocabulary(cls, words: Iterable[str], text_mode: str = DEFAULT_TEXT_MODE) -> "PreCodeTokenizer":
        """Create a tokenizer from the words of a vocabulary.

        Args:
            words: The words in the order of their ids. The first two must be `<pad>` and `<unk>`. In the mode
                `"original"`, the empty string may be a word.
            text_mode: What a word is: `"clean"`, `"original"` or `"unicode"`.

        Raises:
            ValueError: The first two words are others, a word occurs twice, or there is no such text mode.
        """
        words = [word or EMPTY_WORD for word in words]
        if words[:2] != [PAD_TOKEN, UNK_TOKEN]:
            raise ValueError(f"a vocabulary must start with {PAD_TOKEN!r}, {UNK_TOKEN!r}; got {words[:2]}")
        vocabulary = {word: index for index, word in enumerate(words)}
        if len(vocabulary) != len(words):
            repeated = next(word for index, word in enumerate(words) if vocabulary[word] != index)
            raise ValueError(f"every word of a vocabulary must be unique; {repeated!r} occurs twice")
        return cls._from_backend(_backend(vocabulary, text_mode), text_mode)

    @classmethod
    def _from_backend(cls, backend: Tokenizer, text_mode: str) -> "PreCodeTokenizer":
        return cls(
            tokenizer_object=backend,
            text_mode=text_mode,
            pad_token=PAD_TOKEN,
            unk_token=UNK_TOKEN,
            model_max_length=MAX_UTTERANCE_TOKENS,
            # "<pad>" typed by a person is text, not padding.
            split_special_tokens=True,
        )

    @property
    def text_mode(self) -> str:
        return self.init_kwargs["text_mode"]

    def encode_utterances(self, utterances: list[str], max_length: int | None = None) -> list[list[int]]:
        """Encode many utterances. The token ids are those of a call, but for ASCII and in the text mode `"unicode"`
        this method is many times faster.

        Args:
            utterances: Texts.
            max_length: The maximum number of tokens; longer utterances are cut on the right. By default
                `model_max_length`.
        """
        max_length = max_length or self.model_max_length
        vocabulary, unknown = self.get_vocab(), self.unk_token_id
        unchanged = len(self.added_tokens_decoder) == 2
        if self.text_mode == "unicode" and unchanged:
            pieces = self._pieces()
            all_ids = (list(chain.from_iterable(map(pieces.__getitem__, _pieces_of(text)))) for text in utterances)
            return [ids[:max_length] or [unknown] for ids in all_ids]
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
            ids = self(texts, truncation=True, max_length=max_length, return_attention_mask=False)["input_ids"]
            for place, utterance in zip(others, ids, strict=True):
                encoded[place] = utterance
        return encoded

    def _pieces(self) -> "_Pieces":
        pieces = self.__dict__.get("_cached_pieces")
        if pieces is None or len(pieces) > _CACHE_SIZE:
            self._cached_pieces = pieces = _Pieces(self.backend_tokenizer, self.get_vocab(), self.unk_token_id)
        return pieces

    def __getstate__(self) -> dict[str, Any]:
        # The cache is left out because `datasets` compares tokenizers by their state.
        return {name: value for name, value in self.__dict__.items() if name != "_cached_pieces"}

    def _encode_plus(self, text: Any, *args: Any, **kwargs: Any):
        # The backend does not normalize an empty text.
        if isinstance(text, str):
            text = text or " "
        elif isinstance(text, list):
            text = [item if item != "" else " " for item in text]
        return super()._encode_plus(text, *args, **kwargs)


def _backend(vocabulary: dict[str, int], text_mode: str) -> Tokenizer:
    if text_mode not in TEXT_MODES:
        raise ValueError(f"text_mode must be one of {', '.join(TEXT_MODES)}; got {text_mode!r}")
    backend = Tokenizer(WordLevel(vocabulary, unk_token=UNK_TOKEN))
    if text_mode == "unicode":
        backend.normalizer = unicode_normalizer(vocabulary, EMPTY_WORD)
        backend.pre_tokenizer = unicode_pre_tokenizer(EMPTY_WORD)
    else:
        backend.normalizer = _normalizer(text_mode)
        backend.pre_tokenizer = pre_tokenizers.Split(" ", behavior="removed")
    return backend


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
            words = _words(self.normalizer, self.pre_tokenizer, piece)
        # A tuple, because the garbage collector traverses lists again and again.
        ids = self[piece] = tuple(self.vocabulary.get(word, self.unknown) for word in words)
        return ids


def _pieces_of(text: str) -> list[str]:
    if " ' " in text or " \u2019 " in text:
        text = SPACED_APOSTROPHE.sub("'", text)
    return text.split()


def _words(normalizer: normalizers.Normalizer, pre_tokenizer: pre_tokenizers.PreTokenizer, text: str) -> list[str]:
    """The words of a text; the list may be empty."""
    words = pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text))
    return [word for word, _ in words if word != EMPTY_WORD]


def _frequent_words(dialogues: Iterable[list[str]], min_count: int) -> list[str]:
    """The vocabulary of the mode `unicode`, most frequent first, counted as its own tokenizer splits the text."""
    pieces = Counter(piece for dialogue in dialogues for text in dialogue for piece in _pieces_of(text))
    words = _count_words(pieces, unicode_normalizer(None, EMPTY_WORD))
    frequent = [word for word, count in words.items() if count >= min_count]
    # A word that is too rare is replaced by a plainer form, which may become frequent as a result.
    words = _count_words(pieces, unicode_normalizer(frequent, EMPTY_WORD))
    frequent = [word for word, count in words.items() if count >= min_count]
    return [PAD_TOKEN, UNK_TOKEN, *sorted(frequent, key=lambda word: (-words[word], word))]


def _count_words(pieces: Counter[str], normalizer: normalizers.Normalizer) -> Counter[str]:
    pre_tokenizer = unicode_pre_tokenizer(EMPTY_WORD)
    words: Counter[str] = Counter()
    for piece, count in pieces.items():
        plain = plain_words(piece)
        for word in _words(normalizer, pre_tokenizer, piece) if plain is None else plain:
            words[word] += count
    return words


def encode_dialogues(
    examples: dict[str, list], tokenizer: Any, max_utterance_tokens: int | None = None, speaker_prefix: bool = False
) -> dict[str, list]:
    """Add `input_ids` and `speaker_ids` to a batch of dialogues, for `Dataset.map(..., batched=True)`.

    Args:
        examples: A batch of rows with `utterances`, a list of strings per dialogue, and optionally `speakers`, a name
            or `None` for each utterance.
        tokenizer: Any tokenizer.
        max_utterance_tokens: The maximum number of tokens; longer utterances are cut on the right. By default the
            tokenizer's `model_max_length`. If the tokenizer has no such limit, pass `model.max_utterance_tokens`.
        speaker_prefix: Put the name of the speaker before the text, as in `Ross: Hi.`, if an utterance has one. Use the
            model's `config.speaker_prefix`.

    Returns:
        `input_ids`: for every dialogue a list of utterances, each a list of token ids, unpadded and never empty. With
        `speakers` also `speaker_ids`: one integer per utterance, 1 for the first speaker of the dialogue, 2 for the
        second, and so on, 0 for an unknown speaker.

    Raises:
        ValueError: A dialogue has speakers, but not one per utterance.
    """
    dialogues, result = examples["utterances"], {}
    if "speakers" in examples:
        named = zip(examples["speakers"], dialogues, strict=True)
        result["speaker_ids"] = [speaker_ids_of(names, len(texts)) for names, texts in named]
    utterances = _texts(examples, speaker_prefix)
    if isinstance(tokenizer, PreCodeTokenizer):
        encoded = tokenizer.encode_utterances(utterances, max_utterance_tokens)
    elif utterances:
        # "[PAD]" typed by a person is text, not padding.
        encoded = tokenizer(
            utterances,
            truncation=True,
            max_length=max_utterance_tokens,
            return_attention_mask=False,
            split_special_tokens=True,
        )["input_ids"]
        encoded = [ids or [_stand_in(tokenizer)] for ids in encoded]
    else:
        encoded = []
    rows = iter(encoded)
    return {"input_ids": [[next(rows) for _ in dialogue] for dialogue in dialogues], **result}


def count_cut(
    examples: dict[str, list],
    input_ids: list[list[list[int]]],
    tokenizer: Any,
    max_utterance_tokens: int | None,
    speaker_prefix: bool = False,
) -> int:
    """Count the utterances that `encode_dialogues` has cut.

    Args:
        examples, tokenizer, max_utterance_tokens, speaker_prefix: The arguments of that call.
        input_ids: The `input_ids` that it returned.
    """
    if max_utterance_tokens is None:
        return 0
    encoded = [ids for dialogue in input_ids for ids in dialogue]
    texts = _texts(examples, speaker_prefix)
    full = [text for text, ids in zip(texts, encoded, strict=True) if len(ids) >= max_utterance_tokens]
    if not full:
        return 0
    # `verbose=False` suppresses warnings about texts that are too long for a model.
    options = {"truncation": False, "return_attention_mask": False, "split_special_tokens": True, "verbose": False}
    return sum(len(ids) > max_utterance_tokens for ids in tokenizer(full, **options)["input_ids"])


def _texts(examples: dict[str, list], speaker_prefix: bool) -> list[str]:
    """The texts of all utterances, one dialogue after another."""
    dialogues = examples["utterances"]
    if speaker_prefix and "speakers" in examples:
        dialogues = [
            [said_by(name, text) for name, text in zip(names, texts, strict=True)] if names else texts
            for names, texts in zip(examples["speakers"], dialogues, strict=True)
        ]
    return [utterance for dialogue in dialogues for utterance in dialogue]


def said_by(name: Any, text: str) -> str:
    name = speaker_name(name)
    return f"{name}: {text}" if name else text


def _stand_in(tokenizer: Any) -> int:
    """The token that represents an utterance without tokens."""
    known = (tokenizer.unk_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id)
    return next(token for token in known if token is not None)
