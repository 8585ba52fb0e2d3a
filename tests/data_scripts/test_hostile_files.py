"""Files that somebody made to break a reader cost little time and memory, are counted, and never end in a traceback."""

import gzip
import io
import itertools
import json
import math
import os
import tarfile
import time
import tracemalloc
import zipfile
from itertools import pairwise

import pytest
from films import ENGLISH, clock
from time_limit import within

from data_scripts import read_dialogues
from data_scripts.formats.captions import film_lines_of_webvtt
from data_scripts.formats.limits import Limits, TooLargeError
from data_scripts.formats.opus import xml_lines
from data_scripts.formats.sources import source
from data_scripts.formats.subtitles import Line, film_lines, join_sentences

pytest.importorskip("ftfy")
pytest.importorskip("py3langid")

SIZE = 200_000
LINES = {
    "open tags": "<a",
    "open breaks": "<br",
    "open braces": "{",
    "open voices": "<v  ",
    "a voice of spaces": "<v" + " " * SIZE,
    "open brackets": "[(",
    "the beginning of an advert": "subtitle ",
    "arrows": "-->",
    "arrows in words": "a-->",
    "lines with arrows": "x -->\n",
    "short rows": "a word\n",
    "capitals": "A ",
    "notes": "♪ ",
    "digits": "1:",
    "quotes": '!"',
}


def film(n_cues=120, first=0):
    return "\n".join(
        f"{number + 1}\n{clock(first + 2 * number)} --> {clock(first + 2 * number + 1)}\n{ENGLISH[number % 3]}\n"
        for number in range(n_cues)
    )


@pytest.mark.parametrize("name", LINES)
def test_a_line_takes_time_in_proportion_to_its_length(write, name):
    body = (LINES[name] * (SIZE // len(LINES[name]) + 1))[:SIZE]
    text = f"1\n00:00:01,000 --> 00:00:02,000\n{body}\n\n2\n00:00:03,000 --> 00:00:04,000\nAna: Well then.\n"
    caption = f"WEBVTT\n\n{text.replace(',000', '.000')}"
    with within(4):
        assert film_lines(text)[-1].text in ("Ana: Well then.", "Well then.")
    with within(4):
        assert film_lines_of_webvtt(caption)[-1].text in ("Ana: Well then.", "Well then.")
    with within(4):
        [dialogue] = read_dialogues(write({"a.vtt": caption}) / "a.vtt")
    assert dialogue.utterances[-1].text == "Well then."


def assert_linear(read, content_of) -> None:
    """Twice the size takes at most 2.2 times the time of the processor, at 1, 2 and 4 MB.

    Each time is the shortest of up to eight, because other processes make some of them longer. Between times of a few
    milliseconds, a new page of memory makes a difference.
    """
    contents = [content_of(size << 20) for size in (1, 2, 4)]
    shortest = [math.inf] * len(contents)
    for _ in range(8):
        for place, content in enumerate(contents):
            with within(20):
                before = time.process_time()
                read(content)
                shortest[place] = min(shortest[place], time.process_time() - before)
        if all(later < 2.2 * earlier + 0.02 for earlier, later in pairwise(shortest)):
            return
    raise AssertionError(shortest)


# With the word `vip`, a cue may be an advert, and is searched for all of them.
ADVERT = pytest.param("vip ", "subtitle ", marks=pytest.mark.slow)


@pytest.mark.parametrize(("start", "part"), [("", "<"), ("", "<a"), ("", "{"), ("", "-->"), ("", "a-->"), ADVERT])
def test_time_is_linear_in_the_size_of_a_line(start, part):
    head, tail = f"1\n00:00:01,000 --> 00:00:02,000\n{start}", "\n\n2\n00:00:03,000 --> 00:00:04,000\nWell then.\n"
    assert_linear(film_lines, lambda size: head + part * (size // len(part)) + tail)


def test_time_is_linear_in_the_number_of_cues_of_a_sentence():
    text = "and on " * 3
    assert_linear(
        lambda lines: join_sentences(lines, 1.0),
        lambda size: [Line(number, number + 1, text) for number in range(size // len(text))],
    )


def test_a_sentence_over_very_many_cues_is_joined_once():
    lines = [Line(number, number + 1, "and on " * 10) for number in range(40_000)]
    [line] = join_sentences(lines, 1.0)
    assert len(line.text) > 2_000_000 and line.end == 40_000


@pytest.mark.parametrize("text", ["♪ " * 20_000 + "a", "()" * 20_000 + "a", "[(" * 20_000 + "a"])
def test_recognized_speech_takes_time_in_proportion_to_its_length(write, text):
    content = json.dumps({"segments": [{"start": 0, "end": 1, "text": text}]})
    with within(3):
        [dialogue] = read_dialogues(write({"a.json": content}) / "a.json")
    assert dialogue.utterances[0].text == text


@pytest.mark.parametrize("part", ["a.bb ", "a.bb", "<", "<edited", "chat ", " ", "1/1/23, 10:10, ", "- ", "a:"])
@pytest.mark.parametrize("head", ["1/1/23, 10:10 - Ana: ", "[00:05] Ana: ", "Ana: "])
def test_a_message_takes_time_in_proportion_to_its_length(write, part, head):
    content = f"{head}hi\n{head}yes\n{head}{part * (SIZE // len(part))}x\n{head}no\n"
    with within(4):
        dialogues = list(read_dialogues(write({"a.txt": content}) / "a.txt", max_silence="inf"))
    assert len(dialogues[0].utterances) == 4


@pytest.mark.parametrize("name", ["bomb.srt.gz", "bomb.vtt.gz", "bomb.xml.gz"])
def test_a_film_that_unfolds_to_too_much_is_dropped_and_counted(load, write, caplog, name):
    folder = write({name: gzip.compress(b"\n" * (1 << 25)), **{f"film_{n}.srt": film() for n in range(4)}})
    with caplog.at_level("INFO", logger="data_scripts"):
        load("opsub", folder)
    assert "files dropped for their size 1, films kept 4" in caplog.text
    assert f"opsub: {name} dropped: expands to more than " in caplog.text


def test_a_film_of_its_own_that_unfolds_to_too_much_is_an_error(load, write):
    path = write({"bomb.srt.gz": gzip.compress(b"\n" * (1 << 25))}) / "bomb.srt.gz"
    with pytest.raises(
        ValueError, match=r"bomb.srt.gz: expands to more than .* bytes, the limit set by max_ratio; .* increase"
    ):
        load("opsub", path)
    with pytest.raises(ValueError, match=r"more than 16,777,216 bytes, the limit set by max_unfolded"):
        load("opsub", path, max_ratio=10_000)
    with pytest.raises(ValueError, match="max_unfolded must be a whole number of 1 or more; got 0"):
        load("opsub", path, max_unfolded=0)


def test_no_more_of_a_file_is_unfolded_than_the_limit(tmp_path):
    with zipfile.ZipFile(tmp_path / "films.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.srt", b"\n" * (1 << 24))
    (tmp_path / "a.srt.gz").write_bytes(gzip.compress(b"\n" * (1 << 24)))
    for where, name in ((tmp_path / "films.zip", "a.srt"), (tmp_path, "a.srt.gz")):
        tracemalloc.start()
        with pytest.raises(TooLargeError, match="more than 2,097,152 bytes"):
            source(str(where)).read(name, Limits(max_unfolded=1 << 21, max_ratio=10_000))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 23


def test_members_of_a_tar_that_are_no_films_are_counted(load, tmp_path, caplog):
    """A terabyte of nothing, a FIFO, and a large file."""
    with tarfile.open(tmp_path / "films.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for number in range(4):
            member = tarfile.TarInfo(f"film_{number}.srt")
            member.size = len(film())
            archive.addfile(member, io.BytesIO(film().encode()))
        fifo = tarfile.TarInfo("fifo.srt")
        fifo.type = tarfile.FIFOTYPE
        archive.addfile(fifo)
        large = tarfile.TarInfo("large.srt")
        large.size = 1 << 25
        archive.addfile(large, io.BytesIO(b"\n" * large.size))
        sparse = tarfile.TarInfo("GNUSparseFile.0/sparse.txt")
        data = b"1\n0\n3\n".ljust(512, b"\0") + b"abc"
        sparse.size = len(data)
        sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse.txt"}
        sparse.pax_headers["GNU.sparse.realsize"] = str(1 << 40)
        archive.addfile(sparse, io.BytesIO(data))
    with caplog.at_level("INFO", logger="data_scripts"):
        load("opsub", tmp_path / "films.tar.gz")
    assert "files dropped for not being regular files 1, files dropped for their size 2, films kept 4" in caplog.text


def test_a_text_is_read_without_its_lines_of_many_megabytes(load, write, caplog):
    lines = "".join(f"{ENGLISH[number % 3]}\n" for number in range(3000))
    text = f"{lines}{'a' * (3 << 20)}\n{lines}"
    for name, content in (("en.txt", text.encode()), ("en.txt.gz", gzip.compress(text.encode()))):
        caplog.clear()
        with caplog.at_level("INFO", logger="data_scripts"):
            dataset = load("opsub", write({name: content}) / name, max_ratio=1000)
        assert "lines dropped for their length 1, utterances 6000" in caplog.text
        assert sum(len(row) for part in dataset.values() for row in part["utterances"]) == 6000


def test_a_packed_file_that_unfolds_to_too_much_is_an_error(write):
    folder = write({"a.txt.gz": gzip.compress(b"Ana: Hi.\n" * (1 << 20)), "b.log.gz": gzip.compress(b"\n" * (1 << 22))})
    for name in ("a.txt.gz", "b.log.gz"):
        with pytest.raises(
            ValueError, match=rf"{name}: expands to more than .* bytes, the limit set by max_ratio; .* increase"
        ):
            list(read_dialogues(folder / name))
    with pytest.raises(ValueError, match="1,000 bytes, the limit set by max_unfolded"):
        list(read_dialogues(folder / "a.txt.gz", max_unfolded=1000))
    with pytest.raises(ValueError, match="option max_ratio must be a whole number of 1 or more; got 0"):
        read_dialogues(folder / "a.txt.gz", max_ratio=0)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_line_of_too_many_characters_is_an_error(write, encoding):
    path = write({"a.txt": ("Ana: Hé.\n" + "a" * 5000 + "\n").encode(encoding)}) / "a.txt"
    assert len(list(read_dialogues(path))[0].utterances) == 2
    with pytest.raises(ValueError, match=r"a.txt: line 2 is longer than 4,000, the limit set by max_line"):
        list(read_dialogues(path, max_line=4000))


@pytest.mark.parametrize("corpus", [False, True])
def test_a_reader_that_takes_too_long_is_stopped(load, write, caplog, monkeypatch, corpus):
    folder = write({"a.txt": "Ana: Hi.\n\nBen: Hello.\n", **{f"film_{n}.srt": film() for n in range(4)}})
    # A clock on which reading any film or dialogue takes a quarter of an hour.
    monkeypatch.setattr(time, "monotonic", itertools.count(0, 900).__next__)
    if corpus:
        (folder / "a.txt").unlink()
        with caplog.at_level("INFO", logger="data_scripts"):
            load("opsub", folder, max_seconds=2000)
            with pytest.raises(ValueError):
                load("opsub", folder)
        assert "film_0.srt dropped: takes more than 600 seconds to read, the limit set" in caplog.text
        return
    assert list(read_dialogues(folder / "a.txt"))
    with pytest.raises(
        ValueError, match=r"^[^:]*a.txt: takes more than 500 seconds to read, the limit set by max_seconds"
    ):
        list(read_dialogues(folder / "a.txt", max_seconds=500))


@pytest.mark.parametrize("hours", ["9" * 400, "9" * 5000, "1e308"])
def test_a_cue_whose_hours_are_none_is_dropped_and_counted(load, write, caplog, hours):
    bad = f"\n900\n{hours}:00:00,000 --> {hours}:00:01,000\nNot this.\n"
    xml = "".join(f'<s id="{n}"><time id="T{n}S" value="{clock(2 * n)}"/>{ENGLISH[n % 3]}</s>' for n in range(120))
    xml = f'<document>{xml}<s id="900"><time id="T900S" value="{hours}:00:00,000"/>Not this.</s></document>'
    vtt = f"WEBVTT\n\n{(film() + bad).replace(',000', '.000')}"
    folder = write({"a.srt": film() + bad, "b.vtt": vtt, "c.xml": xml, "d.srt": film()})
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load("opsub", folder)
    texts = {text for part in dataset.values() for row in part["utterances"] for text in row}
    assert texts == set(ENGLISH)
    assert "films kept 4" in caplog.text
    if hours != "1e308":
        assert "cues dropped for having no valid times 3" in caplog.text
    [dialogue] = read_dialogues(folder / "b.vtt")
    assert len(dialogue.utterances) == 120


@pytest.mark.parametrize("number", ["1e308", "-1e400", "9" * 400, '"1e308"', "NaN"])
def test_a_time_that_no_clock_can_show_is_none(write, number):
    own = f'{{"utterances": ["Hi."], "starts": [{number}], "ends": [{number}]}}'
    rows = f'[{{"dialogue_id": 1, "text": "Hi.", "start": {number}}}]'
    speech = f'{{"segments": [{{"start": {number}, "end": 1, "text": "Hi."}}]}}'
    messenger = f'{{"messages": [{{"sender_name": "Ana", "content": "Hi.", "timestamp_ms": {number}}}]}}'
    for name, content in (("own", own), ("rows", rows), ("speech", speech), ("messenger", messenger)):
        [dialogue] = read_dialogues(write({f"{name}.json": content}) / f"{name}.json")
        assert dialogue.utterances[0].text == "Hi."
        assert dialogue.utterances[0].start is None


def test_a_number_of_thousands_of_digits_is_named_as_such(write):
    path = write({"a.json": f'{{"utterances": ["Hi."], "starts": [{"9" * 5000}]}}'}) / "a.json"
    with pytest.raises(ValueError, match="a.json:1: not JSON; .* a number of more than 4,300 digits"):
        list(read_dialogues(path))


def test_only_regular_files_of_a_folder_are_read(load, write, tmp_path, caplog):
    folder = write({f"film_{n}.srt": film() for n in range(3)})
    os.mkfifo(folder / "fifo.srt")
    (folder / "zero.srt").symlink_to("/dev/zero")
    (folder / "nowhere.srt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "other").write_text(film())
    (folder / "link.srt").symlink_to(tmp_path / "other")
    with within(20), caplog.at_level("INFO", logger="data_scripts"):
        load("opsub", folder)
    assert "files dropped for not being regular files 3, films kept 4" in caplog.text


@pytest.mark.parametrize("corpus", ["opsub", "custom", "meld"])
def test_a_fifo_or_a_device_is_an_error(load, tmp_path, corpus):
    os.mkfifo(tmp_path / "fifo.srt")
    (tmp_path / "link.srt").symlink_to("/dev/zero")
    for name in ("fifo.srt", "link.srt"):
        with pytest.raises(ValueError, match=rf"{name}: not a regular file; got a device, a FIFO or a socket; copy"):
            load(corpus, tmp_path / name)
        with pytest.raises(ValueError, match=rf"{name}: not a regular file"):
            read_dialogues(tmp_path / name)


def test_xml_nested_very_deep_is_dropped_and_counted(load, write, caplog):
    deep = "<document>" + "<a>" * 1_000_000
    folder = write({"deep.xml": deep, **{f"film_{n}.srt": film() for n in range(4)}})
    tracemalloc.start()
    with pytest.raises(SyntaxError, match="nested more than 100 deep"):
        list(xml_lines(deep.encode()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 25
    with caplog.at_level("INFO", logger="data_scripts"):
        load("opsub", folder)
    reason = "elements are nested more than 100 deep, the limit set by max_depth"
    assert f"deep.xml dropped because it cannot be read: {reason}" in caplog.text
    assert "files damaged 1, films kept 4" in caplog.text
    assert len(
        list(xml_lines(b"<document>" + b"<a>" * 150 + b"<s>Hi.</s>" + b"</a>" * 150 + b"</document>", None, 200))
    )


def test_a_zip_of_a_corpus_that_unfolds_to_too_much_is_an_error(load, tmp_path):
    for split in ("train", "validation", "test"):
        with zipfile.ZipFile(tmp_path / f"{split}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name in (f"dialogues_{split}.txt", f"dialogues_emotion_{split}.txt"):
                archive.writestr(f"{split}/{name}", b"\n" * (1 << 24))
    message = r"dialogues_train.txt: expands to more than [\d,]+ bytes, the limit of a file in a zip; .* unpack it"
    with pytest.raises(ValueError, match=message):
        load("dailydialog", tmp_path)


@pytest.mark.parametrize("name", ["films.zip", "films.tar.gz"])
def test_an_archive_of_very_many_files_is_an_error(load, write, name):
    files = {f"{number}/": b"" for number in range(100)} | {
        f"film_{number}.srt": film().encode() for number in range(4)
    }
    path = write({name: zipped(files) if name.endswith("zip") else tarred(files, "w:gz")}) / name
    message = rf"{name}: has more than 50 files, the limit set by max_members; .* increase max_members"
    with pytest.raises(ValueError, match=message):
        load("opsub", path, max_members=50)
    assert load("opsub", path)["train"].num_rows


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files, mode):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.xz", "tar.txt", "zip.csv", "zip.txt"])
def test_an_archive_is_named_with_the_files_in_it(load, write, name):
    files = {"chat.txt": b"Ana: Hi.", "inner.zip": zipped({"deep.txt": "Ben: Yes."})}
    modes = {"gz": "w:gz", "tgz": "w:gz", "xz": "w:xz"}
    data = zipped(files) if "zip" in name else tarred(files, modes.get(name.rpartition(".")[2], "w"))
    path = write({name: data}) / name
    message = rf"{name}: is an archive; got chat.txt, inner.zip \(an archive too\); unpack it and use one"
    with pytest.raises(ValueError, match=message):
        list(read_dialogues(path))
    with pytest.raises(ValueError, match=message):
        load("custom", path)


def test_archives_in_a_folder_of_films_are_counted(load, write, caplog):
    folder = write({"more.zip": zipped({"a.srt": film()}), **{f"film_{n}.srt": film() for n in range(3)}})
    with caplog.at_level("INFO", logger="data_scripts"):
        load("opsub", folder)
    assert "archives not read 1" in caplog.text
