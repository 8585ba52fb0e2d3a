"""The text mode `unicode`: a normalizer and a pre-tokenizer for the words of every script.

The character classes are tables from Unicode 14.0, because those of a regular expression library change with its
version. Unassigned code points between letters count as letters.
"""

import re
from collections.abc import Iterable
from unicodedata import normalize

from tokenizers import Regex, normalizers, pre_tokenizers

from .nonspacing_marks import character_class

# In the original, the empty string is a word wherever an utterance begins or ends with something other than a letter.
# A backend cannot store an empty token. This character stands for it; normalization removes it from all text.
EMPTY_WORD = "∅"

# Letters, marks and digits of scripts that put spaces between words.
_LETTER = character_class("""
30-39 41-5a 61-7a aa b5 ba c0-d6 d8-f6 f8-2c1 2c6-2d1 2e0-2e4 2ec 2ee 300-374 376-37d 37f 386 388-3f5 3f7-481 483-559
560-588 591-5bd 5bf 5c1-5c2 5c4-5c5 5c7-5f2 610-61a 620-669 66e-6d3 6d5-6dc 6df-6e8 6ea-6fc 6ff 710-7f5 7fa-7fd
800-82d 840-85b 860-887 889-88e 898-8e1 8e3-963 966-96f 971-9f1 9fc 9fe-a75 a81-aef af9-b6f b71 b82-bef c00-c6f
c80-c83 c85-d4e d54-d57 d5f-d6f d7a-df3 f00 f18-f19 f20-f29 f35 f37 f39 f3e-f84 f86-fbc fc6 10a0-10fa 10fc-135f
1380-138f 13a0-13fd 1401-166c 166f-167f 1681-169a 16a0-16ea 16f1-1734 1740-1773 1810-193b 1946-19d9 1a00-1a1b
1a20-1a99 1aa7 1ab0-1b59 1b6b-1b73 1b80-1bf3 1c00-1c37 1c40-1c7d 1c80-1cbf 1cd0-1cd2 1cd4-1fbc 1fbe 1fc2-1fcc
1fd0-1fdb 1fe0-1fec 1ff2-1ffc 2071 207f 2090-209c 2102 2107 210a-2113 2115 2119-211d 2124 2126 2128 212a-212d
212f-2139 213c-213f 2145-2149 214e 2183-2184 2c00-2ce4 2ceb-2cf3 2d00-2d6f 2d7f-2dff 2e2f 302a-302f 3131-318e
a000-a48c a4d0-a4fd a500-a60c a610-a672 a674-a67d a67f-a6e5 a6f0-a6f1 a717-a71f a722-a788 a78b-a827 a82c a840-a873
a880-a8c5 a8d0-a8f7 a8fb a8fd-a92d a930-a953 a960-a9c0 a9cf-a9d9 aa00-aa59 aa80-aadd aae0-aaef aaf2-ab5a ab5c-ab69
ab70-abea abec-d7fb fb00-fb28 fb2a-fbb1 fbd3-fd3d fd50-fdc7 fdf0-fdfb fe20-fe2f fe70-fefc ff10-ff19 ff21-ff3a
ff41-ff5a ffa0-ffdc 10000-100fa 101fd-102e0 10300-1031f 1032d-10340 10342-10349 10350-1039d 103a0-103cf 10400-10563
10570-10855 10860-10876 10880-1089e 108e0-108f5 10900-10915 10920-10939 10980-109b7 109be-109bf 10a00-10a3f
10a60-10a7c 10a80-10a9c 10ac0-10ac7 10ac9-10ae6 10b00-10b35 10b40-10b55 10b60-10b72 10b80-10b91 10c00-10cf2
10d00-10d39 10e80-10eac 10eb0-10f1c 10f27-10f50 10f70-10f85 10fb0-10fc4 10fe0-11046 11066-110ba 110c2 110d0-1113f
11144-11173 11176-111c4 111c9-111cc 111ce-111da 111dc 11200-11237 1123e-112a8 112b0-1144a 11450-11459 1145e-114c5
114c7-115c0 115d8-11640 11644-11659 11680-116b8 116c0-11739 11740-1183a 118a0-118e9 118ff-11943 11950-119e1
119e3-11a3e 11a47-11a99 11a9d 11ab0-11c40 11c50-11c59 11c72-11ef6 11fb0 12000-12399 12480-12ff0 13000-1342e
14400-16a69 16a70-16af4 16b00-16b36 16b40-16b43 16b50-16b59 16b63-16e7f 16f00-16fe1 16fe3-16fe4 17000-18d08
1b170-1bc99 1bc9d-1bc9e 1cf00-1cf46 1d165-1d169 1d16d-1d172 1d17b-1d182 1d185-1d18b 1d1aa-1d1ad 1d242-1d244
1d400-1d6c0 1d6c2-1d6da 1d6dc-1d6fa 1d6fc-1d714 1d716-1d734 1d736-1d74e 1d750-1d76e 1d770-1d788 1d78a-1d7a8
1d7aa-1d7c2 1d7c4-1d7ff 1da00-1da36 1da3b-1da6c 1da75 1da84 1da9b-1e14e 1e290-1e2f9 1e7e0-1e8c4 1e8d0-1e959
1ee00-1eebb 1fbf0-1fbf9
""")

# Chinese, Japanese, Thai, Lao, Burmese and Khmer: scripts without spaces between words, split into characters.
_CHARACTER = character_class("""
e01-e30 e32-e33 e40-e46 e50-e59 e81-eb0 eb2-eb3 ebd-ec6 ed0-edf 1000-102a 103f-1049 1050-1055 105a-105d 1061 1065-1066
106e-1070 1075-1081 108e 1090-1099 1780-17b3 17d7 17dc 17e0-17e9 2e80-2fd5 3005-3007 3031-3035 303b-303c 3041-3096
309d-309f 30a1-30fa 30fc-30ff 3105-312f 31a0-31bf 31f0-31ff 3400-4dbf 4e00-9fff a9e0-a9e4 a9e6-a9fe aa60-aa76 aa7a
aa7e-aa7f f900-fad9 ff66-ff9f 1aff0-1b167 20000-3134a
""")

# Vowel signs and tone marks of these scripts, which belong to the character before them.
_CHARACTER_MARK = character_class("""
e31 e34-e3a e47-e4e eb1 eb4-ebc ec8-ecd 102b-103e 1056-1059 105e-1060 1062-1064 1067-106d 1071-1074 1082-108d 108f
109a-109d 17b4-17d3 17dd 3099-309a a9e5 aa7b-aa7d 16ff0-16ff1
""")

_EMOJI = character_class("""
203c 2049 2194-2199 21a9-21aa 231a-231b 2328 23cf 23e9-23fa 25aa-25ab 25b6 25c0 25fb-25fe 2600-2767 2794-27bf
2934-2935 2b05-2b07 2b1b-2b1c 2b50 2b55 3030 303d 3297 3299 1f000-1f1e5 1f200-1f3fa 1f400-1faff
""")
_FLAG_LETTER = character_class("1f1e6-1f1ff")
# The letters of the flags of England, Scotland and Wales.
_FLAG_TAG = character_class("e0020-e007f")

# Soft hyphens, joiners, direction marks, variation selectors and skin tones, but not the zero-width joiner of emoji.
_INVISIBLE = character_class("""
ad 180b-180e 200c 200e-200f 202a-202e 2060-2064 2066-206f feff fe00-fe0f 1f3fb-1f3ff e0100-e01ef
""")
_ACCENT = character_class("300-36f")
_DIGIT = character_class("30-39 660-669 6f0-6f9 966-96f 9e6-9ef e50-e59 ff10-ff19")
_APOSTROPHE = "\u2018\u2019\u02bc\uff07\u00b4`"

# An apostrophe between spaces, as in tokenized corpora: `don ' t`. Python and Oniguruma both accept this pattern.
SPACED_APOSTROPHE = re.compile(
    f"(?<=[{_LETTER}]) ['\u2019] (?=(?:[tsmdTSMD]|[rR][eE]|[vV][eE]|[lL][lL])(?![{_LETTER}]))"
)

# A letter that is followed by three more of the same.
_ELONGATION = f"(?![{_DIGIT}])([{_LETTER}{_CHARACTER}])(?=\\1\\1\\1)"


# Most pieces of text between spaces are plain: English words and contractions with punctuation, without anything that
# could be an emoticon, an address or an elongation. For these, simple patterns find the same words as the rules below.
_PLAIN_TEXT = re.compile(
    r"""(?:[A-Za-z,"!?()\u2026-]|(?<![wW][wW][wW])\.(?!(?i:com|org|net|edu|gov)|[oO](?![A-MO-Za-mo-z]))"""
    r"""|(?<=[A-Za-z][nN])['\u2019](?=[tT](?![A-Za-z'\u2019]))"""
    r"""|(?<=[A-Za-z])['\u2019](?=(?:[sSmMdD]|[rR][eE]|[vV][eE]|[lL][lL])(?![A-Za-z'\u2019])))+"""
)
_PLAIN_WORD = re.compile(r"[a-z]+?(?=n't(?![a-z]))|n't(?![a-z])|'[a-z]+|[a-z]+|[!?]")
_PLAIN_ELONGATION = re.compile(r"([a-z])\1\1\1")

LINK, MENTION = "<url>", "<user>"
_NO_LETTER_BEFORE, _NO_LETTER_AFTER = f"(?<![{_LETTER}])", f"(?![{_LETTER}])"
_LINK_REST = "[!-;=?-~]*[a-z0-9/]"
_LINK = (
    # e-mail addresses, URLs, and bare names in the most common domains
    f"{_NO_LETTER_BEFORE}(?<![.%+-])[a-z0-9._%+-]+@[a-z0-9-]+(?:\\.[a-z0-9-]+)+"
    f"|{_NO_LETTER_BEFORE}(?:https?://|www\\.){_LINK_REST}"
    f"|{_NO_LETTER_BEFORE}(?<![.@-])(?:[a-z0-9-]+\\.)+(?:com|org|net|edu|gov)(?:/(?:{_LINK_REST})?)?{_NO_LETTER_AFTER}"
)
_MENTION = f"{_NO_LETTER_BEFORE}<?@[!&]?[{_LETTER}{_CHARACTER}_]+(?:[.-][{_LETTER}{_CHARACTER}_]+)*>?"

_EYES_AND_NOSE = "[:;=](?:'?[-^]?|o(?=[()]))"
_EMOTICON = "|".join(
    [
        f"[>}}]?{_EYES_AND_NOSE}[()]{_NO_LETTER_AFTER}",
        f"{_NO_LETTER_BEFORE}>?{_EYES_AND_NOSE}[\\[\\]{{}}/\\\\|*](?![{_LETTER}/])",
        f"{_NO_LETTER_BEFORE}(?:>?[:;]'?[-^]?[dpocxs3]|=[dp]){_NO_LETTER_AFTER}",
        f"{_NO_LETTER_BEFORE}8-[)d]{_NO_LETTER_AFTER}",
        f"\\('?-?[:;=]{_NO_LETTER_AFTER}",
        f"</?3{_NO_LETTER_AFTER}",
        r"\^[_.-]?\^|-_+-|>[_.]<|;_;|\\o/|\u00af\\+_\(\u30c4\)_/\u00af",
        f"{_NO_LETTER_BEFORE}(?:[ou0t]_+[ou0t]|o\\.o){_NO_LETTER_AFTER}",
    ]
)

# English contractions, as GloVe's own tokenizer splits them: do n't, i 'm.
_ENDING = f"'(?:[smd]|re|ve|ll){_NO_LETTER_AFTER}"
_SHORTENED = f"{_NO_LETTER_BEFORE}'(?:em|til|cause){_NO_LETTER_AFTER}"
# French and Italian: l'amour, qu'il, c'è. English: y'know.
_ELISION = (
    f"{_NO_LETTER_BEFORE}(?:[cdjlmnst]|qu)'(?:(?=[aeiouyh\u00e0-\u00f6\u00f8-\u00fd\u0153])|{_NO_LETTER_AFTER})"
    f"|{_NO_LETTER_BEFORE}y'(?:(?=(?:know|see){_NO_LETTER_AFTER})|{_NO_LETTER_AFTER})"
)


def plain_words(text: str) -> list[str] | None:
    """The words of a plain text without white space, found quickly; `None` if the text is not plain."""
    is_word = text.isascii() and text.isalpha()
    if not (is_word or _PLAIN_TEXT.fullmatch(text)):
        return None
    text = text.lower().replace("\u2019", "'")
    if _PLAIN_ELONGATION.search(text):
        return None
    return [text] if is_word else _PLAIN_WORD.findall(text)


def word_pattern() -> str:
    """A regular expression that matches one word of a normalized text."""
    return "|".join(
        [
            f"{LINK}|{MENTION}|{EMPTY_WORD}",
            _EMOTICON,
            f"[0-9#*]\u20e3|[{_FLAG_LETTER}]{{1,2}}|[{_EMOJI}][{_FLAG_TAG}]*(?:\u200d[{_EMOJI}])*",
            f"n't{_NO_LETTER_AFTER}|{_ENDING}|{_SHORTENED}|{_ELISION}",
            r"[0-9]+(?:[.,:][0-9]+)+",
            f"[{_LETTER}]+(?:(?!{_ENDING})'[{_LETTER}]+)*",
            f"[{_CHARACTER}][{_CHARACTER_MARK}]*",
            "[!?]",
        ]
    )


def unicode_normalizer(words: Iterable[str] | None) -> normalizers.Normalizer:
    """The normalizer for a vocabulary. It replaces words that are not in the vocabulary with plainer forms.

    Args:
        words: The vocabulary. A word that is not in it loses its accents, and four or more of the same letter in a row
            become three. With `None`, no word is replaced.
    """
    replace = normalizers.Replace
    word = word_pattern()
    return normalizers.Sequence(
        [
            # Without a space, a text that loses all of its characters would not be normalized further.
            normalizers.Prepend(" "),
            replace(EMPTY_WORD, " "),
            replace(Regex(SPACED_APOSTROPHE.pattern), "'"),
            replace(Regex(f"[{_INVISIBLE}]+"), ""),
            normalizers.Lowercase(),
            replace(Regex(f"(?<=[{_LETTER}])\u200d"), ""),
            replace(Regex(f"[{_APOSTROPHE}]"), "'"),
            replace("\uff01", "!"),
            replace(Regex("[\uff1f\u061f\u037e]"), "?"),
            # Case folding, where it differs from lower case.
            replace("\u00df", "ss"),
            replace("\u03c2", "\u03c3"),
            replace("i\u0307", "i"),
            normalizers.NFC(),
            *([] if words is None else _plainer_forms(words)),
            replace(Regex(_LINK), f" {LINK} "),
            replace(Regex(_MENTION), f" {MENTION} "),
            # :)))) and <3333
            replace(Regex(f"{_EYES_AND_NOSE}([()])\\K\\1+|<3\\K3+"), ""),
            replace(Regex(f"(?<=[{_LETTER}])n't(?=(?:n't)*{_NO_LETTER_AFTER})"), " n't"),
            replace(Regex(f"\\A(?!(?m:.*?)(?:{word}))(?m:.*)\\z"), EMPTY_WORD),
        ]
    )


def _plainer_forms(words: Iterable[str]) -> list[normalizers.Normalizer]:
    parts = {part for word in words for part in word.split("'")}
    decomposed = {normalize("NFD", part) for part in parts}
    return [
        normalizers.NFD(),
        normalizers.Replace(Regex(_outside(decomposed, f"[{_ACCENT}]+")), ""),
        normalizers.NFC(),
        normalizers.Replace(Regex(_outside(parts, _ELONGATION)), ""),
    ]


def _outside(words: Iterable[str], dropped: str) -> str:
    """A regular expression of the characters that a word loses unless it is one of `words`."""
    kept = [word for word in words if re.search(dropped, word) and re.fullmatch(f"[{_LETTER}]+", word)]
    if not kept:
        return dropped
    start = f"{_NO_LETTER_BEFORE}(?!{_one_of(kept)}{_NO_LETTER_AFTER})"
    # \G is the end of the previous match, in the same word. \K keeps the letters in between.
    return rf"(?:{start}|\G(?<=[{_LETTER}]))[{_LETTER}]*?\K{dropped}"


def _one_of(words: Iterable[str]) -> str:
    """Combine words into a regular expression that tests no letter twice: `(?:ca(?:t|r)|dog)`."""
    rests: dict[str, list[str]] = {}
    for word in sorted(words, reverse=True):
        rests.setdefault(word[:1], []).append(word[1:])
    branches = [first + (_one_of(rest) if first else "") for first, rest in rests.items()]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"


def unicode_pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """The pre-tokenizer that splits a normalized text into words. See [`word_pattern`]."""
    return pre_tokenizers.Split(Regex(word_pattern()), behavior="removed", invert=True)
