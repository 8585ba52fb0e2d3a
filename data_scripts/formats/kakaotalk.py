"""Reads chats that KakaoTalk exported as text or CSV, on a computer, on Android or on iOS."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..building.dialogues import Dialogue, Utterance
from .input_file import InputFile
from .options import COLUMNS
from .reading import read_csv
from .times import CHAT_SILENCE, MONTH, WEEKDAY, date_numbers, hour_and_minute, iso_date, moment
from .whatsapp_notices import DELETED

TITLE = re.compile(r"\ufeff?.{0,120}(?:카카오톡 대화|KakaoTalk Chats?\b|カカオトーク).{0,120}", re.IGNORECASE)
TABLE = "Date,User,Message"
DAY = (
    rf"(?P<date>\d{{4}}\s?[년年./-]\s?\d{{1,2}}\s?[월月./-]\s?\d{{1,2}}\s?[일日.]?"
    rf"|(?:{WEEKDAY})?{MONTH}\s\d{{1,2}},?\s\d{{4}})"
)
CLOCK = r"(?P<before>[^\W\d]{1,6}\s?)?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?P<after>\s?[AaPp]\.?[Mm]\.?)?"
# A computer writes dates between the messages; a phone writes the date into each message.
RULE = re.compile(rf"-{{3,}}\s{DAY}[^-]{{0,12}}-{{3,}}", re.IGNORECASE)
OF_COMPUTER = re.compile(rf"\[(?P<name>[^\[\]]{{1,80}})\] \[{CLOCK}\] ?(?P<text>.*)", re.IGNORECASE)
STAMP = rf"{DAY}(?:,|\sat)?\s{CLOCK}"
OF_PHONE = re.compile(rf"{STAMP}, (?P<name>[^:]{{1,80}}?) : ?(?P<text>.*)", re.IGNORECASE)
OF_NOBODY = re.compile(rf"{DAY}(?:(?:,|\sat)?\s{CLOCK}(?P<notice>[,:]\s.*)?|,?\s[^\W\d]{{1,10}})?", re.IGNORECASE)
NOTICE = re.compile(
    r".{1,80}님(?:이|을|과|께서).{0,200}(?:나갔|들어왔|초대했|내보냈|되었|변경했|설정했)습니다\.?"
    r"(?:채팅방으로 초대하기)?|채팅방 관리자가 메시지를 가렸습니다\.?"
    r"|.{1,80} (?:left|joined|entered) (?:this|the) (?:chat|group|open)\s?\S{0,10}\.?"
    r"|.{1,80} (?:invited .{1,200}|has (?:left|joined))\."
)
EMOTICON = re.compile(r"[\[(](?:이모티콘|emoticon)[\])]\s*", re.IGNORECASE)
OMITTED = re.compile(
    r"(?:사진|동영상|이모티콘|음성 ?메시지)(?: \d{1,3}[장개])?|<[^<>]{1,30} 읽지 않음>"
    r"|(?:파일|연락처|지도|샵검색) ?: .{1,200}"
    r"|(?:photos?|videos?|emoticons?|stickers?|voice (?:message|note))(?: \(?\d{1,3}\)?)?|sent (?:\d{1,3} )?photos?\.?"
    r"|(?:file|contact|location|map) ?: .{1,200}|写真|動画|スタンプ|ボイスメッセージ|[0-9a-f]{32,}\.\w{3,4}",
    re.IGNORECASE,
)
CALL = re.compile(
    r"(?:부재중 )?(?:보이스톡|페이스톡|라이브톡|그룹콜)\s?(?:해요|종료|취소|부재중|응답없음|거절|시작)?[\s\d:]*"
    r"|(?:missed |canceled )?(?:voice|video|face|live) ?(?:call|talk)"
    r"(?: (?:ended|canceled|missed|declined|no answer))?[\s\d:]*",
    re.IGNORECASE,
)
WITHDRAWN = re.compile(r"(?:this )?message (?:was |has been )?deleted\.?|削除されたメッセージです。?", re.IGNORECASE)


class Message(NamedTuple):
    """A message: the number of its first line, from 1, its name, its time, and its lines."""

    number: int
    name: str
    start: str | float | None
    lines: list[str]


def is_kakaotalk(file: InputFile) -> bool:
    """Whether a file begins as KakaoTalk's exports do, or has their messages or the columns of their CSV."""
    if is_kakaotalk_table(file):
        return True
    lines = [line.strip() for line in file.sample if line.strip()]
    of_phone, of_computer = (sum(bool(form.fullmatch(line)) for line in lines) for form in (OF_PHONE, OF_COMPUTER))
    has_title = any(TITLE.fullmatch(line) for line in lines[:2])
    has_rule = any(RULE.fullmatch(line) for line in lines)
    return of_phone + of_computer > (0 if has_title else 1) and (has_title or has_rule or of_phone > 0)


def is_kakaotalk_table(file: InputFile) -> bool:
    """Whether a file is KakaoTalk's CSV: it has exactly its columns, and no option names other ones."""
    is_changed = file.options.rows or file.options.changed_values(*COLUMNS)
    return not is_changed and bool(file.sample) and file.sample[0].lstrip("\ufeff") == TABLE


def read_kakaotalk(file: InputFile) -> Iterator[Dialogue]:
    """Read one dialogue, without system messages and messages that contain only media."""
    file.options.refuse_columns(file.name)
    file.default_silence = CHAT_SILENCE
    utterances = []
    for message in rows(file) if is_kakaotalk_table(file) else messages(file):
        if text := text_of(file, message):
            where = f"{file.name}:{message.number}"
            utterances.append(Utterance(text, message.name, where=where, start=message.start))
    if utterances:
        yield Dialogue("", utterances)


def rows(file: InputFile) -> Iterator[Message]:
    """Yield the messages of KakaoTalk's CSV."""
    for where, row in read_csv(file.path, [], file.lines(), file.name):
        number = int(where.rpartition(":")[2])
        yield Message(number, row["User"].strip(), iso_date(row["Date"]), row["Message"].splitlines())


def messages(file: InputFile) -> Iterator[Message]:
    """Yield the messages of KakaoTalk's text. Dates and notices between them are counted as left out."""
    message, day = None, None
    for number, line in enumerate(file.lines(), start=1):
        line = line.strip()
        head = OF_PHONE.fullmatch(line) or OF_COMPUTER.fullmatch(line)
        if head:
            if message:
                yield message
            date = head["date"] if "date" in head.groupdict() else day
            start = moment(date_numbers(date) if date else None, hour_and_minute(head))
            message = Message(number, head["name"].strip(), start, [head["text"]])
        elif rule := RULE.fullmatch(line):
            day = rule["date"]
            file.leave_out("dates")
        elif stamp := OF_NOBODY.fullmatch(line):
            file.leave_out("system lines" if stamp["notice"] else "dates")
        elif NOTICE.fullmatch(line):
            file.leave_out("system lines")
        elif message:
            message.lines.append(line)
        elif line:
            file.leave_out("lines before the first message")
    if message:
        yield message


def text_of(file: InputFile, message: Message) -> str | None:
    """The text of a message. None for a notice of KakaoTalk, which is counted as left out."""
    text = " ".join(" ".join(message.lines).split())
    if EMOTICON.match(text) and EMOTICON.sub("", text):
        file.leave_out("omitted media")
        return EMOTICON.sub("", text)
    if DELETED.fullmatch(text) or WITHDRAWN.fullmatch(text):
        file.leave_out("deleted messages")
    elif OMITTED.fullmatch(text) or EMOTICON.fullmatch(text):
        file.leave_out("omitted media")
    elif CALL.fullmatch(text) or NOTICE.fullmatch(text) or not message.name:
        file.leave_out("system lines")
    elif not text:
        file.leave_out("empty messages")
    else:
        return text
    return None
