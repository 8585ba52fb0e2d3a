"""Reads chats that WhatsApp exported as text on Android or iOS, with the dates of any locale."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..building.dialogues import Dialogue, Utterance
from .input_file import InputFile
from .times import CHAT_SILENCE, date_order, half_day_hour, in_order, moment
from .whatsapp_notices import ACTION, ATTACHED, CHANGED, DELETED, ENCRYPTED, OMITTED

# WhatsApp begins its own messages with this character.
MARK = "\u200e"
INVISIBLE = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]")
SPACES = re.compile("[\u00a0\u202f\u2009]")
DATE = r"(?P<first>\d{1,4})(?:[./-]\s?|年\s?|년\s?)(?P<second>\d{1,2})(?:[./-]\s?|月\s?|월\s?)(?P<third>\d{1,4})"
# Between date and time: a comma, words such as "at", or the half of the day.
BETWEEN = r"(?:일|日)?\.?(?:\s?г\.)?[,،、]?\s(?P<before>(?:[^\W\d]{1,8}\.?\s?){0,3}(?:[^\W\d]\.\s?[^\W\d]\.\s)?)"
TIME = r"(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?:[:.](?P<second_of_time>\d{2}))?"
AFTER = r"(?P<after>\s?[^\W\d][^\d\[\]:–—-]{0,14}?)?"
HEAD = re.compile(
    rf"(?:\[{DATE}{BETWEEN}{TIME}{AFTER}\s?\]\s?|".replace("?P<", "?P<ios_")
    + rf"{DATE}{BETWEEN}{TIME}{AFTER}\s[-–—]\s)"
)
# The name of a group may contain a colon too, but is in quotes. A part of a name may be in quotes as well.
NAME = re.compile(
    r"""(?:~\s?)?((?:[^:"“”„«»\n]|"[^":\n]{1,40}"|“[^“”:\n]{1,40}”|„[^„“”:\n]{1,40}[“”]|«[^«»:\n]{1,40}»){1,80}?)"""
    r"""\s?:(?:\s|$)"""
)
# A document on iOS: its name and pages, without or with its size, before the note that it is attached.
DOCUMENT = re.compile(r"[^\n•]+\.\w{2,5}(?: • [^\n•]+)*\s*(?:\n|$)")
MOST_NAME_WORDS, LONGEST_NOTICE = 8, 160


class Message(NamedTuple):
    """A message before its date is interpreted, because the order of day, month and year depends on all messages.

    `number` is the number of its line, from 1. `date` has its three numbers in the order of the file. `time` is the
    hour (0 to 23), minute and second. `twelve_hours` is whether the file writes the time with a.m. or p.m.
    """

    number: int
    date: tuple[int, int, int]
    time: tuple[int, int, int]
    twelve_hours: bool
    content: str


def is_whatsapp(file: InputFile) -> bool:
    """Whether one of the first lines and at least one other begin with a date and a time of WhatsApp."""
    lines = [plain_line(line) for line in file.sample if line.strip()]
    heads = sum(bool(HEAD.match(line)) for line in lines)
    if not heads or not any(HEAD.match(line) for line in lines[:3]):
        return False
    messages = [line[found.end() :] for line in lines if (found := HEAD.match(line))]
    return any(NAME.match(content) for content in messages) and (heads > 1 or len(lines) == 1)


def plain_line(line: str) -> str:
    """Remove invisible characters from a line, and replace special spaces by ordinary ones."""
    return SPACES.sub(" ", INVISIBLE.sub("", line))


def read_whatsapp(file: InputFile) -> Iterator[Dialogue]:
    """Read one dialogue, without system messages and messages that contain only media."""
    file.options.refuse_columns(file.name)
    file.default_silence = CHAT_SILENCE
    found = list(messages(file))
    twelve_hours = any(message.twelve_hours for message in found)
    order = date_order((message.date for message in found), twelve_hours)
    utterances = []
    for message in found:
        said = speaker_and_text(file, message.content)
        if said:
            where = f"{file.name}:{message.number}"
            start = moment(in_order(message.date, order), message.time)
            utterances.append(Utterance(said[1], said[0], where=where, start=start))
    if utterances:
        yield Dialogue("", utterances)


def messages(file: InputFile) -> Iterator[Message]:
    """Yield each message, which may have several lines. Text before the first message is left out."""
    head, content, first_line = None, [], 0
    for number, line in enumerate(file.lines(), start=1):
        line = SPACES.sub(" ", line.rstrip("\r\n"))
        new = HEAD.match(INVISIBLE.sub("", line))
        if new:
            if head:
                yield message_of(first_line, head, content)
            head, first_line, content = new, number, [after_head(line, new)]
        elif head:
            content.append(line)
        elif plain_line(line).strip():
            file.leave_out("lines before the first message")
    if head:
        yield message_of(first_line, head, content)


def after_head(line: str, head: re.Match) -> str:
    """The rest of a line after its head. The head was matched without invisible characters."""
    left = head.end()
    for place, character in enumerate(line):
        if not left:
            return line[place:]
        left -= not INVISIBLE.match(character)
    return ""


def message_of(number: int, head: re.Match, content: list[str]) -> Message:
    """The message that begins on a line.

    Args:
        number: The number of the line, from 1.
        head: The match of its date and time.
        content: The rest of the line, and the further lines of the message.
    """
    found = {name.removeprefix("ios_"): value for name, value in head.groupdict().items() if value is not None}
    date = (int(found["first"]), int(found["second"]), int(found["third"]))
    half = f"{found.get('before', '')} {found.get('after', '')}".strip()
    hour = half_day_hour(int(found["hour"]), half)
    time = (hour, int(found["minute"]), int(found.get("second_of_time", 0)))
    return Message(number, date, time, bool(re.search(r"[ap]\.?\s?m", half, re.IGNORECASE)), "\n".join(content))


def speaker_and_text(file: InputFile, content: str) -> tuple[str, str] | None:
    """The speaker and the text of a message. None for a notice of WhatsApp, which is counted as left out."""
    name = NAME.match(INVISIBLE.sub("", content))
    text = after_head(content, name) if name else ""
    is_marked = text.lstrip().startswith(MARK)
    # The notice has the name of the chat before it, or may have a colon of its own.
    if not name or len(name[1].split()) > MOST_NAME_WORDS or ENCRYPTED.search(content if is_marked else name[1]):
        file.leave_out("system lines")
        return None
    text = INVISIBLE.sub("", CHANGED.sub("", text))
    if ATTACHED.search(text):
        file.leave_out("attachments")
        text = ATTACHED.sub("", text)
        text = DOCUMENT.sub("", text, count=1) if is_marked and DOCUMENT.match(text) else text
        if not text.strip():
            return None
        is_marked = False
    first, _, caption = text.strip().partition("\n")
    for what, pattern in (("omitted media", OMITTED), ("deleted messages", DELETED)):
        if len(first) < LONGEST_NOTICE and pattern.fullmatch(first.strip()):
            file.leave_out(what)
            return (name[1].strip(), " ".join(caption.split())) if caption.strip() else None
    text = " ".join(text.split())
    if is_marked or ACTION.fullmatch(first.strip()):
        file.leave_out("system lines")
        return None
    if not text:
        file.leave_out("empty messages")
        return None
    return name[1].strip(), text
