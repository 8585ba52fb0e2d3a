"""Reads JSON in the form that the pipelines take: a dialogue is a list of texts or of objects with `text`."""

from collections.abc import Iterable, Iterator
from typing import Any

from ..building.dialogues import Dialogue, Utterance
from .input_file import InputFile
from .values import label_of, speaker_of, time_of


def is_utterance(entry: Any) -> bool:
    """Whether an entry is an utterance: a text, or an object with a `text`."""
    return isinstance(entry, str) or (isinstance(entry, dict) and isinstance(entry.get("text"), str))


def is_utterance_list(entry: Any) -> bool:
    """Whether an entry is a dialogue: a list of utterances."""
    return isinstance(entry, list) and bool(entry) and all(map(is_utterance, entry))


def read_utterance_lists(file: InputFile, entries: Iterable[tuple[str, Any]]) -> Iterator[Dialogue]:
    """Yield one dialogue per list.

    Raises:
        ValueError: An entry is not a list of utterances.
    """
    file.options.refuse_columns(file.name)
    for where, entry in entries:
        if entry == []:
            file.leave_out("chats without a message")
        elif is_utterance_list(entry):
            yield Dialogue("", [utterance(where, one) for one in entry])
        else:
            raise ValueError(
                f"{where}: not a list of utterances, as the first entry; got {str(entry):.60}; write each utterance as "
                'a text or as {"speaker": ..., "text": ...}'
            )


def read_texts(file: InputFile, entries: Iterable[tuple[str, Any]]) -> Iterator[Dialogue]:
    """Read one dialogue, whose utterances are the entries."""
    yield from read_utterance_lists(file, [(file.name, [entry for _, entry in entries])])


def utterance(where: str, entry: Any) -> Utterance:
    """The utterance of an entry. `where` is its place for messages."""
    if isinstance(entry, str):
        return Utterance(entry, "", where=where)
    start, end = time_of(entry.get("start")), time_of(entry.get("end"))
    speaker, label = speaker_of(entry.get("speaker")), label_of(entry.get("label"))
    return Utterance(entry["text"], speaker, label, where, start, end)
