"""MELD is read as published, and what is wrong in a file is named."""

import pytest

from data_scripts import label_names

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\r\n"


def row(text, emotion, dialogue, number, sentiment="neutral"):
    return f'1,"{text}",Ann,{emotion},{sentiment},{dialogue},{number},1,1,"0","0"\r\n'


@pytest.fixture
def files():
    return {f"{name}_sent_emo.csv": HEADER + row("Hm, well.", "neutral", 0, 0) for name in ("train", "dev", "test")}


def test_utterances_stand_in_the_order_of_their_ids(load, write, files):
    files["train_sent_emo.csv"] = (
        HEADER + row("third", "joy", 3, 10) + row("first", "anger", 3, 0) + row("second", "fear", 3, 9)
    )
    train = load("meld", write(files))["train"]
    assert train["utterances"] == [["first", "second", "third"]]
    assert train["labels"] == [[0, 2, 3]]
    assert train["speakers"] == [["Ann"] * 3]


def test_dialogue_ids_are_unique_although_each_file_counts_from_0(load, write, files):
    dataset = load("meld", write(files))
    assert [rows["dialogue_id"][0] for rows in dataset.values()] == ["train-0", "validation-0", "test-0"]
    assert dataset["test"]["utterances"] == [["Hm, well."]]


def test_unknown_label_names_file_and_line(load, write, files):
    files["dev_sent_emo.csv"] += row("Hm.", "boredom", 0, 1)
    with pytest.raises(
        ValueError, match=r"dev_sent_emo.csv:3: unknown label; got 'boredom'; known labels: anger, disg"
    ):
        load("meld", write(files))


def test_sentiment_is_a_task_of_its_own(load, write, files):
    files["train_sent_emo.csv"] += row("No!", "anger", 0, 1, "negative") + row("Oh!", "surprise", 0, 2, "positive")
    folder = write(files)
    dataset = load("meld", folder, task="sentiment")
    assert label_names(dataset) == ["negative", "neutral", "positive"]
    assert dataset["train"]["labels"] == [[1, 0, 2]]
    assert load("meld", folder)["train"]["labels"] == [[4, 0, 6]]
    with pytest.raises(ValueError, match="meld: unknown task; got 'valence'; known: emotion, sentiment"):
        load("meld", folder, task="valence")


def test_the_originals_files_have_no_sentiments(load, write):
    dialogues = '[[{"utterance": "Well.", "emotion": "neutral"}]]'
    folder = write({f"MELD_{name}.json": dialogues for name in ("train", "dev", "test")})
    with pytest.raises(
        ValueError, match="MELD_train.json: has emotions but no sentiments; .* use the folder with train_"
    ):
        load("meld", folder, task="sentiment")


def test_missing_column_lists_the_columns_found(load, write, files):
    files["test_sent_emo.csv"] = files["test_sent_emo.csv"].replace("Emotion", "Feeling")
    with pytest.raises(ValueError, match=r"test_sent_emo.csv:1: missing column Emotion; got .*Feeling"):
        load("meld", write(files))


def test_missing_file_names_what_is_there(load, write, files):
    del files["dev_sent_emo.csv"]
    with pytest.raises(
        FileNotFoundError, match=r"dev_sent_emo.csv: no such file; found there: test_sent_emo.csv, train_"
    ):
        load("meld", write(files))


def test_utterance_id_must_be_a_number(load, write, files):
    files["train_sent_emo.csv"] += row("Hm.", "joy", 0, "x")
    with pytest.raises(ValueError, match=r"train_sent_emo.csv:3: Utterance_ID is not a number; got 'x'"):
        load("meld", write(files))


def test_two_utterances_of_one_id_are_not_mixed(load, write, files):
    files["train_sent_emo.csv"] += row("From another file.", "joy", 0, 0)
    with pytest.raises(ValueError, match=r"train_sent_emo.csv:3: the dialogue already has this Utterance_ID; got 0"):
        load("meld", write(files))


def test_real_corpus_has_the_published_counts(load, shared_data, counts):
    dataset = load("meld", shared_data / "meld")
    assert counts(dataset) == {"train": (1038, 9989), "validation": (114, 1109), "test": (280, 2610)}
    joy = dataset["train"].features["labels"].feature.str2int("joy")
    assert sum(labels.count(joy) for labels in dataset["train"]["labels"]) == 1743
    assert set(dataset["train"]["dialogue_id"]) == {f"train-{number}" for number in range(1039)} - {"train-60"}
    assert not any(-1 in labels for rows in dataset.values() for labels in rows["labels"])
    sentiments = load("meld", shared_data / "meld", task="sentiment")["validation"]["labels"]
    assert [sum(labels.count(label) for labels in sentiments) for label in range(3)] == [406, 470, 233]
