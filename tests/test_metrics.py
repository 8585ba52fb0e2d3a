"""What a user may count on from the metrics: agreement with scikit-learn and with the original, and clear errors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics

from modeling_precode.evaluation.metrics import ConvComRecall, ERCScores

ROOT = Path(__file__).resolve().parents[1]
NAMES = ["neutral", "joy", "anger", "fear", "disgust"]


@pytest.fixture(scope="module")
def recorded(recordings):
    return json.loads((recordings / "metrics.json").read_text())


def recall(logits, references=None, **options):
    references = [0] * len(logits) if references is None else references
    return ConvComRecall().compute(predictions=logits, references=references, **options)


def erc(predictions, references, **options):
    return ERCScores().compute(predictions=predictions, references=references, **{"label_names": NAMES, **options})


def random_labels(seed, classes=5, size=80):
    generator = np.random.default_rng(seed)
    references = generator.integers(classes, size=size)
    predictions = np.where(generator.random(size) < 0.5, references, generator.integers(classes, size=size))
    return predictions, references


# --- ConvCom recall ---


def test_recall_by_hand():
    logits = [
        [3.0, 2, 1, 0, 0, 9, 0],  # the best of the first 5, second of all 7
        [3.0, 4, 1, 0, 0, 9, 0],  # second of 5, third of 7
        [0.5, 4, 1, 0, 0, 0, 0],  # third of both
    ]
    scores = recall(logits, candidate_counts=(5, 7), cutoffs=(1, 2))
    expected = {"R_5@1": 1 / 3, "R_5@2": 2 / 3, "R_7@1": 0, "R_7@2": 1 / 3}
    assert scores == pytest.approx(expected)
    assert all(type(value) is float for value in scores.values())


def test_recall_defaults_to_the_four_scores_of_the_paper():
    assert list(recall(np.zeros((2, 11)))) == ["R_5@1", "R_5@2", "R_11@1", "R_11@2"]


def test_recall_takes_the_true_candidate_at_any_place():
    generator = np.random.default_rng(0)
    logits, references = generator.normal(size=(200, 11)), generator.integers(11, size=200)
    first = [[row[i], *np.delete(row, i)] for row, i in zip(logits, references, strict=True)]
    assert recall(logits, references) == recall(first)
    assert recall(logits, references) != recall(logits)


def test_recall_agrees_with_sklearn_without_ties():
    for seed in range(5):
        generator = np.random.default_rng(seed)
        logits, references = generator.normal(size=(60, 11)), generator.integers(11, size=60)
        scores = recall(logits, references, candidate_counts=[11], cutoffs=[1, 2, 5])
        for k in (1, 2, 5):
            expected = sklearn_metrics.top_k_accuracy_score(references, logits, k=k, labels=range(11))
            assert scores[f"R_11@{k}"] == pytest.approx(expected)


@pytest.mark.parametrize("bad", [1.0, float("nan"), float("inf")])
def test_a_tie_or_nan_counts_against_the_model(bad):
    options = {"candidate_counts": [3], "cutoffs": [1, 2]}
    true_score = float("inf") if bad == float("inf") else 1.0
    assert recall([[true_score, bad, 0.0]], **options) == {"R_3@1": 0, "R_3@2": 1}
    assert recall([[true_score, bad, bad]], **options) == {"R_3@1": 0, "R_3@2": 0}


def test_a_model_of_constants_or_nan_recalls_nothing():
    for value in (0.0, float("nan")):
        assert set(recall(np.full((4, 11), value)).values()) == {0.0}
    assert set(recall([[float("nan")] + [0.0] * 10]).values()) == {0.0}


def test_recall_ranks_logits_whose_sigmoids_are_equal():
    assert recall([[101.0] + [100.0] * 10])["R_11@1"] == 1


def test_recall_is_that_of_the_original_without_ties(recorded):
    compared = 0
    for case in recorded["topkn_cases"]:
        sigmoids = np.array(case["after_sigmoid"])
        if not (sigmoids[:, 1:] == sigmoids[:, :1]).any():  # no tie with the true candidate
            scores = recall(case["logits"])
            for n in (5, 11):
                for k in (1, 2):
                    assert scores[f"R_{n}@{k}"] * case["rows"] == pytest.approx(case["hits"][f"R{k}@{n}"])
            compared += 1
    assert compared == 4


def test_recall_over_all_matrices_is_that_of_the_original(recorded):
    recorded = recorded["lmeval_aggregate"]
    scores = recall([row for matrix in recorded["logit_matrices"] for row in matrix])
    assert [round(score, 4) for score in scores.values()] == recorded["R1@5,R2@5,R1@11,R2@11"]


def test_ties_never_help_more_than_in_the_original(recorded):
    """On the values that the original ranks: each hit of ours is one of theirs, and rows without a tie agree."""
    tied_rows = 0
    for case in recorded["topkn_cases"]:
        for k in (1, 2):
            chosen = np.reshape(case[f"per_row_top{k}_of_11_index"], (case["rows"], k))
            for row, original in zip(case["after_sigmoid"], (chosen == 0).any(axis=1), strict=True):
                ours = recall([row], candidate_counts=[11], cutoffs=[k])[f"R_11@{k}"]
                tied = row[0] in row[1:]
                assert ours <= original if tied else ours == original
                tied_rows += tied
    assert tied_rows > 0


def test_recall_adds_up_over_batches():
    logits = np.random.default_rng(1).normal(size=(30, 11))
    metric = ConvComRecall()
    for start in range(0, 30, 7):
        batch = torch.tensor(logits[start : start + 7])
        metric.add_batch(predictions=batch, references=torch.zeros(len(batch), dtype=torch.long))
    assert metric.compute() == recall(logits)


@pytest.mark.parametrize(
    ("logits", "references", "options", "message"),
    [
        (np.zeros((2, 4)), [0, 0], {}, "R_5 needs 5 candidates per row; predictions have 4"),
        ([[0.0] * 11, [0.0] * 10], [0, 0], {}, r"predictions\[1\] has 10 candidates, predictions\[0\] has 11"),
        (np.zeros((2, 11)), [0, 11], {}, r"references\[1\] is 11: with 11 candidates it must be 0 to 10"),
        (np.zeros((2, 11)), [-100, 0], {}, r"references\[0\] is -100"),
        (np.zeros((2, 11)), [0, 0], {"cutoffs": [5]}, "R_5@5: the cutoff must be from 1 to 4"),
        (np.zeros((2, 11)), [0, 0], {"cutoffs": [0]}, "R_5@0: the cutoff must be from 1 to 4"),
        (np.zeros((2, 11)), [0], {}, r"Mismatch in the number of predictions \(2\) and references \(1\)"),
        ([], [], {}, "ConvComRecall has nothing to score"),
    ],
)
def test_recall_errors_name_the_value(logits, references, options, message):
    with pytest.raises(ValueError, match=message):
        recall(logits, references, **options)


# --- ERC scores ---


@pytest.mark.parametrize("seed", range(5))
def test_scores_agree_with_sklearn(seed):
    # the later labels are absent in some of the draws
    predictions, references = random_labels(seed, classes=3 + seed % 3)
    scores = erc(predictions, references, excluded_label="joy")
    ids = list(range(len(NAMES)))
    for average in ("weighted", "macro"):  # over the labels that occur
        expected = sklearn_metrics.f1_score(references, predictions, average=average, zero_division=0)
        assert scores[f"{average}_f1"] == pytest.approx(expected)
    others = [i for i in ids if NAMES[i] != "joy"]
    micro = sklearn_metrics.f1_score(references, predictions, labels=others, average="micro", zero_division=0)
    assert scores["micro_f1_without_joy"] == pytest.approx(micro)
    assert scores["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(references, predictions))
    confusion = sklearn_metrics.confusion_matrix(references, predictions, labels=ids)
    assert scores["confusion_matrix"] == confusion.tolist()
    table = sklearn_metrics.precision_recall_fscore_support(references, predictions, labels=ids, zero_division=0)
    for name, expected in zip(NAMES, zip(*table, strict=True), strict=True):
        row = scores["per_label"][name]
        assert (row["precision"], row["recall"], row["f1"], row["support"]) == pytest.approx(expected)


def test_with_all_labels_focused_the_scores_of_the_original_are_the_usual_ones():
    predictions, references = random_labels(7)
    scores = erc(predictions, references)
    assert scores["WA"] == pytest.approx(scores["accuracy"], abs=1e-4)
    balanced = sklearn_metrics.balanced_accuracy_score(references, predictions)
    assert scores["UWA"] == pytest.approx(balanced, abs=1e-4)
    assert scores["focused_macro_f1"] == pytest.approx(scores["macro_f1"], abs=1e-4)
    assert "micro_f1_without_neutral" not in scores


def test_swapping_predictions_and_references_changes_the_scores():
    predictions, references = random_labels(3)
    scores, swapped = erc(predictions, references), erc(references, predictions)
    assert np.array_equal(scores["confusion_matrix"], np.transpose(swapped["confusion_matrix"]))
    for name in ("weighted_f1", "UWA"):
        assert scores[name] != pytest.approx(swapped[name], abs=1e-4)
    assert scores["per_label"]["joy"]["recall"] == swapped["per_label"]["joy"]["precision"]


def test_focused_scores_by_hand():
    #             focused: neutral, joy; an utterance of fear, and predictions of fear, are outside
    references = [0, 0, 0, 0, 1, 1, 3, 3]
    predictions = [0, 0, 1, 3, 1, 3, 0, 1]
    scores = erc(predictions, references, focused_labels=["joy", "neutral"])
    assert scores["WA"] == pytest.approx(3 / 6)
    assert scores["UWA"] == pytest.approx((2 / 4 + 1 / 2) / 2)
    neutral_f1, joy_f1 = 0.6667, 0.5  # precision 2/2 and 1/2, recall 2/4 and 1/2
    assert scores["per_label"]["neutral"]["focused_f1"] == pytest.approx(neutral_f1)
    assert scores["per_label"]["joy"]["focused_f1"] == pytest.approx(joy_f1)
    assert scores["focused_macro_f1"] == 0.5834  # (66.67 + 50) / 2, rounded once more
    assert scores["per_label"]["neutral"]["precision"] == pytest.approx(2 / 3)  # the usual one counts fear
    assert "focused_f1" not in scores["per_label"]["fear"]


def test_scores_are_those_of_the_original(recorded):
    def percent(value):
        return round(100 * value, 2)

    for case in recorded["emoeval_cases"]:
        logits = [row for dialogue in case["logits_per_dialogue"] for row in dialogue]
        gold = [label for dialogue in case["gold_per_dialogue"] for label in dialogue]
        scores = erc(np.argmax(logits, axis=1), gold, label_names=case["labels"], focused_labels=case["focus"])
        rows = [scores["per_label"][name] for name in case["focus"]]
        assert [percent(row["recall"]) for row in rows] == case["recalls_in_focus_order"]
        assert [percent(scores[name]) for name in ("WA", "UWA")] == [case["WA"], case["UWA"]]
        # the original rounds precision and recall before it computes F1 from them, and averages rounded values
        assert [percent(row["focused_f1"]) for row in rows] == case["f1s_in_focus_order"]
        assert percent(scores["focused_macro_f1"]) == case["F1"]


def test_macro_f1_is_over_the_labels_that_occur_and_those_without_support_are_named():
    fear = NAMES.index("fear")
    scores = erc([0, 1], [0, 1])
    assert scores["macro_f1"] == 1
    assert scores["labels_without_support"] == NAMES[2:]
    # A label that is predicted where it is not counts as a mistake.
    scores = erc([0, 1, fear], [0, 1, 1])
    assert scores["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert "fear" in scores["labels_without_support"]
    assert erc(range(5), range(5))["labels_without_support"] == []


def test_utterances_without_a_label_are_left_out():
    expected = erc([0, 1, 2], [0, 2, 2])
    assert erc([0, 1, 4, 2, 3], [0, 2, -100, 2, -1]) == expected
    assert erc([NAMES[i] for i in (0, 1, 4, 2)], [NAMES[0], NAMES[2], "", NAMES[2]]) == expected
    with pytest.raises(ValueError, match="nothing to score: no utterance has a label"):
        erc([0, 1], [-100, -1])


def test_labels_may_be_given_by_name():
    predictions, references = random_labels(2)
    names = [[NAMES[i] for i in labels] for labels in (predictions, references)]
    assert erc(*names, excluded_label="joy") == erc(predictions, references, excluded_label="joy")
    metric = ERCScores()
    metric.add_batch(predictions=names[0][:50], references=np.array(names[1][:50]))
    metric.add_batch(predictions=names[0][50:], references=names[1][50:])
    assert metric.compute(label_names=NAMES) == erc(predictions, references)


def test_a_label_that_never_occurs_scores_zero():
    scores = erc([0, 1], [0, 1], excluded_label="neutral")
    assert scores["per_label"]["fear"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0, "focused_f1": 0}
    assert scores["weighted_f1"] == scores["micro_f1_without_neutral"] == 1
    assert erc([0, 0], [0, 0], excluded_label="neutral")["micro_f1_without_neutral"] == 0


def test_scores_can_be_written_as_json():
    scores = erc(torch.tensor([0, 1, 2]), np.array([0, 2, 2]), excluded_label="neutral")
    assert json.loads(json.dumps(scores)) == scores
    flat = {name: value for name, value in scores.items() if not isinstance(value, list | dict)}
    assert all(type(value) is float and 0 <= value <= 1 for value in flat.values())


@pytest.mark.parametrize(
    ("predictions", "references", "options", "message"),
    [
        ([0, 0], [1, -2], {}, r"references\[1\] is -2: with 5 labels it must be 0 to 4"),
        ([-100, 0], [0, 0], {}, r"predictions\[0\] is -100"),
        ([0, 0, 5], [0, -100, 0], {}, r"predictions\[2\] is 5"),
        (["joy", "joy"], ["joy", "Joy"], {}, r"references\[1\] is 'Joy': give names from label_names, \['neutral'"),
        (["joy"], [0], {}, "don't match the expected format"),
        ([0, 0, 0], [0, 0], {}, r"Mismatch in the number of predictions \(3\) and references \(2\)"),
        ([], [], {}, "ERCScores has nothing to score"),
        ([0], [0], {"focused_labels": ["joy", "love"]}, "focused_labels has 'love': give distinct names from"),
        ([0], [0], {"focused_labels": ["joy", "joy"]}, "focused_labels repeats a label"),
        ([0], [0], {"focused_labels": []}, "focused_labels is empty"),
        ([0], [0], {"excluded_label": "Neutral"}, "excluded_label has 'Neutral'"),
        ([0], [0], {"label_names": ["joy", "joy"]}, "label_names repeats a label"),
        ([[0.1, 0.9]], [0], {}, "don't match the expected format"),
    ],
)
def test_scores_errors_name_the_value(predictions, references, options, message):
    with pytest.raises(ValueError, match=message):
        erc(predictions, references, **options)


# --- both ---


@pytest.mark.parametrize("metric_class", [ConvComRecall, ERCScores])
def test_computing_without_rows_says_so(metric_class):
    with pytest.raises(ValueError, match=f"{metric_class.__name__} has nothing to score: no predictions were added"):
        metric_class().compute()


def test_a_metric_works_on_after_an_error():
    metric = ERCScores()
    for predictions, references in (([0, 9], [0, 0]), ([0, 1, 1], [0, 0]), ([], [])):
        with pytest.raises(ValueError):
            metric.compute(predictions=predictions, references=references, label_names=NAMES)
    scores = metric.compute(predictions=[0, 1], references=[0, 0], label_names=NAMES)
    assert np.sum(scores["confusion_matrix"]) == 2


@pytest.mark.parametrize("metric_class", [ConvComRecall, ERCScores])
def test_a_metric_describes_itself(metric_class):
    metric = metric_class()
    assert metric.description and "Exploiting Unsupervised Data" in metric.citation
    assert "predictions" in metric.inputs_description


@pytest.mark.slow
def test_processes_can_score_at_once_offline_and_quietly(tmp_path):
    program = (
        "import sys\n"
        "from modeling_precode.evaluation.metrics import ERCScores\n"
        "metric = ERCScores()\n"
        "for _ in range(200): metric.add_batch(predictions=[int(sys.argv[1])] * 5, references=[0] * 5)\n"
        "print(metric.compute(label_names=['no', 'yes'])['accuracy'])\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(label)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for label in (0, 1)
    ]
    outputs = [run.communicate(timeout=120) for run in runs]
    assert outputs == [("1.0\n", ""), ("0.0\n", "")]
    assert not list(tmp_path.rglob("*.arrow*"))
