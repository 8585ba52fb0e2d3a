"""Chats that were exported or copied as text: what nobody wrote is left out and counted, and nobody loses a turn."""

import logging

import pytest

from data_scripts import read_dialogues

IMESSAGE = (
    "Jan 03, 2024 10:15:02 AM (Read by you after 1 minute)\nAna\nI got the job!\n\n"
    "Jan 03, 2024 10:16:05 AM\nMe\nWhat?\n\nReally?\n\n"
)
SAID = [("Ana", "I got the job!", "2024-01-03T10:15:02"), ("Me", "What? Really?", "2024-01-03T10:16:05")]


def said(write, content, name="a.txt"):
    [dialogue] = read_dialogues(write({name: content}) / name)
    return [(turn.speaker, turn.text, turn.start) for turn in dialogue.utterances]


@pytest.mark.parametrize(
    "block, left_out",
    [
        ("", None),
        ("Jan 03, 2024 10:17:05 AM\nAna\n/Users/me/Library/Messages/Attachments/a/b/IMG 1.heic\n\n", "1 attachment"),
        ("Jan 03, 2024 10:17:05 AM\nAna\nLoved “What?”\n\n", "1 reaction"),
        ("Tapbacks:\nLoved by Ana\n\n", "2 reactions"),
        ("Jan 03, 2024 10:17:05 AM You named the conversation Job.\n\n", "1 system line"),
    ],
)
def test_a_chat_of_imessage_is_one_dialogue_with_its_dates(write, caplog, block, left_out):
    caplog.set_level(logging.INFO)
    assert said(write, IMESSAGE + block) == SAID
    counts = f"; left out: {left_out}" if left_out else ""
    assert caplog.messages[-1] == f"a.txt: transcript, 1 dialogue, 2 utterances, 2 speakers{counts}"


def test_attachments_and_reactions_of_signal_are_left_out(write, caplog):
    caplog.set_level(logging.INFO)
    stamp = "[2024-01-03 10:15] "
    chat = f"{stamp}Ana: Hi.  \n(- Ben: ❤️ -)\n{stamp}Ben: ![photo](./media/a.jpg)  \n{stamp}Ben: Yo.  \n"
    start = "2024-01-03T10:15:00"
    assert said(write, chat, "a.md") == [("Ana", "Hi.", start), ("Ben", "Yo.", start)]
    assert caplog.messages[-1].endswith("left out: 1 attachment")


@pytest.mark.parametrize("media", ["[Photo]", "[图片]", "[动画表情]", "[Voice message]", "[Фото]"])
@pytest.mark.parametrize(
    "form", ["{0}, [03.01.2024 10:15]\n{1}\n\n", "{0} 2024/1/3 10:15:02\n{1}\n\n", "{0}:\n{1}\n\n"]
)
def test_media_in_a_pasted_chat_are_left_out(write, caplog, form, media):
    caplog.set_level(logging.INFO)
    turns = [("Ana", "Hi."), ("Ben", media), ("Ana", "Yes."), ("Ben", "I like [Photo] tags.")]
    found = said(write, "".join(form.format(*turn) for turn in turns))
    assert [turn[:2] for turn in found] == [turns[0], *turns[2:]]
    assert caplog.messages[-1].endswith("; left out: 1 omitted media")


def test_reactions_and_quoted_messages_of_zoom_are_left_out(write, caplog):
    caplog.set_level(logging.INFO)
    stamp = "2024-01-03 10:15:02 From {} to Everyone:\n\t"
    chat = f'{stamp.format("Ana")}Hi.\n{stamp.format("Ben")}Replying to "Hi."\n\n\tYo.\n'
    chat += f'{stamp.format("Ana")}Reacted to "Yo." with 👍\n'
    assert [turn[:2] for turn in said(write, chat)] == [("Ana", "Hi."), ("Ben", "Yo.")]
    assert caplog.messages[-1].endswith("; left out: 1 reaction")


def test_the_status_of_a_person_in_slack_is_no_part_of_the_name(write):
    chat = "Ana Silva  10:15 AM\nHi.\n\nBen Lee:palm_tree:  10:16 AM\nYo.\n\nAna Silva  10:17 AM\nSo?\n"
    assert [turn[:2] for turn in said(write, chat)] == [("Ana Silva", "Hi."), ("Ben Lee", "Yo."), ("Ana Silva", "So?")]


def test_what_a_discord_export_adds_below_a_message_is_left_out(write, caplog):
    caplog.set_level(logging.INFO)
    chat = "[1/3/2024 10:15 AM] ana\nHi.\n\n{Reactions}\n👍 (2)\n\n[1/3/2024 10:16 AM] ben\nYo.\n\n"
    chat += "{Attachments}\nhttps://cdn.example.org/a.png\n\n[1/3/2024 10:17 AM] ana\nSo?\n"
    assert [turn[:2] for turn in said(write, chat)] == [("ana", "Hi."), ("ben", "Yo."), ("ana", "So?")]
    assert caplog.messages[-1].endswith("; left out: 1 reaction, 1 attachment")


@pytest.mark.parametrize(
    "log",
    [
        "--- Log opened Wed Jan 03 10:15:00 2024\n10:15 < ana> Hi.\n10:16 <@ben> Yo.\n10:17 -!- cleo has joined #job\n"
        "10:18 < ana> So?\n10:19  * ana waves\n--- Day changed Thu Jan 04 2024\n",
        "Session Start: Wed Jan 03 2024\n[10:15] <ana> Hi.\n[10:16] <ben> Yo.\n[10:17] * cleo has joined #job\n"
        "[10:18] <ana> So?\nSession Close: Wed Jan 03 10:20:00 2024\n",
    ],
)
def test_the_lines_of_a_chat_program_between_messages_are_left_out(write, caplog, log):
    caplog.set_level(logging.INFO)
    assert [turn[:2] for turn in said(write, log, "a.log")] == [("ana", "Hi."), ("ben", "Yo."), ("ana", "So?")]
    assert " system line" in caplog.messages[-1]


def test_an_arrow_between_times_is_no_line_of_a_chat_program(write):
    [first, second] = said(write, "00:05 --> 00:08 Ana: Hi.\n00:08 --> 00:10 Ben: Yo.\n")
    assert (first, second) == (("Ana", "Hi.", 5), ("Ben", "Yo.", 8))


def test_a_list_in_a_message_is_kept(write):
    chat = "Ana Silva  0:05\nTwo things:\n* one\n* two\n\nBen Lee  0:08\nYes.\n"
    assert [turn[1] for turn in said(write, chat)] == ["Two things: * one * two", "Yes."]


def test_a_long_note_below_a_transcript_of_meet_is_left_out(write, caplog):
    caplog.set_level(logging.INFO)
    chat = "Ana Silva: Hi.\nBen Lee: Yo.\n00:05:00\nAna Silva: So?\nBen Lee: No.\nMeeting ended after 00:06:10 👋\n"
    note = "This editable transcript was computer generated and might contain errors. "
    assert said(write, f"{chat}{note}People can also change the text after it was created.\n")[-1][1] == "No."
    assert caplog.messages[-1].endswith("; left out: 2 notes of the program")


def test_the_numbers_of_the_lines_of_a_deposition_are_no_text(write):
    lines = ["THE COURT:  Good morning.", "MR. SMITH:  Good morning, your", "Honor.", "THE COURT:  Sit down."]
    chat = "".join(f" {number}     {line}\n" for number, line in enumerate(lines, start=1))
    assert [turn[1] for turn in said(write, chat)] == ["Good morning.", "Good morning, your Honor.", "Sit down."]


@pytest.mark.parametrize("mark", ["\u200f", "\u200b", "\u200e", "\u202b"])
@pytest.mark.parametrize("form", ["{}: {}\n", "[00:05] {}: {}\n", "{}\n{}\n\n"])
def test_invisible_marks_around_a_line_hide_no_speaker(write, mark, form):
    turns = [("Ana", "Hi."), ("Ben", "What is it?"), ("Ana", "So.")]
    found = said(write, "".join(mark + form.format(*turn) for turn in turns))
    assert [turn[:2] for turn in found] == turns
