"""What `python -m benchmarks.frontier` promises: every entry is measured once, an entry that cannot run is named, and
the table and the plot show which models no other beats in both speed and weighted F1."""

import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny import LABELS, WORDS

from benchmarks.documents import replace_between
from benchmarks.evidence.baselines import fit_bag_of_words
from benchmarks.evidence.results import Results
from benchmarks.frontier.linear import LinearClassifier
from benchmarks.frontier.report import frontier, frontier_tables, groups_of, sections, summary_table
from benchmarks.frontier.rivals import BagOfWords, MeanWordVectors, fit_head
from benchmarks.frontier.texts import Training, repeated

ROOT = Path(__file__).resolve().parents[1]
TOPICS = {"anger": "angry", "joy": "happy", "neutral": "weather"}


def write_meld(folder: Path, dialogues: int = 30) -> Path:
    """Files in the form of MELD's, where one word tells the label."""
    rng = random.Random(0)
    folder.mkdir()
    for split in ("train", "dev", "test"):
        with open(folder / f"{split}_sent_emo.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID"])
            for dialogue in range(dialogues):
                for number in range(4):
                    label = rng.choice(LABELS)
                    text = " ".join([*rng.choices(WORDS[:5], k=3), TOPICS[label], "!"])
                    writer.writerow([text, rng.choice(["Ann", "Bo"]), label, dialogue, number])
    return folder


def run_frontier(*arguments: str, expected: int = 0) -> str:
    command = [sys.executable, "-m", "benchmarks.frontier", "--threads", "1", "--utterances", "200", *arguments]
    result = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, timeout=900)
    assert result.returncode == expected, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.mark.slow
def test_every_entry_is_measured_once_and_told_in_a_table_and_a_plot(checkpoint, tmp_path):
    results, document, plot = tmp_path / "results.jsonl", tmp_path / "doc.md", tmp_path / "frontier.svg"
    document.write_text("before\n<!-- frontier -->\nold\n<!-- /frontier -->\nafter\n")
    arguments = [
        "--results",
        str(results),
        "--output_dir",
        str(tmp_path / "out"),
        "--checkpoints",
        f"tiny={checkpoint}",
    ]
    entries = ["tiny", "TF-IDF, logistic regression", "mean of word vectors, logistic regression"]
    data = ["--data_dir", str(write_meld(tmp_path / "meld")), "--entries", *entries]
    output = run_frontier(*arguments, *data)
    assert "mean of word vectors, logistic regression: skipped; needs --word_vectors" in output
    lines = {line["name"]: line for line in map(json.loads, results.read_text().splitlines())}
    assert list(lines) == entries[:2]
    assert lines["TF-IDF, logistic regression"]["scores"]["weighted_f1"] == 1
    assert lines["tiny"]["is_ours"] and lines["tiny"]["train"] == "unknown"
    sizes = sum((checkpoint / name).stat().st_size for name in ("model.safetensors", "config.json", "tokenizer.json"))
    for line in lines.values():
        assert line["utterances_per_second"] > 0 and line["peak_megabytes"] > 10 and line["utterances"] == 200
    assert sizes / 1e6 <= lines["tiny"]["disk_megabytes"] < sizes / 1e6 + 0.01

    # Interrupted after the first entry, it continues with the second.
    first = results.read_text().splitlines(keepends=True)[0]
    results.write_text(first)
    run_frontier(*arguments, *data, "--write", str(document), "--plot", str(plot))
    assert results.read_text().startswith(first) and len(results.read_text().splitlines()) == 2
    text = document.read_text()
    assert text.startswith("before\n<!-- frontier -->\nTrained on MELD:") and text.endswith(
        "<!-- /frontier -->\nafter\n"
    )
    assert "| **TF-IDF, logistic regression** | meld |" in text and "| **tiny** | unknown |" in text
    assert "<svg" in plot.read_text() and "old" not in text


def line(name: str, speed: float, f1: float, train: str = "meld", utterances: int = 10) -> dict:
    figures = {"utterances_per_second": speed, "peak_megabytes": 1, "disk_megabytes": 1, "load_seconds": 1}
    scores = {"weighted_f1": f1, "macro_f1": f1}
    size = {"utterances": utterances, "threads": 2}
    key = f"{name}-{speed}-{train}-{utterances}"
    return {
        "key": key,
        "seed": None,
        "name": name,
        "train": train,
        "is_ours": True,
        **size,
        **figures,
        "scores": scores,
    }


def test_the_frontier_is_what_no_other_model_beats_in_both(tmp_path):
    results = Results(tmp_path / "results.jsonl")
    for one in (
        line("fast", 900, 0.3),
        line("dominated", 500, 0.2),
        line("good", 100, 0.9),
        line("as good and faster", 200, 0.9),
        line("fast", 1000, 0.4),  # measured again
        line("zero-shot", 10, 0.1, "openerc, chats"),
        line("another size", 9999, 1.0, utterances=20),
    ):
        results.add(one)
    groups = groups_of(results, 10, 2)
    assert [one["name"] for one in frontier(groups["Trained on MELD"])] == ["fast", "as good and faster"]
    tables = frontier_tables(groups)
    summary = summary_table(groups)
    assert "| **fast** | 1,000 | 40.0 |" in summary and "dominated" not in summary and "zero-shot" not in summary
    assert "| **fast** | meld | 1,000 | 40.0 |" in tables and "| dominated |" in tables and "| good |" in tables
    assert "| **zero-shot** | openerc, chats |" in tables and "another size" not in tables


def test_the_tables_in_the_documents_are_those_of_the_results():
    tables = sections(groups_of(Results(ROOT / "benchmarks/frontier/results.jsonl"), 100_000, 2))
    for document, name in (("README.md", "frontier, summary"), ("docs/speed.md", "frontier")):
        text = (ROOT / document).read_text(encoding="utf-8")
        assert f"<!-- {name} -->" in text and replace_between(text, name, tables[name]) == text


@pytest.mark.parametrize("utterances", [1, 3, 5, 12, 100])
def test_a_split_is_repeated_to_exactly_so_many_utterances(utterances):
    dialogues = [[("", "a"), ("", "b"), ("", "c")], [("", "d"), ("", "e")]]
    chunks = repeated(dialogues, utterances, chunk=4)
    flat = [text for chunk in chunks for dialogue in chunk for _, text in dialogue]
    assert flat == (list("abcde") * 20)[:utterances]
    assert all(sum(map(len, chunk)) >= 4 for chunk in chunks[:-1]) and all(map(len, chunks))


def test_the_mean_of_word_vectors_is_over_the_known_words_of_an_utterance(tmp_path):
    source, folder = tmp_path / "vectors.txt", tmp_path / "model"
    source.write_text("happy 1 0 0\nangry 0 1 0\nso 0 0 1\n")
    folder.mkdir()
    MeanWordVectors.prepare(folder, source)
    encode = MeanWordVectors(folder).vectors
    found = encode(["So HAPPY!", "unknown", "", "angry"])
    assert found == pytest.approx(np.array([[0.5, 0, 0.5], [0, 0, 0], [0, 0, 0], [0, 1, 0]]))
    texts, labels = ["so happy", "so angry"] * 20, ["joy", "anger"] * 20
    fit_head(encode(texts), labels, encode(texts), labels).save(folder)
    assert f1_score(labels, MeanWordVectors(folder).labels(texts), average="weighted") == 1


@pytest.mark.parametrize("labels", [["anger", "joy"], ["anger", "joy", "neutral"]], ids=len)
def test_a_saved_bag_of_words_labels_as_the_fitted_one(tmp_path, labels):
    rng = random.Random(0)
    gold = [rng.choice(labels) for _ in range(60)]
    texts = [" ".join([*rng.choices(WORDS, k=4), TOPICS[label] if rng.random() < 0.7 else ""]) for label in gold]
    BagOfWords.train(Training(texts, gold, texts, gold), tmp_path, None)
    expected, _ = fit_bag_of_words(
        texts, np.array(gold), texts, lambda found: f1_score(gold, found, average="weighted")
    )
    assert BagOfWords(tmp_path).labels(texts) == expected.predict(texts).tolist()


@pytest.mark.parametrize("labels", [["anger", "joy"], ["anger", "joy", "neutral"]], ids=len)
def test_a_saved_head_labels_as_scaler_and_regression_do(tmp_path, labels):
    rng = np.random.default_rng(0)
    vectors, gold = rng.normal(3, [1, 5, 0.1], (80, 3)), rng.choice(labels, 80)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(vectors, gold)
    LinearClassifier.of(model[1], model[0]).save(tmp_path)
    assert LinearClassifier.load(tmp_path).predict(vectors) == model.predict(vectors).tolist()
