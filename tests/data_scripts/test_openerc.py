"""The open corpus that comes with the package is whole, varied, and labeled as its datasheet says."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import data_scripts
from data_scripts import label_names

FOLDER = Path(data_scripts.__file__).parent / "openerc_data"


@pytest.fixture(scope="module")
def entries() -> dict[str, list[dict]]:
    return {
        split: [json.loads(line) for line in (FOLDER / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
        for split in ("train", "validation", "test")
    }


def test_it_has_the_size_of_the_corpora_of_the_field(load):
    dataset = load("openerc")
    assert {split: len(rows) for split, rows in dataset.items()} == {"train": 2710, "validation": 149, "test": 249}
    assert sum(map(len, dataset["train"]["utterances"])) == 27_231
    assert label_names(dataset) == ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]


def test_a_label_is_the_majority_of_its_annotations_and_their_shares_are_kept(load, entries):
    names = label_names(load("openerc"))
    for split, rows in load("openerc").items():
        for row, entry in zip(rows, entries[split], strict=True):
            votes = [list(filter(None, labels)) for labels in zip(*entry["annotations"], strict=True)]
            for label, shares, chosen in zip(row["labels"], row["label_distributions"], votes, strict=True):
                (first, most), *others = Counter(chosen).most_common()
                expected = -1 if others and others[0][1] == most else names.index(first)
                assert label == expected
                np.testing.assert_allclose(shares, [chosen.count(name) / len(chosen) for name in names], atol=1e-6)


def test_an_utterance_has_three_annotations_and_a_fourth_only_where_they_differ(entries):
    for row in (row for rows in entries.values() for row in rows):
        for first, second, third, *fourth in zip(*row["annotations"], strict=True):
            assert first and second and third
            assert not any(fourth) or len({first, second, third}) == 3


def test_the_corpus_sample_is_a_part_of_it(load):
    for split, rows in load("openerc").items():
        part = [row for row in rows if row["dialogue_id"].startswith("sample")]
        assert part == list(load("sample")[split]) and part


def test_no_dialogue_is_there_twice_and_no_name_is_everywhere(entries):
    rows = [row for split in entries.values() for row in split]
    assert len({tuple(row["utterances"]) for row in rows}) == len({row["dialogue_id"] for row in rows}) == len(rows)
    names = Counter(name for row in rows for name in set(row["speakers"]))
    assert names.most_common(1)[0][1] <= 0.01 * len(rows)
    openings = Counter(row["utterances"][0].lower() for row in rows)
    assert openings.most_common(1)[0][1] <= 3


def test_no_setting_of_validation_or_test_is_one_of_train(entries):
    settings = {split: {row["setting"] for row in rows} for split, rows in entries.items()}
    assert len(settings["train"]) > 90
    assert not settings["train"] & (settings["validation"] | settings["test"])
