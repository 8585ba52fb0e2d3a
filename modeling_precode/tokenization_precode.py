"""The word-level tokenizer of Pre-CODE: normalization and vocabulary."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.trainers import WordLevelTrainer
from transformers import PreTrainedTokenizerFast

from .nonspacing_marks import NONSPACING_MARKS
from .unicode_words import EMPTY_WORD, plain_words, unicode_normalizer, unicode_pre_tokenizer
from .word_encoding import TEXT_MODES, UNK_TOKEN, WordEncodingMixin, pieces_of, words_of

PAD_TOKEN = "<pad>"
MAX_UTTERANCE_TOKENS = 60
# The text mode of a new vocabulary.
DEFAULT_TEXT_MODE = "unicode"

# The characters that Python's `str.strip` removes.
_WHITE_SPACE = "\t\n\x0b\x0c\r\x1c-\x1f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


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


class PreCodeTokenizer(WordEncodingMixin, PreTrainedTokenizerFast):
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
        """The text mode: `"clean"`, `"original"` or `"unicode"`.

        Raises:
            ValueError: The tokenizer was loaded from the files of a tokenizer of another kind.
        """
        if "text_mode" not in self.init_kwargs:
            raise ValueError(
                f"{self.name_or_path}: is a tokenizer of another kind, such as that of a text encoder; load it with "
                "AutoTokenizer.from_pretrained"
            )
        return self.init_kwargs["text_mode"]

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
        backend.normalizer = unicode_normalizer(vocabulary)
        backend.pre_tokenizer = unicode_pre_tokenizer()
    else:
        backend.normalizer = _normalizer(text_mode)
        backend.pre_tokenizer = pre_tokenizers.Split(" ", behavior="removed")
    return backend


def _frequent_words(dialogues: Iterable[list[str]], min_count: int) -> list[str]:
    """The vocabulary of the mode `unicode`, most frequent first, counted as its own tokenizer splits the text."""
    pieces = Counter(piece for dialogue in dialogues for text in dialogue for piece in pieces_of(text))
    words = _count_words(pieces, unicode_normalizer(None))
    frequent = [word for word, count in words.items() if count >= min_count]
    # A word that is too rare is replaced by a plainer form, which may become frequent as a result.
    words = _count_words(pieces, unicode_normalizer(frequent))
    frequent = [word for word, count in words.items() if count >= min_count]
    return [PAD_TOKEN, UNK_TOKEN, *sorted(frequent, key=lambda word: (-words[word], word))]


def _count_words(pieces: Counter[str], normalizer: normalizers.Normalizer) -> Counter[str]:
    pre_tokenizer = unicode_pre_tokenizer()
    words: Counter[str] = Counter()
    for piece, count in pieces.items():
        plain = plain_words(piece)
        for word in words_of(normalizer, pre_tokenizer, piece) if plain is None else plain:
            words[word] += count
    return words
