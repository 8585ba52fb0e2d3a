"""Transcripts as text are read with speakers and times; one of an unknown form is refused."""

import logging

import pytest

from data_scripts import read_dialogues

TURNS = [("Ana Silva", "I got the job!"), ("Ben Lee", "What? Are you serious?"), ("Ana Silva", "Yes!")]
OTTER = (
    "Ana Silva  0:05\nI got the job!\n\nBen Lee  0:08\nWhat? Are you serious?\n\nAna Silva  0:10\nYes!\n\n"
    "Transcribed by https://otter.ai\n"
)


def turns_of(write, content, **options):
    [dialogue] = read_dialogues(write({"talk.txt": content}) / "talk.txt", **options)
    return dialogue.utterances


def test_names_and_times_on_lines_of_their_own_belong_to_what_is_below(write, caplog):
    caplog.set_level(logging.INFO)
    turns = turns_of(write, OTTER)
    assert [(turn.speaker, turn.text, turn.start) for turn in turns] == [
        (*turn, start) for turn, start in zip(TURNS, (5, 8, 10), strict=True)
    ]
    assert caplog.messages == [
        "talk.txt: detected format: transcript",
        "talk.txt: transcript, 1 dialogue, 3 utterances, 2 speakers; left out: 1 note of the program",
    ]


@pytest.mark.parametrize(
    "form",
    [
        "[{time}] {name}: {text}\n",
        "[{time}] {name}: {text}\n\n",
        "({time}) {name}: {text}\n",
        "{time} {name}: {text}\n",
        "{time} - {name}: {text}\n",
        "{time} AM {name}: {text}\n",
        "00:{time},500 --> 00:{time},900 {name}: {text}\n",
        "[00:{time}.500 - 00:{time}.900] {name}: {text}\n",
        "{name} ({time}): {text}\n",
        "{name} ({time} AM): {text}\n",
        "{name} [{time}]: {text}\n",
        "{name} {time}: {text}\n",
        "{name} [{time} - {time}]: {text}\n",
        "{name}  {time}\n{text}\n",
        "{name}  {time} \n{text}\n\n",
        "{name}, {time} AM\n{text}\n\n",
        "{name} | {time}\n{text}\n",
        "{name} - {time}\n{text}\n\n",
        "{name} ({time}):\n{text}\n\n",
        "[{name}] {time}\n{text}\n\n",
        "{name} at {time}\n{text}\n\n",
        "{time} {name}\n{text}\n",
        "[{time}] {name}\n{text}\n\n",
        "{time}\n{name}: {text}\n\n",
        "{time}\t{name}\t{text}\n",
        "10:{time}\t From  {name} : {text}\n",
        "10:{time} From {name} to Everyone:\n\t{text}\n",
        "10:{time} From {name} to Everyone: {text}\n",
        "[{time}] <{name}> {text}\n",
        "<{name}> {text}\n",
        "2023-04-30 10:{time} {name}: {text}\n",
        "[{name}] [{time} PM] {text}\n",
        "{name}:\n{text}\n\n",
        "{name}\n{text}\n\n",
        "{name}: {text}\n\n",
        "**{name}:** {text}\n",
        "- {name}: {text}\n",
        "1. {name}: {text}\n",
        "[{name}]: {text}\n",
        "{name}: [{time}] {text}\n",
        "{name}: ({time})\n{text}\n\n",
        "**{name}:** [00:{time}] {text}\n\n",
        "[30 Apr 2023 at 17:{time}] {name}: {text}\n",
        "Apr 30, 2023, {time} PM - {name}: {text}\n",
        "Sunday, April 30, 2023 at {time} PM - {name}: {text}\n",
        "[30-Apr-23 {time} PM] {name}\n{text}\n\n",
        "{name}\n{time} PM\n{text}\n\n",
        "#1 {name}: {text}\n",
        "001\t{name}:\t{text}\n",
        "[{time}] {name}：{text}\n",
        "[00:00:00.000 --> 00:00:02.000] [SPEAKER_01] {text}\n",
    ],
)
def test_the_usual_forms_are_one_dialogue_with_its_speakers(write, form):
    names = [("Ana Silva", "05"), ("Ben Lee", "08"), ("Ana Silva", "10"), ("Ben Lee", "12")]
    texts = [text for _, text in [*TURNS, ("", "No way, it is a joke.")]]
    content = "".join(
        form.format(name=name, time=f"07:{second}", text=text)
        for (name, second), text in zip(names, texts, strict=True)
    )
    turns = turns_of(write, content)
    assert [(turn.speaker, turn.text) for turn in turns] == [
        (name if "{name}" in form else "SPEAKER_01", text) for (name, _), text in zip(names, texts, strict=True)
    ]
    if "{time}" in form:
        assert all(turn.start is not None for turn in turns)


def test_times_are_seconds_and_dates_iso(write):
    [first, second] = turns_of(write, "[1:00:05.5] Ana: Hi\n[1:00:09] Ben: Yo\n")
    assert (first.start, second.start) == (3605.5, 3609)
    [first, _] = turns_of(write, "Ana (12:15 AM): Hi\nBen (1:16 PM): Yo\n")
    assert first.start == 15 * 60
    [first, second] = turns_of(write, "2023-04-30 10:15:02 Ana: Hi\n2023-04-30 10:15:09 Ben: Yo\n")
    assert (first.start, second.start) == ("2023-04-30T10:15:02", "2023-04-30T10:15:09")


def test_dates_with_the_name_of_a_month_are_iso(write):
    for stamp in ("[30 Apr 2023 at 17:33:19] ", "Apr 30, 2023, 5:33:19 PM - ", "[30-Apr-23 17:33:19] "):
        [turn, _] = turns_of(write, f"{stamp}Ana: Hi\n{stamp}Ben: Yo\n")
        assert (turn.speaker, turn.start) == ("Ana", "2023-04-30T17:33:19")


def test_the_half_of_the_day_may_be_before_the_time(write):
    turns = turns_of(write, "[Ana] [오후 5:33] Hi\n[Ben] [오전 5:34] Yo\n")
    assert [turn.start for turn in turns] == [17 * 3600 + 33 * 60, 5 * 3600 + 34 * 60]


def test_user_names_in_lower_case_stand_beside_a_date_in_brackets(write):
    turns = turns_of(write, "[30/04/2023 17:33] ana\nHi there!\n\n[30/04/2023 17:34] ben_1\nWhat?\n")
    assert [(turn.speaker, turn.text) for turn in turns] == [("ana", "Hi there!"), ("ben_1", "What?")]


def test_a_date_or_half_of_a_day_is_no_speaker(write, caplog):
    caplog.set_level(logging.INFO)
    head = "Meeting in General\nApril 30, 2023, 3:33PM\n45m 12s\n\nAna Silva started transcription\n\n"
    turns = turns_of(write, head + OTTER.replace("Transcribed by https://otter.ai", "Ben Lee stopped transcription"))
    assert [(turn.speaker, turn.text) for turn in turns] == TURNS
    assert caplog.messages[-1].endswith("left out: 3 lines above the first turn, 2 notes of the program")


def test_a_turn_without_a_time_keeps_its_speaker(write):
    turns = turns_of(write, "[00:05] Ana: Hi\nBen: What?\nNote: so\n[00:10] Ana: Yes!\nBen: Oh.\n")
    assert [(turn.speaker, turn.text, turn.start) for turn in turns] == [
        ("Ana", "Hi", 5),
        ("Ben", "What? Note: so", None),
        ("Ana", "Yes!", 10),
        ("Ben", "Oh.", None),
    ]


def test_what_a_chat_program_says_is_no_turn(write, caplog):
    caplog.set_level(logging.INFO)
    stamp = "2023-04-30 17:33:00\t"
    lines = [f"{stamp}ana\tHi", f"{stamp}-->\tben (b@x) has joined", f"{stamp}ben\tWhat?"]
    assert [turn.speaker for turn in turns_of(write, "\n".join(lines))] == ["ana", "ben"]
    assert caplog.messages[-1].endswith("left out: 1 system line")


@pytest.mark.parametrize(
    "name",
    [
        "Dr. Ana Maria de la Cruz, MD",
        "Prof. Ben van der Lee, Ph.D.",
        "Ana Maria Luisa Silva Costa Neto",
        "Mayor Ana Silva",
        "Senator Ben O'Neil-Smith Jr.",
        "Ana Silva (Interviewer)",
        "Speaker 1",
        "SPEAKER_00",
        "Élodie",
        "小明",
    ],
)
@pytest.mark.parametrize("form", ["{}: {}\n", "[00:05] {}: {}\n", "{} (10:15 AM): {}\n", "{}  0:05\n{}\n\n"])
def test_names_have_up_to_six_words_titles_and_commas(write, name, form):
    content = "".join(form.format(who, text) for who, text in [(name, "Hi."), ("Bo", "Oh, hello!"), (name, "Yes.")])
    assert [(turn.speaker, turn.text) for turn in turns_of(write, content)] == [
        (name, "Hi."),
        ("Bo", "Oh, hello!"),
        (name, "Yes."),
    ]


def test_a_turn_of_several_lines_is_one_utterance(write):
    turns = turns_of(write, "[00:05] Ana: I got the job!\nThey called me.\n[00:08] Ben: What?\n\n[00:09] Ana: Yes!\n")
    assert [turn.text for turn in turns] == ["I got the job! They called me.", "What?", "Yes!"]


def test_a_title_and_dates_are_left_out_and_counted(write, caplog):
    caplog.set_level(logging.INFO)
    turns_of(
        write, "Weekly meeting\nSunday, April 30, 2023\n\n[5:33] Ana: Hi\n[5:34] Ben: Yo\nMay 1, 2023\n[5:35] Ana: A\n"
    )
    assert caplog.messages[-1].endswith("left out: 1 line above the first turn, 2 dates")


def test_a_time_without_a_name_begins_a_turn_of_nobody(write, caplog):
    caplog.set_level(logging.INFO)
    turns = turns_of(write, "00:05 Ana: Hi\n00:06 Ben: Yo\n00:07 I am here\n00:08 Ana: A\n")
    assert [(turn.speaker, turn.text) for turn in turns][2] == ("", "I am here")
    assert "1 utterance without a speaker" in caplog.messages[-1]


def test_a_time_below_every_turn_belongs_to_the_turn_above(write):
    day = "Jan 3, 2024, 10:1"
    turns = turns_of(write, f"Ana: Hi\n{day}5 AM\nMe: Yo\nso?\n{day}6 AM\nAna: No\n{day}7 AM\n".replace("so?\n", ""))
    assert [turn.start for turn in turns] == [f"2024-01-03T10:1{minute}:00" for minute in (5, 6, 7)]
    turns = turns_of(write, "Ana: Hi\n[00:05]\nBen: Yo\n[00:10]\nAna: So\n")
    assert [turn.start for turn in turns] == [None, 5, 10]


def test_a_time_without_a_turn_is_counted(write, caplog):
    caplog.set_level(logging.INFO)
    turns_of(write, "[00:04]\n[00:05]\nAna: Hi\n[00:06]\nBen: Yo\nMay 1, 2023 00:10\n")
    assert caplog.messages[-1].endswith("; left out: 2 times without a turn")


def test_the_output_of_a_recognizer_without_names_has_times(write):
    turns = turns_of(write, "[00:00:00.000 --> 00:00:05.000]   Hi there.\n[00:00:05.000 --> 00:00:08.000]   Yo.\n")
    assert [(turn.text, turn.start, turn.end) for turn in turns] == [("Hi there.", 0, 5), ("Yo.", 5, 8)]


UNKNOWN = {
    "times without names": "00:05 I got the job\n00:08 what\n00:10 yes\n",
    "times in brackets": "[00:05] I got the job\n[00:08] what is that\n[00:10] yes\n",
    "dates": "2023-04-30 | Ana | I got the job\n2023-04-30 | Ben | What?\n",
    "turns over lines": "Ana: I got\nthe job!\nand so\nBen: What?\nNo way,\nreally.\nAna: Yes\nit\nis\n",
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_transcript_of_an_unknown_form_is_refused_with_two_lines_and_the_option(write, name):
    path = write({"talk.txt": UNKNOWN[name]}) / "talk.txt"
    with pytest.raises(ValueError, match="talk.txt: looks like a transcript in an unknown form: .* lines") as caught:
        list(read_dialogues(path))
    lines = UNKNOWN[name].splitlines()
    assert repr(lines[0]) in str(caught.value) and repr(lines[1]) in str(caught.value)
    assert "--input_format txt" in str(caught.value) and "\n" not in str(caught.value)
    [dialogue] = read_dialogues(path, input_format="txt")
    assert len(dialogue.utterances) == len(lines)


def test_plain_text_without_speakers_stays_plain_text(write):
    content = "I got the job.\nI am happy.\n12:30 we left\nBye\n\nAnother day.\n"
    dialogues = list(read_dialogues(write({"a.txt": content}) / "a.txt"))
    assert [[turn.text for turn in dialogue.utterances] for dialogue in dialogues] == [
        ["I got the job.", "I am happy.", "12:30 we left", "Bye"],
        ["Another day."],
    ]


def test_a_table_that_is_called_text_is_no_plain_text(write):
    path = write({"a.txt": "speaker\ttext\nAna\tI got the job!\nBen\tWhat?\n"}) / "a.txt"
    with pytest.raises(ValueError, match="a.txt:1: missing column dialogue_id; .* rows=one"):
        list(read_dialogues(path))
    [dialogue] = read_dialogues(path, rows="one")
    assert [(turn.speaker, turn.text) for turn in dialogue.utterances] == [("Ana", "I got the job!"), ("Ben", "What?")]


@pytest.mark.parametrize(
    "form",
    ["{name}  0:{n:02}\n{text}\n\n", "[{name}] 09:12:{n:02}\n{text}\n", "[1/3/2024 10:{n:02} AM] {name}\n{text}\n\n"],
)
@pytest.mark.parametrize("name", ["maria lopez", "ben van der berg", "+1 415-***-1234", "14155551234"])
def test_a_name_above_the_text_may_be_in_lower_case_or_a_telephone_number(write, form, name):
    turns = [("Ana Silva", "Hi all."), (name, "I am furious."), ("Ana Silva", "Ok. See you at 5:30")]
    content = "".join(form.format(name=who, n=n, text=text) for n, (who, text) in enumerate(turns, start=5))
    assert [turn[1::-1] for turn in turns_of(write, content)] == turns


@pytest.mark.parametrize("name", ["Maria de la Cruz", "Silva, Ana Maria"])
def test_a_long_name_below_a_time_is_a_speaker(write, name):
    turns = [(name, "Hi."), ("Ben Lee", "Hello."), (name, "I am furious."), ("Ben Lee", "Oh.")]
    blocks = ["".join(f"{who}: {text}\n" for who, text in turns[n : n + 2]) for n in (0, 2)]
    content = f"00:00:00\n\n{blocks[0]}\n00:05:00\n\n{blocks[1]}"
    assert [turn[1::-1] for turn in turns_of(write, content)] == turns
