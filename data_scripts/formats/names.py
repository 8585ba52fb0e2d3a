"""Recognizes the names of speakers in text."""

import re

# A name before the first colon. The wide colon of Chinese and Japanese needs no space after it.
WORD = r"""[^\s:：,;!?"“”]+"""
SPEAKER = re.compile(rf"(?=\w)(?=[^:：]{{1,30}}[:：])({WORD}(?:\s{WORD}){{0,2}})\s?(?::(?!\S)|：)\s*")
# A longer name, which may have a title before or after it: `Dr. Ana Maria de la Cruz, MD`.
LONG_SPEAKER = re.compile(r"""\[?(?=\w)([^:：;!?"“”<>\t\[\]]{1,70}?)\]?\s?(?::(?!\S)|：)\s*""")
PARTICLES = {"al", "am", "and", "av", "ben", "bin", "bint", "da", "das", "de", "del", "della", "den", "der", "des"}
PARTICLES |= {"di", "do", "dos", "du", "e", "el", "et", "für", "ibn", "la", "le", "los", "of", "op", "och", "the"}
PARTICLES |= {"til", "und", "van", "vom", "von", "y", "ze", "zu", "zum"}
TITLE = re.compile(
    r"\b(?:Dr|Prof|Mr|Mrs|Ms|Mx|Sr|Sra|Jr|St|Rev|Hon|Sir|Lord|Lady|Dame|Judge|Justice|Senator|Sen|Rep|Capt|Col|Gen"
    r"|Lt|Sgt|Ph\.?D|M\.?D|MBA|CEO|CTO|CFO|Esq|Herr|Frau|Mme|Mlle)\b"
)
MOST_WORDS, MOST_TITLED_WORDS = 6, 8


def speaker_and_text(line: str, known: frozenset[str] = frozenset()) -> tuple[str, str]:
    """Split a line into the speaker ("" if there is none) and the rest. `known` has the long names of the file."""
    if name := SPEAKER.match(line):
        return name[1], line[name.end() :]
    name = LONG_SPEAKER.match(line) if known else None
    return (name[1], line[name.end() :]) if name and name[1] in known else ("", line)


def long_name(line: str) -> str:
    """The name at the beginning of a line if it has more words than [`speaker_and_text`] accepts, else ""."""
    name = LONG_SPEAKER.match(line)
    return name[1] if name and not SPEAKER.match(line) and is_name(name[1]) else ""


def is_name(text: str) -> bool:
    """Whether a text may be a name: at most six words (eight with a title), capitalized or in a script without case.

    What is in parentheses after it, such as `(female, 34)`, is not checked.
    """
    text = re.sub(r"(?<=\w)\s?\([^()]{1,40}\)$", "", text)
    words = re.split(r"[\s,]+", text.strip(" ,"))
    if len(words) > (MOST_TITLED_WORDS if TITLE.search(text) else MOST_WORDS) or len(text) > 70:
        return False
    return all(is_name_word(word) for word in words) and (len(words) > 1 or any(map(str.isalnum, text)))


def is_name_word(word: str) -> bool:
    """Whether a word may be part of a name: it is not in lower case, or is a particle such as "van"."""
    letter = next((character for character in word if character.isalnum()), "")
    return not letter.islower() or word in PARTICLES or any(map(str.isupper, word)) or any(map(str.isdigit, word))


def may_name(text: str) -> bool:
    """Whether text next to a time or a colon may be a name. User names may be in lower case."""
    text = text.strip()
    if not text or not any(map(str.isalpha, text)) and not text.lstrip("+").replace(" ", "").isdigit():
        return False
    if re.search(r"""[!?"“”;]|://""", text):
        return False
    return is_name(text) or (len(text.split()) <= 3 and "," not in text and len(text) <= 30)
