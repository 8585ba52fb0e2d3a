"""Label maps: every corpus here gets the labels of one set, what has no counterpart stays as context, and what a map
does not say is refused by name."""

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from data_scripts import CORPORA, label_names, load_corpus
from data_scripts.building.label_maps import LABEL_MAPS, LabelMap, map_labels
from data_scripts.iemocap import TASKS as IEMOCAP
from data_scripts.meld import TASKS as MELD
from data_scripts.mosei import EMOTIONS as MOSEI

EKMAN = ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
SENTIMENT = ["negative", "neutral", "positive"]
LABELS = {name: builder.LABELS for name, builder in CORPORA.items() if builder.LABELS} | {
    "iemocap": sorted(set(IEMOCAP["six"].values())),
    "mosei": MOSEI,
    "meld by sentiment": MELD["sentiment"],
}


def corpus(names: list[str], labels: list[list[int]], distributions: list | None = None) -> Dataset:
    rows = {"utterances": [["Hi."] * len(row) for row in labels], "labels": labels}
    features = {"utterances": List(Value("string")), "labels": List(ClassLabel(names=names))}
    if distributions is not None:
        rows["label_distributions"] = distributions
        features["label_distributions"] = List(List(Value("float32")))
    return Dataset.from_dict(rows, features=Features(features))


@pytest.mark.parametrize("name", sorted(LABELS))
def test_every_corpus_here_has_its_labels_in_every_map(name):
    assert LABEL_MAPS == ("ekman", "sentiment")
    assert LabelMap.load("sentiment").counterparts(LABELS[name], name)
    if name in ("mosi", "meld by sentiment"):
        with pytest.raises(ValueError, match="fewer than two have a counterpart in the label map ekman"):
            LabelMap.load("ekman").counterparts(LABELS[name], name)
    else:
        assert LabelMap.load("ekman").counterparts(LABELS[name], name)


def test_the_maps_say_what_their_documents_say():
    ekman, sentiment = LabelMap.load("ekman"), LabelMap.load("sentiment")
    assert (ekman.labels, sentiment.labels) == (EKMAN, SENTIMENT)
    emory = ["joy", "anger", "neutral", None, None, "sadness", "fear"]
    assert ekman.counterparts(LABELS["emorynlp"], "emorynlp") == emory
    assert ekman.counterparts(LABELS["iemocap"], "iemocap") == ["anger", "joy", None, "joy", "neutral", "sadness"]
    assert ekman.counterparts(["no emotion", "happiness"], "dailydialog") == ["neutral", "joy"]
    assert ekman.counterparts(EKMAN, "meld") == EKMAN
    assert sentiment.counterparts(["Peaceful", "Mad", "surprise"], "some") == ["positive", "negative", None]


def test_a_label_without_a_counterpart_leaves_its_utterance_as_context():
    rows = corpus(LABELS["emorynlp"], [[0, 3, -1], [6, 1]])
    mapped = map_labels(DatasetDict(train=rows, test=rows), "ekman")
    assert label_names(mapped) == EKMAN
    assert list(mapped["test"]["labels"]) == [[3, -1, -1], [2, 0]]
    assert mapped["train"]["utterances"][0] == ["Hi."] * 3
    assert list(map_labels(mapped, "ekman")["train"]["labels"]) == list(mapped["train"]["labels"])


def test_the_corpus_keeps_its_license():
    mapped = map_labels(load_corpus("sample"), "sentiment")
    assert mapped["train"].info.license == "CC0-1.0"


def test_distributions_are_added_up_and_what_has_no_counterpart_is_left_out():
    names = ["excited", "frustrated", "happy", "sad"]
    votes = [[[0.25, 0.5, 0.25, 0], [0.25, 0, 0.25, 0.5], [0, 1, 0, 0], []]]
    rows = map_labels(corpus(names, [[1, -1, 1, 0]], votes), "ekman")
    assert list(rows["labels"]) == [[-1, -1, -1, 3]]
    joy, mixed, *empty = rows["label_distributions"][0]
    assert joy == [0, 0, 0, 1, 0, 0, 0]
    assert mixed == [0, 0, 0, 0.5, 0, 0.5, 0]
    assert empty == [[], []]
    assert rows.features["label_distributions"] == List(List(Value("float32")))


def test_a_map_of_ones_own_is_a_small_yaml_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("# of ours\nNo: calm\nyes: excited\nwell:\n", encoding="utf-8")
    rows = map_labels(corpus(["no", "yes", "well", "calm"], [[0, 1, 2, 3]]), path)
    assert label_names(rows) == ["calm", "excited"]
    assert list(rows["labels"]) == [[0, 1, -1, 0]]
    assert list(map_labels(corpus(["a", "b"], [[1, 0]]), {"a": "x", "b": "y"})["labels"]) == [[1, 0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("joy: positive\nJoy: negative\n", "two counterparts of 'Joy'; got 'positive' and 'negative'"),
        ("joy: positive\nsad: positive\n", "needs at least two labels to map to; got positive"),
        ("- joy\n", "write one `label: counterpart` per line"),
        ("joy: [a, b]\n", "write one `label: counterpart` per line"),
        ("joy: 'a\n", "not YAML"),
        ("", "write one `label: counterpart` per line"),
    ],
)
def test_a_file_that_is_no_map_is_refused(tmp_path, content, message):
    path = tmp_path / "mine.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        map_labels(corpus(["joy"], [[0]]), path)
    assert str(path) in str(error.value)


def test_what_a_map_does_not_say_is_refused_by_name():
    with pytest.raises(ValueError, match="the label map ekman does not have 'bored', 'tired'"):
        map_labels(corpus(["bored", "joy", "tired"], [[0]]), "ekman")
    with pytest.raises(FileNotFoundError, match="plutchik: no such label map; use ekman, sentiment"):
        map_labels(corpus(["joy"], [[0]]), "plutchik")
    with pytest.raises(ValueError, match="the corpus has no column labels"):
        map_labels(Dataset.from_dict({"utterances": [["Hi."]]}), "ekman")
