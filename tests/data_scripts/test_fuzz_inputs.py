"""Whatever a chat or a transcript says, it is read or refused, and no word or speaker of it is lost uncounted."""

import json
import time

import pytest

from data_scripts.formats.dialogue_files import read_file
from data_scripts.formats.input_file import InputFile
from data_scripts.formats.options import ReadingOptions

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = ["Ana", "Ben Lee", "Dr. Cleo de la Cruz, MD", "小明", "Zoë O'Neil-Smith", "maria lopez", "+1 415-***-1234"]
# What means something to one of the readers, and words.
PIECES = [
    "hi", "Oh", "so", "I", "don't", "at 12:30", "12:30", "30/04/23, 17:33 - ", "[30/04/23, 17:33:19] ", "00:05 ",
    "Ana: ", "Note:", "-->", "00:00:01.000 --> 00:00:02.000", "<v Ana>", "<3", "<sigh>", "{", "}", "[", "]", "(", ")",
    ":)", "😀", "\u200e", "\u202f", "\u00a0", "<Media omitted>", "omitted", "deleted", '"', "“", ",", ";", "\t", "|",
    "\n", "\n\n", "?", "!", "Olá", "你好", "：", "&amp;", "NOTE ", "STYLE", "WEBVTT", "1", "...", "-", "*", "**", "_",
    "http://x.y", "@ana", "#", "Transcribed by x", "May 1, 2023", "\\N", "{\\an8}", "♪",
    "[Photo]", "사진", "[写真]", "Loved “hi”", "17:33", "2023/04/30(日)", "님이 나갔습니다.", "{Attachments}", "T1:",
]  # fmt: skip
PARTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map(" ".join)
TEXTS = st.one_of(PARTS, st.text(max_size=20))
TURNS = st.lists(st.tuples(st.sampled_from(NAMES), TEXTS), min_size=1, max_size=8)
# Without what means something to a reader, every turn is found.
PLAIN_TEXTS = st.lists(st.sampled_from(["hi", "Oh", "so", "calm", "furious!"]), min_size=1, max_size=4).map(" ".join)
PLAIN_TURNS = st.lists(st.tuples(st.sampled_from(NAMES), PLAIN_TEXTS), min_size=3, max_size=8)
TEXT_FORMS = {
    "android": "30/04/23, 17:{n:02} - {name}: {text}\n",
    "iphone": "[4/30/23, 5:{n:02}:00\u202fPM] {name}: {text}\r\n",
    "inline": "[00:{n:02}] {name}: {text}\n",
    "after": "{name} (10:{n:02} AM): {text}\n",
    "above": "{name}  0:{n:02}\n{text}\n\n",
    "plain": "{name}: {text}\n",
    "line": "17:{n:02}\t{name}\t{text}\n",
    "kakaotalk": "[{name}] [오후 5:{n:02}] {text}\n",
    "kakaotalk_phone": "2023년 4월 30일 오후 5:{n:02}, {name} : {text}\n",
    "imessage": "Apr 30, 2023  5:{n:02}:00 PM\n{name}\n{text}\n\n",
    "subrip": "{n}\n00:00:{n:02},000 --> 00:00:{n:02},500\n{name}: {text}\n\n",
    "webvtt": "00:{n:02}.000 --> 00:{n:02}.500\n<v {name}>{text}</v>\n\n",
}


HEADS = {
    "webvtt": "WEBVTT\n\n",
    "line": "[LINE] Chat history with Ben\n\n2023/04/30(日)\n",
    "kakaotalk": "--- 2023년 4월 30일 일요일 ---\n",
}


def as_text(form, turns):
    body = "".join(TEXT_FORMS[form].format(n=n, name=name, text=text) for n, (name, text) in enumerate(turns, start=1))
    return HEADS.get(form, "") + body


def as_json(form, turns):
    lists = {
        "messages": ("messages", "role", "content"),
        "conversations": ("conversations", "from", "value"),
        "segments": ("segments", "speaker", "text"),
    }
    if form == "slack":
        return [{"type": "message", "ts": f"16828700{n:02}.1", "user": name, "text": text}
                for n, (name, text) in enumerate(turns)]  # fmt: skip
    key, who, what = lists[form]
    return {key: [{who: name, what: text, "start": n, "end": n + 1} for n, (name, text) in enumerate(turns)]}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "talk.txt"


def read_or_refuse(path, content):
    """The dialogues and what was left out of them; None where the file was refused, in one line that names it."""
    path.write_text(content, encoding="utf-8", errors="surrogatepass", newline="")
    file = InputFile(path, ReadingOptions(), keeps_columns=True)
    try:
        dialogues = list(read_file(file))
    except ValueError as error:
        assert path.name in str(error) and len(str(error).splitlines()) == 1
        return None
    json.dumps(dialogues, ensure_ascii=False).encode()  # what is read can be written
    return dialogues, file.left_out


def words(text):
    """Those that no reader has a reason to change: letters, without what may be a mark or an escape."""
    return {word for word in text.split() if word.isalpha() and word.isprintable()}


def check_nothing_is_lost(path, content, turns):
    found = read_or_refuse(path, content)
    if found is None:
        return
    dialogues, left_out = found
    kept = " ".join(f"{turn.speaker} {turn.text}" for dialogue in dialogues for turn in dialogue.utterances)
    lost = {word for _, text in turns for word in words(text) if word not in kept}
    assert not lost or left_out, (lost, kept)


def check_text(path, form, turns):
    check_nothing_is_lost(path, as_text(form, turns), turns)


def check_json(path, form, turns, indent):
    check_nothing_is_lost(path, json.dumps(as_json(form, turns), indent=indent), turns)


TEXT_CASES = {"form": st.sampled_from(sorted(TEXT_FORMS)), "turns": TURNS}
JSON_FORMS = ["conversations", "messages", "segments", "slack"]
JSON_CASES = {"form": st.sampled_from(JSON_FORMS), "turns": TURNS, "indent": st.sampled_from([None, 2])}
LINES = st.lists(st.one_of(TEXTS, st.sampled_from(["", "Ana", "ANA"])), max_size=12).map("\n".join)


@settings(max_examples=200, deadline=None, database=None)
@given(**TEXT_CASES)
def test_no_word_of_a_chat_is_lost_uncounted(path, form, turns):
    check_text(path, form, turns)


@settings(max_examples=200, deadline=None, database=None)
@given(form=st.sampled_from(sorted(TEXT_FORMS)), turns=PLAIN_TURNS)
def test_every_turn_of_a_plain_chat_has_its_speaker_or_the_chat_is_refused(path, form, turns):
    found = read_or_refuse(path, as_text(form, turns))
    if found is not None:
        said = [(turn.speaker, turn.text) for dialogue in found[0] for turn in dialogue.utterances]
        assert said == turns


@settings(max_examples=100, deadline=None, database=None)
@given(**JSON_CASES)
def test_no_word_of_json_is_lost_uncounted(path, form, turns, indent):
    check_json(path, form, turns, indent)


@settings(max_examples=200, deadline=None, database=None)
@given(content=LINES)
def test_any_lines_are_read_or_refused(path, content):
    read_or_refuse(path, content)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, database=None)
@given(**TEXT_CASES)
def test_no_word_of_ten_thousand_chats_is_lost_uncounted(path, form, turns):
    check_text(path, form, turns)


@pytest.mark.slow
@settings(max_examples=4_000, deadline=None, database=None)
@given(**JSON_CASES)
def test_no_word_of_four_thousand_json_files_is_lost_uncounted(path, form, turns, indent):
    check_json(path, form, turns, indent)


@pytest.mark.slow
@settings(max_examples=6_000, deadline=None, database=None)
@given(content=LINES)
def test_any_six_thousand_lines_are_read_or_refused(path, content):
    read_or_refuse(path, content)


@pytest.mark.parametrize(
    "line",
    [
        "- " * 20_000,
        "-" * 40_000,
        f"12:30{' ' * 40_000}x",
        "12:30 " * 8_000,
        "1.1.1 " * 8_000,
        "<a" * 20_000,
        "[a] " * 9_000,
    ],
)
def test_a_long_line_takes_no_long_time(path, line):
    for head in ("", "[00:05] Ana: ", "30/04/23, 17:33 - Ana: ", "WEBVTT\n\n00:01.000 --> 00:02.000\n"):
        started = time.process_time()
        read_or_refuse(path, f"{head}{line}\n{head}{line}\n")
        assert time.process_time() - started < 2
