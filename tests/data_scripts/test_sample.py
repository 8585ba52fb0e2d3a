"""The sample that comes with the package is whole and of use in every split."""

from collections import Counter

import pytest

from data_scripts import label_names


def test_every_label_is_well_represented_in_every_split(load):
    dataset = load("sample")
    assert {split: len(rows) for split, rows in dataset.items()} == {"train": 120, "validation": 24, "test": 24}
    assert label_names(dataset) == ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
    for rows in dataset.values():
        counts = Counter(label for labels in rows["labels"] for label in labels)
        assert sorted(counts) == list(range(7))
        assert min(counts.values()) >= 0.05 * counts.total()


def test_every_utterance_has_a_speaker_and_no_dialogue_stands_twice(load):
    rows = [row for split in load("sample").values() for row in split]
    assert len({tuple(row["utterances"]) for row in rows}) == len({row["dialogue_id"] for row in rows}) == len(rows)
    assert all(all(row["speakers"]) and len(row["utterances"]) >= 5 for row in rows)


def test_it_takes_no_data_dir(load, tmp_path):
    with pytest.raises(ValueError, match=r"sample: the corpus comes in a package; got data_dir .*; leave it out"):
        load("sample", tmp_path)
