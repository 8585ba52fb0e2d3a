"""The language of a corpus: stated by the user, known for a published corpus, or guessed from the text."""

import re
from importlib.util import find_spec
from typing import Any

from datasets import Dataset

from data_scripts import CORPORA
from data_scripts.sharing.dataset_card import built_with, language_of

# The maximum amount of text for a guess.
DIALOGUES, CHARACTERS = 500, 100_000


def find_language(
    language: str | None, rows: Dataset, corpus: str, options: dict[str, Any] | None = None
) -> dict[str, Any] | None:
    """The field `language` of a [`RunSummary`].

    Args:
        language: The ISO 639 code that the user stated, or None.
        rows: The training dialogues, with the column `utterances`, for a guess by the package `py3langid`, if it is
            installed.
        corpus: The name of the corpus. The language of a published corpus is known.
        options: The options that the corpus was built with.

    Returns:
        `code`, an ISO 639 code, and `is_guess`; or None if the language is unknown and cannot be guessed.

    Raises:
        ValueError: `language` is not an ISO 639 code.
    """
    if language is not None:
        check_language(language)
        return {"code": language, "is_guess": False}
    corpora = corpus.split(", ")  # the name of several corpora
    if all(name in CORPORA for name in corpora):
        known = {language_of(name, built_with(name, options or {})) for name in corpora}
        if len(known) == 1 and None not in known:
            return {"code": known.pop(), "is_guess": False}
    guess = guess_language(rows)
    return None if guess is None else {"code": guess, "is_guess": True}


def check_language(language: str) -> None:
    """Raise a ValueError if `language` is not an ISO 639 code: two or three lower-case letters."""
    if not re.fullmatch("[a-z]{2,3}", language):
        raise ValueError(f"--language {language}: use an ISO 639 code of two or three letters, such as en or de")


def guess_language(rows: Dataset) -> str | None:
    """The ISO 639 code of the most likely language, or None without the package `py3langid` or without text."""
    if find_spec("py3langid") is None:
        return None
    import py3langid

    chosen = rows.select(range(0, len(rows), len(rows) // DIALOGUES + 1))
    text = " ".join(utterance for utterances in chosen["utterances"] for utterance in utterances)[:CHARACTERS]
    return str(py3langid.classify(text.lower())[0]) if text.strip() else None


def language_name(code: str) -> str:
    """The English name of a language, or its code in quotes if the name is not known."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    return LANGUAGES[code].title() if code in LANGUAGES else f"`{code}`"
