"""What a user may count on from the class weights of the emotion loss."""

import json

import numpy as np
import pytest

from modeling_precode.training.class_weights import focused_class_weights


@pytest.fixture(scope="module")
def recorded_cases(recordings):
    return json.loads((recordings / "metrics.json").read_text())["emoeval_cases"]


def test_weights_follow_the_formula():
    weights = focused_class_weights({"neutral": 400, "joy": 100, "other": 7, "fear": 25}, ["fear", "joy", "neutral"])
    raw = np.array([(25 / 400) ** 0.5, (25 / 100) ** 0.5, 0, 1])
    assert weights == pytest.approx(raw / raw.sum())
    assert sum(weights) == pytest.approx(1)


def test_ids_and_names_give_the_same_weights():
    by_name = focused_class_weights({"neutral": 40, "joy": 10, "other": 7}, ["joy", "neutral"], rate=1)
    assert focused_class_weights([40, 10, 7], [0, 1], rate=1) == by_name == pytest.approx([0.2, 0.8, 0])


def test_rate_zero_weighs_the_focused_classes_alike():
    assert focused_class_weights([40, 10, 7], [1, 2], rate=0) == [0, 0.5, 0.5]


def test_a_class_outside_the_focus_may_be_empty():
    assert focused_class_weights({"joy": 1, "other": 0}, ["joy"]) == [1.0, 0.0]


def test_weights_are_those_of_the_original(recorded_cases):
    for case in recorded_cases:
        counts = {label: case["tr_word2count"][label] for label in case["labels"]}
        for rate in (0, 0.5, 1):
            recorded = case[f"loss_weight_rate{rate}"]
            assert focused_class_weights(counts, case["focus"], rate) == pytest.approx(recorded, abs=1e-12)


def test_dev_loss_of_the_original_uses_rate_zero(recorded_cases):
    for case in recorded_cases:
        counts = {label: case["tr_word2count"][label] for label in case["labels"]}
        weights = np.array(focused_class_weights(counts, case["focus"], rate=0))
        loss = 0.0
        for logits, gold in zip(case["logits_per_dialogue"], case["gold_per_dialogue"], strict=True):
            log_probs = np.array(logits) - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            loss -= (weights[gold] * log_probs[np.arange(len(gold)), gold]).sum() / len(gold)
        assert -loss == pytest.approx(case["neg_val_loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("counts", "focused", "message"),
    [
        ({"joy": 3, "fear": 0}, ["joy", "fear"], "'fear' has 0 training utterances"),
        ({"joy": 3, "fear": 1}, ["joy", "anger"], "'anger' is not among the classes"),
        ([3, 1], [0, 2], "2 is not among the classes"),
        ({"joy": 3, "fear": 1}, [], "No focused class: name at least one of joy, fear"),
    ],
)
def test_errors_name_the_class(counts, focused, message):
    with pytest.raises(ValueError, match=message):
        focused_class_weights(counts, focused)
