"""Recognizes the names of speakers in text."""

import re
from collections import Counter
from collections.abc import Mapping

# A name before the first colon. The wide colon of Chinese and Japanese needs no space after it.
WORD = r"""[^\s:：,;!?"“”]+"""
# It begins with a letter or digit, with `+` of a telephone number, or with the mark of a user name.
BEGINNING = r"(?=\w|\+\d|[@~]\s?\w)"
SPEAKER = re.compile(rf"{BEGINNING}(?=[^:：]{{1,30}}[:：])({WORD}(?:\s{WORD}){{0,2}})\s?(?::(?!\S)|：)\s*")
# A longer name, which may have a title before or after it: `Dr. Ana Maria de la Cruz, MD`.
LONG_SPEAKER = re.compile(rf"""\[?{BEGINNING}([^:：;!?"“”<>\t\[\]]{{1,70}}?)\]?\s?(?::(?!\S)|：)\s*""")
PARTICLES = {"al", "am", "and", "av", "ben", "bin", "bint", "da", "das", "de", "del", "della", "den", "der", "des"}
PARTICLES |= {"di", "do", "dos", "du", "e", "el", "et", "für", "ibn", "la", "le", "los", "of", "op", "och", "the"}
PARTICLES |= {"til", "und", "van", "vom", "von", "y", "ze", "zu", "zum"}
TITLE = re.compile(
    r"\b(?:Dr|Prof|Mr|Mrs|Ms|Mx|Sr|Sra|Jr|St|Rev|Hon|Sir|Lord|Lady|Dame|Judge|Justice|Senator|Sen|Rep|Capt|Col|Gen"
    r"|Lt|Sgt|Ph\.?D|M\.?D|MBA|CEO|CTO|CFO|Esq|Herr|Frau|Mme|Mlle)\b"
)
# `ANA (excited)`, and `T1`.
MANNER = re.compile(r"([^()\[\]]+?)\s?[(\[][^()\[\]]{1,40}[)\]]")
# Meeting services hide digits of a telephone number: `+1 415-***-1234`.
TELEPHONE = re.compile(r"(?!\d{1,4}[-.]\d{1,2}[-.]\d{1,4}$)\+?[\d\s().*-]{5,30}")
FEWEST_DIGITS = 5
NUMBERED_TURN = re.compile(r"([^\W\d]{1,12})\s?(\d{1,4})")
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
    if not any(map(str.isalpha, text)) and not text.isdigit() and not is_telephone(text):
        return False
    if re.search(r"""[!?"“”;]|://""", text):
        return False
    return is_name(text) or (len(text.split()) <= 3 and "," not in text and len(text) <= 30)


def is_telephone(text: str) -> bool:
    """Whether a text is a telephone number, in which stars may hide digits."""
    return bool(TELEPHONE.fullmatch(text)) and sum(map(str.isdigit, text)) >= FEWEST_DIGITS


def people_of(names: Counter[str]) -> dict[str, str]:
    """The person of each name that also says how something is said, or has the number of the turn.

    `ANA (excited)` is `ANA` if that name occurs alone, or with another word in parentheses. `T1`, `C1`, `T2`, `C2` are
    `T` and `C` if each occurs once, in the order of the numbers.
    """
    people = {name: found[1] for name in names if (found := MANNER.fullmatch(name))}
    shared = Counter(people.values())
    people = {name: person for name, person in people.items() if shared[person] > 1 or person in names}
    turns = [found for name in names if (found := NUMBERED_TURN.fullmatch(name))]
    numbers = [int(turn[2]) for turn in turns]
    if len(turns) > 3 and len(turns) == len(names) == names.total() and numbers == sorted(numbers):
        pair = {turn[1] for turn in turns}
        people |= {turn[0]: turn[1] for turn in turns if len(pair) == 2}
    return people


def remarks_on(people: Mapping[str, str]) -> list[str]:
    """A remark for the log on names that are read as others, if there are any."""
    return [f"names such as {name!r} read as {person!r}" for name, person in [*people.items()][:1]]
