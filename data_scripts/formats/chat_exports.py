"""Reads chats that were exported as JSON from Slack, Discord (DiscordChatExporter), Telegram or Messenger."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from html import unescape
from typing import Any, NamedTuple

from ..building.dialogues import Dialogue, Utterance
from .input_file import InputFile
from .times import CHAT_SILENCE, iso_date
from .values import MOST_SECONDS, name_of

SLACK_NOT_SAID = re.compile(
    r"(?:channel|group)_(?:join|leave|topic|purpose|name|archive|unarchive|convert_to_private|posting_permissions)"
    r"|pinned_item|unpinned_item|bot_add|bot_remove|reminder_add|tombstone|huddle_thread|sh_room_created|app_conversation_join"
)
# What Messenger writes as messages of a person.
MESSENGER_ACTION = re.compile(
    r"(?:You )?(?:reacted|liked)\b.{0,40}\b(?:to your|a|your) message\s?|.{1,60} (?:sent|unsent) (?:an?|the|\d+) "
    r"(?:attachment|photo|video|sticker|GIF|voice message|location|message|link)s?\.|(?:.{1,60} )?missed (?:a|your) "
    r"(?:video )?(?:call|chat)(?: from .{1,60})?\."
    r"|.{1,60} hat (?:einen Anhang|ein Foto|ein Video|einen Sticker|ein GIF|eine Sprachnachricht|einen Link) gesendet\."
    r"|.{1,60} a envoyé (?:une pièce jointe|une photo|une vidéo|un autocollant|un GIF|un message vocal|un lien)\."
    r"|.{1,60} (?:ha enviado|envió) (?:un archivo adjunto|una foto|un video|un vídeo|un sticker|un GIF|un enlace)\."
    r"|.{1,60} ha inviato (?:un allegato|una foto|un video|un adesivo|una GIF|un link)\."
    r"|.{1,60} enviou (?:um anexo|uma foto|um vídeo|uma figurinha|um GIF|um link)\."
    r"|.{1,60} heeft een (?:bijlage|foto|video|sticker|GIF|link) verzonden\.",
    re.IGNORECASE,
)
SLACK_MARK = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")


class Message(NamedTuple):
    """A message of an exported chat. `left_out` is the reason why it is not an utterance; "" if it is one."""

    speaker: str
    text: str
    date: str | None
    left_out: str = ""


class Export(NamedTuple):
    """The export of an application: its title for messages, and the functions that read it.

    `recognizes` returns whether an entry of the JSON is from this application. `chats` groups the entries of a file
    into chats. `message` reads one message; its second argument has the names of the users by their ids.
    """

    title: str
    recognizes: Callable[[Any], bool]
    chats: Callable[[InputFile, list[tuple[str, Any]]], Iterator[tuple[str, list[tuple[str, Any]]]]]
    message: Callable[[dict[str, Any], dict[str, str]], Message]


def is_message_list(entry: Any, is_message: Callable[[Any], bool]) -> bool:
    """Whether an entry is an object with a list `messages` in which at least one message passes `is_message`."""
    messages = entry.get("messages") if isinstance(entry, dict) else None
    return isinstance(messages, list) and any(is_message(one) for one in messages if isinstance(one, dict))


def is_slack(entry: Any) -> bool:
    """Whether an entry is a message of Slack: an object with a type and a timestamp `ts`."""
    return isinstance(entry, dict) and isinstance(entry.get("ts"), str) and "type" in entry


def is_slack_export(entry: Any) -> bool:
    """Whether an entry is a message of Slack, or an answer of its interface with a list of messages."""
    return is_slack(entry) or is_message_list(entry, is_slack)


def is_google_chat(entry: Any) -> bool:
    """Whether an entry is a chat of Google Chat: its messages have a creator and the date of creation."""
    return is_message_list(entry, lambda one: isinstance(one.get("creator"), dict) and "created_date" in one)


def is_discord(entry: Any) -> bool:
    """Whether an entry is a chat of Discord: its messages have an author and content."""
    return is_message_list(
        entry, lambda one: isinstance(one.get("author"), dict) and "content" in one
    ) or is_empty_export(entry, {"guild", "channel"})


def is_empty_export(entry: Any, keys: set[str]) -> bool:
    """Whether an entry is a chat without messages that has the other keys of an application."""
    return isinstance(entry, dict) and entry.get("messages") == [] and keys <= entry.keys()


def is_telegram(entry: Any) -> bool:
    """Whether an entry is a chat of Telegram, or the export of an account with all of its chats."""
    chats = entry.get("chats") if isinstance(entry, dict) else None
    if isinstance(chats, dict) and isinstance(chats.get("list"), list):
        return any(map(is_telegram, chats["list"]))
    return is_message_list(
        entry, lambda one: one.get("type") in ("message", "service") and "date" in one
    ) or is_empty_export(entry, {"name", "type", "id"})


def is_messenger(entry: Any) -> bool:
    """Whether an entry is a chat of Messenger: its messages have a sender and a time in milliseconds."""
    return is_message_list(
        entry,
        lambda one: {"sender_name", "timestamp_ms"} <= one.keys() or {"senderName", "timestamp", "text"} <= one.keys(),
    )


def entries_are_messages(file: InputFile, entries: list[tuple[str, Any]]) -> Iterator[tuple[str, list]]:
    """Yield all messages of the file as one chat, by date, because Slack may write replies late in the file."""
    if entries and not is_slack(entries[0][1]):
        pages = ((where, one["messages"]) for where, one in entries if is_message_list(one, is_slack))
        entries = [(f"{where}, message {n}", one) for where, page in pages for n, one in enumerate(page, start=1)]
    known = [(where, one) for where, one in entries if is_slack(one)]
    if len(known) < len(entries):
        file.leave_out("entries that are not messages", len(entries) - len(known))
    yield "", sorted(known, key=lambda pair: slack_seconds(pair[1]))


def entries_are_chats(file: InputFile, entries: list[tuple[str, Any]]) -> Iterator[tuple[str, list]]:
    """Yield each chat with its messages. An entry is a chat, or Telegram's list of all chats of an account."""
    for where, entry in entries:
        chats = [entry]
        if isinstance(entry, dict) and "chats" in entry:
            lists = [entry[key].get("list") for key in ("chats", "left_chats") if isinstance(entry.get(key), dict)]
            chats = [chat for found in lists if isinstance(found, list) for chat in found]
        names: Counter[str] = Counter()
        for number, chat in enumerate(chats, start=1):
            if not isinstance(chat, dict) or not isinstance(chat.get("messages"), list):
                raise ValueError(f"{where}: a chat without messages; got {str(chat):.60}; export the chat again")
            place = where if len(chats) == 1 else f"{where}, chat {number}"
            messages = [(f"{place}, message {n}", one) for n, one in enumerate(chat["messages"], start=1)]
            name = str((chat.get("name") or chat.get("id") or "") if len(chats) > 1 else "")
            names[name] += bool(name)
            # Two chats may have the same name.
            yield (f"{name} ({names[name]})" if names[name] > 1 else name), messages


def newest_last(file: InputFile, entries: list[tuple[str, Any]]) -> Iterator[tuple[str, list]]:
    """Yield each chat with its messages sorted by time. Messenger exports the newest message first."""
    for name, messages in entries_are_chats(file, entries):
        yield name, sorted(messages, key=lambda pair: messenger_milliseconds(pair[1]))


def messenger_milliseconds(message: Any) -> float:
    """The time of a Messenger message in milliseconds since 1970; 0 if it is missing or invalid."""
    return number_of(message, "timestamp_ms") or number_of(message, "timestamp")


def number_of(message: Any, key: str) -> float:
    """The number in a field of a message; 0 if it is missing, not a number, or too large to be a time."""
    value = message.get(key) if isinstance(message, dict) else None
    return float(value) if isinstance(value, int | float) and abs(value) < MOST_SECONDS else 0.0


def slack_seconds(message: dict[str, Any]) -> float:
    """The time of a Slack message in seconds since 1970; 0 if it is invalid."""
    try:
        return float(message["ts"])
    except (ValueError, OverflowError):
        return 0.0


def slack_message(message: dict[str, Any], names: dict[str, str]) -> Message:
    """Read a message of Slack. Mentions and links in its text become readable.

    Args:
        message: The message.
        names: The names of the users by their ids.
    """
    user = name_of(message.get("user")) or name_of(message.get("username")) or name_of(message.get("bot_id"))
    speaker = slack_name(message.get("user_profile")) or names.get(user) or user
    date = iso_date(slack_seconds(message)) if slack_seconds(message) else None
    if SLACK_NOT_SAID.fullmatch(str(message.get("subtype") or "")) or message.get("type") != "message":
        return Message(speaker, "", date, "system lines")

    def shown(mark: re.Match) -> str:
        kind, target, label = mark.groups()
        target = names.get(target, target) if kind == "@" else target
        return f"{'@' if kind in ('@', '!') else kind}{label or target.partition('^')[0]}"

    written = str(message.get("text") or "") or "".join(texts_of_blocks(message.get("blocks")))
    text = unescape(SLACK_MARK.sub(shown, written))
    return Message(speaker, text, date, "" if text.strip() else "omitted media")


def texts_of_blocks(block: Any) -> Iterator[str]:
    """Yield the texts in the blocks of a Slack message, in their order."""
    if isinstance(block, list):
        for one in block:
            yield from texts_of_blocks(one)
    elif isinstance(block, dict):
        text = block.get("text")
        yield from [text] if isinstance(text, str) else texts_of_blocks(text)
        yield from texts_of_blocks(block.get("elements"))


def slack_name(profile: Any) -> str:
    """The name in the profile of a Slack user: the display name, else the real name; "" if there is neither."""
    if not isinstance(profile, dict):
        return ""
    return next((name for key in ("display_name", "real_name", "name") if (name := name_of(profile.get(key)))), "")


def slack_names(file: InputFile, messages: list[tuple[str, Any]]) -> dict[str, str]:
    """Read the names of users from the messages, and from the list of users beside or above the file."""
    names = {}
    for path in (file.path.parent / "users.json", file.path.parent.parent / "users.json"):
        try:
            users = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        for user in users if isinstance(users, list) else []:
            if isinstance(user, dict) and isinstance(user.get("id"), str):
                names[user["id"]] = slack_name(user.get("profile")) or slack_name(user)
    for _, message in messages:
        user = message.get("user") if isinstance(message, dict) else None
        if isinstance(user, str) and (name := slack_name(message.get("user_profile"))):
            names[user] = name
    return {user: name for user, name in names.items() if name}


def discord_message(message: dict[str, Any], names: dict[str, str]) -> Message:
    """Read a message of Discord. The nickname on the server takes precedence over the user name."""
    author = message.get("author")
    if not isinstance(author, dict):
        author = {}
    speaker = name_of(author.get("nickname")) or name_of(author.get("name"))
    date = iso_date(message.get("timestamp"))
    if message.get("type") not in (None, "Default", "Reply", "ChatInputCommand", "ThreadStarterMessage", "0", "19"):
        return Message(speaker, "", date, "system lines")
    text = str(message.get("content") or "")
    return Message(speaker, text, date, "" if text.strip() else "omitted media")


def telegram_message(message: dict[str, Any], names: dict[str, str]) -> Message:
    """Read a message of Telegram, whose text may be a list of formatted parts."""
    speaker, date = name_of(message.get("from")), iso_date(message.get("date"))
    if message.get("type") != "message":
        return Message(speaker, "", date, "system lines")
    parts = message.get("text")
    parts = parts if isinstance(parts, list) else [parts]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    text = "".join(part for part in texts if isinstance(part, str))
    return Message(speaker, text, date, "" if text.strip() else "omitted media")


def messenger_message(message: dict[str, Any], names: dict[str, str]) -> Message:
    """Read a message of Messenger or Instagram, which write each byte of UTF-8 as a character.

    The export of encrypted chats has other keys.
    """
    keys = (("sender_name", "senderName"), ("content", "text"))
    speaker, text = (
        repaired_encoding(str(next((message[key] for key in names if message.get(key)), ""))) for names in keys
    )
    milliseconds = messenger_milliseconds(message)
    date = iso_date(milliseconds / 1000) if milliseconds else None
    if message.get("is_unsent") or message.get("isUnsent"):
        return Message(speaker, "", date, "deleted messages")
    is_action = message.get("type") in ("Subscribe", "Unsubscribe", "Call") or "call_duration" in message
    if is_action or MESSENGER_ACTION.fullmatch(text):
        return Message(speaker, "", date, "system lines")
    return Message(speaker, text, date, "" if text.strip() else "omitted media")


def google_chat_message(message: dict[str, Any], names: dict[str, str]) -> Message:
    """Read a message of Google Chat, whose date is text such as `Wednesday, January 3, 2024 at 10:15:00 AM UTC`."""
    creator = message.get("creator")
    creator = creator if isinstance(creator, dict) else {}
    speaker = name_of(creator.get("name")) or name_of(creator.get("email"))
    written = " ".join(str(message.get("created_date") or "").split())
    try:
        date = datetime.strptime(written, "%A, %B %d, %Y at %I:%M:%S %p UTC").isoformat() + "+00:00"
    except ValueError:
        date = None
    if message.get("message_state") == "DELETED":
        return Message(speaker, "", date, "deleted messages")
    text = str(message.get("text") or "")
    return Message(speaker, text, date, "" if text.strip() else "omitted media")


def repaired_encoding(text: str) -> str:
    """Decode UTF-8 whose bytes were written as one character each. Other text is returned unchanged."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


EXPORTS = [
    Export("Discord", is_discord, entries_are_chats, discord_message),
    Export("Telegram", is_telegram, entries_are_chats, telegram_message),
    Export("Messenger", is_messenger, newest_last, messenger_message),
    Export("Google Chat", is_google_chat, entries_are_chats, google_chat_message),
    Export("Slack", is_slack_export, entries_are_messages, slack_message),
]


def read_export(file: InputFile, entries: Iterable[tuple[str, Any]]) -> Iterator[Dialogue]:
    """Yield one dialogue per chat, in the order of the messages."""
    file.options.refuse_columns(file.name)
    file.default_silence = CHAT_SILENCE
    found = list(entries)
    export = next(export for export in EXPORTS if export.recognizes(found[0][1]))
    for name, messages in export.chats(file, found):
        names = slack_names(file, messages) if export.title == "Slack" else {}
        utterances = []
        for where, one in messages:
            if not isinstance(one, dict):
                raise ValueError(f"{where}: not a message; got {one!r:.60}; export the chat again")
            message = export.message(one, names)
            if message.left_out:
                file.leave_out(message.left_out)
            else:
                text = " ".join(message.text.split())
                utterances.append(Utterance(text, message.speaker, where=where, start=message.date))
        if utterances:
            yield Dialogue(name, utterances)
