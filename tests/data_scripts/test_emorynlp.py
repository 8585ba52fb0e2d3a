"""EmoryNLP is read as published, and what is wrong in a file is named."""

import json

import pytest

NAMES = {"train": "trn", "validation": "dev", "test": "tst"}


def season(*utterances, scene="s01_e01_c01"):
    entries = [
        {"utterance_id": f"{scene}_u{number:03}", "speakers": speakers, "transcript": text, "emotion": emotion}
        for number, (speakers, text, emotion) in enumerate(utterances, start=1)
    ]
    return json.dumps({"season_id": "x", "episodes": [{"scenes": [{"scene_id": scene, "utterances": entries}]}]})


@pytest.fixture
def files():
    return {
        f"emotion-detection-{short}.json": season((["Ann"], "Well.", "Peaceful"), scene=f"s01_e01_c0{number}")
        for number, short in enumerate(NAMES.values())
    }


def test_several_speakers_are_joined_and_none_is_empty(load, write, files):
    files["emotion-detection-trn.json"] = season(
        (["Ann", "Bo"], "Hey!", "Joyful"), ([float("nan")], "Oh.", "Sad"), ([], "Hm.", "Neutral"), scene="s02_e01_c01"
    )
    train = load("emorynlp", write(files))["train"]
    assert train[0] == {
        "dialogue_id": "s02_e01_c01",
        "utterances": ["Hey!", "Oh.", "Hm."],
        "speakers": ["Ann, Bo", "", ""],
        "labels": [0, 5, 2],
    }


def test_unknown_label_names_file_and_utterance(load, write, files):
    files["emotion-detection-dev.json"] = season((["Ann"], "Well.", "Bored"))
    with pytest.raises(ValueError, match=r"emotion-detection-dev.json:s01_e01_c01_u001: unknown label; got 'Bored'"):
        load("emorynlp", write(files))


@pytest.mark.parametrize(
    "content, message",
    [('{"episodes": [{}]}', r"not in the published format; got KeyError\('scenes'\)"), ('{"episodes"', "not JSON")],
)
def test_a_file_that_is_not_the_release_says_so(load, write, files, content, message):
    files["emotion-detection-tst.json"] = content
    with pytest.raises(ValueError, match=f"emotion-detection-tst.json: {message}"):
        load("emorynlp", write(files))


def test_real_corpus_has_the_published_counts(load, shared_data, counts):
    dataset = load("emorynlp", shared_data / "emorynlp")
    assert counts(dataset) == {"train": (713, 9934), "validation": (99, 1344), "test": (85, 1328)}
    speakers = [speaker for rows in dataset.values() for line in rows["speakers"] for speaker in line]
    assert sum(", " in speaker for speaker in speakers) == 15
    assert speakers.count("") == 56
    labels = [label for rows in dataset.values() for line in rows["labels"] for label in line]
    names = dataset["train"].features["labels"].feature.names
    published = {"Joyful": 2755, "Mad": 1332, "Neutral": 3776, "Peaceful": 1191, "Powerful": 1063, "Sad": 844}
    assert {name: labels.count(names.index(name)) for name in published} == published
