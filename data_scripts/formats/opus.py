"""Reads the lines of a film from the XML of OPUS OpenSubtitles, tokenized or not."""

import re
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from xml.etree import ElementTree

from .limits import Limits
from .subtitles import NO_TIMES, Line, clock, turns

BEFORE = re.compile(r" (?=[.,!?;:%)\]…]|'(?:s|m|re|ve|ll|d)\b|n't\b)", re.IGNORECASE)
AFTER = re.compile(r"(?<=[(\[$£¿¡]) ")


def xml_lines(data: bytes, left_out: Counter[str] | None = None, max_depth: int = Limits.max_depth) -> Iterator[Line]:
    """Yield every turn of every sentence. A sentence without times starts at the end of the previous one.

    Args:
        data: The content of the file.
        left_out: Sentences with an invalid time are left out, and counted here.
        max_depth: See [`Limits`].

    Raises:
        xml.etree.ElementTree.ParseError: The XML is damaged, truncated, or nested too deep.
    """
    start = end = 0.0
    for sentence in sentences(data, max_depth):
        times = [(time.get("id", ""), clock(time.get("value", ""))) for time in sentence.iter("time")]
        if any(time is None for _, time in times):
            if left_out is not None:
                left_out[NO_TIMES] += 1
            continue
        starts = [time for name, time in times if name.endswith("S") and time is not None]
        ends = [time for name, time in times if name.endswith("E") and time is not None]
        start = starts[0] if starts else end
        end = ends[-1] if ends else max(start, end)
        yield from turns(sentence_text(sentence), start, max(start, end))
        sentence.clear()


def sentences(data: bytes, max_depth: int) -> Iterator[ElementTree.Element]:
    """Yield the sentences (`<s>`) of a film in OPUS XML. Memory does not grow with the file.

    Raises:
        xml.etree.ElementTree.ParseError: The XML is invalid, nested too deep, or in an unknown encoding.
    """
    path: list[ElementTree.Element] = []
    try:
        for event, element in ElementTree.iterparse(BytesIO(data), ("start", "end")):
            if event == "start":
                path.append(element)
                if len(path) > max_depth:
                    raise ElementTree.ParseError(
                        f"elements are nested more than {max_depth} deep, the limit set by max_depth"
                    )
                continue
            path.pop()
            if element.tag == "s":
                yield element
            if len(path) == 1:
                path[0].clear()  # frees the memory of what was read
    except (LookupError, ValueError) as error:  # an encoding that does not exist, or that the parser does not support
        raise ElementTree.ParseError(str(error)) from None


def sentence_text(sentence: ElementTree.Element) -> str:
    """The text of a sentence. Spaces that tokenization added around punctuation are removed."""
    words = [word.text or "" for word in sentence.iter("w")]
    if not words:
        return " ".join("".join(sentence.itertext()).split())
    return AFTER.sub("", BEFORE.sub("", " ".join(words)))
