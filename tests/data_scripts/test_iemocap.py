"""IEMOCAP is read from the folder of the release; its oddities are known, and what would lose a turn is named."""

import pytest

from data_scripts import label_names

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
# Dialogues of sessions 1 to 5 in the release.
SIZES = {1: 28, 2: 30, 3: 32, 4: 30, 5: 31}


def said(name, start, text):
    return f"{name} [{start:08.4f}-{start + 1.5:08.4f}]: {text}\n"


def judged(name, start, code):
    return (
        f"[{start:.4f} - {start + 1.5:.4f}]\t{name}\t{code}\t[2.5000, 2.5000, 2.5000]\n"
        "C-E1:\tNeutral;\t()\nC-F1:\tAnger; Other;\t(annoyed)\nA-E3:\tval 3; act 2; dom  2;\t()\n\n"
    )


def dialogue(session, name, transcript, evaluation, root="IEMOCAP_full_release"):
    folder = f"{root}/Session{session}/dialog"
    return {
        f"{folder}/transcriptions/{name}.txt": transcript,
        f"{folder}/EmoEvaluation/{name}.txt": HEADER + evaluation,
    }


def release(sizes=SIZES, root="IEMOCAP_full_release"):
    files = {}
    for session, size in sizes.items():
        for number in range(size):
            name = f"Ses{session:02}{'FM'[number % 2]}_impro{number:02}"
            turns = [(f"{name}_F000", 6.2901, "Excuse me.", "neu"), (f"{name}_M000", 9.5, "Yeah?", "ang")]
            transcript = "".join(said(turn, start, text) for turn, start, text, _ in turns)
            evaluation = "".join(judged(turn, start, code) for turn, start, _, code in turns)
            files |= dialogue(session, name, transcript, evaluation, root)
    return files


def small():
    return release({1: 3, 5: 1})


ODD = "Ses05M_script01_1b"


@pytest.fixture
def odd(load, write):
    """Loads a release whose test split is one dialogue of this transcript and this evaluation."""

    def load_odd(transcript, evaluation, **options):
        files = release({1: 3}) | dialogue(5, ODD, transcript, evaluation)
        return load("iemocap", write(files), **options)["test"][0]

    return load_odd


@pytest.mark.parametrize("inside", [True, False])
def test_the_whole_release_has_the_originals_splits(load, write, counts, inside):
    folder = write(release())
    dataset = load("iemocap", folder / "IEMOCAP_full_release" if inside else folder)
    assert counts(dataset) == {"train": (96, 192), "validation": (24, 48), "test": (31, 62)}
    assert label_names(dataset) == ["angry", "happy", "neutral", "sad"]
    sessions = {split: {name[:5] for name in rows["dialogue_id"]} for split, rows in dataset.items()}
    assert sessions["test"] == {"Ses05"} and "Ses05" not in sessions["train"] | sessions["validation"]
    names = [set(rows["dialogue_id"]) for rows in dataset.values()]
    assert sum(map(len, names)) == len(set.union(*names)) == 151
    assert dataset["test"][0] == {
        "dialogue_id": "Ses05F_impro00",
        "utterances": ["Excuse me.", "Yeah?"],
        "speakers": ["Ses05F", "Ses05M"],
        "labels": [2, 0],
        "label_distributions": [[0, 0, 1, 0]] * 2,  # one annotator, whose choice is neutral
    }
    # Names alone decide, on every machine.
    assert sorted(dataset["validation"]["dialogue_id"])[:3] == ["Ses01F_impro16", "Ses01F_impro24", "Ses01M_impro03"]


def test_the_test_session_and_the_share_of_validation_are_options(load, write, counts):
    dataset = load("iemocap", write(release()), test_session=1, validation=0.1)
    assert counts(dataset) == {"train": (111, 222), "validation": (12, 24), "test": (28, 56)}
    assert {name[:5] for name in dataset["test"]["dialogue_id"]} == {"Ses01"}


CODES = ["ang", "hap", "exc", "sad", "neu", "fru", "fea", "sur", "dis", "oth", "xxx"]


@pytest.mark.parametrize(
    ("task", "names", "labels"),
    [
        ("four", ["angry", "happy", "neutral", "sad"], [0, 1, 1, 3, 2, -1, -1, -1, -1, -1, -1]),
        (
            "six",
            ["angry", "excited", "frustrated", "happy", "neutral", "sad"],
            [0, 3, 1, 5, 4, 2, -1, -1, -1, -1, -1],
        ),
    ],
)
def test_a_turn_outside_the_task_stays_as_context(load, write, task, names, labels):
    turns = [(f"{ODD}_F{number:03}", 2.0 * number, code) for number, code in enumerate(CODES)]
    transcript = "".join(said(name, start, code) for name, start, code in turns)
    evaluation = "".join(judged(*turn) for turn in turns)
    files = release({1: 3}) | dialogue(5, ODD, transcript, evaluation)
    dataset = load("iemocap", write(files), task=task)
    assert label_names(dataset) == names
    assert dataset["test"]["utterances"] == [CODES]
    assert dataset["test"]["labels"] == [labels]


CHOSEN = """C-E2:\tSadness;\t()
C-E3:\tSadness; Excited;\t(moved)
C-E4:\tSurprise; Neutral state; Anger; Other;\t(a list (of many))
C-F1:\tHappiness;\t()
A-E3:\tval 3; act 2; dom  2;\t()
"""


@pytest.mark.parametrize(
    ("task", "votes"),
    [
        ("four", {"angry": 0.25, "happy": 0.5, "neutral": 0.25, "sad": 1.5}),
        ("six", {"angry": 0.25, "excited": 0.5, "neutral": 0.25, "sad": 1.5}),
    ],
)
def test_choices_of_annotators_are_probabilities_in_the_order_of_the_labels(odd, task, votes):
    turn, again = f"[1.0 - 2.5]\t{ODD}_F000\tsad\t[2.5, 2.5, 2.5]\n", f"[1.0 - 2.5]\t{ODD}_F000\tsad\n"
    fear = f"[3.0 - 4.5]\t{ODD}_F001\tfea\t[2.5, 2.5, 2.5]\nC-E1:\tFear;\t()\n"
    transcript = said(f"{ODD}_F000", 1, "Well.") + said(f"{ODD}_F001", 3, "No!") + said(f"{ODD}_F002", 5, "So.")
    names = ["angry", "excited", "frustrated", "happy", "neutral", "sad"]
    labels = names if task == "six" else ["angry", "happy", "neutral", "sad"]
    shares = [votes.get(label, 0) / 2.5 for label in labels]
    distributions = odd(transcript, turn + CHOSEN + again + CHOSEN + fear, task=task)["label_distributions"]
    assert distributions[0] == pytest.approx(shares)
    assert distributions[1:] == [[], []], "of another emotion, and without an evaluation"


def test_an_emotion_that_no_annotator_could_choose_is_said(odd, caplog):
    evaluation = f"[1.0 - 2.5]\t{ODD}_F000\tsad\t[2.5, 2.5, 2.5]\nC-E1:\tSaddness;\t()\n"
    assert odd(said(f"{ODD}_F000", 1, "Well."), evaluation)["label_distributions"] == [[]]
    assert f"{ODD}.txt:4: unknown emotion, read as Other; got 'Saddness'" in caplog.text


def test_turns_stand_in_the_order_in_which_they_start(odd):
    starts = {"c": 100.5, "a": 9.75, "b": 10.0}
    row = odd("".join(said(f"{ODD}_M{text}", start, text) for text, start in starts.items()), "")
    assert row["utterances"] == ["a", "b", "c"]


def test_known_oddities_lose_no_turn_and_are_counted(odd, caplog):
    transcript = (
        f"{ODD}_F000 [006.2901-008.2357]: Who [LAUGHTER] are you: you?\r\n"
        "M: Yeah.\n"
        "\n"
        f"{ODD}_MXX0 [8.24 - 9.1]: [LAUGHTER]\n"
        f"{ODD}_F001 [010.0000-011.0000]:\n"
        f"{ODD}_M001 [012.0000-013.0000]: No evaluation.  \n"
        f"{ODD}_M002 [six-seven]: Hi.\n"
        "F: (LAUGHTER)"
    )
    evaluation = (
        f"[6.2901-8.2357]  {ODD}_F000  sad  [2.5000, 2.5000, 2.5000]\n"
        + judged(f"{ODD}_F000", 6.2901, "sad")
        + judged(f"{ODD}_F009", 20.0, "sad")
    )
    with caplog.at_level("INFO", logger="data_scripts"):
        row = odd(transcript, evaluation)
    assert row["utterances"] == ["Who [LAUGHTER] are you: you?", "[LAUGHTER]", "No evaluation."]
    assert row["speakers"] == ["Ses05F", "Ses05M", "Ses05M"]
    assert row["labels"] == [3, -1, -1]
    for report in (
        "evaluated turns without a transcript 1",
        "lines of a transcript that are not a turn 2",
        "missing sessions 3",
        f"transcriptions/{ODD}.txt:7: skipped; expected a turn NAME [START-END]: TEXT; got",
        "turns that cannot be read 1",
        "turns without a label of the task 2",
        "turns without words dropped 1",
    ):
        assert report in caplog.text


def test_what_macos_and_the_annotators_leave_behind_is_not_read(load, write, counts):
    files = small()
    folder = "IEMOCAP_full_release/Session5/dialog"
    files |= {
        "IEMOCAP_full_release/._Session5": b"\x00\x05\x16\x07",
        f"{folder}/transcriptions/._Ses05F_impro00.txt": b"\x00\x05\x16\x07\xff",
        f"{folder}/EmoEvaluation/._Ses05F_impro00.txt": b"\x00\x05\x16\x07\xff",
        f"{folder}/EmoEvaluation/Categorical/Ses05F_impro00_e1_cat.txt": "Ses05F_impro00_F000 :Anger; ()\n",
        f"{folder}/transcriptions/.DS_Store": b"\xff",
    }
    assert counts(load("iemocap", write(files)))["test"] == (1, 2)


@pytest.mark.parametrize(
    ("transcript", "evaluation", "message"),
    [
        (
            said(f"{ODD}_F000", 1, "Hi."),
            judged(f"{ODD}_F000", 1, "joy"),
            r"b.txt:3: unknown code; got 'joy'; known: ang",
        ),
        (
            said(f"{ODD}_F000", 1, "Hi."),
            judged(f"{ODD}_F000", 1, "sad") + judged(f"{ODD}_F000", 1, "ang"),
            rf"EmoEvaluation/{ODD}.txt:8: two labels for one turn; got 'ang' for {ODD}_F000 after 'sad'; keep one",
        ),
        ("M: Hi.\n", "", f"dialogue without utterances; got '{ODD}'"),
    ],
)
def test_what_would_lose_a_turn_names_file_line_and_fix(load, write, transcript, evaluation, message):
    files = release({1: 3}) | dialogue(5, ODD, transcript, evaluation)
    with pytest.raises(ValueError, match=message):
        load("iemocap", write(files))


@pytest.mark.parametrize("kind", ["transcriptions", "EmoEvaluation"])
def test_a_missing_file_or_folder_is_named(load, write, kind):
    files = small()
    name = f"IEMOCAP_full_release/Session1/dialog/{kind}/Ses01M_impro01.txt"
    del files[name]
    with pytest.raises(FileNotFoundError, match=f"{kind}/Ses01M_impro01.txt: no such file; found there: Ses01F_impr"):
        load("iemocap", write(files))


def test_a_session_without_evaluations_is_named(load, write):
    files = {name: content for name, content in small().items() if "Session5/dialog/EmoEvaluation" not in name}
    with pytest.raises(
        FileNotFoundError, match="Session5/dialog/EmoEvaluation: no such file; found there: transcriptions"
    ):
        load("iemocap", write(files))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "five"}, "iemocap: unknown task; got 'five'; known: four, six"),
        ({"test_session": 2}, "iemocap: no such test_session; got 2; known: 1, 5"),
        ({"validation": 0.0}, "iemocap: validation must be between 0 and 1; got 0.0"),
        ({"validation": 1}, "iemocap: validation must be between 0 and 1; got 1"),
        (
            {"test_session": 1},
            "dialogues of other sessions than 1: too few to split into train, validation and test; got 1",
        ),
    ],
)
def test_an_option_that_does_not_fit_says_what_does(load, write, options, message):
    with pytest.raises(ValueError, match=message):
        load("iemocap", write(small()), **options)


def test_a_missing_session_is_a_warning(load, write, caplog):
    with caplog.at_level("WARNING", logger="data_scripts"):
        load("iemocap", write(small()))
    assert "corpus: no Session2, Session3, Session4; the corpus is smaller than the published one" in caplog.text


def test_another_folder_lists_what_is_there(load, write):
    with pytest.raises(FileNotFoundError, match="no Session1 to Session5; got notes.txt; use the folder IEMOCAP_full"):
        load("iemocap", write({"notes.txt": ""}))
