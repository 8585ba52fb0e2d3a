"""Strategies that damage a good file by its structure: JSON, a text of blocks, XML in a zip, or plain bytes."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

# Where readers turn: marks of formats, limits of numbers, and what steers a terminal.
PIECES = [
    *("\0", "\ufeff", "\x1b]0;x\x07", "-->", "<v ", "<", ">", "{\\an8}", "[", "(", "{", '"', "'", "\r", "\n\n", "\\"),
    *(
        "1e308",
        "-1",
        "NaN",
        "null",
        "\ud800",
        "&#0;",
        "&a;",
        "<!DOCTYPE a>",
        "," * 50,
        "(" * 200,
        "9" * 400,
        "9" * 5000,
    ),
    *("\u202e", "\u200e", "\u2028", "00:00:00,000", "99:99:99,999", "1/1/23, 10:10 - ", "[00:05] ", "WEBVTT", "NOTE "),
]
VALUES = [
    *(None, True, False, -1, 0, 1, 1.5, 2**31, 2**63, 10**30, 1e308, float("nan"), float("-inf"), "", " ", "x" * 300),
    *("\x1b[2J", "\ud800", "0", "None", "../x", [], {}, [[]], [None], ["a"], [1], {"a": {"b": None}}, {"0": "x"}),
]
DEEP = 2000
ENCODINGS = ["utf-8"] * 8 + ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "latin-1"]


@st.composite
def damaged_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with a few places changed, left out, repeated or filled in, and perhaps cut off."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place, length = draw(st.integers(0, len(data))), draw(st.sampled_from([0, 1, 4, 64]))
        new = st.binary(max_size=4) | st.sampled_from(PIECES).map(lambda piece: piece.encode("utf-8", "surrogatepass"))
        data[place : place + length] = draw(new | st.just(bytes(data[place : place + 200]) * 2))
    return draw(cut(bytes(data)))


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes, one time in ten cut off somewhere."""
    return data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 9)) == 0 else data


def _changed(draw: st.DrawFn, node: Any) -> Any:
    """JSON with one value of another type or size, left out, repeated, renamed or wrapped."""
    if isinstance(node, dict | list) and node and draw(st.integers(0, 9)):
        copy: Any = node.copy()
        # Long vocabularies have more entries than what is worth changing.
        keys = list(copy)[:40] if isinstance(copy, dict) else range(min(len(copy), 40))
        key = draw(st.sampled_from(keys))
        how = draw(st.integers(0, 9))
        if how == 0:
            del copy[key]
        elif how == 1 and isinstance(copy, dict):
            copy[draw(st.sampled_from(["", "x", "0", "-1", key + key, "\x1b[2J"]))] = copy.pop(key)
        elif how == 1:
            copy += copy * draw(st.sampled_from([1, 3, 200]))
        else:
            copy[key] = _changed(draw, copy[key])
        return copy
    wrapped = st.sampled_from([[node], {"a": node}, [node] * 300, str(node)[:100], _Deep()])
    return draw(st.sampled_from(VALUES) | wrapped)


class _Deep:
    """Stands for a value nested more deeply than `json` writes."""


def _dumped(value: Any) -> str:
    mark = "\ue000"
    text = json.dumps(value, default=lambda _: mark)
    return text.replace(json.dumps(mark), '{"a":[' * DEEP + "1" + "]}" * DEEP)


@st.composite
def damaged_json(draw: st.DrawFn, document: Any) -> bytes:
    """A document with a few values changed, perhaps with a key twice, or cut off."""
    for _ in range(draw(st.integers(1, 3))):
        document = _changed(draw, document)
    text = _dumped(document)
    if isinstance(document, dict) and document and draw(st.integers(0, 9)) == 0:
        key = draw(st.sampled_from(list(document)[:40]))
        text = f"{text[:-1]}, {json.dumps(key)}: {json.dumps(draw(st.sampled_from(VALUES)))}}}"
    return draw(cut(text.encode("utf-8", "surrogatepass")))


@st.composite
def damaged_text(draw: st.DrawFn, blocks: list[list[str]], head: str = "", tail: str = "") -> bytes:
    """Blocks such as cues or rows, each a list of fields and what is between them, with some of both changed."""
    blocks = [list(block) for block in blocks]
    for _ in range(draw(st.integers(0, 4))):
        if not blocks:
            break
        place = draw(st.integers(0, len(blocks) - 1))
        how, block = draw(st.integers(0, 7)), blocks[place]
        if how == 0:
            del blocks[place]
        elif how == 1:
            blocks[place:place] = [block[:]] * draw(st.sampled_from([1, 2, 300]))
        elif how == 2:
            blocks.append(blocks.pop(place))
        elif block:
            field = draw(st.integers(0, len(block) - 1))
            old = block[field]
            new = st.sampled_from(PIECES) | st.text(max_size=8) | st.sampled_from(["", old * 2, old * 500, old[:-1]])
            block[field] = draw(new)
    text = head + "".join(map("".join, blocks)) + tail
    encoding = draw(st.sampled_from(ENCODINGS))
    errors = "surrogatepass" if encoding.startswith("utf") else "replace"
    return draw(cut(text.encode(encoding, errors)))


@st.composite
def damaged_zip(draw: st.DrawFn, whole: bytes, parts: Callable[[str], bool]) -> bytes:
    """A zip of XML in which the tags of one part are changed."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    name = draw(st.sampled_from([name for name in contents if parts(name)]))
    tags = [[f"{tag}>"] for tag in contents[name].decode().split(">")[:-1]]
    contents[name] = draw(damaged_text(tags))
    if draw(st.integers(0, 9)) == 0:
        del contents[draw(st.sampled_from(list(contents)))]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return draw(cut(buffer.getvalue()) | damaged_bytes(buffer.getvalue()))
