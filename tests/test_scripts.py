"""What the two scripts promise to a person at a terminal, tried as real processes on a corpus of the person's own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from corpus_of_topics import TOPICS, write_corpus
from safetensors.torch import load_file
from transformers import pipeline

import run_finetune
import run_pretrain
from data_scripts import load_corpus
from modeling_precode import ERCScores, PreCodeForConversationCompletion, PreCodeForUtteranceClassification

ROOT = Path(__file__).resolve().parents[1]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
SMALL = ["--hidden_size", "16", "--word_vector_size", "16", "--dropout", "0.1", "--learning_rate", "0.01"]
CUSTOM = ["--corpus", "custom", "--data_dir"]
PRETRAIN = [*SMALL, "--max_steps", "60", "--eval_steps", "30", "--batch_size", "16"]

pytestmark = pytest.mark.usefixtures("no_state_of_another_test")


def run(*command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess:
    """`run("run_pretrain.py", ...)`: a script in a process of its own, without a terminal."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true", **environment}
    result = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0 or not check, result.stdout + result.stderr
    return result


def run_here(script: str, *arguments: str) -> None:
    """`run_here("run_pretrain.py", ...)`: a script in this process, which saves the seconds of the imports."""
    AcceleratorState._reset_state(reset_partial_state=True)
    {"run_pretrain.py": run_pretrain, "run_finetune.py": run_finetune}[script].main(list(arguments))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def pretrained(corpus, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "pretrained"
    run("run_pretrain.py", "--corpus", "custom", "--data_dir", str(corpus), "--output_dir", str(folder), *PRETRAIN)
    return folder


@pytest.fixture(scope="module")
def finetuned(corpus, pretrained, tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("runs") / "finetuned"
    result = run(
        *("run_finetune.py", "--model", str(pretrained), "--corpus", "custom", "--data_dir", str(corpus)),
        *("--output_dir", str(folder), "--seeds", "1", "2", "--num_train_epochs", "3", "--learning_rate", "0.01"),
    )
    return folder, result.stdout


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_pretraining_learns_and_leaves_a_checkpoint_with_every_figure(pretrained, corpus):
    results = read(pretrained / "pretrain_results.json")
    # The negatives of the other two topics are told apart; chance is 0.091.
    assert results["scores"]["test"]["R_11@1"] > 0.15
    assert [record["step"] for record in results["history"]] == [30, 60]
    assert results["settings"]["data_dir"] == corpus.name
    best = max(record["R_11@1"] for record in results["history"])
    assert results["scores"]["validation"]["R_11@1"] == best
    model = PreCodeForConversationCompletion.from_pretrained(pretrained)
    assert model.config.training_summary["scores"] == results["scores"]
    assert "Conversation Completion" in (pretrained / "README.md").read_text(encoding="utf-8").replace("\n", " ")


def test_pretraining_says_what_stands_in_a_test_split(corpus, tmp_path, caplog):
    caplog.set_level("INFO")
    said_twice = {"utterances": ["We have said all of this before, my friend."] * 3}
    for folder, leaking in (("trained", "train"), ("tested", "test")):
        shutil.copytree(corpus, tmp_path / folder)
        with open(tmp_path / folder / f"{leaking}.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(said_twice) + "\n")
    run_here(
        *("run_pretrain.py", "--corpus", "custom", "--data_dir", str(tmp_path / "trained"), *SMALL, "--max_steps", "1"),
        *("--check_overlap", f"custom={tmp_path / 'tested'}", "--output_dir", str(tmp_path / "output")),
    )
    assert "train against test of custom:\n1 of 201 dialogues (0.5%) appear there verbatim" in caplog.text
    assert "We have said all of this before, my friend." in caplog.text


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_under_accelerate_launch_too(pretrained, corpus, tmp_path):
    launch = "-m accelerate.commands.launch --cpu --num_processes 1 --num_machines 1"
    launch += " --mixed_precision no --dynamo_backend no"
    arguments = ["--corpus", "custom", "--data_dir", str(corpus), "--output_dir", str(tmp_path / "again"), *PRETRAIN]
    run(*launch.split(), "run_pretrain.py", *arguments)
    once, again = (load_file(folder / "model.safetensors") for folder in (pretrained, tmp_path / "again"))
    assert all(torch.equal(once[name], again[name]) for name in once)
    arguments[arguments.index(str(tmp_path / "again"))] = str(tmp_path / "other")
    run("run_pretrain.py", *arguments, "--seed", "2")
    other = load_file(tmp_path / "other" / "model.safetensors")
    assert any(not torch.equal(once[name], other[name]) for name in once)


def test_a_second_stage_goes_on_from_a_checkpoint_with_the_originals_objective(pretrained, corpus, tmp_path):
    second = tmp_path / "second"
    run_here(
        *("run_pretrain.py", "--model", str(pretrained), "--freeze_word_vectors", "true", "--objective", "sampled_bce"),
        *("--corpus", "custom", "--data_dir", str(corpus), "--output_dir", str(second), "--max_steps", "21"),
        *("--eval_steps", "7", "--learning_rate", "0.01"),
    )
    before, after = (load_file(folder / "model.safetensors") for folder in (pretrained, second))
    words = "precode.utterance_encoder.word_embedding.weight"
    assert torch.equal(before[words], after[words])
    assert any(not torch.equal(before[name], after[name]) for name in before)
    config = read(second / "config.json")
    assert (config["convcom_objective"], config["freeze_word_vectors"]) == ("sampled_bce", True)
    history = read(second / "pretrain_results.json")["history"]
    assert history[-1]["loss"] < history[0]["loss"]


def test_finetuning_reports_seeds_and_leaves_a_checkpoint_that_labels(finetuned):
    folder, printed = finetuned
    results = read(folder / "finetune_results.json")
    tests = [run["scores"]["test"]["macro_f1"] for run in results["runs"]]
    assert [run["seed"] for run in results["runs"]] == [1, 2]
    assert results["test_mean"]["macro_f1"] == pytest.approx(sum(tests) / 2)
    assert results["test_standard_deviation"]["macro_f1"] == pytest.approx(abs(tests[0] - tests[1]) / 2**0.5)
    assert f"macro_f1 {sum(tests) / 2:.4f} ± " in printed
    assert min(tests) > 0.9
    for settings in (results["settings"], results["runs"][0]["settings"]):
        assert settings["learning_rate"] == 0.01
        assert not {"size", "pooling_length", "text_mode"} & set(settings), "the checkpoint says these"

    emotions = pipeline("conversation-emotion", model=str(folder))
    labels = [turn["label"] for turn in emotions(["cake and dance and song", "a gift, a party!", "laugh, friend"])]
    assert labels == ["joy"] * 3
    config = PreCodeForUtteranceClassification.from_pretrained(folder).config
    assert config.id2label == {0: "anger", 1: "joy", 2: "neutral"}
    assert config.training_summary["corpus"] == "custom"
    assert not list(folder.rglob("checkpoint-*"))


def test_the_kept_checkpoint_is_the_one_that_dev_chose(finetuned):
    folder, _ = finetuned
    runs = read(folder / "finetune_results.json")["runs"]
    best = max(runs, key=lambda run: run["scores"]["validation"]["weighted_f1"])
    assert read(folder / "config.json")["training_summary"]["seed"] == best["seed"]
    for run_ in runs:
        history = read(folder / f"seed_{run_['seed']}" / "results.json")["history"]
        evaluations = [record["eval_weighted_f1"] for record in history if "eval_weighted_f1" in record]
        assert run_["scores"]["validation"]["weighted_f1"] == pytest.approx(max(evaluations))


def test_the_written_predictions_give_the_written_scores(finetuned, corpus):
    folder, _ = finetuned
    for seed in (1, 2):
        lines = (folder / f"seed_{seed}" / "test_predictions.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        source = [json.loads(line) for line in (corpus / "test.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [row["utterances"] for row in rows] == [row["utterances"] for row in source]
        assert [row["labels"] for row in rows] == [row["labels"] for row in source]
        names = sorted(TOPICS)
        flat = {key: [names.index(label) for row in rows for label in row[key]] for key in ("labels", "predictions")}
        scores = ERCScores().compute(predictions=flat["predictions"], references=flat["labels"], label_names=names)
        assert scores == read(folder / f"seed_{seed}" / "results.json")["scores"]["test"]


def test_another_checkpoints_vocabulary_and_a_dataset_folder(pretrained, tmp_path):
    """The folder is as `datasets` writes it: Parquet, a file a split."""
    (tmp_path / "dataset" / "data").mkdir(parents=True)
    for split, rows in load_corpus("sample").items():
        rows.to_parquet(tmp_path / "dataset" / "data" / f"{split}-00000-of-00001.parquet")
    folder = tmp_path / "finetuned"
    run_here(
        *("run_finetune.py", "--corpus", str(tmp_path / "dataset"), "--tokenizer", str(pretrained)),
        *("--output_dir", str(folder), *SMALL, "--num_train_epochs", "1", "--report_to", "tensorboard"),
    )
    assert read(folder / "tokenizer.json")["model"]["vocab"] == read(pretrained / "tokenizer.json")["model"]["vocab"]
    assert "disgust" in read(folder / "config.json")["label2id"]
    assert list((folder / "seed_1").rglob("events.out.tfevents.*"))


def test_from_scratch_with_word_vectors_and_class_weights(corpus, tmp_path):
    words = sorted({word for words in TOPICS.values() for word in words})
    vectors = tmp_path / "vectors.txt"
    lines = [" ".join([word, *(f"{(i * 7 + j) % 5 - 2}.5" for j in range(8))]) for i, word in enumerate(words)]
    vectors.write_text("\n".join(lines) + "\n", encoding="utf-8")
    folder = tmp_path / "scratch"
    run_here(
        *("run_finetune.py", "--corpus", "custom", "--data_dir", str(corpus), "--output_dir", str(folder)),
        *("--hidden_size", "16", "--word_vectors", str(vectors), "--num_train_epochs", "2", "--learning_rate", "0.01"),
        *("--class_weight_rate", "0.5", "--focused_labels", "anger", "joy", "--excluded_label", "neutral"),
    )
    config = read(folder / "config.json")
    assert (config["freeze_word_vectors"], config["word_vector_size"]) == (True, 8)
    assert config["class_weights"][2] == 0
    assert sum(config["class_weights"]) == pytest.approx(1)
    embedding = load_file(folder / "model.safetensors")["precode.utterance_encoder.word_embedding.weight"]
    torch.testing.assert_close(embedding[2:].norm(dim=1), torch.ones(len(words)))
    assert "micro_f1_without_neutral" in read(folder / "results.json")["scores"]["test"]


def test_a_trial_leaves_the_test_split_alone_and_may_train_on_a_part_from_parts(pretrained, corpus, tmp_path, caplog):
    caplog.set_level("INFO")
    folder = tmp_path / "trial"
    run_here(
        *("run_finetune.py", "--model", str(pretrained), "--corpus", "custom", "--data_dir", str(corpus)),
        *("--output_dir", str(folder), "--num_train_epochs", "1", "--score_test", "false", "--learning_rate", "1e-9"),
        *("--train_fraction", "0.25", "--transferred_parts", "word_vectors", "conversation_encoder"),
    )
    results = read(folder / "finetune_results.json")
    assert set(results["runs"][0]["scores"]) == {"validation"} and "validation over 1 seed(s)" in caplog.text
    assert "test not scored" in results["runs"][0]["selection"] and not (folder / "test_predictions.jsonl").exists()
    assert "Validation split over 1 seed(s)" in (folder / "README.md").read_text()
    dialogues = results["runs"][0]["facts"]["splits"]["train"]["dialogues"]
    assert dialogues == round(0.25 * len(load_corpus("custom", str(corpus))["train"]))
    # At this learning rate, what was taken from the checkpoint is still there, and only that.
    before, after = (load_file(path / "model.safetensors") for path in (pretrained, folder))
    same = {name for name, weight in after.items() if torch.allclose(weight, before.get(name, weight + 1), atol=1e-6)}
    encoders = {name for name in after if name.startswith("precode.")}
    changed = {name for name in encoders if "utterance_encoder" in name and "word_embedding" not in name}
    assert same == encoders - changed


def test_a_causal_encoder_is_pretrained_and_fine_tuned(corpus, tmp_path):
    """The checkpoint says its direction to the second script."""
    data, first, second = ["--corpus", "custom", "--data_dir", str(corpus)], tmp_path / "first", tmp_path / "second"
    run_here("run_pretrain.py", *data, "--output_dir", str(first), *PRETRAIN, "--causal")
    assert read(first / "pretrain_results.json")["scores"]["test"]["R_11@1"] > 0.15
    run_here("run_finetune.py", *data, "--model", str(first), "--num_train_epochs", "3", "--output_dir", str(second))
    assert "never changes when the dialogue goes on" in (second / "README.md").read_text(encoding="utf-8")
    live = pipeline("conversation-emotion", model=str(second)).stream()
    assert [live(text)["label"] for text in ("cake and dance and song", "a gift, a party!")] == ["joy"] * 2


def test_a_failing_push_does_not_cost_the_run(corpus, tmp_path):
    folder = tmp_path / "pushed"
    result = run(
        *("run_pretrain.py", "--corpus", "custom", "--data_dir", str(corpus), "--output_dir", str(folder)),
        *(*SMALL, "--max_steps", "2", "--push_to_hub", "--hub_model_id", "someone/model"),
        HF_ENDPOINT="http://127.0.0.1:9",
        HF_HUB_OFFLINE="0",
    )
    assert (folder / "model.safetensors").is_file()
    assert f"push it later with: hf upload someone/model {folder}" in result.stderr


def test_tensorboard_gets_every_figure(corpus, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "logged"
    run_here(
        *("run_pretrain.py", "--corpus", "custom", "--data_dir", str(corpus), "--output_dir", str(folder)),
        *(*SMALL, "--max_steps", "4", "--eval_steps", "2", "--logging_steps", "2", "--report_to", "tensorboard"),
    )
    history = read(folder / "pretrain_results.json")["history"]
    [events] = {path.parent for path in folder.rglob("events.out.tfevents.*") if path.parent.name == "precode-pretrain"}
    logged = EventAccumulator(str(events)).Reload()
    for name in ("loss", "R_11@1", "learning_rate", "utterances_per_second"):
        values = [event.value for event in logged.Scalars(name)]
        assert values == pytest.approx([record[name] for record in history], rel=1e-5)
    log = read(folder / "pretrain_results.json")["training_log"]
    for name in ("loss", "learning_rate", "gradient_norm", "utterances_per_second", "seconds_to_the_end"):
        values = [event.value for event in logged.Scalars(f"train/{name}")]
        assert len(values) == 2 and values == pytest.approx([record[name] for record in log], rel=1e-5)
    assert logged.Scalars("train/resident_megabytes")[0].value > 100


def test_the_negatives_of_an_evaluation_are_the_same_every_time(pretrained, corpus, tmp_path):
    folder = tmp_path / "still"
    run_here(
        *("run_pretrain.py", "--model", str(pretrained), "--corpus", "custom", "--data_dir", str(corpus)),
        *("--max_steps", "3", "--eval_steps", "1", "--learning_rate", "1e-12", "--output_dir", str(folder)),
    )
    first, *others = read(folder / "pretrain_results.json")["history"]
    assert [record["R_11@1"] for record in others] == [first["R_11@1"]] * 2
