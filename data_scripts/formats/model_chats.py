"""Reads chats with a language model: `messages` with role and content, or `conversations` with from and value."""

from collections.abc import Iterable, Iterator
from typing import Any

from ..building.dialogues import Dialogue, Utterance
from .input_file import InputFile
from .values import plain_value, speaker_of

LISTS = ("messages", "conversations", "conversation")
ROLE, CONTENT = ("role", "from"), ("content", "value")
# Messages with these roles are instructions to the model or results of programs. They are left out by default.
NOT_READ = {"system": "system messages", "developer": "system messages", "tool": "tool messages"}
NOT_READ |= {"function": "tool messages", "function_call": "tool messages", "observation": "tool messages"}
NOT_READ |= {"tool_call": "tool messages", "tool_response": "tool messages", "ipython": "tool messages"}
IDS = ("dialogue_id", "conversation_id", "id")


def is_model_turn(entry: Any) -> bool:
    """Whether an entry is a turn of a chat with a model: `role` and `content`, or `from` and `value`."""
    return isinstance(entry, dict) and (
        (isinstance(entry.get("role"), str) and "content" in entry)
        or (isinstance(entry.get("from"), str) and "value" in entry)
    )


def list_of(entry: Any) -> str | None:
    """The key of the list of turns in a chat, or None if there is none."""
    if isinstance(entry, dict):
        for name in LISTS:
            turns = entry.get(name)
            if isinstance(turns, list) and any(map(is_model_turn, turns)):
                return name
    return None


def is_model_chat(entry: Any) -> bool:
    """Whether an entry is a chat with a model: a list of turns, or an object with such a list."""
    return list_of(entry) is not None or (isinstance(entry, list) and any(map(is_model_turn, entry)))


def read_model_chats(file: InputFile, entries: Iterable[tuple[str, Any]]) -> Iterator[Dialogue]:
    """Yield one dialogue per entry."""
    for where, entry in entries:
        if isinstance(entry, dict) and any(entry.get(key) == [] for key in LISTS) or entry == []:
            file.leave_out("chats without a message")
            continue
        name = list_of(entry)
        if name is None and not is_model_chat(entry):
            raise ValueError(
                f'{where}: not a chat; got {str(entry):.60}; write {{"messages": [{{"role": ..., "content": ...}}]}}'
            )
        yield from chat(file, ((where, turn) for turn in (entry[name] if name else entry)), entry, name)


def read_model_turns(file: InputFile, entries: Iterable[tuple[str, Any]]) -> Iterator[Dialogue]:
    """Read one dialogue from turns in an array or one per line."""
    yield from chat(file, entries, {}, None)


def chat(file: InputFile, turns: Iterable[tuple[str, Any]], entry: Any, name: str | None) -> Iterator[Dialogue]:
    """Yield the dialogue of one chat, or nothing if it has no message.

    Args:
        file: The file, which counts what is left out.
        turns: The turns, each with its place for messages.
        entry: The whole entry, for the id and the other information.
        name: The key of the list of turns in the entry, or None if the entry is the list.
    """
    file.options.refuse_columns(file.name, has_roles=True)
    utterances = [turn for where, one in turns if (turn := utterance(file, where, one))]
    if not utterances:
        file.leave_out("chats without a message")
        return
    own = entry if isinstance(entry, dict) else {}
    found = next((own[key] for key in IDS if isinstance(own.get(key), str | int)), None)
    extra = {key: plain_value(value) for key, value in own.items() if key != name and key not in IDS}
    yield Dialogue(
        "" if found is None else str(found), utterances, extra=(extra or None) if file.keeps_columns else None
    )


def utterance(file: InputFile, where: str, turn: Any) -> Utterance | None:
    """The utterance of a turn, or None if it has no text or a role that is not read. The latter is counted."""
    if not is_model_turn(turn):
        raise ValueError(f"{where}: a turn without role and content; got {str(turn):.60}; write both")
    role, content = (next((turn[key] for key in keys if key in turn), None) for keys in (ROLE, CONTENT))
    roles = [one.strip() for one in file.options.roles.split(",") if one.strip()]
    if roles and role not in roles:
        file.leave_out(f"messages of {speaker_of(role) or 'no role'}")
        return None
    if not roles and isinstance(role, str) and role.lower() in NOT_READ:
        file.leave_out(NOT_READ[role.lower()])
        return None
    text = content_text(file, where, content)
    if not text.strip():
        file.leave_out("empty messages")
        return None
    return Utterance(text, speaker_of(turn["name"] if isinstance(turn.get("name"), str) else role), where=where)


def content_text(file: InputFile, where: str, content: Any) -> str:
    """The text of a content: a string, or the texts in a list of parts. Other parts are left out."""
    if isinstance(content, str) or content is None:
        return content or ""
    if not isinstance(content, list):
        raise ValueError(f"{where}: content must be a string or a list of parts; got {content!r:.60}; correct it")
    texts = []
    for part in content:
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str):
            texts.append(text)
        else:
            file.leave_out("omitted media")
    return " ".join(texts)
