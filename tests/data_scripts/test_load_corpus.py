"""`load_corpus` knows its corpora and takes prepared ones; its cache is never stale; its errors say what to do."""

import os
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

import data_scripts
from data_scripts import CORPORA, label_names
from data_scripts.custom import Custom
from data_scripts.loading.row_checks import check_rows


@pytest.fixture
def prepared():
    features = datasets.Features(
        {
            "dialogue_id": datasets.Value("string"),
            "utterances": datasets.List(datasets.Value("string")),
            "speakers": datasets.List(datasets.Value("string")),
            "labels": datasets.List(datasets.ClassLabel(names=["joy", "anger"])),
        }
    )
    row = {"dialogue_id": "1", "utterances": ["Hi."], "speakers": [""], "labels": [-1]}
    return datasets.DatasetDict({split: datasets.Dataset.from_list([row], features) for split in ("train", "test")})


def test_importing_is_light():
    heavy = {"torch", "transformers", "srt", "py3langid", "modeling_precode"}
    code = f"import sys, data_scripts; sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    root = Path(data_scripts.__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_corpus_is_named_by_its_module_and_describes_itself():
    for name, builder in CORPORA.items():
        assert builder.__module__ == f"data_scripts.{name}"
        assert sys.modules[builder.__module__].__doc__.count("\n") > 3
        if name != "custom":
            assert builder.LICENSE


def test_description_license_and_citation_reach_the_dataset(load):
    info = load("sample")["train"].info
    assert "not a benchmark" in info.description
    assert info.license == "CC0-1.0"


def test_an_unknown_corpus_lists_the_known_ones(load):
    with pytest.raises(
        ValueError, match="unknown corpus; got 'melt'; known: chitchat, custom, dailydialog, emorynlp, em"
    ):
        load("melt")


def test_an_unknown_option_lists_the_accepted_ones(load, tmp_path):
    accepted = "accepted: dialogue_column, empty, encoding, .*, start_column, "
    accepted += "text_column, utterances_column"
    with pytest.raises(ValueError, match=f"custom: unknown option; got text_colum; {accepted}"):
        load("custom", tmp_path, text_colum="text")
    with pytest.raises(ValueError, match="friends: unknown option; got max_utterances; accepted: none"):
        load("friends", tmp_path, max_utterances=3)


def test_a_missing_data_dir_names_what_belongs_there(load):
    with pytest.raises(ValueError, match="meld: data_dir is missing; give the folder with train_sent_emo.csv, dev_"):
        load("meld")


def test_saved_datasets_keep_their_labels(load, prepared, tmp_path):
    prepared.save_to_disk(tmp_path / "saved")
    (tmp_path / "parquet").mkdir()
    for split, rows in prepared.items():
        rows.to_parquet(tmp_path / "parquet" / f"{split}.parquet")
    for folder in ("saved", "parquet"):
        dataset = load(str(tmp_path / folder))
        assert dataset["test"].to_list() == prepared["test"].to_list()
        assert label_names(dataset) == label_names(dataset["train"]) == ["joy", "anger"]


def test_a_saved_dataset_of_other_columns_names_them(load, prepared, tmp_path):
    prepared.rename_column("utterances", "text").save_to_disk(tmp_path / "saved")
    message = (
        r"saved, split train: missing column utterances; got dialogue_id, text, speakers, labels; needed: dialogue"
    )
    with pytest.raises(ValueError, match=message):
        load(str(tmp_path / "saved"))


def test_a_saved_split_says_how_to_save_all(load, prepared, tmp_path):
    prepared["train"].save_to_disk(tmp_path / "saved")
    with pytest.raises(
        ValueError, match="saved: a single saved split, .*; put the splits in a datasets.DatasetDict, and use"
    ):
        load(str(tmp_path / "saved"))


def test_labels_that_are_no_classes_are_refused(load, prepared, tmp_path):
    prepared.cast_column("labels", datasets.List(datasets.Value("int64"))).save_to_disk(tmp_path / "saved")
    with pytest.raises(ValueError, match=r"saved, split train: labels must be List\(ClassLabel\); got List\(Value"):
        load(str(tmp_path / "saved"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"labels": [[0], [0, 0]]},
            "split test: the lists of dialogue 'b' differ in length: utterances 1, labels 2; giv",
        ),
        ({"labels": [[0], None]}, "utterances 1, labels 0; give one label per utterance, -1 for an utterance without"),
        ({"speakers": [["Ana"], ["Ana", "Ben"]]}, "utterances 1, speakers 2; give one speaker per utterance, or an em"),
        ({"label_distributions": [[[1.0, 0.0]], []]}, "utterances 1, label_distributions 0; give one list per"),
        ({"utterances": [["Hi."], [None]]}, "split test: dialogue 'b' has null in utterances; write its text"),
        ({"labels": [[0], [None]]}, "split test: dialogue 'b' has null in labels; write -1 for an utterance without"),
        ({"utterances": [["Hi."], []]}, "split test: dialogue 'b' has no utterances; leave it out"),
    ],
)
def test_a_dialogue_with_other_numbers_of_labels_or_speakers_than_utterances_is_refused_by_name(
    load, prepared, tmp_path, columns, message
):
    whole = {"dialogue_id": ["a", "b"], "utterances": [["Hi."], ["Yo."]], "speakers": [["Ana"], []]}
    features = datasets.Features(
        {**prepared["test"].features, "label_distributions": datasets.List(datasets.List(datasets.Value("float32")))}
    )
    rows = {**whole, "labels": [[0], [-1]], "label_distributions": [[[]], [[]]], **columns}
    prepared["test"] = datasets.Dataset.from_dict(rows, features)
    prepared.save_to_disk(tmp_path / "saved")
    with pytest.raises(ValueError, match=message):
        load(str(tmp_path / "saved"))


def test_rows_are_checked_in_their_selected_order():
    rows = datasets.Dataset.from_dict({"utterances": [["a", "b"], ["c"], ["d"]], "labels": [[0, 1], [0], [0, 1]]})
    check_rows(rows.select([1, 0, 1]), "chats")
    with_null = datasets.Dataset.from_dict({"utterances": [[None], ["c"]]})
    check_rows(with_null.select([1]), "chats")
    with pytest.raises(ValueError, match=r"chats: row 1 \(counted from 0\) has null in utterances"):
        check_rows(with_null.select([1, 0]), "chats")
    with pytest.raises(ValueError, match=r"chats: the lists of row 1 \(counted from 0\) differ in length"):
        check_rows(rows.select([1, 2]), "chats")


class Counted(Custom):
    """Counts how often it is built."""

    builds = 0

    def splits(self):
        Counted.builds += 1
        return super().splits()


@pytest.mark.parametrize("version", ["VERSION", "BUILDER_VERSION"])
def test_a_corpus_is_built_again_when_a_version_changes_and_not_when_code_is_touched(
    write, tmp_path, monkeypatch, version
):
    folder = write({"a.jsonl": '{"utterances": ["Hi."]}\n' * 3})

    def builds() -> int:
        before = Counted.builds
        builder = Counted(folder / "a.jsonl", cache_dir=tmp_path / "cache", labels=["joy"])
        builder.download_and_prepare()
        assert len(builder.as_dataset()["train"]) == 1
        return Counted.builds - before

    assert builds() == 1
    source = Path(data_scripts.custom.__file__)
    times = source.stat()
    try:
        source.touch()
        assert builds() == 0
    finally:
        os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    monkeypatch.setattr(Counted, version, {"VERSION": "1.0.1", "BUILDER_VERSION": 1000}[version])
    assert builds() == 1
    monkeypatch.undo()
    assert builds() == 0


def test_options_are_another_cache(write, load):
    folder = write({"a.jsonl": '{"utterances": ["Hi."]}\n' * 3})
    assert label_names(load("custom", folder / "a.jsonl")) is None
    assert label_names(load("custom", folder / "a.jsonl", labels=["joy"])) == ["joy"]


def test_a_corpus_can_be_streamed(tmp_path):
    rows = CORPORA["sample"](cache_dir=tmp_path).as_streaming_dataset(split="test")
    first, second = ([row["dialogue_id"] for row in rows] for _ in range(2))
    assert first == second and len(first) == 24
