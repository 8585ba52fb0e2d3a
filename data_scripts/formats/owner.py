"""Which corpus files in the original's layout belong to, by their names, and by the content of those that may not be
passed on."""

import re
from pathlib import Path
from typing import Any

from .reading import parse_json, read_text

# What is in the names of files, as in `Friends_train.json` and `IEMOCAP4v2_dev.json`.
NAMES = ("dailydialog", "emorynlp", "emotionpush", "friends", "iemocap", "meld", "mosei", "mosi", "opsub")
TOLD_BY_CONTENT = {"emotionpush": "masked names such as person_165", "iemocap": "labels angry and neutral"}
MASKED = re.compile(r"\b(?:person|location|organi[sz]ation|misc|date|time|money|number|email)_\d+\b", re.IGNORECASE)
LETTER = re.compile(r"[^\W\d_]")
LABELS_OF_IEMOCAP = {"angry", "excited", "frustrated", "happy", "neutral", "sad"}


def check_owner(corpus: str, files: dict[str, Path]) -> None:
    """Raise a ValueError if the files belong to another corpus than the one that is loaded.

    Otherwise a corpus that may not be passed on could carry another's license. EmotionPush, IEMOCAP and OpSub are
    recognized by the content of train, so renaming their files does not hide them.
    """
    path = files["train"]
    letters = re.sub("[^a-z]", "", path.stem.lower())
    named = [name for name in NAMES if name in letters]
    found = owner_by_content(parse_json(read_text(path), path))
    if named and corpus not in named:
        found = named[0]
    if found not in (corpus, None):
        raise ValueError(f"{path}: a file of the corpus {found}; got it as {corpus}; load {found} instead")
    if not named and not found and corpus in TOLD_BY_CONTENT:
        raise ValueError(
            f"{path}: not known as a file of {corpus}; got another name, and no {TOLD_BY_CONTENT[corpus]}; "
            f"if it is one, rename it to {corpus}_train.json"
        )


def owner_by_content(dialogues: Any) -> str | None:
    """The only corpus that can have such dialogues, if there is one. Errors in a file are found later."""
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
