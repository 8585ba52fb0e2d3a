"""Reads captions with times (WebVTT and SubRip) as transcripts.

A cue becomes one utterance, with its speaker if the cue names one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from html import unescape
from itertools import chain
from typing import NamedTuple

from ..building.dialogues import Dialogue, Utterance
from .input_file import InputFile
from .names import LONG_SPEAKER, TITLE, is_name, people_of, remarks_on, speaker_and_text
from .subtitles import NO_TIMES, Line
from .subtitles import turns as film_turns
from .times import clock_seconds

ARROW = re.compile(
    r"\s*((?:\d+:)?\d+:\d+(?:[.,]\d{1,6})?)\s*-->\s*((?:\d+:)?\d+:\d+(?:[.,]\d{1,6})?)(?:\s+\w+:\S+)*\s*$"
)
BLOCK = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")
VOICE = re.compile(r"<v(?:\.[^\s<>]*)?(?:\s([^<>]*))?>", re.IGNORECASE)
LINE_BREAK = re.compile(r"\\N")
TAG = re.compile(r"</?(?:c|[bius]|em|lang|ruby|rt|font|v)(?:[.\s][^<>]*)?>|<\d[\d:.]*>|\{\\[^{}]*\}", re.IGNORECASE)
WORD_TAG = re.compile(r"</?c(?:\.[^<>]*)?>|<\d[\d:.]*>")
DASH = re.compile(r"(?:[-–—‐](?![-–—])|>>>?)\s*")
SOUND = re.compile(r"[\s♪♫¶]*(?:[\[(][^\[\]()]*[\])][\s♪♫¶]*)+|[♪♫¶][^♪♫¶]*[♪♫¶]?\s*")
# In captions, a name may also be in brackets: `[Ana]`.
BRACKETED = re.compile(r"[\[(]([^\[\]():]{1,60})[\])]\s*:?\s*(?=\S)")


# Webex writes the name of the speaker into the identifier of a cue: `1 "Ana Silva" (3774120960)`.
NAMED_CUE = re.compile(r"""\d+\s+["“]([^"“”]{1,70})["”](?:\s+\(\d+\))?""")
CREDIT = re.compile(
    r".*\b(?:(?:subtitles?|subs|captions?|captioning|sync(?:ed|hronized)?|corrections?|translated|transcribed)\b.{0,60}"
    r"\bby\b|opensubtitles|subscene|addic7ed|amara\.org).*",
    re.IGNORECASE | re.DOTALL,
)
# Cues that scroll follow one another within this time, in seconds.
LONGEST_SCROLL = 0.1


class Cue(NamedTuple):
    """One cue.

    `number` is the number of the line with its times, which are in seconds. `lines` is its text. `speaker` is the name
    in its identifier.
    """

    number: int
    start: float
    end: float
    lines: list[str]
    speaker: str = ""


def is_webvtt(file: InputFile) -> bool:
    """Whether the text is WebVTT: the first line begins with the word WEBVTT."""
    return bool(file.sample) and bool(re.match(r"WEBVTT(?:\s|$)", file.sample[0]))


def is_subrip(file: InputFile) -> bool:
    """Whether the text is SubRip: one of its first lines has two times, with at most a number above it."""
    lines = [line for line in file.sample if line.strip()][:3]
    places = [place for place, line in enumerate(lines) if ARROW.match(line)]
    return bool(places) and all(line.strip().isdigit() for line in lines[: places[0]])


def read_captions(file: InputFile) -> Iterator[Dialogue]:
    """Read captions as one dialogue.

    A cue with two speakers becomes two utterances. Sounds and songs are left out.
    """
    file.options.refuse_columns(file.name)
    is_vtt = is_webvtt(file)
    found = list(cues(file.lines(), is_vtt, file.left_out))
    known = long_names(found)
    others = unlikely_names(found, known)
    has_names_above = is_named_above(found)
    utterances = []
    for cue in without_repeated_lines(file, found):
        if cue in (found[0], found[-1]) and not is_vtt and CREDIT.fullmatch(" ".join(cue.lines)):
            file.leave_out("credits")
            continue
        where = f"{file.name}:{cue.number}"
        if has_names_above and len(cue.lines) > 1:
            said: Iterable[tuple[str, str]] = [
                (plain_text(cue.lines[0], is_vtt).rstrip(":"), plain_text(" ".join(cue.lines[1:]), is_vtt))
            ]
        else:
            said = turns(cue.lines, is_vtt, known, others)
        for speaker, text in said:
            if not text or SOUND.fullmatch(text):
                file.leave_out("sounds" if text else "empty captions")
            else:
                utterances.append(Utterance(text, speaker or cue.speaker, where=where, start=cue.start, end=cue.end))
    people = people_of(Counter(turn.speaker for turn in utterances if turn.speaker))
    file.remarks += remarks_on(people)
    if utterances:
        yield Dialogue("", [turn._replace(speaker=people.get(turn.speaker, turn.speaker)) for turn in utterances])


def without_repeated_lines(file: InputFile, found: list[Cue]) -> Iterator[Cue]:
    """Yield the cues without the lines of the previous cue, which live captions repeat while they scroll them up."""
    previous: list[str] = []
    end = 0.0
    for cue in found:
        lines = [WORD_TAG.sub("", line).strip() for line in cue.lines]
        most = min(len(previous), len(lines)) if cue.start - end <= LONGEST_SCROLL else 0
        repeated = next((count for count in range(most, 0, -1) if previous[-count:] == lines[:count]), 0)
        previous, end = lines or previous, cue.end
        if repeated:
            file.leave_out("repeated captions")
        if repeated < len(lines) or not lines:
            yield cue._replace(lines=cue.lines[repeated:])


def cues(lines: Iterable[str], is_vtt: bool, left_out: Counter[str]) -> Iterator[Cue]:
    """Yield the cues that have times. Notes, styles and other hidden text are counted in `left_out`."""
    paragraph: list[tuple[int, str]] = []
    is_first = is_vtt
    for number, line in enumerate(chain(lines, [""]), start=1):
        # The first line of a cue may consist of spaces, which do not end it.
        is_part = bool(is_vtt and paragraph and line.rstrip("\r\n") and ARROW.match(paragraph[-1][1]))
        if line.strip() or is_part:
            paragraph.append((number, line.strip()))
            continue
        if paragraph and is_first:
            # Metadata may follow the word WEBVTT. In malformed files, the first cue follows without a blank line.
            times = next((place for place, (_, line) in enumerate(paragraph) if ARROW.match(line)), len(paragraph))
            paragraph, is_first = paragraph[times:], False
        if paragraph:
            yield from cues_of(paragraph, is_vtt, left_out)
        paragraph = []


def cues_of(paragraph: list[tuple[int, str]], is_vtt: bool, left_out: Counter[str]) -> Iterator[Cue]:
    """Yield the cues in a block of lines. Usually a block is one cue."""
    if is_vtt and BLOCK.match(paragraph[0][1]) and not ARROW.match(paragraph[min(1, len(paragraph) - 1)][1]):
        left_out["notes" if paragraph[0][1].startswith("NOTE") else "styles"] += 1
        return
    places = [place for place, (_, line) in enumerate(paragraph) if ARROW.match(line)]
    if not places:
        numbers = all(line.isdigit() for _, line in paragraph)
        left_out["cues without a text" if numbers else "lines outside of a cue"] += len(paragraph)
        return
    if places[0] > 1:
        left_out["lines outside of a cue"] += places[0] - 1
    for place, following in zip(places, [*places[1:], None], strict=True):
        content = [line for _, line in paragraph[place + 1 : following] if line]
        named = NAMED_CUE.fullmatch(paragraph[place - 1][1]) if place else None
        if following is not None and content and (content[-1].isdigit() or NAMED_CUE.fullmatch(content[-1])):
            content.pop()  # the number of the next cue
        times = ARROW.match(paragraph[place][1])
        assert times is not None
        start, end = clock_seconds(times[1]), clock_seconds(times[2])
        if start is None or end is None:
            left_out["cues without times"] += 1
        else:
            yield Cue(paragraph[place][0], start, max(start, end), content, named[1].strip() if named else "")


def film_lines_of_webvtt(text: str, left_out: Counter[str] | None = None) -> list[Line]:
    """Return the spoken turns of all cues, as `film_lines` does for SubRip, with the speakers that the cues name."""
    lines: list[Line] = []
    found: Counter[str] = Counter()
    for cue in cues(text.splitlines(), True, found):
        before, *voices = VOICE.split("\n".join(cue.lines))
        for name, said in zip(["", *voices[::2]], [before, *voices[1::2]], strict=True):
            turns_of_voice = film_turns(unescape(said), cue.start, cue.end)
            for line in turns_of_voice:
                line.speaker, line.opens = plain_text(name or "", True) or line.speaker, line.opens or bool(name)
            lines += turns_of_voice
    if left_out is not None and found["cues without times"]:
        left_out[NO_TIMES] += found["cues without times"]
    return lines


def turns(lines: list[str], is_vtt: bool, known: frozenset[str], others: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Split a cue into turns, each with its speaker and text.

    Args:
        lines: The lines of the cue.
        is_vtt: Whether the file is WebVTT.
        known: The long names of the file.
        others: What stands before colons in the file and is no name.
    """
    text = "\n".join(lines)
    if is_vtt and VOICE.search(text):
        before, *voices = VOICE.split(text)
        if plain_text(before, is_vtt):
            yield "", plain_text(before, is_vtt)
        for name, said in zip(voices[::2], voices[1::2], strict=True):
            yield plain_text(name or "", is_vtt), plain_text(said.replace("</v>", ""), is_vtt)
        return
    turn: list[str] = []
    speaker, has_turn = "", False
    for line in lines:
        line = plain_text(line, is_vtt)
        dash = DASH.match(line)
        line = line[dash.end() :] if dash else line
        name, rest = speaker_and_text(line, known)
        if name in others:
            name, rest = "", line
        if not name and (bracketed := BRACKETED.match(line)) and is_name(bracketed[1]) and bracketed[1] in known:
            name, rest = bracketed[1], line[bracketed.end() :]
        if (dash or name) and has_turn:
            yield speaker, " ".join(turn).strip()
            turn, speaker = [], ""
        speaker, has_turn = name or speaker, True
        turn.append(rest)
    yield speaker, " ".join(turn).strip()


def plain_text(text: str, is_vtt: bool) -> str:
    """Remove tags, invisible characters and repeated spaces from the text of captions."""
    # SubStation Alpha, from which many SubRip files were converted, writes line breaks as \\N.
    text = LINE_BREAK.sub(" ", TAG.sub("", text))
    text = re.sub("[\u200b\u200e\u200f\ufeff]", "", unescape(text) if is_vtt or "&" in text else text)
    return " ".join(text.split())


def long_names(found: list[Cue]) -> frozenset[str]:
    """Find the names that have more than three words or are in brackets, and begin several cues or have a title."""
    counts: dict[str, int] = {}
    in_parentheses: Counter[str] = Counter()
    for cue in found:
        first = plain_text(DASH.sub("", cue.lines[0], count=1), True) if cue.lines else ""
        for pattern in (LONG_SPEAKER, BRACKETED):
            name = pattern.match(first)
            if name and is_name(name[1]):
                counts[name[1]] = counts.get(name[1], 0) + 1
                in_parentheses.update([name[1]] if first.startswith("(") else [])
    # In parentheses are mostly sounds, unless nearly all cues begin with a name.
    are_names = in_parentheses.total() >= 0.8 * len(found) and max(in_parentheses.values(), default=0) > 1
    return frozenset(
        name
        for name, count in counts.items()
        if (are_names if name in in_parentheses else count > 1 or TITLE.search(name))
    )


def unlikely_names(found: list[Cue], known: frozenset[str]) -> frozenset[str]:
    """Find what begins one cue before a colon and is not written like a name, such as `The answer: 42`.

    If most cues begin with a name, such words are names too.
    """
    lines = [plain_text(DASH.sub("", line, count=1), True) for cue in found for line in cue.lines]
    counts = Counter(name for line in lines if (name := speaker_and_text(line, known)[0]))
    if counts.total() > len(found) / 2:
        return frozenset()
    return frozenset(name for name, count in counts.items() if count == 1 and not is_name(name))


def is_named_above(found: list[Cue]) -> bool:
    """Whether nearly all cues have a recurring name on a line above the text."""
    names = [plain_text(cue.lines[0], True).rstrip(":") for cue in found if len(cue.lines) > 1]
    names = [name for name in names if is_name(name) and len(name) <= 40 and name[-1] not in ".!?…,"]
    return len(names) >= max(2, 0.8 * len(found)) and len(set(names)) <= 0.7 * len(names)
