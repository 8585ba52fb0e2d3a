"""What the paired bootstrap promises: scores as scikit-learn has them, differences that are there, and clear errors."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score

from modeling_precode import paired_bootstrap
from modeling_precode.evaluation.significance import macro_f1, micro_f1_without, weighted_f1


def predictions(path: Path, gold: np.ndarray, predicted: np.ndarray) -> Path:
    rows = zip(gold, predicted, strict=True)
    lines = [
        {"dialogue_id": f"{i:03}", "labels": g.tolist(), "predictions": p.tolist()} for i, (g, p) in enumerate(rows)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_the_scores_of_the_bootstrap_are_those_of_scikit_learn():
    generator = np.random.default_rng(3)
    gold, predicted = generator.choice(["a", "b", "c"], (2, 40, 6))
    flat = gold.ravel(), predicted.ravel()
    confusion = confusion_matrix(*flat)
    assert macro_f1(confusion) == pytest.approx(f1_score(*flat, average="macro"))
    assert weighted_f1(confusion) == pytest.approx(f1_score(*flat, average="weighted"))
    micro = f1_score(*flat, labels=["b", "c"], average="micro")
    assert micro_f1_without(confusion, 0) == pytest.approx(micro)


def test_the_bootstrap_finds_a_difference_that_is_there_and_none_that_is_not(tmp_path):
    generator = np.random.default_rng(5)
    gold = generator.choice(["a", "b", "c"], (80, 8))

    def system(name: str, right: float) -> list[Path]:
        files = []
        for seed in range(3):
            guess = generator.choice(["a", "b", "c"], gold.shape)
            found = np.where(generator.random(gold.shape) < right, gold, guess)
            files.append(predictions(tmp_path / f"{name}-{seed}", gold, found))
        return files

    better, worse, same = system("better", 0.6), system("worse", 0.5), system("same", 0.5)
    found = paired_bootstrap(better, worse, excluded_label="a")
    for score in ("macro_f1", "weighted_f1", "micro_f1_without_a"):
        assert found[score]["low"] > 0 and found[score]["p"] < 0.01 and 0.03 < found[score]["difference"] < 0.15
    assert paired_bootstrap(same, worse)["macro_f1"]["p"] > 0.05


def test_lists_of_dialogues_serve_as_well_as_files(tmp_path):
    generator = np.random.default_rng(1)
    gold, first, second = generator.choice(["a", "b"], (3, 30, 4))
    files = predictions(tmp_path / "first", gold, first), predictions(tmp_path / "second", gold, second)
    rows = [[json.loads(line) for line in path.read_text().splitlines()] for path in files]
    found = paired_bootstrap([files[0]], [str(files[1])], replicates=100)
    assert paired_bootstrap([rows[0]], [rows[1]], replicates=100) == found


def test_an_utterance_without_a_label_is_not_scored_and_its_text_may_hold_any_separator(tmp_path):
    row = {
        "dialogue_id": "1",
        "utterances": ["a\u2028b", "c"],
        "labels": ["joy", None],
        "predictions": ["joy", "anger"],
    }
    rows = [{**row, "dialogue_id": name} for name in ("1", "2")]
    content = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows)
    (tmp_path / "one").write_text(content, encoding="utf-8")
    others = [{**one, "predictions": ["joy", "joy"]} for one in rows]
    found = paired_bootstrap([tmp_path / "one"], [others], replicates=10)
    assert found["macro_f1"] == {"difference": 0, "low": 0, "high": 0, "p": 1}


def test_an_id_may_contain_any_character():
    generator = np.random.default_rng(2)
    gold, first, second = generator.choice(["a", "b"], (3, 30, 4)).tolist()

    def rows(predicted, prefix):
        lines = zip(gold, predicted, strict=True)
        return [{"dialogue_id": f"{prefix}{i:02}", "labels": g, "predictions": p} for i, (g, p) in enumerate(lines)]

    compared = [paired_bootstrap([rows(first, name)], [rows(second, name)], replicates=100) for name in ("", "call#")]
    assert compared[0] == compared[1] and compared[0]["macro_f1"]["low"] < compared[0]["macro_f1"]["high"]


ROW = {"dialogue_id": "1", "labels": ["a", "b"], "predictions": ["a", "a"]}


@pytest.mark.parametrize(
    ("ours", "theirs", "excluded_label", "message"),
    [
        ([], [[ROW]], None, r"ours is \[\]; give a list with the predictions of every seed"),
        ("one.jsonl", [[ROW]], None, "ours is 'one.jsonl'; give a list with the predictions of every seed"),
        ([[ROW]], [[{**ROW, "dialogue_id": "2"}]], None, "do not have the same dialogues: '1' is in only one"),
        ([[ROW]], [[{**ROW, "labels": ["b", "b"]}]], None, "different gold labels for the same dialogues"),
        ([[ROW]], [[{**ROW, "predictions": ["a"]}]], None, "line 1: not a dialogue with .* as many `predictions`"),
        ([[ROW]], [[{"utterances": []}]], None, "line 1: not a dialogue with `dialogue_id`"),
        ([[ROW]], [[{**ROW, "dialogue_id": 1}]], None, "line 1: .*the `dialogue_id` 1 is no string"),
        ([[ROW, ROW]], [[ROW, ROW]], None, "all lines have the `dialogue_id` '1', and dialogues are drawn"),
        ([[ROW]], [[ROW]], "neutral", "excluded_label is 'neutral'; the labels are a, b"),
    ],
)
def test_what_cannot_be_compared_is_refused(ours, theirs, excluded_label, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(ours, theirs, excluded_label)
