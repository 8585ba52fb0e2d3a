"""From a SubRip file as found in the wild to the lines of a film: decoding, cleaning, turns, sentences, silences."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

logging.getLogger("srt").setLevel(logging.ERROR)  # it warns of each cue that it skips, without the file's name

MARKUP = re.compile(r"</?\s*\w[^>]*>|<>|\{[^}]*\}|[\x00-\x08\x0e-\x1f\u200b-\u200f\u202a-\u202e\ufeff]")
LINE_BREAK = re.compile(r"<br\s*/?>|\\N|(?<=[.?!]) +(?=[-–] ?[A-Z])")  # the last: two turns on one line
SOUND_NOTE = re.compile(r"\[[^\]]*(?:\]|$)|\([^)]*(?:\)|$)")
SONG = re.compile(r"[♪♫¶]|^[#*@]|[#*@]$")
BROKEN_CUE = re.compile(r"(?:\n\s*\n[^\n]*)?\n[^\n]*\d *-->.*", re.DOTALL)  # `srt` leaves it in the cue before
ADVERT = re.compile(
    r"\bwww ?\.|https?:|\w@\w|\w\.(?:com|org|net|info)\b|yify|opensubtitles|subscene|addic7ed"
    r"|\b(?:subtitle[ds]?|subs|captioning|(?:re-?)?sync(?:ed|hronized)?|encoded?|transcribed|translation|corrections?"
    r"|corrected|uploaded|improved|edited)\b[^.?!]*\bby\b"
    r"|advertise your product|become (?:a )?vip|rate this subtitle|download movie",
    re.IGNORECASE,
)
DASH = re.compile(r"(?:-(?!-)|[–—‐]|--(?=\s))\s*")  # "--" without a space goes on with the sentence
NAME = re.compile(r"((?:Mc|Mac|[A-Z])[A-Z .'’#0-9&-]*[A-Z0-9.]) ?:(?!\d)\s*")
ENDS_SENTENCE = re.compile(r"""(?<![.…])[.?!]\s*["'”’]*$""")
CONTINUES = re.compile(r"""["'“‘]?(?:\.\.|…|--|[a-z]|I\b)""")
NOT_LATIN = re.compile("[\u0370-\u04ff]")
LOOK_ALIKES = str.maketrans("АВЕІЈКМНОРСТУХЅаеосрухіјѕΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEIJKMHOPCTYXSaeocpyxijsABEZHIKMNOPTYXo")


@dataclass
class Line:
    """What one person says in a cue; times in seconds."""

    start: float
    end: float
    text: str = ""
    speaker: str = ""
    opens: bool = False  # a dash or a name marks it as a new turn


def decode_subtitles(data: bytes, encoding: str) -> str:
    """Text of any file; `encoding` is that of the lines which are not UTF-8.

    By line, because files are found that mix two encodings. No detector: `charset-normalizer` takes many of these
    files, whose few odd bytes are cp1252, for cp1250 or big5.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", errors="replace")
    else:
        lines = data.removeprefix(b"\xef\xbb\xbf").splitlines()
        text = "\n".join(decode_line(line, encoding) for line in lines)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # A few Cyrillic or Greek letters among Latin ones stand there for their looks.
    return text.translate(LOOK_ALIKES) if len(NOT_LATIN.findall(text)) < len(text) / 10 else text


def decode_line(line: bytes, encoding: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode(encoding, errors="replace")


def film_lines(text: str) -> list[Line]:
    """Every turn of every cue that is speech."""
    import srt

    lines = []
    for cue in srt.parse(text, ignore_errors=True):
        start, end = cue.start.total_seconds(), cue.end.total_seconds()
        lines += turns(cue.content, start, max(start, end))
    return lines


def turns(content: str, start: float, end: float) -> list[Line]:
    content = LINE_BREAK.sub("\n", BROKEN_CUE.sub("", content))
    content = SOUND_NOTE.sub(" ", MARKUP.sub("", content))
    if ADVERT.search(content):
        return []
    found = [Line(start, end)]
    for row in content.splitlines():
        row = " ".join(row.split())
        dash = DASH.match(row)
        row = row[dash.end() :] if dash else row
        name = NAME.match(row)
        row = row[name.end() :] if name else row
        if dash or name:
            found.append(Line(start, end, speaker=name[1] if name else "", opens=True))
        found[-1].text = f"{found[-1].text} {row}".strip()
    return [line for line in found if not SONG.search(line.text) and any(c.isalnum() for c in line.text)]


def join_sentences(lines: list[Line], max_pause: float) -> list[Line]:
    """A line that ends inside a sentence takes the next one that goes on with it after at most `max_pause` seconds."""
    joined: list[Line] = []
    for line in lines:
        last = joined[-1] if joined else None
        if (
            last
            and not line.opens
            and abs(line.start - last.end) <= max_pause
            and not ENDS_SENTENCE.search(last.text)
            and CONTINUES.match(line.text)
        ):
            joined[-1] = Line(last.start, line.end, f"{last.text} {line.text}", last.speaker, last.opens)
        else:
            joined.append(line)
    return joined


def cut_at_silences(lines: list[Line], max_silence: float) -> Iterator[list[Line]]:
    """Runs of lines with no longer silence between them; a time that jumps back as far is a cut as well."""
    run: list[Line] = []
    for line in lines:
        if run and abs(line.start - run[-1].end) > max_silence:
            yield run
            run = []
        run.append(line)
    if run:
        yield run
