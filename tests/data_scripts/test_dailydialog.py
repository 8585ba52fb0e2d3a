"""DailyDialog is read from its zips or folders; what does not fit is named, never guessed."""

import json
import zipfile

import pytest

SPLITS = ["train", "validation", "test"]


def release(split, text, labels):
    return {f"{split}/dialogues_{split}.txt": text, f"{split}/dialogues_emotion_{split}.txt": labels}


@pytest.fixture
def files():
    every = {}
    for split in SPLITS:
        every |= release(split, f" Hi {split} . __eou__ Oh ! __eou__\n", "0 6 \n")
    return every


def test_two_speakers_take_turns_and_numbers_become_labels(load, write, files):
    dataset = load("dailydialog", write(files))
    assert dataset["train"][0] == {
        "dialogue_id": "train-0",
        "utterances": ["Hi train .", "Oh !"],
        "speakers": ["A", "B"],
        "labels": [0, 6],
    }
    names = ["no emotion", "anger", "disgust", "fear", "happiness", "sadness", "surprise"]
    assert dataset["test"].features["labels"].feature.names == names


def test_zips_give_the_same_as_folders(load, write, files, tmp_path):
    from_folders = load("dailydialog", write(files))
    zips = tmp_path / "zips"
    zips.mkdir()
    for split in SPLITS:
        with zipfile.ZipFile(zips / f"{split}.zip", "w") as archive:
            for name in files:
                if name.startswith(split):
                    archive.writestr(name, files[name])
    from_zips = load("dailydialog", zips)
    assert {split: rows.to_list() for split, rows in from_zips.items()} == {
        split: rows.to_list() for split, rows in from_folders.items()
    }


def test_an_utterance_without_a_label_stays_as_context(load, write, files, caplog):
    files |= release("train", "a __eou__ b __eou__ c __eou__\n", "1 2\n")
    with caplog.at_level("INFO", logger="data_scripts"):
        assert load("dailydialog", write(files))["train"]["labels"] == [[1, 2, -1]]
    assert "last utterances without a label 1" in caplog.text


@pytest.mark.parametrize(
    "text, labels, message",
    [
        ("a __eou__\n", "0 1\n", r"dialogues_train.txt:1: needs one label per utterance; got 2 for 1"),
        (
            "a __eou__ b __eou__ c __eou__\n",
            "0\n",
            r"dialogues_train.txt:1: needs one label per utterance; got 1 for 3",
        ),
        (
            "a __eou__\nb __eou__\n",
            "0\n",
            r"dialogues_emotion_train.txt: needs one line for each of 2 dialogues; got 1",
        ),
        (
            "a __eou__\nb __eou__\n",
            "0\n7\n",
            r"dialogues_train.txt:2: unknown label; got '7'; known labels: no emotion",
        ),
        ("a __eou__ b\n", "0 0\n", r"dialogues_train.txt:1: the dialogue does not end in __eou__; got ' b'"),
    ],
)
def test_what_does_not_fit_names_file_and_line(load, write, files, text, labels, message):
    with pytest.raises(ValueError, match=message):
        load("dailydialog", write(files | release("train", text, labels)))


def test_train_dialogues_of_validation_and_test_can_be_dropped(load, write, files):
    repeated = "Hi test . __eou__ Oh ! __eou__\nHi validation . __eou__ Oh ! __eou__\nBye . __eou__ Oh ! __eou__\n"
    folder = write(files | release("train", repeated, "0 0\n" * 3))
    assert len(load("dailydialog", folder)["train"]) == 3
    kept = load("dailydialog", folder, drop_duplicates=True)["train"]
    assert kept["utterances"] == [["Bye .", "Oh !"]]
    assert kept["dialogue_id"] == ["train-2"]  # its place in the release


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "dialogues of train kept although they appear in validation or test 2"),
        ({"drop_duplicates": True}, "dialogues of train dropped because they appear in validation or test 2"),
    ],
)
def test_the_report_says_what_stands_in_two_splits(load, write, files, caplog, options, said):
    repeated = "Hi test . __eou__ Oh ! __eou__\nHi validation . __eou__ Oh ! __eou__\nBye . __eou__ Oh ! __eou__\n"
    with caplog.at_level("INFO", logger="data_scripts"):
        load("dailydialog", write(files | release("train", repeated, "0 0\n" * 3)), **options)
    assert said in caplog.text


def test_duplicates_of_the_originals_files_are_dropped_too(load, write):
    names = {"train": "train", "validation": "dev", "test": "test"}
    once = {name: [[{"utterance": f"Hi {name}.", "emotion": "Anger"}]] for name in names.values()}
    once["train"] += once["test"]
    folder = write({f"DailyDialog_{name}.json": json.dumps(dialogues) for name, dialogues in once.items()})
    assert load("dailydialog", folder, drop_duplicates=True)["train"]["utterances"] == [["Hi train."]]


def test_a_broken_zip_says_so(load, write):
    folder = write({f"{split}.zip": b"not a zip" for split in SPLITS})
    with pytest.raises(ValueError, match=r"train.zip: neither a folder nor a zip"):
        load("dailydialog", folder)


def test_real_corpus_has_the_published_counts(load, shared_data, counts):
    dataset = load("dailydialog", shared_data / "dailydialog")
    assert counts(dataset) == {"train": (11118, 87171), "validation": (1000, 8069), "test": (1000, 7740)}
    labels = [label for rows in dataset.values() for labels in rows["labels"] for label in labels]
    assert len([label for label in labels if label >= 0]) == 102979
    assert labels.count(-1) == 1
    [short] = [row for row in dataset["train"] if -1 in row["labels"]]
    assert (len(short["utterances"]), short["labels"].index(-1)) == (12, 11)
    train = set(map(tuple, dataset["train"]["utterances"]))
    assert [sum(tuple(texts) in train for texts in dataset[split]["utterances"]) for split in SPLITS[1:]] == [69, 93]


def test_real_duplicates_are_dropped_from_train_only(load, shared_data, caplog):
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load("dailydialog", shared_data / "dailydialog", drop_duplicates=True)
    assert "dialogues of train dropped because they appear in validation or test 172" in caplog.text
    held_out = {tuple(texts) for split in ("validation", "test") for texts in dataset[split]["utterances"]}
    assert {split: len(rows) for split, rows in dataset.items()} == {"train": 10946, "validation": 1000, "test": 1000}
    assert not held_out & {tuple(texts) for texts in dataset["train"]["utterances"]}
