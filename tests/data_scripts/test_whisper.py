"""A table that Whisper or whisper.cpp wrote has its times in milliseconds. They are read as seconds."""

import logging

import pytest

from data_scripts import read_dialogues

ROWS = 'start\tend\ttext\n0\t2500\tGood morning.\n2500\t6120\t"So," she said.\n6120\t7000\t[Music]\n'
SAID = [(0.0, 2.5, "Good morning."), (2.5, 6.12, '"So," she said.')]


def dialogues_of(write, content=ROWS, name="talk.tsv", **options):
    return list(read_dialogues(write({name: content}) / name, **options))


def said(dialogues):
    return [(turn.start, turn.end, turn.text) for dialogue in dialogues for turn in dialogue.utterances]


@pytest.mark.parametrize("name", ["talk.tsv", "talk.txt", "talk.csv"])
@pytest.mark.parametrize("options", [{}, {"rows": "one"}])
def test_milliseconds_of_whisper_are_seconds(write, caplog, name, options):
    caplog.set_level(logging.INFO)
    dialogues = dialogues_of(write, name=name, **options)
    assert len(dialogues) == 1 and said(dialogues) == SAID
    assert caplog.messages[0] == f"{name}: detected format: table of Whisper"
    assert caplog.messages[-1].endswith("1 dialogue, 2 utterances, 0 speakers; left out: 1 sound")


def test_milliseconds_of_whisper_cpp_are_seconds(write):
    content = 'start,end,speaker,text\n0,2500,0," Good morning."\n2500,6120,?," ""So,"" she said."\n'
    [dialogue] = dialogues_of(write, content, "talk.csv")
    assert said([dialogue]) == SAID and [turn.speaker for turn in dialogue.utterances] == ["0", ""]
    without_speakers = content.replace("speaker,", "").replace("0,0,", "0,").replace("?,", "")
    assert said(dialogues_of(write, without_speakers, "talk.csv")) == SAID


def test_every_segment_of_whisper_may_be_a_dialogue(write):
    dialogues = dialogues_of(write, rows="dialogue")
    assert [dialogue.dialogue_id for dialogue in dialogues] == ["1", "2"] and said(dialogues) == SAID


@pytest.mark.parametrize("separator", ["\t", ","])
@pytest.mark.parametrize("times", [("0", "3", "64"), ("0.0", "2500.5", "6120.0")])
def test_other_tables_with_these_columns_keep_their_numbers(write, separator, times):
    first, second, third = times
    rows = [("start", "end", "text"), (first, second, "Hi."), (second, third, "Yo.")]
    content = "".join(separator.join(row) + "\n" for row in rows)
    assert said(dialogues_of(write, content, rows="one"))[1][0] == float(second)


def test_a_time_that_is_no_integer_is_named(write):
    content = ROWS + "7000\t8000\tBye.\n" * 20_000 + "soon\t9000\tWell.\n"
    with pytest.raises(ValueError, match="talk.tsv:20005: start is not a number of milliseconds.*; got 'soon'; write"):
        dialogues_of(write, content)
