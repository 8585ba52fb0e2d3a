"""Whatever bytes a file of dialogues holds, it is read, or refused in one line that names it."""

import gzip
import io
import json

import datasets
import pytest

from data_scripts import read_dialogues
from data_scripts.formats.detection import SUFFIXES

pytest.importorskip("hypothesis")
pytest.importorskip("openpyxl")

import openpyxl
from hypothesis import given, settings
from hypothesis import strategies as st

STRINGS, CLASSES = datasets.Value("string"), datasets.ClassLabel(names=["joy", "anger"])
LISTS = [
    {"dialogue_id": "a", "utterances": ["Hi.", "Olá! 😀"], "speakers": ["Ann", "Bo"], "labels": ["joy", "anger"]},
    {"dialogue_id": "b", "utterances": ["No."], "speakers": [None], "labels": [None]},
]
ROWS = [
    {"dialogue_id": "a", "text": "Hi.", "speaker": "Ann", "label": "joy"},
    {"dialogue_id": "a", "text": "Olá! 😀", "speaker": "Bo", "label": "anger"},
    {"dialogue_id": "b", "text": "No.", "speaker": None, "label": None},
]


def json_lines(**options):
    return "".join(json.dumps(row, **options) + "\n" for row in LISTS).encode()


def separated(by):
    rows = [[f'"{value or ""}"' for value in row.values()] for row in ROWS]
    return "".join(by.join(fields) + "\r\n" for fields in [ROWS[0], *rows]).encode()


def parquet(rows, **features):
    file = io.BytesIO()
    features = datasets.Features(dict.fromkeys(rows[0], STRINGS) | features)
    datasets.Dataset.from_list(rows, features).to_parquet(file)
    return file.getvalue()


def captions(by, head=""):
    """Two cues, and a minute later a third."""
    cues = [(1, "Ann: Hi."), (2, "Olá!"), (70, "No.")]
    times = [(f"00:{second // 60:02}:{second % 60:02}{by}000", text) for second, text in cues]
    return (head + "".join(f"1\n{time} --> {time}\n{text}\n\n" for time, text in times)).encode()


def workbook(rows):
    file, book = io.BytesIO(), openpyxl.Workbook()
    for row in [list(rows[0]), *(list(row.values()) for row in rows)]:
        book.active.append(row)
    book.save(file)
    return file.getvalue()


def valid_files():
    """Each suffix with the forms that its files may have."""
    texts = {
        ".jsonl": [json_lines(), json_lines(ensure_ascii=False)],
        ".json": [json_lines()],
        ".csv": [separated(",")],
        ".tsv": [separated("\t")],
        ".txt": ["Ann: Hi.\nBo: Olá! 😀\n\nsee http://x\n".encode()],
        ".vtt": [captions(".", "WEBVTT\n\n")],
        ".srt": [captions(","), captions(",").decode().encode("utf-16-le")],
    }
    compressed = {f"{suffix}.gz": [gzip.compress(text, mtime=0) for text in forms] for suffix, forms in texts.items()}
    lists = dict.fromkeys(["utterances", "speakers", "labels"], datasets.List(STRINGS))
    tables = [
        parquet(LISTS, **lists),
        parquet(LISTS, **lists | {"labels": datasets.List(CLASSES)}),
        parquet(ROWS),
        parquet(ROWS, label=CLASSES),
    ]
    return texts | compressed | {".parquet": tables, ".xlsx": [workbook(ROWS)]}


VALID = valid_files()
# Bytes that mean something to one of the formats, or more of them than it can take.
TOKENS = [b'"', b"\n", b"\r", b"\0", b",", b"\\u", b"\\ud800", b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 5000, b"9" * 5000]


@st.composite
def files(draw):
    """A suffix, and arbitrary bytes or a valid file with a few places overwritten, filled in, left out or cut off."""
    suffix = draw(st.sampled_from(sorted(SUFFIXES)))
    if draw(st.integers(0, 9)) == 0:
        return suffix, draw(st.binary())
    data = draw(st.sampled_from(VALID[suffix]))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        new = draw(st.one_of(st.binary(max_size=4), st.sampled_from(TOKENS)))
        rest = draw(st.sampled_from([data[start:], data[start + len(new) :], data[start + 3 :], b""]))
        data = data[:start] + new + rest
    return suffix, data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def read_or_refuse(path, data):
    path.write_bytes(data)
    try:
        for dialogue in read_dialogues(path):
            json.dumps(dialogue, ensure_ascii=False).encode()  # what is read can be written
    except (ValueError, OSError) as error:
        assert path.name in str(error)
        assert len(str(error).splitlines()) == 1


def test_the_files_that_are_mutated_are_valid(folder):
    for suffix, forms in VALID.items():
        for data in forms:
            path = folder / f"valid{suffix}"
            path.write_bytes(data)
            dialogues = read_dialogues(path, max_silence=60)
            assert [len(dialogue.utterances) for dialogue in dialogues] == [2, 1], suffix
    assert VALID.keys() == SUFFIXES


@settings(max_examples=400, deadline=None, database=None)
@given(file=files())
def test_any_file_is_read_or_refused_in_one_line(folder, file):
    suffix, data = file
    read_or_refuse(folder / f"fuzz{suffix}", data)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None, database=None)
@given(file=files())
def test_twenty_thousand_files_are_read_or_refused_in_one_line(folder, file):
    suffix, data = file
    read_or_refuse(folder / f"fuzz{suffix}", data)
