"""Reads transcripts and chats as text, such as `[00:05] Ana: Hi.`, or with name and time on separate lines."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ..building.dialogues import Dialogue, Utterance
from .chat_notices import BLOCK, LINE_OF_IRC, REPLY, SYSTEM, is_note, is_short, notice_of
from .input_file import SAMPLE_CHARACTERS, InputFile, stripped
from .names import is_name, is_telephone, may_name, speaker_and_text
from .plain_text import file_names
from .times import AFTERNOON, CHAT_SILENCE, MONTH, MORNING, WEEKDAY, clock_seconds, date_numbers, date_order, in_order
from .unknown_forms import KEYS

CLOCK = r"\d{1,3}:\d{2}(?::\d{2})?(?:[.,]\d{1,3})?(?:\s?[AaPp]\.?\s?[Mm]\b\.?)?"
NUMBERS = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"
DAY = rf"(?:{WEEKDAY})?(?:{NUMBERS}|\d{{1,2}}[-. ]{{1,2}}{MONTH}[-, ]{{1,2}}\d{{2,4}}|{MONTH}\s\d{{1,2}},?\s\d{{4}})"
ZONE = r"(?:Z|\s?[+-]\d\d:?\d\d\b|\s?(?:UTC|GMT))?"
TIME = rf"(?:(?:(?P<day>{DAY})|today|yesterday)(?:T|,?\s+(?:at\s+)?))?(?P<clock>{CLOCK}){ZONE}"
RANGE = rf"{TIME}(?:\s*(?:-->|->|–|—|-|to)\s*(?P<end>{CLOCK}))?"
BOX = rf"[\[(]?\s*{RANGE}\s*[\])]?"
NAME = r"(?P<name>[^:：\t|<>\[\]]{1,70}?)"
BETWEEN = r"[\s,|•·–—-]*"
COLON = r"\s?(?::(?:\s+|$)|：\s*)"
MARKED = r"(?:#?\d{1,6}[.)]?|[-*•–—>]+)\s+"
# In each form, a turn begins with a line that matches the pattern.
_PATTERNS = {
    "time, name and text": rf"{BOX}{BETWEEN}\[?{NAME}\]?{COLON}(?P<text>.*)",
    "name, time and text": rf"\[?{NAME}\]?{BETWEEN}{BOX}{COLON}(?P<text>.*)",
    "time, <name> and text": rf"(?:{BOX}\s*)?<[\s@+~&%]*{NAME}>\s+(?P<text>.*)",
    "time, tab, name, tab and text": rf"{BOX}\s*\t\s*{NAME}\s*\t\s*(?P<text>.*)",
    "name, [time] and text": rf"{NAME}\s?[:：]\s*[\[(]\s*{RANGE}\s*[\])]\s+(?P<text>.*)",
    "time, [name] and text": rf"{BOX}{BETWEEN}\[{NAME}\]:?\s+(?P<text>.*)",
    "[name], [time] and text": (
        rf"\[{NAME}\]\s*\[(?P<half>[^\]\d]{{0,6}})(?P<clock>{CLOCK})[^\]\d]{{0,6}}\]\s+(?P<text>.*)"
    ),
    # Slack writes the status of a person as an emoji after the name.
    "name and time above the text": rf"\[?{NAME}\]?(?::[\w+-]{{2,40}}:)*(?P<between>\s?:?{BETWEEN}|\s+at\s+){BOX}\s*:?",
    "time and name above the text": rf"{BOX}(?P<between>{BETWEEN}){NAME}\s*:?",
    "times in brackets and text": rf"\[\s*(?P<clock>{CLOCK})\s*-->\s*(?P<end>{CLOCK})\s*\]\s*(?P<text>.*)",
    "bold name and text": rf"(?:{MARKED})?(?P<mark>[*_]{{1,3}}){NAME}\s?[:：]?(?P=mark)\s?[:：]?\s+(?P<text>.*)",
    "mark, name and text": rf"{MARKED}{NAME}{COLON}(?P<text>.*)",
    "[name]: text": rf"\[{NAME}\]{COLON}(?P<text>.*)",
}
FORMS = {form: re.compile(pattern, re.IGNORECASE) for form, pattern in _PATTERNS.items()}
ABOVE = [form for form in FORMS if form.endswith("above the text")]
TIME_ALONE = re.compile(BOX)
TO_SOMEBODY = re.compile(r"^From\s+|\s+to\s+\S.*$", re.IGNORECASE)
LINE_NUMBER = re.compile(r"\d{1,6}[.)]?\s+")
NO_NAME = re.compile(r"[ap]\.?\s?m\.?", re.IGNORECASE)
LABELED_SPEAKER = re.compile(r"\[((?:SPEAKER|Speaker)[ _]?\w{1,4})\]:?\s+")
DATE_ALONE = re.compile(
    rf"\W*(?:\w+,?\s)?{NUMBERS}\W*\w{{0,12}}\W*|\W*\d{{4}}[년年]\s?\d{{1,2}}[월月]\s?\d{{1,2}}[일日][^:]{{0,12}}"
    rf"|\W*(?:\w+day,?\s+)?(?:{MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?|\d{{1,2}}\.?\s+{MONTH}),?(?:\s+\d{{4}})?\W*",
    re.IGNORECASE,
)
TIME_BEFORE_TEXT = re.compile(rf"[\[(]\s*{RANGE}\s*[\])]\s+(?=\S)", re.IGNORECASE)
TIME_AND_TEXT = re.compile(rf"{BOX}{BETWEEN}\s(?P<text>\S.*)", re.IGNORECASE)
FEWEST_TURNS, MOST_LINES_ABOVE, MOST_USER_WORDS, SPACES = 2, 8, 4, ("", " ")
# The part before the text is short. A search in longer lines would take too long.
LONGEST_HEAD = 200
FILLED = re.compile(r"\s{40}|[-–—]{8}|(?:[-–—] ){8}")


class Turn(NamedTuple):
    """A turn before its date is interpreted. `number` is the number of its first line, from 1."""

    number: int
    speaker: str
    day: str | None
    clock: str | None
    end: str | None
    lines: list[str]


def is_timed_transcript(file: InputFile) -> bool:
    """Whether the text is a transcript in one of `FORMS`, or one with times on separate lines."""
    return form_of(file) is not None or has_lone_times(file)


def form_of(file: InputFile) -> str | None:
    """The form of most turns in the first part of a file, or None if no form matches.

    If the text of a turn is on the same line, half of the lines must begin a turn. If it is below, one of the first
    lines must begin a turn, and most of these lines must have text below them.
    """
    lines = [line for line in map(stripped, file.sample) if line and not LINE_OF_IRC.match(line)]
    found: list[tuple[int, str]] = []
    for form in FORMS:
        begins = [head_of(form, line) is not None for line in lines]
        count = sum(begins)
        heads = [head for line in lines if (head := head_of(form, line)) and "name" in head.groupdict()]
        names = Counter(clean_name(head["name"]) for head in heads)
        if form in ABOVE:
            is_form = count >= FEWEST_TURNS and any(begins[:MOST_LINES_ABOVE]) and has_text_below(begins)
            # A time after a few words may be part of a sentence. So a name must recur, or look like a name.
            is_form &= max(names.values(), default=0) > 1 or all(
                is_name(clean_name(head["name"])) or has_gap(head) for head in heads
            )
        else:
            is_form = count >= min(FEWEST_TURNS, len(lines)) and count >= len(lines) / 2
            is_form |= count >= 3 and begins[0] and max(names.values(), default=0) > 1 and count >= len(lines) / 5
            if not is_form and count >= FEWEST_TURNS and "clock" in FORMS[form].groupindex:
                # Only some turns may have a time. Nearly all others have a speaker.
                pairs = zip(lines, begins, strict=True)
                others = Counter(speaker_and_text(line)[0] for line, is_head in pairs if not is_head)
                recurs = max(names.values(), default=0) > 1 or bool(names.keys() & others.keys())
                is_form = recurs and others[""] <= len(lines) / 5
        if is_form and not (names and names.keys() <= KEYS):
            found.append((count, form))
    # Of two forms with the same count, the first one wins, because it describes a line in more detail.
    return max(found, key=lambda pair: pair[0])[1] if found else None


def head_of(form: str, line: str) -> re.Match | None:
    """The match of a stripped line that begins a turn of a form, or None."""
    if form in ABOVE and len(line) > LONGEST_HEAD or FILLED.search(line, 0, LONGEST_HEAD):
        return None
    found = FORMS[form].fullmatch(line, 0, LONGEST_HEAD)
    if not found or "name" not in found.groupdict():
        return found
    name = clean_name(found["name"])
    if NO_NAME.fullmatch(name) or DATE_ALONE.fullmatch(name):
        return None
    if form in ABOVE:
        # A word in lower case, or some words in brackets or at a distance, are a user name.
        is_user = has_gap(found) and (" " not in name or (is_apart(found) and len(name.split()) <= MOST_USER_WORDS))
        has_letters = any(map(str.isalpha, name))
        return found if (is_name(name) or is_user) and (has_letters or has_gap(found) and is_telephone(name)) else None
    return found if may_name(name) else None


def has_gap(head: re.Match) -> bool:
    """Whether more than a space separates the name and the time of a head, or the time is in brackets before it."""
    return head["between"] not in SPACES or head.string.startswith("[")


def is_apart(head: re.Match) -> bool:
    """Whether two spaces or a tab separate the name and the time of a head, or it begins with a bracket."""
    return head["between"].isspace() and head["between"] != " " or head.string.startswith("[")


def time_alone(line: str) -> re.Match | None:
    """The match of a line that contains only a time, or None."""
    return TIME_ALONE.fullmatch(line) if len(line) < 60 else None


def clean_name(name: str) -> str:
    """A name without punctuation around it and without its addressee: "Ana" for "From Ana to everyone"."""
    return TO_SOMEBODY.sub("", name.strip(" ,|-–—\t*")).strip(" (,")


def has_text_below(begins: list[bool]) -> bool:
    """Whether most lines that begin a turn are followed by a line that does not. `begins` marks these lines."""
    below = [not following for is_head, following in zip(begins, begins[1:], strict=False) if is_head]
    return len(below) > 0 and sum(below) >= 0.7 * sum(begins)


def has_lone_times(file: InputFile) -> bool:
    """Whether lines with only a time are between lines with a speaker, or between all lines."""
    lines = [line for line in map(stripped, file.sample) if line]
    times = [bool(time_alone(line)) for line in lines]
    known = file_names(file) if any(times) else frozenset()
    speakers = [not time and bool(speaker_and_text(line, known)[0]) for time, line in zip(times, lines, strict=True)]
    return sum(times) >= 1 and sum(speakers) >= 2 and sum(speakers) >= 0.6 * (len(lines) - sum(times))


def read_timed_transcript(file: InputFile) -> Iterator[Dialogue]:
    """Read one dialogue. Text before the first turn, and the name of the transcriber, are left out."""
    file.options.refuse_columns(file.name)
    form = form_of(file)
    found = list(turns(file, form) if form else turns_below_times(file))
    dates = [date_numbers(turn.day) for turn in found if turn.day]
    order = date_order(dates, any("m" in (turn.clock or "").lower() for turn in found))
    file.default_silence = CHAT_SILENCE if dates else None
    utterances = []
    for turn in found:
        # Zoom writes the message that is answered above the answer.
        lines = turn.lines[1:] if len(turn.lines) > 1 and REPLY.fullmatch(turn.lines[0]) else turn.lines
        text = " ".join(" ".join(lines).split())
        if not turn.speaker and SYSTEM.match(text):
            file.leave_out("system lines")
        elif notice := notice_of(text):
            file.leave_out(notice)
        elif text:
            start, end = times_of(turn, order)
            where = f"{file.name}:{turn.number}"
            utterances.append(Utterance(text, turn.speaker, where=where, start=start, end=end))
        else:
            file.leave_out("turns without a text")
    if utterances:
        yield Dialogue("", utterances)


def turns(file: InputFile, form: str) -> Iterator[Turn]:
    """Yield the turns of a transcript. Dates, notes and lines above the first turn are counted as left out.

    Args:
        file: The file.
        form: The name of the form of its lines that begin a turn.
    """
    turn: Turn | None = None
    block: str | None = None
    names = names_without_times(file, form)
    is_numbered = form == "mark, name and text" and all(
        line[:1].isdigit() for line in map(stripped, file.sample) if line
    )
    for number, line in enumerate(map(stripped, file.lines()), start=1):
        if not line:
            continue
        head = head_of(form, line)
        if head:
            if turn:
                yield turn
            turn, block = turn_of(number, line, head), None
        elif LINE_OF_IRC.match(line):
            file.leave_out("system lines")
        elif found := BLOCK.fullmatch(line):
            # DiscordChatExporter writes attachments and reactions below a message.
            block = "reactions" if found[1].startswith("React") else "attachments"
            file.leave_out(block)
        elif block:
            continue
        elif is_note(line):
            file.leave_out("notes of the program")
        elif is_short(line) and DATE_ALONE.fullmatch(line):
            file.leave_out("dates")
        elif (
            form not in ABOVE
            and "clock" in FORMS[form].groupindex
            and (timed := TIME_AND_TEXT.fullmatch(line, 0, LONGEST_HEAD))
        ):
            # A time begins a turn even without a name.
            if turn:
                yield turn
            turn = Turn(number, "", timed["day"], timed["clock"], timed["end"], [line[timed.start("text") :]])
        elif turn and (said := speaker_and_text(line))[0] in names:
            yield turn
            turn = Turn(number, said[0], None, None, None, [said[1]])
        elif turn:
            # Every line of a deposition has a number.
            turn.lines.append(LINE_NUMBER.sub("", line) if is_numbered else line)
        else:
            file.leave_out("lines above the first turn")
    if turn:
        yield turn


def names_without_times(file: InputFile, form: str) -> set[str]:
    """The names that begin lines without a time, and also other lines, if the form has the name before the text."""
    if form in ABOVE:
        return set()
    heads: set[str] = set()
    others: Counter[str] = Counter()
    for line in filter(None, map(stripped, file.sample)):
        head = head_of(form, line)
        if head is None:
            others.update([speaker_and_text(line)[0]])
        elif "name" in head.groupdict():
            heads.add(clean_name(head["name"]))
    return {name for name, count in others.items() if name and (name in heads or count > 1 and is_name(name))}


def turn_of(number: int, line: str, head: re.Match) -> Turn:
    """The turn that begins on a line.

    Args:
        number: The number of the line, from 1.
        line: The line.
        head: The match of its beginning.
    """
    parts = head.groupdict()
    text = line[head.start("text") :].strip() if "text" in parts else ""
    speaker = clean_name(parts.get("name") or "")
    if "name" not in parts:
        labeled = LABELED_SPEAKER.match(text)
        speaker, text = (labeled[1], text[labeled.end() :]) if labeled else speaker_and_text(text)
    clock = parts.get("clock")
    if (half := parts.get("half")) and AFTERNOON.search(half):
        clock = f"{clock} PM"
    elif half and MORNING.search(half):
        clock = f"{clock} AM"
    # A time in brackets may also begin the text.
    if clock is None and (timed := TIME_BEFORE_TEXT.match(text)):
        return Turn(number, speaker, timed["day"], timed["clock"], timed["end"], [text[timed.end() :]])
    return Turn(number, speaker, parts.get("day"), clock, parts.get("end"), [text] if text else [])


def are_times_below(file: InputFile, known: frozenset[str]) -> bool:
    """Whether the lines with only a time are below their turns: each turn has one, and none is above the first.

    `known` has the long names of the file.
    """
    lines = [line for line in map(stripped, file.sample) if line]
    marks = [bool(time_alone(line)) for line in lines]
    turns = [not mark and bool(speaker_and_text(line, known)[0]) for mark, line in zip(marks, lines, strict=True)]
    if True not in turns or True in marks[: turns.index(True)]:
        return False
    # The last lines of a sample of a long file may end with a turn.
    following = [
        later
        for turn, later in zip(turns, [*marks[1:], sum(map(len, lines)) > SAMPLE_CHARACTERS / 2], strict=True)
        if turn
    ]
    return all(following)


def turns_below_times(file: InputFile) -> Iterator[Turn]:
    """Yield turns `Name: text`. A time may be on a separate line above a turn, or below it."""
    time, turn = None, None
    known = file_names(file)
    is_below = are_times_below(file, known)
    for number, line in enumerate(map(stripped, file.lines()), start=1):
        mark = time_alone(line)
        speaker, text = speaker_and_text(line, known)
        if mark and is_below and turn:
            turn = turn._replace(day=mark["day"], clock=mark["clock"], end=mark["end"])
        elif mark:
            if time:
                file.leave_out("times without a turn")
            time = mark
        elif speaker:
            if turn:
                yield turn
            day, clock, end = (time["day"], time["clock"], time["end"]) if time else (None, None, None)
            turn, time = Turn(number, speaker, day, clock, end, [text]), None
        elif line and turn and not is_note(line) and not (is_short(line) and DATE_ALONE.fullmatch(line)):
            turn.lines.append(line)
        elif line:
            file.leave_out("notes of the program" if turn else "lines above the first turn")
    if time:
        file.leave_out("times without a turn")
    if turn:
        yield turn


def times_of(turn: Turn, order: str) -> tuple[float | str | None, float | None]:
    """The start and end of a turn: in seconds, or with a date in ISO 8601 and without an end."""
    start = clock_seconds(turn.clock) if turn.clock else None
    end = clock_seconds(turn.end) if turn.end else None
    if turn.clock is None or start is None or not turn.day:
        return start, end
    year, month, day = in_order(date_numbers(turn.day), order)
    parts = turn.clock.split(":")
    # A time of day with two numbers has hours and minutes.
    seconds = int(start * 60 if len(parts) == 2 and "m" not in turn.clock.lower() else start)
    return f"{year:04}-{month:02}-{day:02}T{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}", None


def is_named_blocks(file: InputFile) -> bool:
    """Whether names are on separate lines above the text, and recur."""
    names: Counter[str] = Counter()
    n_blocks = 0
    for block in blocks(file.sample):
        n_blocks += 1
        name = block[0].rstrip(":")
        if len(block) > 1 and is_name(name) and not name.endswith((".", "!", "?", "…")) and len(name) <= 40:
            names[name] += 1
    return n_blocks >= 3 and names.total() >= 0.8 * n_blocks and len(names) <= names.total() * 0.7


def blocks(lines: list[str]) -> Iterator[list[str]]:
    """Group lines into blocks that blank lines separate. The lines are stripped."""
    block: list[str] = []
    for line in [*map(stripped, lines), ""]:
        if line:
            block.append(line)
        elif block:
            yield block
            block = []


def read_named_blocks(file: InputFile) -> Iterator[Dialogue]:
    """Read one dialogue: a name on one line, and the text below it up to the next blank line."""
    file.options.refuse_columns(file.name)
    utterances: list[Utterance] = []
    block: list[str] = []
    speaker, first = "", 1
    for number, line in enumerate([*map(stripped, file.lines()), ""], start=1):
        if line:
            first = first if block else number
            block.append(line)
        elif block:
            # A paragraph without a name continues the previous speaker. A time may be below the name.
            speaker, said = (
                (block[0].strip("*").rstrip(":").strip("*"), block[1:]) if len(block) > 1 else (speaker, block)
            )
            mark = time_alone(said[0]) if len(said) > 1 else None
            said = said[1:] if mark else said
            turn = Turn(first, speaker, mark and mark["day"], mark and mark["clock"], mark and mark["end"], said)
            order = date_order([date_numbers(turn.day)] if turn.day else [], "m" in (turn.clock or "").lower())
            start, end = times_of(turn, order)
            text, where, block = " ".join(said), f"{file.name}:{first}", []
            if notice := notice_of(text):
                file.leave_out(notice)
            else:
                utterances.append(Utterance(text, speaker, where=where, start=start, end=end))
    if utterances:
        yield Dialogue("", utterances)
