"""Chit-Chat is found in its package, and messages sent in a row are one utterance."""

import json
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest


def chat(*turns):
    return {"messages": [[{"sender": who, "text": text, "timestamp": ""} for text in texts] for who, *texts in turns]}


TALK = chat(("x9", "Hi", " are you there?"), ("b2", "yes"), ("x9", " "), ("b2", "so", ""))


@pytest.fixture
def package(write, monkeypatch):
    """Stands for the installed package; gives a function that writes its chats."""

    folder = write({"chitchat_dataset/dataset.json": "{}"})
    installed = SimpleNamespace(locate_file=lambda name: folder / name)
    monkeypatch.setattr("data_scripts.chitchat.distribution", lambda name: installed)
    return lambda chats: write({"chitchat_dataset/dataset.json": json.dumps(chats)})


def test_messages_in_a_row_are_one_utterance_and_senders_get_letters(load, package):
    package({f"chat{number}": TALK for number in range(3)})
    row = load("chitchat")["train"][0]
    assert row["utterances"] == ["Hi are you there?", "yes", "so"]
    assert row["speakers"] == ["A", "B", "B"]
    assert row["dialogue_id"].startswith("chat") and row["dialogue_id"].endswith("-0")


def test_short_chats_are_dropped_and_counted(load, package, caplog):
    package({f"chat{number}": TALK for number in range(20)} | {"short": chat(("a", "hi"), ("b", "bye"))})
    with caplog.at_level("INFO", logger="data_scripts"):
        assert sum(len(rows) for rows in load("chitchat").values()) == 20
    assert "chats of fewer than 3 utterances dropped 1, dialogues 20, utterances 60" in caplog.text
    assert sum(len(rows) for rows in load("chitchat", min_utterances=2).values()) == 21


def test_the_parts_of_a_long_chat_are_in_one_split(load, package):
    long_chat = chat(*[("ab"[turn % 2], f"message {turn}") for turn in range(7)])
    package({f"chat{number}": long_chat for number in range(20)})
    dataset = load("chitchat", max_utterances=4)
    assert {split: len(rows) for split, rows in dataset.items()} == {"train": 36, "validation": 2, "test": 2}
    first, second = dataset["test"]
    assert [first["dialogue_id"][-2:], second["dialogue_id"][-2:]] == ["-0", "-1"]
    assert first["dialogue_id"][:-2] == second["dialogue_id"][:-2]
    assert first["utterances"] + second["utterances"] == [f"message {turn}" for turn in range(7)]


def test_without_the_package_the_error_says_how_to_get_it(load, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("data_scripts.chitchat.distribution", missing)
    with pytest.raises(FileNotFoundError, match="pip install chitchat-dataset"):
        load("chitchat")


def test_real_corpus(load, caplog):
    pytest.importorskip("chitchat_dataset", reason="pip install chitchat-dataset")
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load("chitchat")
    assert "chats of fewer than 3 utterances dropped 3706, dialogues 4838, utterances 134464" in caplog.text
    chats = [{name.rsplit("-", 1)[0] for name in rows["dialogue_id"]} for rows in dataset.values()]
    assert sum(map(len, chats)) == len(set.union(*chats)) == 7168 - 3706
    assert max(len(texts) for texts in dataset["train"]["utterances"]) == 50
