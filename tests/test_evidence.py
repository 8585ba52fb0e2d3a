"""The harness of the experiments, run as a person runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from corpus_of_topics import write_corpus

from benchmarks.evidence.experiments import Experiments
from benchmarks.evidence.views import utterances_alone

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"hidden_size": 16, "word_vector_size": 16, "min_count": 1}
EXPERIMENTS = {
    "corpora": {"custom": {"corpus": "custom", "data_dir": "topics"}, "meld": {"corpus": "meld", "data_dir": "meld"}},
    "pretraining": {
        "settings": {"corpus": "custom", **SMALL, "eval_steps": 2},
        "runs": {
            "tiny": {"max_steps": 4},
            "longer": {"model": "tiny", **dict.fromkeys(SMALL), "max_steps": 2},
        },
    },
    "finetuning": {
        "settings": {"num_train_epochs": 1, "metric_for_best_model": "weighted_f1"},
        "corpora": {"custom": {"learning_rate": 0.01}},
    },
    "studies": {
        "transfer": {
            "corpora": ["custom", "meld"],
            "seeds": [1, 2],
            "variants": {"without context": {**SMALL, "history": 0}, "pre-trained": {"model": "longer"}},
            "compare": [["pre-trained", "without context"]],
        }
    },
}


def evidence(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.evidence", *arguments]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_experiments_are_run_once_and_told_in_tables_and_plots(tmp_path):
    (tmp_path / "data").mkdir()
    write_corpus(tmp_path / "data" / "topics")
    experiments, results = tmp_path / "experiments.yaml", tmp_path / "results.jsonl"
    experiments.write_text(yaml.safe_dump(EXPERIMENTS, sort_keys=False))
    document = tmp_path / "RESULTS.md"
    document.write_text("<!-- transfer -->\nold\n<!-- /transfer -->\n![](plots/transfer.svg)\nmine\n")
    common = ("--experiments", str(experiments), "--results", str(results), "--output_dir", str(tmp_path / "out"))
    # Of pre-training, what the study starts from, and what that starts from.
    output = evidence(*common, "--data_dir", str(tmp_path / "data"), "--pretraining")
    assert "meld: left out" in output and output.count("$ ") == 4
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    kinds = ["history" in line for line in lines], [line.get("baseline") for line in lines]
    assert sum(kinds[0]) == 2 and {"majority", "bag of words", "bag-of-words completion"} <= set(kinds[1])
    [comparison] = [line for line in lines if "comparison" in line]
    runs = {line["key"]: [] for line in lines if line["seed"] and "history" not in line}
    for line in lines:
        if line["key"] in runs:
            runs[line["key"]].append(line["scores"]["test"]["macro_f1"])
    ours, theirs = (np.mean(runs[key]) for key in comparison["comparison"])
    assert comparison["scores"]["macro_f1"]["difference"] == pytest.approx(ours - theirs, abs=2e-6)

    before = results.read_bytes()
    assert "$ " not in evidence(*common, "--data_dir", str(tmp_path / "data")) and results.read_bytes() == before
    evidence(*common, "--write", str(document))
    written = document.read_text()
    assert "old" not in written and written.endswith("mine\n") and "| custom | pre-trained | " in written
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["transfer.svg"]
    document.write_text("![](plots/completion.svg)")
    evidence(*common, "--write", str(document))
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"completion.svg", "transfer.svg"}


def test_the_default_of_an_axis_is_the_run_without_it(tmp_path):
    study = EXPERIMENTS["studies"]["transfer"]
    over = {"train_fraction": [0.5, 1.0], "default": 1.0}
    path = tmp_path / "experiments.yaml"
    studies = {"a": study, "b": {**study, "over": over}}
    path.write_text(yaml.safe_dump({**EXPERIMENTS, "studies": studies}, sort_keys=False))
    plain, parts = Experiments.read(path).studies
    assert parts.axis == "train_fraction"
    half, whole = (parts.runs["custom", "pre-trained", value] for value in (0.5, 1.0))
    assert whole == plain.runs["custom", "pre-trained", None]
    assert half.settings == {**whole.settings, "train_fraction": 0.5}


def test_an_utterance_alone_keeps_the_history_that_is_asked_for():
    rows = {"dialogue_id": ["7"], "utterances": [["a", "b", "c"]], "speakers": [[]], "labels": [[0, -1, 2]]}
    alone = utterances_alone(rows, 1)
    assert alone["utterances"] == [["a"], ["c | b"]] and alone["labels"] == [[0], [2]]
    assert alone["dialogue_id"] == ["7#0", "7#2"]
    assert utterances_alone(rows, 0)["utterances"] == [["a"], ["c"]]
    assert utterances_alone({**rows, "speakers": [["A", "B", "A"]]}, 2, named=True)["utterances"] == [
        ["a"],
        ["c | B: b | A: a"],
    ]
