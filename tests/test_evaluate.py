"""What `precode evaluate` promises: the figures of `run_finetune.py` for the same checkpoint, beside what is right
without reading, on one corpus or several, and a word about labels that do not go together."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from corpus_of_topics import write_corpus
from datasets import ClassLabel, Dataset, Features, List, Value
from sklearn.metrics import f1_score
from transformers import pipeline

import run_finetune
from data_scripts import load_corpus
from modeling_precode import PreCodeForUtteranceClassification
from modeling_precode.cli.evaluate import main
from modeling_precode.evaluation.calibration import expected_calibration_error, reliability
from modeling_precode.evaluation.scoring import score_split


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), sizes=(("train", 60), ("validation", 20), ("test", 20)))


@pytest.fixture(scope="module")
def finetuned(corpus, tmp_path_factory) -> tuple[Path, dict]:
    """A checkpoint, and the results of the run that left it."""
    AcceleratorState._reset_state(reset_partial_state=True)
    folder = tmp_path_factory.mktemp("runs") / "finetuned"
    arguments = f"--corpus custom --data_dir {corpus} --output_dir {folder} --hidden_size 8 --word_vector_size 8"
    run_finetune.main([*arguments.split(), *["--num_train_epochs", "1", "--excluded_label", "neutral"]])
    AcceleratorState._reset_state(reset_partial_state=True)
    return folder, json.loads((folder / "seed_1" / "results.json").read_text())


@pytest.fixture
def evaluate(tmp_path, capsys):
    """A function: arguments -> what the command prints, and its JSON."""

    def run(*arguments: object) -> tuple[str, dict]:
        main([*map(str, arguments), "--output", str(tmp_path / "scores.json")])
        return capsys.readouterr().out, json.loads((tmp_path / "scores.json").read_text())

    return run


@pytest.fixture
def model_of(tokenizer, tiny_config, tmp_path):
    """A function: label names, and the one that the model always predicts -> the folder of its checkpoint."""

    def save(names: list[str], predicted: str) -> Path:
        settings = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
        model = PreCodeForUtteranceClassification(tiny_config(**settings))
        with torch.no_grad():
            model.classifier.output.weight.zero_()
            model.classifier.output.bias.zero_()
            model.classifier.output.bias[names.index(predicted)] = 1
        model.save_pretrained(tmp_path / "model")
        tokenizer.save_pretrained(tmp_path / "model")
        return tmp_path / "model"

    return save


@pytest.fixture
def dialogues(tmp_path):
    """A function: a dialogue's labels in train and in test -> the folder of a corpus."""

    def write(train: list, test: list) -> Path:
        folder = tmp_path / "dialogues"
        folder.mkdir()
        for split, labels in (("train", train), ("validation", train), ("test", test)):
            row = {"utterances": ["you are so happy !"] * len(labels), "labels": labels}
            (folder / f"{split}.jsonl").write_text(json.dumps(row) + "\n")
        return folder

    return write


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_figures_are_those_of_fine_tuning(evaluate, finetuned, corpus, split):
    folder, results = finetuned
    printed, found = evaluate("--model", folder, "--corpus", f"custom={corpus}", "--split", split)
    [scored] = found["corpora"]
    assert {name: scored["scores"][name] for name in results["scores"][split]} == results["scores"][split]
    error = results["calibration"][split]["after"]["ece"]
    assert scored["calibration_error"] == pytest.approx(error, abs=1e-6)
    figures = [results["scores"][split][name] for name in ("accuracy", "weighted_f1", "macro_f1")]
    figures.append(results["scores"][split]["micro_f1_without_neutral"])
    line = next(line for line in printed.splitlines() if line.startswith(f"custom, {split}"))
    assert line.split()[3:] == [f"{figure:.4f}" for figure in [*figures, error]]


def test_the_batches_change_no_figure(evaluate, finetuned, corpus):
    arguments = ("--model", finetuned[0], "--corpus", f"custom={corpus}")
    assert (
        evaluate(*arguments)[1]["corpora"][0]["scores"]
        == evaluate(*arguments, "--max_batch_tokens", 1)[1]["corpora"][0]["scores"]
    )


def test_a_model_is_held_against_the_most_frequent_label_and_the_shares_of_training(evaluate, model_of, dialogues):
    train = ["neutral"] * 3 + ["joy"]
    test = ["neutral", "joy", "joy", "anger", None]
    printed, found = evaluate(
        "--model", model_of(["anger", "joy", "neutral"], "joy"), "--corpus", "custom", "--data_dir",
        dialogues(train, test), "--corpus_options", 'labels=["anger","joy","neutral"]',
    )  # fmt: skip
    [scored] = found["corpora"]
    assert (scored["utterances"], scored["unlabeled"]) == (4, 1)
    assert scored["scores"]["accuracy"] == 0.5
    majority, prior = scored["baselines"]["majority"], scored["baselines"]["prior"]
    gold = ["neutral", "joy", "joy", "anger"]
    assert (majority["label"], majority["accuracy"], majority["micro_f1_without_neutral"]) == ("neutral", 0.25, 0)
    assert majority["macro_f1"] == pytest.approx(f1_score(gold, ["neutral"] * 4, average="macro", zero_division=0))
    # Of four draws, one is joy: of the true labels neutral a quarter, joy a half, anger a quarter.
    assert prior["accuracy"] == pytest.approx(0.25 * 0.75 + 0.5 * 0.25)
    confusion = np.outer([1, 2, 1], [0, 0.25, 0.75])  # rows anger, joy, neutral
    f1 = 2 * confusion.diagonal() / (confusion.sum(0) + confusion.sum(1))
    assert prior["macro_f1"] == pytest.approx(f1.mean())
    assert prior["weighted_f1"] == pytest.approx(f1 @ [0.25, 0.5, 0.25])
    assert prior["micro_f1_without_neutral"] == pytest.approx(2 * 0.5 / (3 + 1))
    assert "  always neutral" in printed and "  labels drawn by their shares" in printed
    assert "1 utterances without a label are context" in printed
    assert ["anger", "0", "1", "0"] in [line.split() for line in printed.splitlines()], "a row of the confusion matrix"


def test_a_label_that_the_model_lacks_is_wrong_and_named(evaluate, model_of, dialogues):
    folder = dialogues(["anger", "joy", "disgust"], ["anger", "anger", "joy", "disgust"])
    printed, found = evaluate("--model", model_of(["anger", "joy"], "anger"), "--corpus", f"custom={folder}")
    [scored] = found["corpora"]
    assert scored["scores"]["accuracy"] == 0.5
    assert scored["lacking"] == {"disgust": 1}
    assert scored["excluded_label"] is None
    assert "The model does not have the labels disgust (1). They are counted as wrong." in printed


def test_macro_f1_is_over_the_labels_of_the_split(evaluate, model_of, dialogues):
    folder = dialogues(["anger", "joy", "neutral"], ["anger", "joy"])
    printed, found = evaluate(
        "--model", model_of(["anger", "joy", "neutral"], "neutral"), "--corpus", f"custom={folder}"
    )
    assert found["corpora"][0]["not_in_split"] == {"neutral": 2}
    folder_of_joy = model_of(["anger", "joy", "neutral"], "joy")
    scores = evaluate("--model", folder_of_joy, "--corpus", f"custom={folder}")[1]["corpora"][0]["scores"]
    assert scores["macro_f1"] == pytest.approx((0 + 2 / 3) / 2)
    assert "The split does not have the predicted labels neutral (2)" in printed


def test_a_label_map_brings_corpora_and_model_together(evaluate, model_of, tmp_path):
    model = model_of(["Joyful", "Mad", "Neutral", "Peaceful"], "Peaceful")
    for name, labels in (("a", ["no emotion", "happiness"]), ("b", ["neutral", "frustrated", "angry"])):
        (tmp_path / name).mkdir()
        for split in ("train", "validation", "test"):
            row = {"utterances": ["you are so happy !"] * len(labels), "labels": labels}
            (tmp_path / name / f"{split}.jsonl").write_text(json.dumps(row) + "\n")
    corpora = [f"custom={tmp_path / name}" for name in "ab"]
    printed, found = evaluate("--model", model, "--corpus", *corpora, "--label_map", "ekman")
    first, second = found["corpora"]
    assert first["labels"] == ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
    # Without Peaceful, all are as likely, and the first is taken.
    assert [sum(row[0] for row in one["scores"]["confusion_matrix"]) for one in (first, second)] == [2, 2]
    assert (second["utterances"], second["unlabeled"]) == (2, 1)
    assert "\ncustom a, test" in printed and "\ncustom b, test" in printed


def test_labels_that_do_not_go_together_are_refused_by_name(evaluate, model_of, dialogues):
    folder = dialogues(["anger", "joy"], ["anger", "joy"])
    with pytest.raises(
        ValueError, match="has the labels Joyful, which the corpus custom does not have; it has anger, joy. Give a"
    ):
        evaluate("--model", model_of(["anger", "Joyful"], "anger"), "--corpus", f"custom={folder}")
    with pytest.raises(ValueError, match="model .*: the label map ekman does not have 'bored'"):
        model = model_of(["anger", "joy", "bored"], "anger")
        evaluate("--model", model, "--corpus", f"custom={folder}", "--label_map", "ekman")


def test_the_picture_has_every_corpus(evaluate, model_of, dialogues, tmp_path):
    folder = dialogues(["anger", "joy"], ["anger", "joy"])
    evaluate(
        *("--model", model_of(["anger", "joy"], "anger"), "--corpus", f"custom={folder}", f"custom={folder}/*.jsonl"),
        *("--plot", tmp_path / "scores.svg", "--split", "train"),
    )
    assert (tmp_path / "scores.svg").read_text().count("calibration error") == 2


def test_what_cannot_be_scored_is_said_before_the_model_is_read(evaluate, tmp_path):
    with pytest.raises(FileNotFoundError, match="the folder does not exist"):
        main(["--model", "x", "--corpus", "sample", "--output", str(tmp_path / "no" / "scores.json")])
    with pytest.raises(ValueError, match="--data_dir with 2 corpora: give NAME=DATA_DIR for each"):
        evaluate("--model", "x", "--corpus", "sample", "meld", "--data_dir", "MELD")


def test_a_split_without_labels_has_no_scores(model_of, tmp_path):
    write_corpus(tmp_path / "unlabeled", labels=False)
    emotions = pipeline("conversation-emotion", model=str(model_of(["anger", "joy"], "joy")))
    with pytest.raises(ValueError, match="corpus chats: the split test has no column labels"):
        score_split(emotions, load_corpus("custom", tmp_path / "unlabeled")["test"], corpus="chats")


def test_labels_never_count_for_another_dialogue(model_of):
    emotions = pipeline("conversation-emotion", model=str(model_of(["anger", "joy"], "joy")))
    labels = List(ClassLabel(names=["anger", "joy"]))
    columns = {"utterances": [["a", "b", "c"]] * 2, "labels": [[0, 1], [0, 1, 0, 1]]}
    rows = Dataset.from_dict(columns, Features({"utterances": List(Value("string")), "labels": labels}))
    with pytest.raises(ValueError, match=r"corpus chats, split test: the lists of row 0 .*: utterances 3, labels 2"):
        score_split(emotions, rows, corpus="chats")


def test_a_reliability_diagram_has_the_calibration_error_in_it():
    draw = np.random.default_rng(0)
    logits, labels = draw.normal(size=(500, 4)), draw.integers(4, size=500)
    bins = reliability(logits, labels, 0.5)
    assert sum(one["utterances"] for one in bins) == 500
    error = sum(one["utterances"] * abs(one["accuracy"] - one["confidence"]) for one in bins) / 500
    assert error == pytest.approx(expected_calibration_error(logits, labels, 0.5))
    assert [one["confidence"] for one in bins] == sorted(one["confidence"] for one in bins)
