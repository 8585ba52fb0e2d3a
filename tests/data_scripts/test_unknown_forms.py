"""Plain text is what people said: no header, rule, note or key of it is labeled, and another form is refused."""

import gzip
import json
import logging

import pytest

from data_scripts import read_dialogues

TURNS = [("Ana", "I got the job!"), ("Ben", "What?"), ("Ana", "Yes!")]
BODY = "Ana: I got the job!\nBen: What?\nAna: Yes!\n"


def said(write, content, name="a.txt", **options):
    dialogues = list(read_dialogues(write({name: content}) / name, **options))
    return [(turn.speaker, turn.text) for dialogue in dialogues for turn in dialogue.utterances]


@pytest.mark.parametrize(
    "content, left_out",
    [
        (f"Weekly meeting\n\n{BODY}", "1 line above the first turn"),
        (f"Weekly meeting\n{BODY}", "1 line above the first turn"),
        (f"Date: 2023-04-30\nParticipants: Ana, Ben\n\n{BODY}", "2 lines above the first turn"),
        (f"Weekly meeting\nLocation: Paris\n\n{BODY}", "2 lines above the first turn"),
        (f"=== Dialogue 1 ===\n{BODY}", "1 separator line"),
        (f"Dialogue 1:\n{BODY}", "1 separator line"),
        (BODY.replace("Ben:", "Page 2 of 3\nBen:"), "1 note"),
        (BODY.replace("Ana: Yes!", "---\nAna: Yes!"), "1 separator line"),
        (BODY.replace("Ben:", "[They laugh]\nBen:"), "1 note"),
        (f"{BODY}[End of transcript]\n", "1 note"),
    ],
)
def test_what_nobody_said_is_left_out_and_counted(write, caplog, content, left_out):
    caplog.set_level(logging.INFO)
    assert said(write, content) == TURNS
    assert caplog.messages[-1].endswith(f"; left out: {left_out}")
    spoken = [text for _, text in said(write, content, input_format="txt")]
    assert len(spoken) == len([line for line in content.splitlines() if line])  # every line, if asked for


def test_a_rule_separates_dialogues(write):
    path = write({"a.txt": "Ana: Hi.\nBen: Yo.\n---\nAna: So?\nBen: No.\n"}) / "a.txt"
    assert [len(dialogue.utterances) for dialogue in read_dialogues(path)] == [2, 2]


def test_a_wrapped_line_is_part_of_the_turn_above(write):
    first, rest = "Ana: I got the job and I am so very happy today that I could even", "dance all day long."
    assert said(write, f"{first}\n{rest}\nBen: What?\n") == [("Ana", f"{first[5:]} {rest}"), ("Ben", "What?")]


@pytest.mark.parametrize(
    "content",
    [
        "Title: the boss\nAna: who?\nTitle: him\n",
        "Who is it?\nAna: me\nBen: ok\n",
        "(door closes)\nHello?\n",
        "lol\nok\nlol\nok\nLOL\nOK\nLOL\nOK\n",
        "I got it; it is fine.\nNo; really.\nYes; yes.\n",
        "Ana: See you at 10:30.\nBen: No, 11:15.\nAna: Why not?\nBen: Ok, 11:15.\n",
        "- I got the job!\n- What?\n- Yes!\n",
        "😂😂\n:)\n<3\n...\n",
        "50% off\n20% on\n10% no\n",
    ],
)
def test_a_line_that_somebody_may_have_said_is_kept(write, content):
    assert len(said(write, content)) == len(content.splitlines())


UNKNOWN = {
    "[0.5] Ana: Hi\n[2.2] Ben: What?\n": "2 of 2 lines have a time in brackets",
    "SPEAKER_00 (0.5 : 2.1) Hi\nSPEAKER_01 (2.2 : 3.1) What?\n": "2 of 2 lines have a time in brackets",
    "0.5s Ana: Hi\n2.2s Ben: What?\n": "2 of 2 lines begin with a time",
    "[5m10s] Ana: Hi\n[5m12s] Ben: What?\n": "2 of 2 lines begin with a time",
    "[17h33] Ana: Hi\n[17h34] Ben: What?\n": "2 of 2 lines begin with a time",
    "[30 avril 2023 à 17:33] Ana : Hi\n[30 avril 2023 à 17:34] Ben : Oui\n": "2 of 2 lines have a time before a name",
    "Ana Silva\n  5:33 PM\nHi\nBen Lee\n  5:34 PM\nWhat?\n": "2 of 6 lines contain only a time",
    "0:00:05.000,0:00:08.000\nHi\n\n0:00:09.000,0:00:10.000\nWhat?\n": "2 of 4 lines contain only a time",
    "1682870000 Ana: Hi\n1682870010 Ben: What?\n1682870020 Ana: Yes\n": "3 of 3 lines begin with a number",
    "1,Ana,Hi,joy\n1,Ben,What?,joy\n1,Ana,Yes,joy\n": "3 of 3 lines begin with a number",
    "Nr;Sprecher;Aussage\n1;Ana;Hallo\n": "2 of 2 lines are divided by semicolons",
    "Nr\tSprecher\tAussage\n1\tAna\tHallo\n": "2 of 2 lines are divided by tabs",
    "| dialogue_id | speaker | text |\n|---|---|---|\n| 1 | Ana | Hi |\n": "3 of 3 lines begin with a mark such as '|'",
    "Ana - Hi\nBen - What?\nAna - Yes!\n": "3 of 3 lines begin with a name and a dash",
    "Ana:Hello.\nBen:What?\nAna:Yes\n": "3 of 3 lines have no space after the colon",
    "Ana: Hello.\nBen:What?\nAna:Yes\nBen: Oh.\n": "2 of 4 lines have no space after the colon",
    "🌸Ana: Hi\n🐻Ben: What?\n🌸Ana: Yes\n": "3 of 3 lines begin with a name and a colon after a mark",
    "アナ「決まった」\nベン「本当」\nアナ「うん」\n": "3 of 3 lines begin with a name and a quotation mark",
    "Ana: Hi there! 00:05\nBen: What? 00:08\n": "2 of 2 lines end with a time",
    "0h05m10s Ana: Hi\n0h05m12s Ben: What?\n": "2 of 2 lines begin with a time",
    "Ana | Hi\nBen | What?\nAna | Yes!\n": "3 of 3 lines begin with a name and a bar",
    "Hi . __eou__ What ? __eou__\nSo ? __eou__ No . __eou__\n": "2 of 2 lines have '__eou__' between utterances",
    "talk 1 Ana 0.5 2.1 <o> hi\ntalk 1 Ben 2.2 3.0 <o> what\n": "2 of 2 lines have two times in seconds",
    "Q. Where were you?\nA. At home.\nQ. Why?\nA. I was ill.\n": "4 of 4 lines begin with 'Q.' or 'A.'",
    "I got the job!\n\nOn Wed, Jan 3, 2024 at 10:10 AM Ben <b@x> wrote:\n> Any news?\n": "it quotes an e-mail ('On Wed",
    "Jan 3, 2024 10:15 AM\nhi\nso\nno\nJan 3, 2024 10:16 AM\nyes\nok\nbye\n": "2 of 8 lines contain only a time",
    "HAMLET. To be.\nOPHELIA. My lord.\nHAMLET. Well.\n": "3 of 3 lines begin with a name in capitals and a period",
    "Ana / Hi\nBen / What?\nAna / Yes!\n": "3 of 3 lines begin with a name and a slash",
    "(Ana) Hi\n(Ben) What?\n(Ana) Yes!\n": "3 of 3 lines begin with a mark such as '('",
    "[Ana] Hi\n[Ben] What?\n[Ana] Yes!\n": "3 of 3 lines begin with a mark such as '['",
    "Ana\nHi\nBen\nWhat?\nAna\nYes!\nBen\nWow.\n": "4 of 8 lines contain only a name",
    "You said:\nHi\nModel said:\nGreat!\n": "2 of 4 lines contain only a name and a colon",
    "- speaker: Ana\n  text: Hi\n- speaker: Ben\n  text: What?\n": "lines begin with a key such as 'text'",
    "INT. KITCHEN - DAY\n\nAna enters.\n\n   ANA\n  Hi\n\n   BEN\n  (amazed)\n  What?\n": "it has headings of scenes",
    "Some text.\n\nANA\nHi\n\nBEN\nWhat?\n\nMore text.\n\nANA\nYes!\n\nBEN\nNo\n\nText.\n": "4 of 7 paragraphs begin",
}


@pytest.mark.parametrize("content", UNKNOWN)
def test_text_of_an_unknown_form_is_refused_with_two_lines_and_the_option(write, content):
    with pytest.raises(ValueError) as caught:
        said(write, content)
    message = str(caught.value)
    assert "a.txt: looks like a transcript in an unknown form: " in message and UNKNOWN[content] in message
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    assert all(repr(line) in message for line in lines[:2]) and "--input_format txt" in message
    assert len(said(write, content, input_format="txt")) == len(lines)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.txt", b"%PDF-1.4\n1 0 obj\n", "a.txt: is a PDF document; got .*; save its text as .txt"),
        ("a.txt", b"{\\rtf1\\ansi Ana: Hi\\par}", "a.txt: is a rich text document .*; save its text as .txt"),
        ("a.csv", gzip.compress(b"Ana: Hi"), "a.csv: is compressed with gzip; .*; give it a name that ends with .gz"),
        ("a.txt.gz", gzip.compress(b"PK\x03\x04 and so on"), "a.txt.gz: is an archive, compressed once more; unpack"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "a.xls: is a document of an old Word or Excel"),
        ("a.html", "<!DOCTYPE html>\n<p>Hi\n", "a.html: is an HTML page; .*; export the chat as JSON or text"),
        ("a.txt", '<?xml version="1.0"?>\n<a/>\n', "a.txt: is XML; .*; export it as JSON, .csv or text"),
        ("a.txt", "[Script Info]\nTitle: x\n", "a.txt: is subtitles of SubStation Alpha; .*; convert them to .srt"),
        ("a.txt", "@Begin\n*ANA:\thi .\n@End\n", "a.txt: is a CHAT transcript of CHILDES; .*; write one utterance per"),
        ("a.docx", "Ana: Hi", "a.docx: unknown file format; got '.docx'; known: .*; save its text as .txt"),
        ("a.txt", 'File type = "ooTextFile"\nxmin = 0\n', "a.txt: is a TextGrid of Praat; .*; write one utterance per"),
    ],
)
def test_what_is_no_text_is_named_with_the_fix(write, name, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        said(write, content, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.srt", "a.log"])
def test_a_chat_is_known_under_any_name(write, caplog, name):
    caplog.set_level(logging.INFO)
    lines = [f"30/04/23, 17:3{n} - {speaker}: {text}" for n, (speaker, text) in enumerate(TURNS)]
    assert said(write, "\n".join(lines), name) == TURNS
    assert caplog.messages[0] == f"{name}: detected format: WhatsApp export"
    assert said(write, json.dumps([{"utterances": ["Hi"]}]), "a.csv") == [("", "Hi")]


def test_an_option_for_tables_is_refused_for_a_chat(write):
    with pytest.raises(ValueError, match="a.txt: rows is for another kind of file; got 'one'; leave it out"):
        said(write, BODY, rows="one")


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_roles_are_refused_if_there_are_none(write, name):
    content = {"a.csv": "dialogue_id,text\n1,Hi\n", "a.jsonl": '{"utterances": ["Hi"]}'}.get(name, BODY)
    with pytest.raises(ValueError, match="roles is for another kind of file; got 'user'; leave it out"):
        said(write, content, name, roles="user")


def test_how_something_is_said_is_no_part_of_a_name(write, caplog):
    caplog.set_level(logging.INFO)
    assert said(write, "ANA (glad): I got the job!\nBEN (amazed): What?\nBEN (loud): No!\nANA: Yes!\n") == [
        ("ANA", "I got the job!"),
        ("BEN", "What?"),
        ("BEN", "No!"),
        ("ANA", "Yes!"),
    ]
    assert caplog.messages[-1].endswith("2 speakers, names such as 'ANA (glad)' read as 'ANA'")
    assert said(write, "Ana (host): Hi!\nBen (guest): Hi!\n") == [("Ana (host)", "Hi!"), ("Ben (guest)", "Hi!")]


def test_what_is_in_parentheses_after_a_name_is_part_of_it(write):
    turns = [("Participant 01 (female, 34)", "Hi."), ("Interviewer", "Yo."), ("Participant 01 (female, 34)", "So?")]
    assert said(write, "".join(f"{name}: {text}\n" for name, text in turns)) == turns


def test_the_number_of_a_turn_is_no_part_of_a_name(write):
    names = ["T1", "C1", "T2", "C2", "T3"]
    assert said(write, "".join(f"{name}: Hi.\n" for name in names)) == [(name[0], "Hi.") for name in names]
    for names in (["P1", "P2", "P3", "P4"], ["T1", "T2", "C1", "C2"], ["T1", "C1", "T1", "C1"]):
        assert said(write, "".join(f"{name}: Hi.\n" for name in names)) == [(name, "Hi.") for name in names]


def test_text_that_was_encoded_twice_is_named(write, caplog):
    caplog.set_level(logging.INFO)
    text = "Ana: The café is closed, I don’t know. 😂\nBen: Ça va, Ângela?\n"
    said(write, text)
    assert "encoded twice" not in caplog.messages[-1]
    for encoding in ("cp1252", "latin-1"):
        assert said(write, text[:27].encode().decode(encoding), "b.txt")
        assert caplog.messages[-1].endswith(
            "encoded twice, with letters such as 'Ã©': save the file again from its source as UTF-8"
        )
