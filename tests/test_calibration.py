"""What calibration promises: the temperature of known logits comes back, no label changes, and card, configuration and
pipeline agree on it."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from test_scripts import read, run_here
from transformers import pipeline

from modeling_precode import (
    PreCodeForUtteranceClassification,
    expected_calibration_error,
    fit_temperature,
)
from modeling_precode.evaluation.calibration import MAX_TEMPERATURE, MIN_TEMPERATURE, calibrate, negative_log_likelihood


def calibrated(count=20_000, classes=5, seed=0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that are drawn from the very probabilities that they mean."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (count, classes))
    noise = generator.gumbel(size=logits.shape)
    return logits, (logits + noise).argmax(1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_logits_that_are_too_sure_give_back_by_how_much(temperature):
    logits, labels = calibrated()
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.03)


def test_over_confidence_shows_in_both_figures_and_the_temperature_takes_it_away():
    logits, labels = calibrated()
    found = calibrate(
        {"validation": (logits[:10_000] * 3, labels[:10_000]), "test": (logits[10_000:] * 3, labels[10_000:])}
    )
    assert found["temperature"] == pytest.approx(3, rel=0.05)
    for split in ("validation", "test"):
        assert found[split]["before"]["ece"] > 0.2
        assert found[split]["after"]["ece"] < 0.02
        assert found[split]["after"]["nll"] < found[split]["before"]["nll"] - 0.5


def test_a_temperature_that_does_not_help_on_held_out_utterances_is_not_used():
    """The likelihood of this small split can only win where it was fitted: its labels are drawn from the logits."""
    used = 0
    for seed in range(20):
        logits, labels = calibrated(60, seed=seed)
        found = calibrate({"validation": (logits, labels), "test": calibrated(2000, seed=100 + seed)})
        cross_fit = found["cross_fit"]
        assert found["validation"]["before"] == cross_fit["before"]
        assert cross_fit["helps"] == all(
            cross_fit["after"][name] < cross_fit["before"][name] for name in ("ece", "nll")
        )
        assert found["temperature"] == (cross_fit["fitted"] if cross_fit["helps"] else 1)
        assert cross_fit["fitted"] == fit_temperature(logits, labels) != 1
        if not cross_fit["helps"]:
            assert found["test"]["after"] == found["test"]["before"]
        used += cross_fit["helps"]
    assert used < 8


def test_a_single_utterance_says_nothing_about_others():
    found = calibrate({"validation": ([[2.0, 0.0]], [0])})
    assert found["temperature"] == 1 and not found["cross_fit"]["helps"]


def test_the_figures_are_those_of_their_definitions():
    """Two of three utterances with a confidence of 0.75 are right, and the one with 0.6 is."""
    sure, less = np.log([0.75, 0.25]), np.log([0.6, 0.4])
    logits, labels = torch.tensor(np.stack([sure, sure, sure, less])), torch.tensor([0, 0, 1, 0])
    assert expected_calibration_error(logits, labels) == pytest.approx(3 / 4 * (0.75 - 2 / 3) + 1 / 4 * 0.4)
    assert negative_log_likelihood(logits, labels) == pytest.approx(F.cross_entropy(logits, labels).item())
    # A confidence of 1 belongs to the last bin.
    assert expected_calibration_error([[1000.0, 0.0]], [0]) == 0


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 30), count=st.integers(1, 40))
def test_the_fit_is_never_worse_than_none_nor_than_its_neighbours(seed, scale, count):
    generator = np.random.default_rng(seed)
    logits, labels = generator.normal(0, scale, (count, 4)), generator.integers(0, 4, count)
    best = fit_temperature(logits, labels)
    assert MIN_TEMPERATURE <= best <= MAX_TEMPERATURE
    reached = negative_log_likelihood(logits, labels, best)
    for other in (1.0, best * 0.9, best * 1.1):
        if MIN_TEMPERATURE <= other <= MAX_TEMPERATURE:
            assert reached <= negative_log_likelihood(logits, labels, other) + 1e-9


def test_where_nothing_is_to_learn_it_stays_within_bounds():
    assert fit_temperature([[1.0, 0.0], [0.0, 1.0]], [0, 1]) == pytest.approx(MIN_TEMPERATURE)
    assert fit_temperature([[1.0, 0.0], [0.0, 1.0]], [1, 0]) == pytest.approx(MAX_TEMPERATURE)
    assert fit_temperature([[2.0, 2.0]], [1]) == 1


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 3)), [], r"at least one; got the shapes \(0, 3\) and \(0,\)"),
        (np.zeros((2, 3)), [1], r"got the shapes \(2, 3\) and \(1,\)"),
        (np.zeros((2, 3)), [1, -100], "below 3; got -100 to 1. Leave out utterances without a label"),
        (np.zeros((2, 3)), [1, 3], "below 3; got 1 to 3"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        fit_temperature(logits, labels)


@pytest.mark.parametrize("wrong", [0, -1.5, float("inf"), float("nan")])
def test_a_temperature_is_more_than_nothing(tiny_config, wrong):
    with pytest.raises(Exception, match=f"`temperature` must be more than 0; got {wrong}"):
        tiny_config(temperature=wrong)


def test_the_pipeline_divides_by_it_the_model_does_not_and_an_old_checkpoint_has_none(tokenizer, tiny_config, tmp_path):
    torch.manual_seed(0)
    model = PreCodeForUtteranceClassification(tiny_config(causal=True))
    torch.nn.init.normal_(model.classifier.output.weight, std=3)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config.pop("temperature") == 1.0
    (tmp_path / "config.json").write_text(json.dumps(config))
    emotions = pipeline("conversation-emotion", model=str(tmp_path))
    assert emotions.model.config.temperature == 1.0
    texts = ["I am so happy!", "About what?"]
    inputs = torch.tensor([tokenizer(texts, padding=True)["input_ids"]])
    logits = emotions.model(inputs).logits[0]
    plain = emotions(texts, distribution=True)

    emotions.model.config.temperature = 2.5
    assert torch.equal(emotions.model(inputs).logits[0], logits)
    warm, live = emotions(texts, distribution=True), emotions.stream(distribution=True)
    for turn, text, before, row in zip(warm, texts, plain, logits, strict=True):
        assert turn["label"] == before["label"]
        assert list(turn["distribution"].values()) == pytest.approx((row / 2.5).softmax(-1).tolist(), abs=1e-6)
        assert live(text)["distribution"] == pytest.approx(turn["distribution"], abs=1e-6)
    emotions.save_pretrained(tmp_path / "warm")
    assert pipeline("conversation-emotion", model=str(tmp_path / "warm"))(texts) == emotions(texts)


@pytest.mark.usefixtures("no_state_of_another_test")
def test_fine_tuning_fits_it_for_every_seed_and_card_configuration_and_pipeline_agree(tmp_path):
    common = ["--corpus", "sample", "--hidden_size", "16", "--word_vector_size", "16", "--num_train_epochs", "6"]
    folders = {option: tmp_path / option for option in ("--calibrate", "--no_calibrate")}
    for option, folder in folders.items():
        run_here("run_finetune.py", *common, option, "--output_dir", str(folder), "--learning_rate", "0.02")
    with_it, without = folders.values()
    found = read(with_it / "seed_1" / "results.json")["calibration"]
    config = read(with_it / "config.json")
    assert config["temperature"] == found["temperature"] != 1
    assert config["training_summary"]["calibration"] == found
    assert found["validation"]["after"]["nll"] < found["validation"]["before"]["nll"]
    figures = [f"{found['test'][when][name]:.4f}" for name in ("ece", "nll") for when in ("before", "after")]
    card = (with_it / "README.md").read_text(encoding="utf-8")
    assert f"a temperature of {found['temperature']:.4f}" in card
    assert f"| test | {' | '.join(figures)} |" in card

    # The same labels and scores as without, and the probabilities of the test split have the likelihood of the results.
    files = [folder / "test_predictions.jsonl" for folder in (with_it, without)]
    assert files[0].read_text() == files[1].read_text()
    assert read(without / "results.json")["scores"] == read(with_it / "results.json")["scores"]
    assert (read(without / "config.json")["temperature"], read(without / "results.json")["calibration"]) == (1, None)
    assert "temperature" not in (without / "README.md").read_text(encoding="utf-8").split("## Scores")[1]
    rows = [json.loads(line) for line in files[0].read_text(encoding="utf-8").splitlines()]
    emotions = pipeline("conversation-emotion", model=str(with_it))
    labeled = emotions([row["utterances"] for row in rows], distribution=True)
    pairs = [
        (turn, label, predicted)
        for row, turns in zip(rows, labeled, strict=True)
        for turn, label, predicted in zip(turns, row["labels"], row["predictions"], strict=True)
        if label is not None
    ]
    assert all(turn["label"] == predicted for turn, _, predicted in pairs)
    likelihood = -np.mean([np.log(turn["distribution"][label]) for turn, label, _ in pairs])
    assert likelihood == pytest.approx(found["test"]["after"]["nll"], abs=1e-4)
