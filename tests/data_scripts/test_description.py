"""A corpus is counted as a person would count it by hand, and drawn."""

import json

import pytest

from data_scripts.inspection.description import describe

TRAIN = [
    {"utterances": ["Hi.", "Oh, hello there!"], "speakers": ["Ann", "Bo"], "labels": ["joy", ""]},
    {"utterances": ["Go away, please."], "speakers": ["Ann"], "labels": ["anger"]},
    {"utterances": ["No.", "Yes.", "No.", "Why on earth not?"], "speakers": ["", "", "", ""], "labels": ["joy"] * 4},
]
OTHER = [{"utterances": ["Well."], "speakers": ["Cy"], "labels": ["anger"]}]


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def corpus(load, write):
    return load(
        "custom", write({"train.jsonl": lines(TRAIN), "validation.jsonl": lines(OTHER), "test.jsonl": lines(OTHER)})
    )


@pytest.fixture
def unlabeled(load, write):
    return load("custom", write({"a.jsonl": '{"utterances": ["Hi.", "Oh, hello!"]}\n' * 4}) / "a.jsonl")


def cells(text: str) -> dict[str, list[str]]:
    """The rows of a markdown table by their first cell."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return {first: others for first, *others in rows}


def test_every_split_is_counted(corpus):
    table = cells(describe(corpus).markdown())
    assert table[""] == ["train", "validation", "test"]
    assert table["dialogues"] == ["3", "1", "1"]
    assert table["utterances"] == ["7", "1", "1"]
    assert table["words"] == ["14", "1", "1"]
    assert table["utterances per dialogue: mean, median, maximum"][0] == "2.3, 2, 4"
    assert table["words per utterance: mean, median, maximum"][0] == "2.0, 1, 4"
    assert table["named speakers"] == ["2", "1", "1"]
    assert table["named speakers per dialogue: mean"] == ["1.0", "1.0", "1.0"]


def test_labels_are_shares_of_the_labeled_and_the_rest_is_said(corpus):
    table = cells(describe(corpus).markdown())
    assert table["label anger"] == ["1 (16.7%)", "1 (100.0%)", "1 (100.0%)"]
    assert table["label joy"] == ["5 (83.3%)", "0 (0.0%)", "0 (0.0%)"]
    assert table["utterances without a label"] == ["1 (14.3%)", "0 (0.0%)", "0 (0.0%)"]


def test_a_corpus_without_labels_has_no_rows_of_labels(unlabeled):
    text = str(describe(unlabeled))
    assert "dialogues" in text and "label" not in text


def test_batches_change_nothing(corpus, monkeypatch):
    whole = str(describe(corpus))
    monkeypatch.setattr("data_scripts.inspection.description.BATCH_SIZE", 2)
    assert str(describe(corpus)) == whole


def test_columns_line_up_on_a_terminal(corpus):
    assert len({len(line) for line in str(describe(corpus)).splitlines()}) == 1


@pytest.mark.parametrize("kind, start", [("png", b"\x89PNG\r\n"), ("svg", b"<?xml")])
def test_a_picture_has_labels_and_lengths(corpus, tmp_path, kind, start):
    pytest.importorskip("matplotlib")
    picture = tmp_path / f"corpus.{kind}"
    describe(corpus).plot(picture, "Ann and Bo")
    content = picture.read_bytes()
    assert content.startswith(start)
    if kind == "svg":
        for text in ("anger", "joy", "train", "Length of dialogues", "Length of utterances", "Ann and Bo"):
            assert f"<!-- {text} -->".encode() in content


def test_a_picture_of_a_corpus_without_labels_has_lengths_only(unlabeled, tmp_path):
    pytest.importorskip("matplotlib")
    describe(unlabeled).plot(tmp_path / "corpus.svg")
    content = (tmp_path / "corpus.svg").read_text()
    assert "Length of dialogues" in content and "Labels" not in content


def test_a_picture_that_cannot_be_says_why(corpus, tmp_path, monkeypatch):
    description = describe(corpus)
    with pytest.raises(ValueError, match="a.jpg: unknown image format; got '.jpg'; known: .png, .svg"):
        description.plot("a.jpg")
    with pytest.raises(FileNotFoundError, match="nowhere/a.png: the folder does not exist"):
        description.plot(tmp_path / "nowhere" / "a.png")
    monkeypatch.setattr("data_scripts.inspection.description.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="plotting needs matplotlib; pip install matplotlib"):
        description.plot(tmp_path / "a.png")


def test_real_corpus_has_the_published_counts(load, shared_data):
    table = cells(describe(load("meld", shared_data / "meld")).markdown())
    assert table["dialogues"] == ["1,038", "114", "280"]
    assert table["utterances"] == ["9,989", "1,109", "2,610"]
    assert table["label joy"] == ["1,743 (17.4%)", "163 (14.7%)", "402 (15.4%)"]
