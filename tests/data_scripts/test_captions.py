"""Captions are read as transcripts: a cue an utterance, with its times and the speaker that it names."""

import logging

import pytest

from data_scripts import read_dialogues

MEETING = """WEBVTT

NOTE recorded for the team

f3a1-22/17-0
00:00:05.000 --> 00:00:08.000
<v Ana Silva>I got the job!</v>

f3a1-22/19-0
00:00:08.500 --> 00:00:10.000
<v Ben Lee>What? Are you serious?</v>

f3a1-22/23-0
00:00:10.500 --> 00:00:14.000
<v Ana Silva>Yes! They called me an hour ago
and I am so happy.</v>

f3a1-22/24-0
00:00:15.000 --> 00:00:18.000
<v Ben Lee>I wish Dad was here &amp; could see this.</v>
"""
CUE = "{number}\n00:00:{number:02},000 --> 00:00:{number:02},900\n{text}\n\n"


def turns_of(write, content, name="talk.vtt"):
    [dialogue] = read_dialogues(write({name: content}) / name)
    return dialogue.utterances


def said(turns):
    return [(turn.speaker, turn.text) for turn in turns]


def subrip(*texts):
    return "".join(CUE.format(number=number, text=text) for number, text in enumerate(texts, start=1))


@pytest.mark.parametrize("name", ["meeting.vtt", "meeting.txt", "meeting"])
def test_webvtt_of_a_meeting_has_speakers_and_times(write, caplog, name):
    caplog.set_level(logging.INFO)
    turns = turns_of(write, MEETING, name)
    assert [(turn.speaker, turn.text, turn.start, turn.end) for turn in turns] == [
        ("Ana Silva", "I got the job!", 5, 8),
        ("Ben Lee", "What? Are you serious?", 8.5, 10),
        ("Ana Silva", "Yes! They called me an hour ago and I am so happy.", 10.5, 14),
        ("Ben Lee", "I wish Dad was here & could see this.", 15, 18),
    ]
    assert caplog.messages == [
        f"{name}: detected format: WebVTT",
        f"{name}: WebVTT, 1 dialogue, 4 utterances, 2 speakers; left out: 1 note",
    ]


def test_webvtt_without_voices_has_the_names_before_colons(write, caplog):
    caplog.set_level(logging.INFO)
    content = (
        "\ufeffWEBVTT - a talk\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE\nof two\nlines\n\n"
        "00:05.000 --> 00:08.000 align:start position:0%\nAna Silva: I got <b>it</b>,\n<i>really</i>.\n\n"
        "00:08.000 --> 00:10.000\nBen: I <3 it &lt;3\n\n00:10.000 --> 00:12.000\nand so do you\n\n"
        "00:12.000 --> 00:13.000\n[applause]\n"
    )
    turns = turns_of(write, content)
    assert said(turns) == [("Ana Silva", "I got it, really."), ("Ben", "I <3 it <3"), ("", "and so do you")]
    assert (turns[0].start, turns[0].end) == (5, 8)
    assert caplog.messages[-1].endswith("1 utterance without a speaker; left out: 1 style, 1 note, 1 sound")


def test_two_voices_of_a_cue_are_two_utterances(write):
    content = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v.loud Ana>Hi</v> <v Ben>Yo\n"
    assert said(turns_of(write, content)) == [("Ana", "Hi"), ("Ben", "Yo")]


@pytest.mark.parametrize("name", ["talk.srt", "talk.txt"])
def test_subrip_is_read_with_speakers_or_without(write, name):
    content = subrip(
        "<i>Ana: Hi there.</i>", "Ben: What is\nthis?", "- Where?\n- Here.", "{\\an8}It is nice.", "[music]"
    )
    assert said(turns_of(write, content, name)) == [
        ("Ana", "Hi there."),
        ("Ben", "What is this?"),
        ("", "Where?"),
        ("", "Here."),
        ("", "It is nice."),
    ]


def test_names_on_a_line_above_what_is_said_are_speakers(write):
    content = "".join(
        f"0:0:{second}.0 --> 0:0:{second}.900\n{name}\n{text}\n\n"
        for second, name, text in [(1, "Ana Silva", "Hi."), (2, "Ben Lee", "What\nis it?"), (3, "Ana Silva", "This.")]
    )
    assert said(turns_of(write, content, "talk.txt")) == [
        ("Ana Silva", "Hi."),
        ("Ben Lee", "What is it?"),
        ("Ana Silva", "This."),
    ]


def test_a_long_name_that_comes_back_is_a_speaker(write):
    name = "Dr. Ana Maria de la Cruz, MD"
    content = subrip(f"{name}: Hi.", "Ben: Yo.", f"{name}: So?")
    assert said(turns_of(write, content, "talk.srt")) == [(name, "Hi."), ("Ben", "Yo."), (name, "So?")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "cp1251"])
def test_captions_are_read_in_the_encoding_that_they_are_in(write, encoding):
    content = subrip("Привет, как твои дела?", "Хорошо, спасибо тебе.", "Я очень рад.").encode(encoding)
    assert [turn.text for turn in turns_of(write, content, "talk.srt")] == [
        "Привет, как твои дела?",
        "Хорошо, спасибо тебе.",
        "Я очень рад.",
    ]


def test_the_name_in_the_number_of_a_cue_is_its_speaker(write):
    content = 'WEBVTT\n\n1 "Ana Silva" (37741)\n00:05.000 --> 00:08.000\nHi\n\n'
    content += '2 "Ben Lee" (37742)\n00:09.000 --> 00:10.000\nYo\n'
    [dialogue] = read_dialogues(write({"a.vtt": content}) / "a.vtt")
    assert [(turn.speaker, turn.text) for turn in dialogue.utterances] == [("Ana Silva", "Hi"), ("Ben Lee", "Yo")]


SCROLLING = """WEBVTT
Kind: captions

00:00.000 --> 00:02.000 align:start position:0%
<space>
I<00:00.500><c> got</c><00:01.000><c> the</c>

00:02.000 --> 00:02.010 align:start position:0%
I got the
<space>

00:02.010 --> 00:04.000 align:start position:0%
I got the
job<00:03.000><c> today</c>

00:04.000 --> 00:04.010 align:start position:0%
job today
<space>

00:04.010 --> 00:06.000 align:start position:0%
job today
really<00:05.000><c> yes</c>
"""


def test_words_that_scroll_up_are_read_once(write, caplog):
    caplog.set_level(logging.INFO)
    [dialogue] = read_dialogues(write({"a.vtt": SCROLLING.replace("<space>", " ")}) / "a.vtt")
    assert [turn.text for turn in dialogue.utterances] == ["I got the", "job today", "really yes"]
    assert caplog.messages[-1].endswith("left out: 4 repeated captions")


def test_words_that_are_said_again_are_read_again(write):
    cues = ["1\n00:00:01,000 --> 00:00:02,000\nNo.\n", "2\n00:00:03,000 --> 00:00:04,000\nNo.\n"]
    [dialogue] = read_dialogues(write({"a.srt": "\n".join(cues)}) / "a.srt")
    assert [turn.text for turn in dialogue.utterances] == ["No.", "No."]


def test_the_makers_of_subtitles_are_left_out(write, caplog):
    caplog.set_level(logging.INFO)
    cues = ["1\n00:00:01,000 --> 00:00:02,000\nSubtitles by www.x.org\n", "2\n00:00:03,000 --> 00:00:04,000\nNo.\n"]
    [dialogue] = read_dialogues(write({"a.srt": "\n".join(cues)}) / "a.srt")
    assert [turn.text for turn in dialogue.utterances] == ["No."]
    assert caplog.messages[-1].endswith("left out: 1 credit")


@pytest.mark.parametrize("last, speakers", [("(Ana) Yes!", ["Ana", "Ben", "Ana"]), ("Yes!", ["", "", ""])])
def test_names_in_parentheses_are_speakers_if_nearly_all_cues_begin_with_one(write, last, speakers):
    texts = ["(Ana) Hi.", "(Ben) What?", last]
    cues = [f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{text}\n" for n, text in enumerate(texts, start=1)]
    cues += ["4\n00:00:05,000 --> 00:00:06,000\n(Ben) So?\n"] if last.startswith("(") else []
    [dialogue] = read_dialogues(write({"a.srt": "\n".join(cues)}) / "a.srt")
    assert [turn.speaker for turn in dialogue.utterances][:3] == speakers


def test_a_line_break_of_substation_alpha_is_a_space(write):
    assert said(turns_of(write, subrip("What?\\NReally?"), "a.srt")) == [("", "What? Really?")]


def test_how_a_person_speaks_is_no_part_of_the_name(write, caplog):
    caplog.set_level(logging.INFO)
    turns = turns_of(write, subrip("ANA (V.O.): Hi.", "BEN [whispering]: Yo.", "ANA: So?"), "a.srt")
    assert said(turns) == [("ANA", "Hi."), ("BEN [whispering]", "Yo."), ("ANA", "So?")]
    assert caplog.messages[-1].endswith("names such as 'ANA (V.O.)' read as 'ANA'")


def test_words_before_a_colon_in_one_cue_of_many_are_no_speaker(write):
    texts = ["So,", "the answer: 42.", "He said it.", "My point is: go.", "MAN: Never!", "And then", "we left."]
    assert [(turn.speaker, turn.text) for turn in turns_of(write, subrip(*texts), "talk.srt")] == [
        ("MAN", "Never!") if "MAN" in text else ("", text) for text in texts
    ]


def test_a_telephone_number_and_a_user_name_are_speakers(write):
    texts = ["+1 415-***-1234: hello", "@ben: hm", "+1 415-***-1234: so?"]
    turns = turns_of(write, "WEBVTT\n\n" + subrip(*texts).replace(",", "."))
    assert [f"{turn.speaker}: {turn.text}" for turn in turns] == texts
