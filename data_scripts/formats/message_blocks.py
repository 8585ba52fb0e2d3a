"""Reads chats as blocks: a date with a time, below it a name and the message, as exports of iMessage have it."""

import re
from collections.abc import Iterator

from ..building.dialogues import Dialogue, Utterance
from .chat_notices import notice_of
from .input_file import InputFile, stripped
from .names import may_name
from .times import CHAT_SILENCE, date_numbers, date_order
from .transcripts import RANGE, Turn, blocks, times_of

# `Jan 03, 2024 10:15:02 AM (Read by you after 1 minute)`
STAMP = re.compile(rf"{RANGE}(?:\s\([^()]{{1,120}}\))?", re.IGNORECASE)
ANNOUNCEMENT = re.compile(rf"{RANGE}\s(?P<text>\S.{{0,160}})", re.IGNORECASE)
LONGEST_STAMP = 200
ATTACHMENT = re.compile(r"(?:~?/|[A-Z]:\\|attachments?[/\\])[^\n]{1,300}\.\w{2,5}", re.IGNORECASE)
NOTE = re.compile(
    r"Tapbacks:|Edited .{1,40} ago|(?:Loved|Liked|Disliked|Laughed|Emphasized|Questioned|.{1,12}) by \S.{0,60}"
    r"|This message responded to an earlier message\."
)
FEWEST, SHARE, MOST = 2, 0.2, 0.8


def stamp_of(block: list[str]) -> re.Match | None:
    """The match of the first line of a block if it is a date with a time, or None."""
    stamp = STAMP.fullmatch(block[0]) if len(block[0]) < LONGEST_STAMP else None
    return stamp if stamp and stamp["day"] else None


def is_message_blocks(file: InputFile) -> bool:
    """Whether enough blocks have a date with a time above a name and a message. The others continue a message."""
    found = list(blocks(file.sample))
    stamped = [block for block in found if stamp_of(block)]
    named = sum(len(block) > 2 and may_name(block[1]) for block in stamped)
    return len(stamped) >= max(FEWEST, SHARE * len(found)) and named >= MOST * len(stamped)


def read_message_blocks(file: InputFile) -> Iterator[Dialogue]:
    """Read one dialogue. Attachments, reactions and announcements are left out."""
    file.options.refuse_columns(file.name)
    file.default_silence = CHAT_SILENCE
    found = list(turns(file))
    order = date_order([date_numbers(turn.day) for turn in found if turn.day], True)
    utterances = []
    for turn in found:
        lines = [line for line in turn.lines if line and not left_out(file, line)]
        if text := " ".join(" ".join(lines).split()):
            start, _ = times_of(turn, order)
            utterances.append(Utterance(text, turn.speaker, where=f"{file.name}:{turn.number}", start=start))
    if utterances:
        yield Dialogue("", utterances)


def left_out(file: InputFile, line: str) -> bool:
    """Whether nobody wrote a line of a message. It is counted then."""
    what = "attachments" if ATTACHMENT.fullmatch(line) else "reactions" if NOTE.fullmatch(line) else notice_of(line)
    if what:
        file.leave_out(what)
    return bool(what)


def turns(file: InputFile) -> Iterator[Turn]:
    """Yield the turn of each block. A block without a date continues the one above."""
    turn: Turn | None = None
    is_head = False
    for number, line in enumerate(map(stripped, file.lines()), start=1):
        stamp = stamp_of([line]) if line else None
        if stamp:
            if turn:
                yield turn
            turn, is_head = Turn(number, "", stamp["day"], stamp["clock"], None, []), True
        elif turn and is_head and line:
            turn, is_head = turn._replace(speaker=line), False
        elif len(line) < LONGEST_STAMP and (found := ANNOUNCEMENT.fullmatch(line)) and found["day"]:
            file.leave_out("system lines")
        elif turn:
            turn.lines.append(line)
        elif line:
            file.leave_out("lines above the first turn")
    if turn:
        yield turn
