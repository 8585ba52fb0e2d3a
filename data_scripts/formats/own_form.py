"""Reads the JSON form of this library: one object per dialogue.

For example, `{"utterances": [...], "speakers": [...], "labels": [...]}`.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ..building.dialogues import Dialogue, Utterance
from .input_file import InputFile
from .options import ReadingOptions
from .values import label_of, plain_value, speaker_of, time_of

TIMES = ("starts", "ends")


def is_own_form(entry: Any, options: ReadingOptions) -> bool:
    """Whether a JSON entry is a dialogue of this library: an object with the column of utterances, in any case."""
    return isinstance(entry, dict) and options.adapted_to(list(entry)).utterances_column in entry


def read_own_form(file: InputFile, entries: Iterable[tuple[str, Any]]) -> Iterator[Dialogue]:
    """Yield the dialogue of each JSON entry.

    Args:
        file: The file, with the options for the names of the columns.
        entries: The entries, each with its place for messages.

    Raises:
        ValueError: An entry is not a dialogue or has an invalid value.
    """
    needed = file.options.of_dialogues(file.name)
    for where, entry in entries:
        if isinstance(entry, dict) and needed[0] not in entry:
            file.options = file.options.adapted_to(list(entry))
            needed = file.options.of_dialogues(file.name)
        if not isinstance(entry, dict) or any(name not in entry for name in needed):
            form = ", ".join(f'"{name}": [...]' for name in needed)
            shown = json.dumps(entry, ensure_ascii=False)[:60]
            raise ValueError(f"{where}: not a dialogue; got {shown!r}; write {{{form}}} on one line")
        dialogue = from_lists(where, entry, file.options, file.keeps_columns)
        check_characters(dialogue, where)
        yield dialogue


def from_lists(where: str, entry: dict[str, Any], options: ReadingOptions, keeps_columns: bool = False) -> Dialogue:
    """Create a dialogue from lists of utterances, speakers and labels.

    Args:
        where: The place of the entry, for messages.
        entry: The object.
        options: The options, with the names of the columns.
        keeps_columns: Whether `extra` has the other columns.

    Returns:
        The dialogue. Without an id in the entry, its id is "".
    """
    texts = strings(entry, options.utterances_column, where)
    speakers = strings(entry, options.speakers_column, where, len(texts))
    labels = strings(entry, options.labels_column, where, len(texts), are_labels=True)
    starts, ends = (times(entry, name, len(texts)) for name in TIMES)
    turns = zip(texts, speakers, labels, starts, ends, strict=True)
    utterances = [
        Utterance(text, speaker_of(speaker), label_of(label), where, start, end)
        for text, speaker, label, start, end in turns
    ]
    read = [options.utterances_column, options.speakers_column, options.labels_column, options.dialogue_column]
    if any(start is not None for start in starts):
        read += TIMES
    extra = {name: plain_value(value) for name, value in entry.items() if name not in read} if keeps_columns else {}
    return Dialogue(dialogue_id(entry, options, where), utterances, extra=extra or None)


def dialogue_id(entry: dict[str, Any], options: ReadingOptions, where: str) -> str:
    """The id of a dialogue, from one column or several joined by `-`; empty if one is missing."""
    found = [entry.get(name) for name in options.dialogue_columns(list(entry)) or [options.dialogue_column]]
    for value in found:
        if not isinstance(value, str | int | float | None):
            raise ValueError(f"{where}: {options.dialogue_column} must be a string; got {value!r:.200}; write one")
    return "-".join(str(value) for value in found) if None not in found else ""


def strings(
    entry: dict[str, Any], name: str, where: str, length: int | None = None, are_labels: bool = False
) -> list[Any]:
    """A list of strings in an entry. Null becomes "", for a value or for the whole list.

    A label may be a number. A missing speaker may be NaN, as some programs write it.
    """
    if name in entry and entry[name] is None and length is None:
        raise ValueError(f"{where}: dialogue without utterances; got {name} null; write them as a list of strings")
    values = entry.get(name) or [""] * (length or 0)
    is_fit = isinstance(values, list) and all(
        isinstance(value, str | None) or (are_labels and is_number(value)) or (length and value != value)
        for value in values
    )
    if not is_fit:
        raise ValueError(f"{where}: {name} must be a list of strings; got {values!r:.200}; write each item as a string")
    if not values:
        raise ValueError(f"{where}: dialogue without utterances; got {values!r}; remove it")
    if length and len(values) != length:
        raise ValueError(
            f"{where}: {length} utterances but {len(values)} {name}; got {values!r:.200}; give one for each"
        )
    return ["" if value is None else value for value in values]


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number. Booleans are not numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def times(entry: dict[str, Any], name: str, length: int) -> list[float | str | None]:
    """The times of the utterances in one column of an entry, in seconds or as dates in ISO 8601.

    They are all None if the column is missing or has another number of values than `length`.
    """
    values = entry.get(name)
    if not isinstance(values, list) or len(values) != length:
        return [None] * length
    return [time_of(value) for value in values]


def check_characters(dialogue: Dialogue, where: str) -> None:
    """Refuse half a surrogate pair, which JSON can escape but no file can contain."""
    try:
        "".join(text or "" for turn in dialogue.utterances for text in (*turn[:3], dialogue.dialogue_id)).encode()
        json.dumps(dialogue.extra, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise ValueError(f"{where}: half of a surrogate pair; got {half}; write the whole character") from None
