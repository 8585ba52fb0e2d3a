"""EmotionLines and the original implementation's own files are read, and what is wrong in one is named."""

import json

import pytest

TURNS = [
    {"speaker": "Ann", "utterance": "It\u0092s late \u0096 go!", "emotion": "anger", "annotation": "0030010"},
    {"speaker": 1046, "utterance": "Okay \U0001f600 person_165", "emotion": "non-neutral", "annotation": "1111000"},
]
WITHOUT_SPEAKERS = [{"utterance": "So.", "emotion": "neutral"}, {"utterance": "Oh?", "emotion": "joy"}]
OPSUB = {"script": ["One.", "It\u0092s two?", "Three!"], "neg": [f"Other {i}." for i in range(10)]}


def files(name: str, train: list, dev: list | None = None) -> dict[str, str]:
    splits = {"train": train, "dev": dev or train, "test": train}
    return {f"{name}_{split}.json": json.dumps(dialogues) for split, dialogues in splits.items()}


@pytest.mark.parametrize(("corpus", "name"), [("friends", "friends"), ("emotionpush", "emotionpush")])
def test_emotionlines_is_read_with_its_speakers_and_repaired(load, write, corpus, name):
    dataset = load(corpus, write(files(name, [TURNS, WITHOUT_SPEAKERS])))
    row, other = dataset["validation"]
    assert row["utterances"] == ["It\u2019s late \u2013 go!", "Okay \U0001f600 person_165"]
    assert row["speakers"] == ["Ann", "1046"]
    names = dataset["train"].features["labels"].feature.names
    assert [names[label] for label in row["labels"]] == ["anger", "non-neutral"]
    assert other["speakers"] == ["", ""]
    assert dataset["test"]["dialogue_id"] == ["test-0", "test-1"]


@pytest.mark.parametrize("corpus", ["friends", "emotionpush"])
def test_votes_of_annotators_are_probabilities_in_the_order_of_the_labels(load, write, corpus):
    dataset = load(corpus, write(files(corpus, [TURNS, WITHOUT_SPEAKERS])))
    names = dataset["train"].features["labels"].feature.names
    voted, without = dataset["train"]["label_distributions"]
    assert dict(zip(names, voted[0], strict=True)) == pytest.approx(
        {"sadness": 3 / 4, "surprise": 1 / 4} | dict.fromkeys({*names} - {"sadness", "surprise"}, 0)
    )
    assert dict(zip(names, voted[1], strict=True)) == pytest.approx(
        dict.fromkeys(["neutral", "joy", "sadness", "fear"], 1 / 4)
        | dict.fromkeys(["anger", "disgust", "non-neutral", "surprise"], 0)
    )
    assert without == [[], []]


def test_without_votes_there_is_no_column_for_them(load, write):
    assert "label_distributions" not in load("friends", write(files("friends", [WITHOUT_SPEAKERS])))["train"].features


@pytest.mark.parametrize(
    ("corpus", "name", "emotions"),
    [
        ("friends", "Friends", ["anger", "neutral"]),
        ("emotionpush", "Emotionpush", ["sadness", "joy"]),
        ("iemocap", "IEMOCAP4v2", ["angry", "sad"]),
        ("mosei", "MOSEI", ["happiness", "disgust"]),
        ("mosi", "MOSI", ["negative", "positive"]),
        ("meld", "MELD", ["surprise", "joy"]),
        ("emorynlp", "EmoryNLP", ["Peaceful", "Mad"]),
        ("dailydialog", "DailyDialog", ["no emotion", "happiness"]),
    ],
)
def test_the_originals_files_of_a_corpus_are_read(load, write, corpus, name, emotions):
    dialogue = [{"utterance": "Well.", "emotion": emotion} for emotion in emotions]
    dataset = load(corpus, write(files(name, [dialogue])))
    names = dataset["train"].features["labels"].feature.names
    assert [names[label] for label in dataset["test"][0]["labels"]] == emotions
    assert dataset["test"][0]["utterances"] == ["Well.", "Well."]


@pytest.mark.parametrize(
    ("corpus", "emotions", "ids"),
    [("emorynlp", ["neutral", "MAD"], [2, 1]), ("meld", ["Neutral", "joy"], [4, 3]), ("mosi", ["Positive"], [1])],
)
def test_the_case_of_a_label_does_not_matter(load, write, corpus, emotions, ids):
    dialogue = [{"utterance": "Well.", "emotion": emotion} for emotion in emotions]
    assert load(corpus, write(files("Corpus", [dialogue])))["train"]["labels"] == [ids]


def test_label_names_of_train_that_differ_in_case_stay_apart(load, write):
    names = ["Sad", "sad", "angry"]
    train = [[{"utterance": "Well.", "emotion": name} for name in names]]
    dataset = load("iemocap", write(files("IEMOCAP", train)))
    assert dataset["test"].features["labels"].feature.names == ["Sad", "angry", "sad"]
    assert dataset["test"]["labels"] == [[0, 2, 1]]


def test_no_label_and_no_speaker_are_context_and_no_name(load, write):
    turns = [{"utterance": "Well.", "emotion": None, "speaker": None}, {"utterance": "So.", "emotion": "joy "}]
    folder = write(files("friends", [turns]) | {"._friends_train.json": b"\x00\xff"})
    [row] = load("friends", folder)["test"]
    assert (row["labels"], row["speakers"]) == ([-1, 3], ["", ""])


def test_where_nothing_is_there_the_files_of_the_release_are_named(load, write):
    with pytest.raises(FileNotFoundError, match="train_sent_emo.csv: no such file; found there: notes.txt"):
        load("meld", write({"notes.txt": ""}))


def test_half_an_emoji_and_a_speaker_of_the_number_0(load, write):
    turn = {"speaker": 0, "utterance": "haha \ud83d", "emotion": "joy"}
    row = load("emotionpush", write(files("emotionpush", [[turn]])))["train"][0]
    assert (row["speakers"], row["utterances"]) == (["0"], ["haha \ufffd"])


def test_an_utterance_without_a_character_counts_as_published(load, write, caplog):
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load("friends", write(files("friends", [[{"utterance": " ", "emotion": "joy"}, *WITHOUT_SPEAKERS]])))
    assert dataset["train"]["utterances"] == [[" ", "So.", "Oh?"]]
    assert "utterances without a character 3" in caplog.text


def test_the_originals_subtitles_keep_their_negatives(load, write):
    dataset = load("opsub", write(files("OpSub", [OPSUB, OPSUB])))
    row = dataset["validation"][1]
    assert row["utterances"] == ["One.", "It\u2019s two?", "Three!"]
    assert row["negatives"] == OPSUB["neg"]
    assert "labels" not in row


def test_the_recorded_files_have_the_recorded_counts(load, recordings, counts):
    expected = {"friends": "Friends", "emotionpush": "Emotionpush", "iemocap": "IEMOCAP4v2", "mosi": "MOSI"}
    for corpus, name in {**expected, "opsub": "OpSub"}.items():
        folder = recordings / "vocab" / "Data" / name
        found = counts(load(corpus, folder))
        for split, short in {"train": "train", "validation": "dev", "test": "test"}.items():
            dialogues = json.loads((folder / f"{name}_{short}.json").read_text())
            lengths = [len(d["script"] if isinstance(d, dict) else d) for d in dialogues]
            assert found[split] == (len(dialogues), sum(lengths))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([[{"utterance": "So."}]], r"_train.json, dialogue 0: got .*'emotion'.*write \[\{\"utterance\", \"emotion\"\}"),
        ([WITHOUT_SPEAKERS, {"script": ["So."]}], "_train.json, dialogue 1: got .*'neg'"),
        ([[{"utterance": None, "emotion": "joy"}]], "_train.json, dialogue 0: got"),
        ([["So."]], "_train.json, dialogue 0: got"),
        ({"dialogues": []}, "_train.json: not a list of dialogues; got"),
        ([[{"utterance": "So.", "emotion": "glee"}]], "_train.json, dialogue 0: unknown label; got 'glee'"),
        ([[{"utterance": "So.", "emotion": 3}]], "_train.json, dialogue 0: got .*'emotion': 3"),
        (
            [[{"utterance": "So.", "emotion": "joy", "annotation": "05"}]],
            "_train.json, dialogue 0: annotation must be seven digits, the votes for neutral, joy, sad.*; got '05'",
        ),
    ],
)
def test_a_dialogue_that_is_no_good_is_named(load, write, train, message):
    with pytest.raises(ValueError, match=message):
        load("friends", write(files("Friends", train, dev=[WITHOUT_SPEAKERS])))


CHAT = [[{"speaker": "1051", "utterance": "hey person_165 !", "emotion": "joy"}]]
PLAYED = [[{"utterance": "Well.", "emotion": emotion} for emotion in ("angry", "neutral", "happy")]]


@pytest.mark.parametrize(
    ("corpus", "name", "train", "owner"),
    [
        ("friends", "emotionpush", [WITHOUT_SPEAKERS], "emotionpush"),
        ("friends", "friends", CHAT, "emotionpush"),
        ("meld", "data", CHAT, "emotionpush"),
        ("emotionpush", "Friends", [WITHOUT_SPEAKERS], "friends"),
        ("mosei", "IEMOCAP4v2", [WITHOUT_SPEAKERS], "iemocap"),
        ("mosei", "MOSEI", PLAYED, "iemocap"),
        ("friends", "Friends", [OPSUB], "opsub"),
        ("opsub", "mosi", [OPSUB], "mosi"),
    ],
)
def test_files_of_another_corpus_are_refused_whatever_they_are_called(load, write, corpus, name, train, owner):
    """Or they would carry the license of this one."""
    if corpus == "opsub":
        pytest.importorskip("ftfy")
    message = f"{name}_train.json: belongs to the corpus {owner}; got it as {corpus}; load {owner} instead"
    with pytest.raises(ValueError, match=message):
        load(corpus, write(files(name, train)))


def test_files_of_another_name_are_known_by_their_content_or_wanted_by_name(load, write):
    assert load("emotionpush", write(files("data", CHAT)))["test"]["utterances"] == [["hey person_165 !"]]
    with pytest.raises(ValueError, match="not recognized as a file of emotionpush; .*; if it is one, rename it"):
        load("emotionpush", write(files("data", [WITHOUT_SPEAKERS])))


def test_a_file_that_is_nearly_named_right_is_to_be_renamed(load, write):
    named = files("friends", [WITHOUT_SPEAKERS])
    named["friends_val.json"] = named.pop("friends_dev.json")
    with pytest.raises(FileNotFoundError, match="got friends_val.json; rename it to friends_dev.json"):
        load("friends", write(named))


@pytest.mark.parametrize("corpus", ["friends", "iemocap", "meld", "mosei"])
def test_an_archive_is_to_be_unpacked(load, write, corpus):
    with pytest.raises(ValueError, match="release.zip: data_dir is an archive; unpack it and use the folder"):
        load(corpus, write({"release.zip": b"PK"}) / "release.zip")


def test_one_of_the_files_is_no_folder(load, write):
    folder = write(files("friends", [WITHOUT_SPEAKERS]))
    with pytest.raises(ValueError, match="friends_train.json: data_dir is a file; use the folder that contains it"):
        load("friends", folder / "friends_train.json")


def test_missing_or_mixed_files_are_named(load, write):
    folder = write({"Friends_train.json": "[]", "notes.txt": "", "Friends_test.json": "[]"})
    with pytest.raises(FileNotFoundError, match="no file whose name ends in _dev.json"):
        load("friends", folder)
    write({"Friends_dev.json": "[]", "MOSI_train.json": "[]"})
    with pytest.raises(ValueError, match="more than one file for a split; got Friends_train.json, MOSI_train.json"):
        load("friends", folder)
    for path in folder.glob("*.json"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="<Name>_train.json: no such file; found there: notes.txt"):
        load("friends", folder)
