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
