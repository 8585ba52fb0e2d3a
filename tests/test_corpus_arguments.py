"""What the arguments of a corpus promise to both scripts."""

import pytest

from data_scripts import label_names
from modeling_precode.training.arguments import CorpusArguments, EncoderArguments
from modeling_precode.training.run_origin import RunOrigin
from modeling_precode.training.starting import load_splits


def test_a_label_map_applies_to_every_split():
    splits = load_splits(CorpusArguments(corpus="sample", label_map="sentiment"))
    assert {split: label_names(rows) for split, rows in splits.items()} == dict.fromkeys(
        ("train", "validation", "test"), ["negative", "neutral", "positive"]
    )


def test_a_run_is_not_continued_with_another_label_map(tmp_path):
    path = tmp_path / "mine.yaml"
    fingerprints = []
    for positive in ("joy", "fun"):
        path.write_text(f"joy: {positive}\nanger: anger\n", encoding="utf-8")
        arguments = CorpusArguments(label_map=str(path))
        fingerprints.append(RunOrigin.of(arguments, EncoderArguments(), {}).fingerprint)
    assert fingerprints[0] != fingerprints[1]
    without_map = RunOrigin.of(CorpusArguments(), EncoderArguments(), {}).fingerprint
    assert "the label map" not in without_map


def test_the_card_names_the_label_map():
    assert RunOrigin.of(CorpusArguments(label_map="ekman"), EncoderArguments(), {}).settings["label_map"] == "ekman"


def test_an_unknown_label_map_is_refused_before_anything_is_read():
    with pytest.raises(FileNotFoundError, match="plutchik: no such label map; use ekman, sentiment"):
        CorpusArguments(corpus="meld", data_dir="nowhere", label_map="plutchik")
