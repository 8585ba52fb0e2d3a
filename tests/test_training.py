"""What the settings of training do: several processes, accumulation, precision, clipping, schedules, early stopping."""

import json
import math
import os
import sys
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from corpus_of_topics import write_corpus
from safetensors.torch import load_file
from test_scripts import TORCHRUN, run

import run_finetune
import run_pretrain
from modeling_precode import PreCodeForUtteranceClassification, PreCodeModel, PreCodeTokenizer
from modeling_precode.training import finetuning
from modeling_precode.training.processes import use_cores

TINY = "--corpus custom --hidden_size 8 --word_vector_size 8 --dropout 0"
PRETRAIN = "--batch_size 16 --eval_steps 6 --max_steps 12 --logging_steps 1 --learning_rate 0.01"
LAUNCH = "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --main_process_port 0"
LAUNCH = [*LAUNCH.split(), "--mixed_precision", "no", "--dynamo_backend", "no"]

pytestmark = pytest.mark.usefixtures("no_state_of_another_test")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), sizes=(("train", 192), ("validation", 25), ("test", 25)))


@pytest.fixture
def train(monkeypatch, corpus, tmp_path):
    """`train(arguments)`: pre-training in this process; returns its results, with its folder as `folder`."""

    def run_one(arguments: str, script=run_pretrain) -> dict:
        AcceleratorState._reset_state(reset_partial_state=True)
        output = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        new = "--corpus custom" if "--model" in arguments else TINY
        command = f"{new} --data_dir {corpus} --output_dir {output} {arguments}"
        monkeypatch.setattr(sys, "argv", [script.__file__, *command.split()])
        script.main()
        [path] = output.glob("*train_results.json") if script is run_pretrain else output.glob("finetune_results.json")
        return {**json.loads(path.read_text()), "folder": output}

    return run_one


def column(results: dict, name: str) -> list[float]:
    return [record[name] for record in results["training_log"]]


def weights(results: dict) -> dict[str, torch.Tensor]:
    return load_file(results["folder"] / "model.safetensors")


SEVERAL = "--batch_size 21 --gradient_accumulation_steps 2 --eval_batch_size 6 --eval_steps 25 --max_steps 50"
SEVERAL += " --max_epochs 50 --patience 9 --logging_steps 1 --learning_rate 0.01"


def test_two_processes_have_the_losses_and_the_evaluations_of_one_in_pretraining(train, corpus, tmp_path):
    """Shares are uneven, steps have several batches, and candidates come from the batches of both processes."""
    alone = train(SEVERAL)
    arguments = f"{TINY} {SEVERAL} --data_dir {corpus} --output_dir {tmp_path / 'two'}"
    printed = run(*LAUNCH, "run_pretrain.py", *arguments.split()).stdout
    assert "2 process(es) of 1 thread(s)" in printed
    together = json.loads((tmp_path / "two" / "pretrain_results.json").read_text())
    assert len(alone["training_log"]) == 50
    assert column(together, "loss") == pytest.approx(column(alone, "loss"), abs=1e-5)
    assert column(together, "gradient_norm") == pytest.approx(column(alone, "gradient_norm"), rel=1e-3)
    for one, other in zip(alone["history"], together["history"], strict=True):
        assert {name: one[name] for name in one if name.startswith("R_")} == {
            name: other[name] for name in other if name.startswith("R_")
        }
        assert one["utterances"] == other["utterances"]
    assert alone["scores"]["test"] == together["scores"]["test"]


@pytest.mark.slow
def test_in_batch_candidates_can_be_those_of_a_process(train, corpus, tmp_path):
    """Half the candidates are easier to tell apart; at the start, the loss is the logarithm of their number."""
    arguments = f"{TINY} {PRETRAIN} --batch_size 32 --max_steps 2 --data_dir {corpus} --output_dir {tmp_path / 'two'}"
    run(*LAUNCH, "run_pretrain.py", *arguments.split(), "--in_batch_candidates", "process")
    together = json.loads((tmp_path / "two" / "pretrain_results.json").read_text())
    alone = train(f"{PRETRAIN} --batch_size 32 --max_steps 2")
    assert column(alone, "loss")[0] - column(together, "loss")[0] == pytest.approx(math.log(2), abs=0.1)


def test_a_batch_of_a_process_needs_candidates_of_its_own(train):
    with pytest.raises(ValueError, match="--in_batch_candidates process: a process may get a single dialogue"):
        train("--batch_tokens 60 --max_steps 2 --in_batch_candidates process")


def test_two_processes_have_the_losses_and_the_scores_of_one_in_finetuning(train, corpus, tmp_path):
    common = "--num_train_epochs 5 --max_steps 50 --logging_strategy steps --logging_steps 1 --learning_rate 0.01"
    common += " --per_device_eval_batch_size 6 --gradient_accumulation_steps 2"
    alone = train(f"{common} --per_device_train_batch_size 10", run_finetune)
    arguments = f"{TINY} {common} --per_device_train_batch_size 5 --data_dir {corpus} --output_dir {tmp_path / 'two'}"
    printed = run(*TORCHRUN, "run_finetune.py", *arguments.split()).stdout
    assert "2 process(es) of 1 thread(s)" in printed
    assert printed.count("The checkpoint of the seed") == 1
    histories = [
        json.loads((folder / "seed_1" / "results.json").read_text())["history"]
        for folder in (alone["folder"], tmp_path / "two")
    ]
    losses = [[record["loss"] for record in history if "loss" in record] for history in histories]
    assert len(losses[0]) == 50
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    scores = [[record["eval_macro_f1"] for record in history if "eval_macro_f1" in record] for history in histories]
    assert scores[0] == scores[1]
    together = json.loads((tmp_path / "two" / "finetune_results.json").read_text())
    assert together["test_mean"] == alone["test_mean"]
    predictions = [(folder / "test_predictions.jsonl").read_text() for folder in (alone["folder"], tmp_path / "two")]
    assert predictions[0] == predictions[1]


def test_a_step_of_two_batches_is_a_step_of_one_twice_as_large(train):
    settings = f"{PRETRAIN} --objective sampled_bce"
    large = train(settings)
    small = train(f"{settings} --batch_size 8 --gradient_accumulation_steps 2")
    assert column(small, "loss") == pytest.approx(column(large, "loss"), abs=1e-5)
    for name, weight in weights(large).items():
        torch.testing.assert_close(weights(small)[name], weight, atol=1e-4, rtol=1e-4)


def test_dropout_begins_with_the_first_step_after_a_checkpoint_too(train):
    start = train(PRETRAIN)["folder"]
    first = [column(train(f"{PRETRAIN} --model {start} --dropout {dropout}"), "loss")[0] for dropout in ("0", "0.9")]
    assert first[1] != pytest.approx(first[0], abs=0.01)


def test_bf16_computes_in_half_precision_and_keeps_whole_weights(train):
    plain, half = train(PRETRAIN), train(f"{PRETRAIN} --mixed_precision bf16")
    assert column(half, "loss") != column(plain, "loss")
    assert column(half, "loss") == pytest.approx(column(plain, "loss"), rel=0.02)
    assert {weight.dtype for weight in weights(half).values()} == {torch.float32}


@pytest.mark.parametrize("script", [run_pretrain, run_finetune])  # with a new head, and with that of the checkpoint
def test_a_checkpoint_in_half_precision_is_trained_in_float32(train, checkpoint, script):
    model = PreCodeForUtteranceClassification.from_pretrained(checkpoint)
    model.to(torch.bfloat16).save_pretrained(checkpoint)
    trained = weights(train(f"--model {checkpoint} --max_steps 2 --learning_rate 1e-5", script))
    assert {weight.dtype for weight in trained.values()} == {torch.float32}
    saved = load_file(checkpoint / "model.safetensors")
    steps = torch.cat([(trained[name] - saved[name]).abs().flatten() for name in saved if name in trained])
    # A step in bfloat16 would be rounded away, or to a multiple of its much larger spacing.
    assert 0 < steps.max() < 1e-4


def test_fine_tuning_in_bf16_needs_no_gpu(train):
    settings = "--num_train_epochs 2 --learning_rate 0.01"
    plain, half = train(settings, run_finetune), train(f"{settings} --bf16", run_finetune)
    assert weights(half).keys() == weights(plain).keys()
    differences = {name: (weights(half)[name] - weight).abs().max() for name, weight in weights(plain).items()}
    assert 0 < max(differences.values()) < 0.05, "it rounds, and no more"
    assert {weight.dtype for weight in weights(half).values()} == {torch.float32}


def test_fine_tuning_in_the_precision_of_the_launcher_says_so(train, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert train("--num_train_epochs 1", run_finetune)["settings"]["bf16"] is True


@pytest.mark.parametrize("script", [run_pretrain, run_finetune])
def test_no_batch_has_its_places_worked_out_on_the_device(train, monkeypatch, script):
    """A GPU would wait for that, in every step."""
    monkeypatch.delattr(PreCodeModel, "layout")
    train("--max_steps 2", script)


def test_a_clipped_gradient_moves_the_weights_less(train):
    """Adam divides by the gradient's size, but for its epsilon of 1e-8."""
    settings = "--batch_size 16 --max_steps 1 --logging_steps 1"
    free = train(f"{settings} --learning_rate 1e-2 --max_grad_norm 1e9")
    clipped = train(f"{settings} --learning_rate 1e-2 --max_grad_norm 1e-12")
    start = train(f"{settings} --learning_rate 1e-30")
    moved = [
        max((weights(run)[name] - weight).abs().max() for name, weight in weights(start).items())
        for run in (free, clipped)
    ]
    assert moved[0] > 5e-3 and moved[1] < 1e-5
    assert column(free, "gradient_norm") == column(clipped, "gradient_norm"), "that before the clip"


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0, 0.25, 0.5, 0.75] + [1] * 8),
        ("linear", [0, 0.25, 0.5, 0.75] + [1 - i / 8 for i in range(8)]),
        ("cosine", [0, 0.25, 0.5, 0.75] + [(1 + math.cos(math.pi * i / 8)) / 2 for i in range(8)]),
        ("plateau", [0.2, 0.4, 0.6, 0.8] + [1] * 8),
    ],
)
def test_the_learning_rate_warms_up_and_follows_its_schedule(train, schedule, expected):
    results = train(f"{PRETRAIN} --eval_steps 12 --lr_scheduler_type {schedule} --warmup_steps 4")
    assert column(results, "learning_rate") == pytest.approx([0.01 * factor for factor in expected], abs=1e-9)


def test_a_short_run_warms_up_for_a_tenth_of_its_steps(train):
    results = train("--batch_size 16 --eval_steps 24 --max_steps 24 --logging_steps 1 --learning_rate 0.01")
    assert results["settings"]["warmup_steps"] == 2
    assert column(results, "learning_rate")[:4] == pytest.approx([0, 0.005, 0.01, 0.0099490], rel=1e-4)


def test_the_learning_rate_decays_and_training_stops_where_the_dev_metric_does_not_improve(train):
    settings = "--batch_size 16 --eval_steps 1 --max_steps 9 --logging_steps 1 --learning_rate 1e-6 --patience 3"
    results = train(f"{settings} --lr_scheduler_type plateau --lr_factor 0.5 --min_learning_rate 3e-7")
    assert len(results["history"]) == 4, "the first one, and three that are no better"
    assert column(results, "learning_rate") == pytest.approx([1e-6, 1e-6, 5e-7, 3e-7])


def test_batches_can_be_of_so_many_tokens(train):
    results = train("--batch_tokens 300 --max_epochs 1 --eval_steps 99")
    [record] = results["history"]
    assert record["utterances"] > 0 and record["step"] == pytest.approx(192 * 5 * 4 / 300, rel=0.2)


def test_a_process_takes_its_share_of_the_cores_unless_told_otherwise(monkeypatch):
    cores = len(os.sched_getaffinity(0))
    threads = torch.get_num_threads()
    try:
        use_cores(torch.device("cpu"))
        assert torch.get_num_threads() == threads, "OMP_NUM_THREADS says how many"
        monkeypatch.delenv("OMP_NUM_THREADS")
        for processes in (1, 2, 10**6):
            monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
            use_cores(torch.device("cpu"))
            assert torch.get_num_threads() == max(cores // processes, 1)
    finally:
        torch.set_num_threads(threads)


def test_the_vocabulary_is_counted_once_for_all_seeds(train, monkeypatch):
    counted, original = [], PreCodeTokenizer.train
    monkeypatch.setattr(PreCodeTokenizer, "train", lambda *args: counted.append(None) or original(*args))
    train("--seeds 1 2 --max_steps 1", run_finetune)
    assert len(counted) == 1


def test_a_push_that_fails_while_training_does_not_cost_the_run(train, capfd):
    results = train(f"{PRETRAIN} --eval_steps 3 --push_to_hub --hub_strategy best --hub_model_id someone/model")
    assert (results["folder"] / "model.safetensors").is_file()
    assert capfd.readouterr().err.count("push it later with: hf upload someone/model") >= 2
    results = train("--num_train_epochs 2 --push_to_hub --hub_strategy best --hub_model_id someone/model", run_finetune)
    assert (results["folder"] / "model.safetensors").is_file()
    assert capfd.readouterr().err.count("push it later with: hf upload someone/model") >= 2


def test_only_what_is_better_than_every_checkpoint_before_is_pushed(train, monkeypatch):
    """Of the seeds before, too."""
    pushed = []

    def push(folder, name, *args):
        folder = Path(folder)
        summary = json.loads((folder / "config.json").read_text())["training_summary"]
        pushed.append((name or folder.name, summary["scores"]["validation"]["weighted_f1"]))

    for module in (run_finetune, finetuning):
        monkeypatch.setattr(module, "push_checkpoint", push)
    command = "--seeds 1 2 3 --num_train_epochs 3 --push_to_hub --hub_strategy best --learning_rate 0.01"
    results = train(command, run_finetune)
    assert {name for name, _ in pushed} == {results["folder"].name}
    *pushed, (_, last) = pushed
    scores = [score for _, score in pushed]
    assert scores == sorted(set(scores)) and last == scores[-1]
    pushed.clear()
    train("--num_train_epochs 1 --push_to_hub --hub_strategy best --metric_for_best_model accuracy", run_finetune)
    assert len(pushed) == 2


def test_a_plateau_of_fine_tuning_is_one_of_the_metric_that_chooses(train):
    schedule = '--lr_scheduler_type reduce_lr_on_plateau --lr_scheduler_kwargs {"patience":0,"factor":0.5}'
    results = train(f"--num_train_epochs 6 {schedule}", run_finetune)
    [run] = [json.loads(path.read_text()) for path in results["folder"].glob("seed_*/results.json")]
    scores = [record["eval_weighted_f1"] for record in run["history"] if "eval_weighted_f1" in record]
    rates = [record["learning_rate"] for record in run["history"] if "learning_rate" in record]
    best = [max(scores[:end], default=-1) for end in range(len(scores))]
    expected = [rate * (1 if score > before else 0.5) for rate, score, before in zip(rates, scores, best, strict=True)]
    assert rates[1:] == pytest.approx(expected[:-1]) and 1 < len(set(rates)) < len(rates)


def test_workers_that_load_change_nothing(train):
    alone, loaded = (
        train(f"--num_train_epochs 1 --dataloader_num_workers {workers}", run_finetune) for workers in (0, 1)
    )
    assert all(torch.equal(weight, weights(loaded)[name]) for name, weight in weights(alone).items())
    assert alone["test_mean"] == loaded["test_mean"]


@pytest.mark.parametrize(("tracker", "left"), [("wandb", "*.wandb"), ("trackio", "precode-pretrain.db")])
def test_trackers_work_without_a_network(train, tmp_path, monkeypatch, tracker, left):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip(tracker)  # reads TRACKIO_DIR
    train(f"{PRETRAIN} --max_steps 6 --report_to {tracker}")
    assert list(tmp_path.rglob(left))
