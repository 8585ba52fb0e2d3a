"""Converts the JSON of speech services to segments: Amazon Transcribe, Azure, Google and Rev."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

TICKS = 10_000_000  # in a second, as Azure counts them


def service_segments(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The segments of a recording, each with `text`, `start`, `end` and `speaker`; none for other JSON.

    The times are in seconds, or None.
    """
    results = entry.get("results")
    if isinstance(results, dict) and (found := dictionaries(results.get("audio_segments"))):
        return [*amazon_segments(found)]
    if found := dictionaries(entry.get("recognizedPhrases")):
        return [*azure_segments(found)]
    if found := dictionaries(entry.get("monologues")):
        return [*rev_segments(found)]
    if any("alternatives" in one for one in dictionaries(results)):
        return [*google_segments(dictionaries(results))]
    return []


def dictionaries(value: Any) -> list[dict[str, Any]]:
    """The dictionaries in a list; none if it is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def first(value: Any) -> dict[str, Any]:
    """The first dictionary in a list, or an empty one."""
    return next(iter(dictionaries(value)), {})


def seconds(value: Any) -> float | None:
    """A time in seconds from a number, or from text such as `2.1` or `2.1s`; None if it is no time."""
    try:
        return float(str(value).removesuffix("s"))
    except ValueError:
        return None


def segment(text: Any, start: Any, end: Any, speaker: Any) -> dict[str, Any]:
    """A segment. Text that is no string is empty."""
    return {
        "text": text if isinstance(text, str) else "",
        "start": seconds(start),
        "end": seconds(end),
        "speaker": speaker if isinstance(speaker, str | int) else None,
    }


def amazon_segments(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the segments of Amazon Transcribe."""
    for one in found:
        yield segment(one.get("transcript"), one.get("start_time"), one.get("end_time"), one.get("speaker_label"))


def azure_segments(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the phrases of Azure, by time: each channel has its own list of them."""
    phrases = []
    for one in found:
        start, length = seconds(one.get("offsetInTicks")) or 0.0, seconds(one.get("durationInTicks")) or 0.0
        speaker = one.get("speaker", one.get("channel"))
        phrases.append(
            segment(first(one.get("nBest")).get("display"), start / TICKS, (start + length) / TICKS, speaker)
        )
    yield from sorted(phrases, key=lambda phrase: phrase["start"])


def rev_segments(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the monologues of Rev, whose text is in pieces."""
    for one in found:
        pieces = dictionaries(one.get("elements"))
        text = "".join(str(piece.get("value", "")) for piece in pieces)
        starts = [piece["ts"] for piece in pieces if "ts" in piece]
        ends = [piece["end_ts"] for piece in pieces if "end_ts" in piece]
        yield segment(text, starts[0] if starts else None, ends[-1] if ends else None, one.get("speaker"))


def google_segments(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the results of Google.

    With speakers, the last result of version 1 repeats all words, each with its speaker. In version 2, each result has
    its own words. Without speakers, the channel of a result is its speaker.
    """
    words = words_of(found[-1])
    if words and all(word.get("speakerTag") for word in words):
        yield from by_speaker(words, "speakerTag")
        return
    start = 0.0
    for one in found:
        words = words_of(one)
        if words and all(word.get("speakerLabel") for word in words):
            yield from by_speaker(words, "speakerLabel")
            continue
        end = seconds(one.get("resultEndTime", one.get("resultEndOffset")))
        text = first(one.get("alternatives")).get("transcript")
        yield segment(text, start if end else None, end, one.get("channelTag") or None)
        start = end or start


def words_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The words of the best alternative of a result of Google."""
    return dictionaries(first(result.get("alternatives")).get("words"))


def by_speaker(words: list[dict[str, Any]], key: str) -> Iterator[dict[str, Any]]:
    """Yield a segment for the words that one speaker says in a row. `key` names the speaker of a word."""
    for speaker, group in groupby(words, key=lambda word: word[key]):
        said = list(group)
        text = " ".join(str(word.get("word", "")) for word in said)
        start, end = said[0].get("startTime", said[0].get("startOffset")), said[-1].get("endTime")
        yield segment(text, start, end or said[-1].get("endOffset"), speaker)
