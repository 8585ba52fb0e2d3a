"""Reads JSON with one value per file or per line: detects which known form it has, and yields its dialogues."""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

from ..building.dialogues import Dialogue
from .chat_exports import EXPORTS, Export, read_export
from .input_file import InputFile
from .model_chats import is_model_chat, is_model_turn, read_model_chats, read_model_turns
from .model_exports import is_model_export, read_model_export
from .own_form import check_characters, is_own_form, read_own_form
from .reading import parse_json
from .speech_json import has_other_id, is_speech, is_speech_segment, read_segments, read_speech
from .tables import is_row, is_row_of_dialogue, read_json_rows
from .utterance_lists import is_utterance_list, read_texts, read_utterance_lists

Entries = Iterator[tuple[str, Any]]


class JsonForm(NamedTuple):
    """A form of JSON: its title for messages, whether the first entry has this form, and how to read the dialogues."""

    title: str
    recognizes: Callable[[Any, InputFile], bool]
    read: Callable[[InputFile, Iterable[tuple[str, Any]]], Iterator[Dialogue]]


def _recognizer(export: Export) -> Callable[[Any, InputFile], bool]:
    return lambda entry, file: export.recognizes(entry)


FORMS = [
    JsonForm("speech recognition JSON", lambda entry, file: is_speech(entry), read_speech),
    JsonForm("dialogues in this library's form", lambda entry, file: is_own_form(entry, file.options), read_own_form),
    *(JsonForm(f"{export.title} export", _recognizer(export), read_export) for export in EXPORTS),
    JsonForm("export of chats with a model", lambda entry, file: is_model_export(entry), read_model_export),
    JsonForm("chats with a model", lambda entry, file: is_model_chat(entry), read_model_chats),
    JsonForm("a chat with a model", lambda entry, file: is_model_turn(entry), read_model_turns),
    JsonForm("lists of utterances", lambda entry, file: is_utterance_list(entry), read_utterance_lists),
    JsonForm("a list of utterances", lambda entry, file: isinstance(entry, str), read_texts),
    JsonForm(
        "speech recognition segments",
        lambda entry, file: (
            is_speech_segment(entry) and not is_row_of_dialogue(entry, file.options) and not has_other_id(entry)
        ),
        read_segments,
    ),
    JsonForm("JSON rows", lambda entry, file: is_row(entry, file.options), read_json_rows),
]


def is_json(file: InputFile) -> bool:
    """Whether text begins like a JSON object or an array of JSON values."""
    line = next((line.strip() for line in file.sample if line.strip()), "")
    if not line.startswith(("{", "[")):
        return False
    try:
        json.loads(line)
    except RecursionError:
        return True
    except ValueError:
        # The first line of a multi-line value has only punctuation and possibly a key.
        return line in ("{", "[", "[{") or line.startswith(('{"', '[{"')) or (line[1:].strip()[:1] in ("{", '"'))
    return True


def entries(file: InputFile) -> Entries:
    """Yield the entries of a file, each with its place for messages.

    The entries are the values of the lines, the elements of the one array, or the one object.
    """
    lines = enumerate(map(str.strip, file.json_text()), start=1)
    filled = ((number, line) for number, line in lines if line)
    first, second = next(filled, None), next(filled, None)
    if first is None:
        return
    if has_value_per_line(first[1], second is None):
        for number, line in chain([first], [second] if second else [], filled):
            where = f"{file.name}:{number}"
            yield where, parse_json(line, where)
        return
    value = file.document
    if isinstance(value, list):
        yield from ((f"{file.name}, entry {number}", entry) for number, entry in enumerate(value, start=1))
    else:
        yield file.name, value


def has_value_per_line(first_line: str, is_only_line: bool) -> bool:
    """Whether a file has one value per line: its first line is an object, or an array above other lines."""
    try:
        value = json.loads(first_line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) or (isinstance(value, list) and not is_only_line)


def form_of(file: InputFile, first: Any) -> JsonForm | None:
    """The form of a JSON file by its first entry, or None if no form matches."""
    return next((form for form in FORMS if form.recognizes(first, file)), None)


def title_of(file: InputFile) -> str:
    """The title of the form of a JSON file, for messages; `JSON` if no form matches."""
    _, first = next(entries(file), ("", None))
    form = form_of(file, first)
    return form.title if form else "JSON"


def read_json(file: InputFile) -> Iterator[Dialogue]:
    """Read the dialogues of a JSON file in any of the known forms.

    Raises:
        ValueError: The file is not JSON, or its form is unknown.
    """
    found = entries(file)
    first = next(found, None)
    if first is None:
        return
    form = form_of(file, first[1])
    read = form.read if form else read_own_form
    for dialogue in read(file, chain([first], found)):
        check_characters(dialogue, dialogue.utterances[0].where if dialogue.utterances else file.name)
        yield dialogue
