"""Reads chats that LINE exported as text on a phone: a time, a name and a message, separated by tabs, below dates."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from ..building.dialogues import Dialogue, Utterance
from .chat_notices import KINDS
from .input_file import InputFile
from .times import CHAT_SILENCE, date_order, hour_and_minute, in_order, moment

TITLE = re.compile(r"\ufeff?\[LINE\]\s?\S")
# `2024/01/03(水)`, `2024.01.03 Wednesday` or `Wed, 1/3/2024`.
DATE = re.compile(
    r"(?:(?P<weekday>[^\W\d]{1,12})\.?,\s)?(?P<numbers>\d{1,4}[/.]\d{1,2}[/.]\d{1,4})(?:\s?[（(]?[^\W\d]{1,12}\.?[)）]?)?"
)
MESSAGE = re.compile(
    r"(?P<before>[^\W\d]{1,6}\s?)?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?P<after>\s?[AaPp]\.?[Mm]\.?)?\t(?P<content>.*)"
)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OMITTED = re.compile(rf"\[(?:{KINDS})\](?:\s.{{0,80}})?", re.IGNORECASE)
CALL = re.compile(r"☎.{0,80}")
UNSENT = re.compile(
    r".{0,80}(?:\bunsent a message"
    r"|送信を取り消しました|已收回訊息|收回了?訊息|撤回了?(?:一条)?消息|보내기를 취소).{0,20}"
)


class Message(NamedTuple):
    """A message before its date is interpreted.

    `number` is the number of its first line, from 1, and `day` the number of its date, from 0, or -1 without a date.
    """

    number: int
    day: int
    head: re.Match
    lines: list[str]


def is_line(file: InputFile) -> bool:
    """Whether a file begins as LINE's exports do, or has their dates and messages."""
    lines = [line for line in file.sample if line.strip()]
    if lines and TITLE.match(lines[0]):
        return True
    messages = sum(bool(MESSAGE.fullmatch(line)) and line.count("\t") > 1 for line in lines)
    return messages > 1 and any(DATE.fullmatch(line.strip()) for line in lines)


def read_line(file: InputFile) -> Iterator[Dialogue]:
    """Read one dialogue, without system messages and messages that contain only media.

    Raises:
        ValueError: The messages have no tabs, as in exports of LINE for computers.
    """
    file.options.refuse_columns(file.name)
    file.default_silence = CHAT_SILENCE
    dates: list[re.Match] = []
    found = list(messages(file, dates))
    if not found:
        first = next((line.strip() for line in file.sample if re.match(r"\D{0,6}\d{1,2}:\d{2}\s", line)), "no message")
        raise ValueError(
            f"{file.name}: is a LINE export without tabs, as LINE for computers writes it; a name cannot be "
            f"distinguished from the message after it; got {first[:80]!r}; export the chat on a phone, or put a tab "
            "after each time and name"
        )
    is_twelve = any((message.head["after"] or "").strip() for message in found)
    order = order_of(dates, is_twelve)
    utterances = []
    for message in found:
        if said := speaker_and_text(file, message):
            date = in_order(numbers_of(dates[message.day]), order) if message.day >= 0 else None
            start = moment(date, hour_and_minute(message.head))
            utterances.append(Utterance(said[1], said[0], where=f"{file.name}:{message.number}", start=start))
    if utterances:
        yield Dialogue("", utterances)


def messages(file: InputFile, dates: list[re.Match]) -> Iterator[Message]:
    """Yield each message, which may have several lines. The dates between them are added to `dates`."""
    message = None
    for number, line in enumerate(file.lines(), start=1):
        line = line.rstrip("\r\n")
        if head := MESSAGE.fullmatch(line):
            if message:
                yield message
            message = Message(number, len(dates) - 1, head, [head["content"]])
        elif date := DATE.fullmatch(line.strip()):
            dates.append(date)
            file.leave_out("dates")
        elif message:
            message.lines.append(line)
        elif line.strip():
            file.leave_out("lines before the first message")
    if message:
        yield message


def speaker_and_text(file: InputFile, message: Message) -> tuple[str, str] | None:
    """The speaker and the text of a message. None for a notice of LINE, which is counted as left out."""
    content = "\n".join(message.lines).strip("\n")
    name, tab, text = content.partition("\t")
    if "\n" in text and text.startswith('"') and text.rstrip().endswith('"'):
        text = text.strip()[1:-1]  # LINE puts a message of several lines in quotes
    text = " ".join(text.split())
    if UNSENT.fullmatch(text or name.strip()):
        file.leave_out("deleted messages")
    elif not tab or not name.strip() or CALL.fullmatch(text):
        file.leave_out("system lines")
    elif OMITTED.fullmatch(text):
        file.leave_out("omitted media")
    elif not text:
        file.leave_out("empty messages")
    else:
        return name.strip(), text
    return None


def order_of(dates: list[re.Match], twelve_hours: bool) -> str:
    """The order of day, month and year in all dates: the one that fits their English weekdays, or else the likely."""
    days = [numbers_of(date) for date in dates]
    named = [
        (numbers, DAYS.index(name))
        for numbers, date in zip(days, dates, strict=True)
        if (name := (date["weekday"] or "")[:3].lower()) in DAYS
    ]
    for order in ("mdy", "dmy") if named else ():
        if all(weekday_of(numbers, order) == day for numbers, day in named):
            return order
    return date_order(days, twelve_hours)


def numbers_of(date: re.Match) -> list[int]:
    """The three numbers of a date, in its order."""
    return [int(number) for number in re.split(r"[/.]", date["numbers"])]


def weekday_of(numbers: list[int], order: str) -> int | None:
    """The weekday of a date, 0 for Monday; None if there is no such date."""
    try:
        return datetime(*in_order(numbers, order)).weekday()
    except ValueError:
        return None
