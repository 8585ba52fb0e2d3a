"""Strategies for files of dialogues: good files of every format, damaged by their structure."""

import gzip
import io
import json
from functools import cache
from typing import Any

import openpyxl
import pyarrow as pa
from hypothesis import reject
from hypothesis import strategies as st
from pyarrow import parquet

from .damage import cut, damaged_bytes, damaged_json, damaged_text, damaged_zip

NAMES = st.sampled_from(["Ana", "Ben Lee", "Dr. Cleo de la Cruz, MD", "小明", "Zoë O'Neil-Smith", "ANN", ""])
TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "Hi.",
        "<i>Well?</i>",
        "- No.\n- [sighs] So",
        "<Media omitted>",
        "♪ la",
        "www.x.com",
        "12:30",
        "&amp; so",
        '"a, b"',
    ]
)
TURNS = st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=4)
ANDROID = ["30/04/23", ", ", "17:{n:02}", " - ", "{name}", ": ", "{text}", "\n"]
IPHONE = ["[", "4/30/23", ", ", "5:{n:02}:00", "\u202fPM", "] ", "{name}", ": ", "{text}", "\r\n"]
INLINE = ["[", "00:{n:02}", "] ", "{name}", ": ", "{text}", "\n"]
AFTER = ["{name}", " (", "10:{n:02}", " AM", "): ", "{text}", "\n"]
ABOVE = ["{name}", "  ", "0:{n:02}", "\n", "{text}", "\n\n"]
PLAIN = ["{name}", ": ", "{text}", "\n"]
SUBRIP = ["{n}", "\n", "00:00:{n:02},000", " --> ", "00:00:{n:02},900", "\n", "{name}", ": ", "{text}", "\n\n"]
WEBVTT = ["00:{n:02}.000", " --> ", "00:{n:02}.900", "\n", "<v ", "{name}", ">", "{text}", "</v>", "\n\n"]
OPUS = ['<s id="{n}">', '<time id="T{n}S" value="', "00:00:{n:02},000", '" />', "<w>", "{text}", "</w>", "</s>"]
CSV = ["{n}", ",", "{name}", ",", '"', "{text}", '"', ",", "joy", "\r\n"]
TSV = ["{n}", "\t", "{name}", "\t", "{text}", "\t", "joy", "\n"]


def texts(*forms: list[str], head: str = "", tail: str = "") -> st.SearchStrategy[bytes]:
    """Turns in one of some forms, damaged."""

    def blocks(form: list[str], turns: list[tuple[str, str]]) -> list[list[str]]:
        numbered = enumerate(turns, start=1)
        return [[field.format(n=n, name=name, text=text) for field in form] for n, (name, text) in numbered]

    return st.builds(blocks, st.sampled_from(forms), TURNS).flatmap(lambda found: damaged_text(found, head, tail))


def _documents() -> list[Any]:
    """A chat in the JSON of every application that is read."""
    slack = {"type": "message", "ts": "1682870000.1", "user": "U1", "text": "Hi <@U1>.", "user_profile": {"name": "A"}}
    author = {"id": "1", "name": "ann", "nickname": "Ann", "isBot": False}
    discord = {"timestamp": "2023-04-30T17:33:00+00:00", "author": author, "content": "Hi.", "type": "Default"}
    telegram = {"type": "message", "date": "2023-04-30T17:33:00", "from": "Ann", "text": ["Hi ", {"text": "so"}]}
    messenger = {"sender_name": "Ann", "timestamp_ms": 1682870000000, "content": "Hi."}
    model = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": [{"type": "text", "text": "No."}]}]
    words = [{"word": "Hi.", "start": 0.0, "end": 0.5, "speaker": "A"}]
    segments = [{"start": 0, "end": 1.5, "speaker": "A", "text": "Hi.", "words": words}, {"start": 2, "text": "So?"}]
    lists = {"dialogue_id": "a", "utterances": ["Hi.", "No."], "speakers": ["Ann", None], "labels": ["joy", None]}
    row = {"dialogue_id": "a", "text": "Hi.", "speaker": "Ann", "label": "joy", "start": 0.5}
    chats = [
        {"messages": [discord, discord], "channel": {"name": "c"}},
        {"name": "c", "type": "personal_chat", "id": 1, "messages": [telegram, telegram]},
        {"chats": {"list": [{"name": "c", "messages": [telegram]}]}},
        {"participants": [{"name": "Ann"}], "messages": [messenger, messenger]},
        {"messages": model},
        {"conversations": [{"from": "human", "value": "Hi."}, {"from": "gpt", "value": "No."}]},
    ]
    speech = [{"segments": segments}, {"results": {"utterances": [{"start": 0, "transcript": "Hi."}]}}]
    whisper = {
        "transcription": [{"offsets": {"from": 0, "to": 9}, "timestamps": {"from": "00:00:00,000"}, "text": "a"}]
    }
    assembly = {"utterances": [{"start": 100, "end": 900, "speaker": "A", "text": "Hi."}], "audio_duration": 9}
    own = [{**lists, "starts": [0, 1.5], "ends": [1, "2023-04-30T17:33:00"], "more": {"a": [1]}}, lists]
    return [[slack, slack], *chats, *speech, whisper, assembly, *own, own, [row, row], row]


def json_chats() -> st.SearchStrategy[bytes]:
    return st.sampled_from(_documents()).flatmap(damaged_json)


def json_lines() -> st.SearchStrategy[bytes]:
    """Documents on lines, one of them damaged."""
    good = st.sampled_from([json.dumps(document).encode() for document in _documents()])
    return st.lists(good | json_chats(), min_size=1, max_size=3).map(b"\n".join)


def compressed(data: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    packed = data.map(lambda text: gzip.compress(text, mtime=0))
    return packed.flatmap(cut) | packed.flatmap(damaged_bytes)


# Types of columns, each with a value.
COLUMNS: list[tuple[pa.DataType, Any]] = [
    (pa.string(), "Hi."),
    (pa.list_(pa.string()), ["Hi.", None]),
    *[(pa.large_string(), "No."), (pa.string_view(), "So"), (pa.dictionary(pa.int32(), pa.string()), "a")],
    *[(pa.int64(), 2**62), (pa.int8(), -1), (pa.uint64(), 2**63), (pa.float64(), float("nan")), (pa.float32(), 1e30)],
    *[(pa.bool_(), True), (pa.null(), None), (pa.binary(), b"\xff"), (pa.decimal128(38), 10**37)],
    *[(pa.timestamp("ns"), 2**62), (pa.timestamp("s", "UTC"), 2**60), (pa.duration("s"), 2**60), (pa.time64("us"), 5)],
    *[(pa.date32(), 10**6), (pa.list_(pa.int64()), [0, 7]), (pa.list_(pa.list_(pa.string())), [["a"]])],
    *[(pa.large_list(pa.string()), ["a"]), (pa.list_(pa.string(), 2), ["a", "b"]), (pa.list_(pa.null()), [None])],
    *[(pa.struct([("a", pa.string())]), {"a": "b"}), (pa.map_(pa.string(), pa.int64()), [("a", 1)])],
]  # fmt: skip
HEADERS = ["dialogue_id", "text", "speaker", "label", "start", "end", "utterances", "speakers", "labels", "starts", "x"]
LABELS = {"names": ["joy", "anger"], "_type": "ClassLabel"}
FEATURES = {"info": {"features": {"label": LABELS, "text": {"dtype": "string", "_type": "Value"}}}}


@st.composite
def parquet_tables(draw: st.DrawFn) -> bytes:
    """A table with columns of any type, perhaps with damaged metadata of `datasets`, or with damaged bytes."""
    good = {"dialogue_id": COLUMNS[0], "text": COLUMNS[0]} if draw(st.booleans()) else {"utterances": COLUMNS[1]}
    chosen = {**good, **draw(st.dictionaries(st.sampled_from(HEADERS), st.sampled_from(COLUMNS), max_size=3))}
    rows = draw(st.integers(0, 4))
    arrays = {}
    for name, (type, value) in chosen.items():
        values = draw(st.lists(st.sampled_from([value, value, None]), min_size=rows, max_size=rows))
        arrays[name] = pa.array(values, type)
    table = pa.table(arrays)
    if draw(st.booleans()):
        features = draw(damaged_json(FEATURES) | st.just(json.dumps(FEATURES).encode()))
        table = table.replace_schema_metadata({b"huggingface": features})
    buffer = io.BytesIO()
    packing = draw(st.sampled_from(["none", "snappy", "zstd", "gzip"]))
    try:
        parquet.write_table(table, buffer, row_group_size=draw(st.sampled_from([1, 100])), compression=packing)
    except pa.ArrowInvalid:  # a time that Parquet cannot store
        reject()
    data = buffer.getvalue()
    return draw(st.just(data) | damaged_bytes(data))


@cache
def _workbook() -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in (["dialogue_id", "text", "speaker", "label", "start"], ["a", "Hi.", "Ann", "joy", 1.5], ["a", "No."]):
        book.active.append(row)
    book.create_sheet("other").append(["x", 5, True, None])
    book.save(file)
    return file.getvalue()


def workbooks() -> st.SearchStrategy[bytes]:
    return damaged_zip(_workbook(), lambda name: name.startswith(("xl/", "[Content")) and name.endswith("xml"))
