"""Reads the conversations that ChatGPT and Claude export for their users."""

from collections.abc import Iterable, Iterator
from typing import Any

from ..building.dialogues import Dialogue
from .input_file import InputFile
from .model_chats import utterance
from .times import CHAT_SILENCE, iso_date

IDS = ("conversation_id", "id", "uuid")
# Other contents of ChatGPT are what the model thinks, or what its tools get and return.
CONTENT_TYPES = ("text", "multimodal_text")


def is_model_export(entry: Any) -> bool:
    """Whether an entry is an exported conversation: it has Claude's `chat_messages` or ChatGPT's `mapping`."""
    if not isinstance(entry, dict):
        return False
    nodes = entry.get("mapping")
    is_chatgpt = isinstance(nodes, dict) and all(isinstance(one, dict) and "message" in one for one in nodes.values())
    return isinstance(entry.get("chat_messages"), list) or (is_chatgpt and "current_node" in entry)


def read_model_export(file: InputFile, entries: Iterable[tuple[str, Any]]) -> Iterator[Dialogue]:
    """Yield one dialogue per conversation, with the dates of its messages.

    Of the answers that ChatGPT wrote anew, the last one is read.
    """
    file.options.refuse_columns(file.name, has_roles=True)
    file.default_silence = CHAT_SILENCE
    for where, entry in entries:
        if not is_model_export(entry):
            raise ValueError(f"{where}: not a conversation; got {str(entry):.60}; export the conversations again")
        utterances = []
        for turn in claude_turns(entry) if "chat_messages" in entry else chatgpt_turns(file, entry):
            if said := utterance(file, where, turn):
                utterances.append(said._replace(start=iso_date(turn["date"]) if turn["date"] else None))
        if not utterances:
            file.leave_out("chats without a message")
            continue
        found = next((entry[key] for key in IDS if isinstance(entry.get(key), str)), "")
        yield Dialogue(found, utterances)


def claude_turns(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the turns of a conversation of Claude, each with `role`, `content` and `date`."""
    for message in entry["chat_messages"]:
        if isinstance(message, dict):
            content = message.get("text") or message.get("content")
            yield {
                "role": str(message.get("sender") or ""),
                "content": content if isinstance(content, str | list) else "",
                "date": message.get("created_at"),
            }


def chatgpt_turns(file: InputFile, entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the turns of a conversation of ChatGPT, which is a tree: those from its root to its current message."""
    nodes = entry["mapping"]
    path: list[dict[str, Any]] = []
    seen: set[str] = set()
    name = entry["current_node"]
    while isinstance(name, str) and name in nodes and name not in seen:
        seen.add(name)
        path.append(nodes[name])
        name = nodes[name].get("parent")
    for node in reversed(path):
        message = node["message"]
        if not isinstance(message, dict):
            continue
        author, content = message.get("author"), message.get("content")
        if not isinstance(author, dict) or not isinstance(content, dict):
            continue
        if content.get("content_type", "text") not in CONTENT_TYPES:
            file.leave_out("tool messages")
            continue
        parts = content.get("parts")
        yield {
            "role": str(author.get("role") or ""),
            "content": parts if isinstance(parts, list) else "",
            "date": message.get("create_time"),
        }
