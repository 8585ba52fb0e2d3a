"""Checks which corpus files in the original's layout belong to.

This depends on their names, and for corpora that must not be redistributed also on their content.
"""

import re
from pathlib import Path
from typing import Any

from .reading import parse_json, read_text

# The names of corpora in the names of files, such as `Friends_train.json` and `IEMOCAP4v2_dev.json`.
NAMES = ("dailydialog", "emorynlp", "emotionpush", "friends", "iemocap", "meld", "mosei", "mosi", "opsub")
# What identifies the files of a corpus by their content, for messages.
CONTENT = {"emotionpush": "masked names such as person_165", "iemocap": "labels angry and neutral"}
MASKED = re.compile(r"\b(?:person|location|organi[sz]ation|misc|date|time|money|number|email)_\d+\b", re.IGNORECASE)
LETTER = re.compile(r"[^\W\d_]")
LABELS_OF_IEMOCAP = {"angry", "excited", "frustrated", "happy", "neutral", "sad"}


def check_owner(corpus: str, files: dict[str, Path]) -> None:
    """Raise a ValueError if the files belong to another corpus than the one that is loaded.

    Otherwise a corpus that must not be redistributed could get the license of another. EmotionPush, IEMOCAP and OpSub
    are recognized by the content of train, so renaming their files does not hide them.
    """
    path = files["train"]
    letters = re.sub("[^a-z]", "", path.stem.lower())
    named = [name for name in NAMES if name in letters]
    found = owner_by_content(parse_json(read_text(path), path))
    if named and corpus not in named:
        found = named[0]
    if found not in (corpus, None):
        raise ValueError(f"{path}: belongs to the corpus {found}; got it as {corpus}; load {found} instead")
    if not named and not found and corpus in CONTENT:
        raise ValueError(
            f"{path}: not recognized as a file of {corpus}; got another name, and no {CONTENT[corpus]}; "
            f"if it is one, rename it to {corpus}_train.json"
        )


def owner_by_content(dialogues: Any) -> str | None:
    """The corpus that dialogues of this form must come from, or None. Errors in the file are reported later."""
    entries = dialogues if isinstance(dialogues, list) else []
    if entries and all(isinstance(entry, dict) and {"script", "neg"} <= entry.keys() for entry in entries):
        return "opsub"
    turns = [turn for entry in entries if isinstance(entry, list) for turn in entry if isinstance(turn, dict)]
    labels = {turn["emotion"].strip().lower() for turn in turns if isinstance(turn.get("emotion"), str)}
    if {"angry", "neutral"} <= labels <= LABELS_OF_IEMOCAP:
        return "iemocap"
    # EmotionPush numbers its speakers.
    if any(LETTER.search(str(turn.get("speaker") or "")) for turn in turns):
        return None
    return "emotionpush" if any(MASKED.search(str(turn.get("utterance"))) for turn in turns) else None
