"""Reads the lines of a film from SubRip files as they are found on the web.

It decodes and cleans the text, splits it into turns, joins sentences, and cuts at silences.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .encodings import unicode_encoding

# The files are untrusted. Each pattern takes linear time: it backtracks over a bounded part of the text only.
MARKUP = re.compile(r"</?\s*\w[^<>]*>|<>|\{[^{}]*\}|[\x00-\x08\x0e-\x1f\u200b-\u200f\u202a-\u202e\ufeff]")
LINE_BREAK = re.compile(r"<br\s*/?>|\\N|(?<=[.?!]) +(?=[-–] ?[A-Z])")  # the last: two turns on one line
SOUND_NOTE = re.compile(r"\[[^\]]*(?:\]|$)|\([^)]*(?:\)|$)")
SONG = re.compile(r"[♪♫¶]|^[#*@]|[#*@]$")
ADVERT = re.compile(
    r"\bwww ?\.|https?:|\w@\w|\w\.(?:com|org|net|info)\b|yify|opensubtitles|subscene|addic7ed"
    r"|\b(?:subtitle[ds]?|subs|captioning|(?:re-?)?sync(?:ed|hronized)?|encoded?|transcribed|translation|corrections?"
    r"|corrected|uploaded|improved|edited)\b[^.?!]{0,200}\bby\b"
    r"|advertise your product|become (?:a )?vip|rate this subtitle|download movie",
    re.IGNORECASE,
)
# Every advert contains one of these. This check is ten times as fast as the pattern.
IN_ADVERTS = (
    *("by", "www", "http", "@", ".com", ".org", ".net", ".info", "yify", "opensub", "subscene", "addic7ed"),
    *("advertise", "vip", "rate this", "download"),
)
DASH = re.compile(r"(?:-(?!-)|[–—‐]|--(?=\s))\s*")  # "--" without a space continues a sentence
NAME = re.compile(r"((?:Mc|Mac|[A-Z])[A-Z .'’#0-9&-]*[A-Z0-9.]) ?:(?!\d)\s*")
# A cue without these characters is one turn of plain speech.
SPECIAL = re.compile(r"[-<>{}\[\](:♪♫¶#*@\\–—‐\x00-\x08\x0e-\x1f\u200b-\u200f\u202a-\u202e\ufeff]")
LETTER = re.compile(r"[^\W_]")
ENDS_SENTENCE = re.compile(r"""(?<![.…])[.?!]\s*["'”’]*$""")
CONTINUES = re.compile(r"""["'“‘]?(?:\.\.|…|--|[a-z]|I\b)""")
ASCII = bytes(range(128))
NOT_LATIN = re.compile("[\u0370-\u04ff]")
LOOK_ALIKES = str.maketrans("АВЕІЈКМНОРСТУХЅаеосрухіјѕΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEIJKMHOPCTYXSaeocpyxijsABEZHIKMNOPTYXo")
NO_TIMES = "cues dropped for having no valid times"
NUMBERS = {f"{number:02}": number for number in range(100)}
CLOCK = re.compile(r"(\d{1,6}):(\d{1,6}):(\d{1,6})(?:[.,:;](\d{1,3}))?")

LIKE_A_TIME = re.compile(r"[-+\d.eE]+:[\d:.,]+")  # 1e308:00:00,000


@dataclass(slots=True)
class Line:
    """The words of one person in a cue, with times in seconds."""

    start: float
    end: float
    text: str = ""
    speaker: str = ""
    opens: bool = False  # a dash or a name marks it as a new turn


def decode_subtitles(data: bytes, encoding: str | None = None) -> str:
    """Decode a file of subtitles.

    UTF-16 and UTF-32 are recognized by the byte-order mark or by NULs. Other files are UTF-8, or else `encoding`, or
    else the detected encoding. A file in Latin letters is read as cp1252, because it has too few other bytes for a
    detector, which returns cp1250, cp1251 or big5 for many of them. Lines in another encoding are repaired.
    """
    wide = unicode_encoding(data)
    if wide and wide != "utf-8-sig":
        text = data.decode(wide, errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = decode_by_guess(data.removeprefix(b"\xef\xbb\xbf"), encoding)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # A few Cyrillic or Greek letters in Latin text were used because they look like Latin letters.
    if not text.isascii() and 0 < len(NOT_LATIN.findall(text)) < len(text) / 10:
        return text.translate(LOOK_ALIKES)
    return text


def decode_by_guess(data: bytes, encoding: str | None) -> str:
    """Decode bytes that are not valid UTF-8, in `encoding` or in the detected one."""
    import charset_normalizer
    import ftfy

    if encoding is None:
        start = data[:100_000]
        is_latin = len(start.translate(None, ASCII)) < len(start) / 4
        best = None if is_latin else charset_normalizer.from_bytes(start).best()
        encoding = best.encoding if best else "sloppy-windows-1252"  # from ftfy; it decodes every byte
    text = data.decode(encoding, errors="replace")
    return "".join(line if line.isascii() else ftfy.fix_encoding(line) for line in text.splitlines(keepends=True))


def film_lines(text: str, left_out: Counter[str] | None = None) -> list[Line]:
    """The spoken turns of a SubRip file. Cues without valid times are counted in `left_out`."""
    lower = text.lower()
    marks = [mark for mark in IN_ADVERTS if mark in lower]
    found = cues(text, Counter() if left_out is None else left_out)
    return [line for start, end, content in found for line in turns(content, start, max(start, end), marks)]


def cues(text: str, left_out: Counter[str]) -> Iterator[tuple[float, float, str]]:
    """Yield the cues of a SubRip file: start, end and content. Cues with invalid times are counted in `left_out`."""
    start = end = None
    content_at = 0
    for line_at, line_end in arrow_lines(text):
        before, after, *more = text[line_at:line_end].split("-->", 2)
        next_start = clock(before)
        is_said = any(map(str.isalpha, before)) and not LIKE_A_TIME.fullmatch(before.strip())
        if next_start is None and content_at and is_said:
            continue  # the arrow is part of the text
        if start is not None and end is not None:
            yield start, end, without_number(text[content_at : max(line_at - 1, content_at)])
        start, end, content_at = next_start, clock(after), line_end + 1
        if start is None or end is None or more:
            left_out[NO_TIMES] += 1
            start = None
    if start is not None and end is not None:
        yield start, end, text[content_at:]


def arrow_lines(text: str) -> Iterator[tuple[int, int]]:
    """The start and the end of each line with an arrow."""
    place = text.find("-->")
    while place >= 0:
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        yield text.rfind("\n", 0, place) + 1, end
        place = text.find("-->", end)


def without_number(content: str) -> str:
    """Remove the number of the next cue from the end of the content of a cue, if there is one."""
    body, line_break, number = content.rstrip().rpartition("\n")
    return body if line_break and number.strip().isdigit() else content


def clock(text: str) -> float | None:
    """The seconds of `00:01:02,345`, or None if it is not a time."""
    text = text.strip()
    try:
        if len(text) == 12 and text[2] == text[5] == ":":
            return NUMBERS[text[:2]] * 3600 + NUMBERS[text[3:5]] * 60 + NUMBERS[text[6:8]] + int(text[9:]) / 1000
    except (KeyError, ValueError):
        pass
    time = CLOCK.match(text)
    if not time:
        return None
    hours, minutes, whole, fraction = time.groups("0")
    return int(hours) * 3600 + int(minutes) * 60 + float(f"{whole}.{fraction}")


def turns(content: str, start: float, end: float, marks: Iterable[str] = IN_ADVERTS) -> list[Line]:
    """The turns in a cue; none for an advert, a sound or a song.

    Args:
        content: The text of the cue.
        start: The start of the cue in seconds.
        end: The end of the cue in seconds.
        marks: The strings of `IN_ADVERTS` that occur in the film.
    """
    lower = content.lower()
    for mark in marks:
        if mark in lower and ADVERT.search(SOUND_NOTE.sub(" ", MARKUP.sub("", content))):
            return []
    if not SPECIAL.search(content):
        return [Line(start, end, " ".join(content.split()))] if LETTER.search(content) else []
    content = LINE_BREAK.sub("\n", content)
    content = SOUND_NOTE.sub(" ", MARKUP.sub("", content))
    found = [Line(start, end)]
    rows: list[list[str]] = [[]]
    for row in content.splitlines():
        row = " ".join(row.split())
        dash = DASH.match(row)
        row = row[dash.end() :] if dash else row
        name = NAME.match(row)
        row = row[name.end() :] if name else row
        if dash or name:
            found.append(Line(start, end, speaker=name[1] if name else "", opens=True))
            rows.append([])
        if row:
            rows[-1].append(row)
    for line, parts in zip(found, rows, strict=True):
        line.text = " ".join(parts).strip()
    return [line for line in found if LETTER.search(line.text) and not SONG.search(line.text)]


def join_sentences(lines: list[Line], max_pause: float) -> list[Line]:
    """Join a line that ends inside a sentence with its continuation, if it follows within `max_pause` seconds."""
    joined: list[list[Line]] = []
    for line in lines:
        last = joined[-1][-1] if joined else None
        if (
            last
            and not line.opens
            and abs(line.start - last.end) <= max_pause
            and not ENDS_SENTENCE.search(last.text)
            and CONTINUES.match(line.text)
        ):
            joined[-1].append(line)
        else:
            joined.append([line])
    return [parts[0] if len(parts) == 1 else one_line(parts) for parts in joined]


def one_line(parts: list[Line]) -> Line:
    """Join consecutive lines of one speaker into one line."""
    first = parts[0]
    return Line(first.start, parts[-1].end, " ".join(part.text for part in parts), first.speaker, first.opens)


def cut_at_silences(lines: list[Line], max_silence: float) -> Iterator[list[Line]]:
    """Split lines at silences longer than `max_silence` seconds, and where the time jumps back by more than that."""
    run: list[Line] = []
    for line in lines:
        if run and abs(line.start - run[-1].end) > max_silence:
            yield run
            run = []
        run.append(line)
    if run:
        yield run
