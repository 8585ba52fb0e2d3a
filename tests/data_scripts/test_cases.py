"""What people bring, from the folder of such inputs: each is read as it is, or refused with what would read it."""

import logging

import pytest

from data_scripts import read_dialogues

JOB, SERIOUS = "I got the job!", "What? Are you serious?"
TWO = [("Ana", JOB), ("Ben", SERIOUS)]
EXPECTED = {
    "whatsapp_ios.txt": [
        ("Ana", JOB),
        ("Ben Lee", SERIOUS),
        ("Ana", "Yes! They called me an hour ago. I am so happy."),
        ("Cleo", "I wish Dad was here to see this :("),
    ],
    "whatsapp_android.txt": [
        ("Ana", JOB),
        ("Ben Lee", SERIOUS),
        ("Ana", "They called me an hour ago. I am so happy."),
        ("Ben Lee", "I wish Dad was here to see this"),
    ],
    "meeting.vtt": [
        ("Ana Silva", JOB),
        ("Ben Lee", SERIOUS),
        ("Ana Silva", "Yes! They called me an hour ago and I am so happy."),
        ("Ben Lee", "I wish Dad was here & could see this."),
        ("Ana Silva", "Me too."),
    ],
    "otter.txt": [("Ana Silva", JOB), ("Ben Lee", SERIOUS), ("Ana Silva", "Yes! They called me an hour ago.")],
    "whisperx.json": [("SPEAKER_00", JOB), ("SPEAKER_01", SERIOUS)],
    "messages.jsonl": [("user", JOB), ("assistant", "That is wonderful news!")],
    "slack_2023-04-30.json": [("U01", JOB), ("U02", "What? & are you serious @U01?")],
    "own_form.json": [("Ann", "Hi."), ("Bo", "Oh, hello!")],
    "own_form_one_line.json": [("Ann", "Hi."), ("Bo", "Oh, hello!")],
    "calls.csv": TWO,
    "calls_sep.csv": TWO,
    "excel_utf16.txt": TWO,
    "calls_cp1252.csv": [("Ana", "I can’t believe it!")],
}
TIMED = {
    "whatsapp_ios.txt",
    "whatsapp_android.txt",
    "meeting.vtt",
    "otter.txt",
    "whisperx.json",
    "slack_2023-04-30.json",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_is_one_dialogue_with_its_speakers(shared_cases, caplog, name):
    caplog.set_level(logging.INFO)
    [dialogue] = read_dialogues(shared_cases / name)
    assert [(turn.speaker, turn.text) for turn in dialogue.utterances] == EXPECTED[name]
    assert all((turn.start is not None) == (name in TIMED) for turn in dialogue.utterances)
    assert caplog.messages[0].startswith(f"{name}: detected format: ")


def test_chats_with_a_model_are_a_dialogue_each(shared_cases):
    dialogues = {
        dialogue.dialogue_id: dialogue.utterances for dialogue in read_dialogues(shared_cases / "sharegpt.json")
    }
    assert [turn.speaker for turn in dialogues["a1"]] == [turn.speaker for turn in dialogues["a2"]] == ["human", "gpt"]


def test_a_table_without_dialogues_says_which_option_reads_it(shared_cases):
    path = shared_cases / "no_dialogue_column.csv"
    with pytest.raises(ValueError, match="missing column dialogue_id; .* rows=dialogue reads every row as a dialogue"):
        list(read_dialogues(path))
    assert len(list(read_dialogues(path, rows="dialogue", label_column="emotion"))) == 2
