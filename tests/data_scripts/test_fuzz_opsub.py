"""Whatever bytes a subtitle file holds, it is read, or dropped and counted."""

import gzip
from xml.etree.ElementTree import ParseError

import pytest

pytest.importorskip("ftfy")
pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

from data_scripts.formats.opus import xml_lines
from data_scripts.formats.subtitles import Line, cut_at_silences, decode_subtitles, film_lines, join_sentences

SRT = (
    "1\n00:00:01,000 --> 00:00:02,000\n- <i>Well?</i>\n- ANN: [sighs] No…\n\n"
    "2\n00:00:09,500 --> 00:00:03,000\nVisit www.example.com ♪\n\n3\n0:0:12.5 --> 00:00:13,000\nand so\n"
)
XML = (
    '<?xml version="1.0" encoding="utf-8"?><document id="1"><s id="1"><time id="T1S" value="00:00:01,000" />'
    '<w id="1.1">We</w><w id="1.2">\'re</w><time id="T1E" value="00:00:02,000" /></s>'
    '<s id="2">ready &amp; so.</s></document>'
)
ALPHABET = "0123456789:,.-> \n\r\t<>{}[]()abcABC♪#é\x00\x92'\"=/&;"


@st.composite
def damaged(draw, whole: bytes) -> bytes:
    """A good file with some bytes changed, taken out or put in, and perhaps cut."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, 8))):
        place = draw(st.integers(0, len(data)))
        change = draw(st.binary(max_size=6) | st.text(ALPHABET, max_size=6).map(str.encode))
        data[place : place + draw(st.integers(0, 8))] = change
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


SUBTITLES = (
    damaged(SRT.encode())
    | damaged(SRT.encode("utf-16"))
    | damaged(SRT.encode("cp1252", "ignore"))
    | st.text(ALPHABET, max_size=200).map(str.encode)
    | st.binary(max_size=200)
)
DOCUMENTS = damaged(XML.encode()) | st.binary(max_size=200)


def read(data: bytes) -> list[Line]:
    lines = film_lines(decode_subtitles(data))
    joined = join_sentences(lines, 1.0)
    assert sum(len(run) for run in cut_at_silences(joined, 5.0)) == len(joined)
    return lines


def check(data: bytes) -> None:
    for line in read(data):
        assert line.text.strip() == line.text and any(map(str.isalnum, line.text))
        assert line.end >= line.start >= 0
        line.text.encode("utf-8")


def check_xml(data: bytes) -> None:
    try:
        lines = list(xml_lines(data))
    except ParseError:  # counted by the builder
        return
    for line in lines:
        assert line.text.strip() == line.text and line.end >= line.start >= 0


def test_the_good_files_are_read():
    assert [line.text for line in read(SRT.encode())] == ["Well?", "No…", "and so"]
    assert [line.text for line in xml_lines(XML.encode())] == ["We're", "ready & so."]


@settings(max_examples=300, deadline=None, database=None)
@given(SUBTITLES)
def test_any_subtitles(data):
    check(data)


@settings(max_examples=300, deadline=None, database=None)
@given(DOCUMENTS)
def test_any_xml(data):
    check_xml(data)


@pytest.mark.slow
@settings(max_examples=15_000, deadline=None, database=None)
@given(SUBTITLES)
def test_very_many_subtitles(data):
    check(data)


@pytest.mark.slow
@settings(max_examples=8_000, deadline=None, database=None)
@given(DOCUMENTS)
def test_very_many_xml_documents(data):
    check_xml(data)


@pytest.mark.parametrize("suffix", [".srt", ".xml", ".xml.gz", ".txt", ".txt.gz"])
def test_rubbish_costs_no_other_film(load, write, suffix):
    times = [f"00:{second // 60:02}:{second % 60:02},000" for second in range(300)]
    cues = "".join(f"{i}\n{times[2 * i]} --> {times[2 * i + 1]}\nYou know it is me.\n\n" for i in range(1, 120))
    files = {f"film_{number}.srt": cues for number in range(4)}
    rubbish = bytes(range(256)) * 40
    folder = write({**files, f"rubbish{suffix}": rubbish, f"other{suffix}": gzip.compress(rubbish)[:-9]})
    dataset = load("opsub", folder)
    names = {name.rsplit("-", 1)[0] for part in dataset.values() for name in part["dialogue_id"]}
    assert files.keys() <= names
