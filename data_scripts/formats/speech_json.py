"""Reads the JSON of speech recognizers: WhisperX, Whisper, whisper.cpp, OpenAI, AssemblyAI, Deepgram and others."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..building.dialogues import Dialogue, Utterance
from .input_file import InputFile
from .speech_services import service_segments
from .times import clock_seconds
from .values import speaker_of

SOUND = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|[♪♫]")
WORD = re.compile(r"\w")
# Where recognizers write the speaker of a segment, and the name in it if it is an object.
SPEAKERS = ("speaker", "speaker_name", "speaker_label", "speaker_id", "speakerName")
NAMES = ("name", "label", "id")
RECORDINGS = {"audio", "call", "conversation", "dialog", "dialogue", "file", "filename", "meeting", "recording"}
RECORDINGS |= {"audio_filepath", "callid", "conversationid", "dialogid", "dialogueid", "session", "sessionid"}
SPEAKER_IN_TEXT = re.compile(r"\s*\(speaker ([\d?]+)\)\s*")


def segments_of(entry: Any) -> list[Any] | None:
    """The list of segments of a recording, or None if the JSON has another form."""
    if not isinstance(entry, dict):
        return None
    results = entry.get("results")
    candidates = [entry.get("segments"), entry.get("transcription"), entry.get("utterances")]
    # The pipelines of transformers write `chunks`; those with speakers also write `speakers`.
    candidates += [entry.get("speakers"), entry.get("chunks")]
    candidates.append(results.get("utterances") if isinstance(results, dict) else None)
    for found in candidates:
        if isinstance(found, list) and found and all(isinstance(segment, dict) for segment in found):
            return found if any(map(is_speech_segment, found)) else None
    return service_segments(entry) or ([] if is_silent(entry) else None)


def is_silent(entry: dict[str, Any]) -> bool:
    """Whether an entry is a recording without speech: it has an empty list of segments, and nothing that was said."""
    is_other = bool(entry.get("text")) or "utterances" in entry or "messages" in entry
    return not is_other and any(entry.get(name) == [] for name in ("segments", "transcription", "chunks"))


def is_speech(entry: Any) -> bool:
    """Whether an entry is the output of a speech recognizer: it has a list of segments, or of words alone."""
    return segments_of(entry) is not None or missing_utterances(entry) is not None


def missing_utterances(entry: Any) -> tuple[str, str] | None:
    """What a recording of AssemblyAI or Deepgram with words alone has in place of utterances; None for other entries.

    Returns:
        What it has, and the option of the service that writes the utterances.
    """
    if not isinstance(entry, dict):
        return None
    if entry.get("utterances", "") is None and isinstance(entry.get("words"), list):
        return "utterances null", "speaker_labels=true"
    results = entry.get("results")
    if isinstance(results, dict) and isinstance(results.get("channels"), list) and not results.get("utterances"):
        return "results with channels alone", "utterances=true"
    return None


def is_speech_segment(segment: Any) -> bool:
    """Whether an entry is a segment of recognized speech: text with at least one time."""
    return (
        isinstance(segment, dict)
        and isinstance(segment.get("text", segment.get("transcript")), str)
        and (bool(segment.keys() & {"start", "end", "offsets", "timestamps"}) or has_span(segment))
    )


def has_other_id(segment: dict[str, Any]) -> bool:
    """Whether a segment also says to which recording or dialogue it belongs, so that a file may contain several."""
    names = {name.lower() for name in segment} - {"segment_id", *(key.lower() for key in SPEAKERS)}
    return any(name in RECORDINGS or name.endswith("_id") for name in names)


def has_span(segment: dict[str, Any]) -> bool:
    """Whether a segment has its start and its end in a list `timestamp`, as the pipelines of transformers write it."""
    span = segment.get("timestamp")
    return isinstance(span, list | tuple) and len(span) == 2


def read_speech(file: InputFile, entries: Iterable[tuple[str, Any]]) -> Iterator[Dialogue]:
    """Yield one dialogue per recording."""
    for where, entry in entries:
        segments = segments_of(entry)
        if segments is None and (missing := missing_utterances(entry)):
            raise ValueError(
                f"{where}: the recording has words and no utterances; got {missing[0]}; transcribe with {missing[1]}"
            )
        if segments is None:
            raise ValueError(f"{where}: not a recording; got {str(entry):.60}; use JSON with segments that have a text")
        if segments is entry.get("chunks") and are_words(segments):
            raise ValueError(
                f"{where}: the chunks are words; got {[chunk['text'] for chunk in segments[:3]]}; transcribe with "
                "return_timestamps=True"
            )
        if not segments:
            file.leave_out("recordings without speech")
        # AssemblyAI writes integers, which are milliseconds. Services that write seconds have the same keys.
        times_of_all = [one.get(name) for one in segments for name in ("start", "end")]
        milliseconds = segments is entry.get("utterances") and not any(isinstance(time, float) for time in times_of_all)
        numbered = ((f"{where}, segment {number}", one) for number, one in enumerate(by_channel(segments), start=1))
        yield from dialogue_of(file, numbered, 1000 if milliseconds else 1)


def by_channel(segments: list[Any]) -> list[Any]:
    """The segments with their channels as speakers, if they have several channels and no speakers."""
    channels = [one.get("channel") for one in segments]
    if not all(isinstance(channel, int) for channel in channels) or len(set(channels)) < 2:
        return segments
    if any(named_speaker(one) is not None for one in segments):
        return segments
    return [{**one, "speaker": channel} for one, channel in zip(segments, channels, strict=True)]


def are_words(chunks: list[Any]) -> bool:
    """Whether chunks are the words of a recording, not its sentences."""
    lengths = [len(str(chunk.get("text")).split()) for chunk in chunks]
    return len(lengths) > 4 and sum(length < 2 for length in lengths) > 0.9 * len(lengths)


def read_segments(file: InputFile, entries: Iterable[tuple[str, Any]]) -> Iterator[Dialogue]:
    """Read one dialogue from segments in an array or one per line."""
    yield from dialogue_of(file, entries, 1)


def dialogue_of(file: InputFile, segments: Iterable[tuple[str, Any]], unit: int) -> Iterator[Dialogue]:
    """Yield the dialogue of the segments of one recording, or nothing if it has no speech.

    Args:
        file: The file, which counts what is left out.
        segments: The segments, each with its place for messages.
        unit: The number of units of time in a second, such as 1000 for milliseconds.
    """
    file.options.refuse_columns(file.name)
    utterances = []
    for where, segment in segments:
        text = segment.get("text", segment.get("transcript")) if isinstance(segment, dict) else None
        if text is not None and not isinstance(text, str):
            raise ValueError(f"{where}: a segment without text; got {str(segment):.60}; write its text as a string")
        named = SPEAKER_IN_TEXT.match(text or "")
        text = " ".join((text or "")[named.end() if named else 0 :].split())
        if not text or is_sound(text):
            file.leave_out("sounds" if text else "empty segments")
            continue
        start, end = times(segment, unit)
        speaker = speaker_of(named[1] if named else named_speaker(segment))
        utterances.append(Utterance(text, "" if speaker == "?" else speaker, where=where, start=start, end=end))
    if utterances:
        yield Dialogue("", utterances)


def named_speaker(segment: dict[str, Any]) -> Any:
    """The speaker of a segment, by the first of the usual keys that has one."""
    found = next((segment[key] for key in SPEAKERS if segment.get(key) is not None), None)
    return next((found[key] for key in NAMES if found.get(key) is not None), None) if isinstance(found, dict) else found


def is_sound(text: str) -> bool:
    """Whether a segment is a sound and not speech: `[Music]`, `(laughter)`, `♪`."""
    return bool(SOUND.search(text)) and not WORD.search(SOUND.sub("", text))


def times(segment: dict[str, Any], unit: int) -> tuple[float | None, float | None]:
    """The start and end of a segment, in seconds; None where missing.

    Args:
        segment: The segment, with `offsets` in milliseconds, `timestamps` of a clock, a list `timestamp`, or `start`
            and `end`.
        unit: The number of units of `start` and `end` in a second, such as 1000 for milliseconds.
    """
    offsets, stamps = segment.get("offsets"), segment.get("timestamps")
    if isinstance(offsets, dict):
        return seconds(offsets.get("from"), 1000), seconds(offsets.get("to"), 1000)
    if isinstance(stamps, dict):
        return seconds(stamps.get("from"), 1), seconds(stamps.get("to"), 1)
    if has_span(segment):
        return seconds(segment["timestamp"][0], 1), seconds(segment["timestamp"][1], 1)
    return seconds(segment.get("start"), unit), seconds(segment.get("end"), unit)


def seconds(value: Any, unit: int) -> float | None:
    """Convert a time to seconds: a clock as text, or a number with `unit` units in a second. None if it is no time."""
    if isinstance(value, str):
        return clock_seconds(value)
    is_time = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
    return round(value / unit, 6) if is_time else None
