"""What training promises when it is stopped or killed: nothing is lost, and a run that continues ends as if it had not
stopped."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from corpus_of_topics import write_corpus
from safetensors.torch import load_file
from test_scripts import TORCHRUN

import run_finetune
import run_pretrain
from modeling_precode.training import finetuning_checkpoints
from modeling_precode.training.batches import DialogueBatches
from modeling_precode.training.checkpoints import (
    begin_run,
    check_whole,
    checkpoints,
    find_checkpoint,
    newest_checkpoint,
    whole_checkpoint,
)
from modeling_precode.training.finetuning import UtteranceClassificationTrainer
from modeling_precode.training.finetuning_checkpoints import CheckpointCallback
from modeling_precode.training.interruption import Interruption
from modeling_precode.training.pretraining_loop import STATE, PretrainingLoop

ROOT = Path(__file__).resolve().parents[1]
TINY = "--corpus custom --hidden_size 8 --word_vector_size 8 --learning_rate 0.01"
PRETRAIN = "--batch_size 12 --eval_steps 6 --max_steps 18 --checkpointing_steps 4 --logging_steps 1"
FINETUNE = "--seeds 1 2 --num_train_epochs 2 --checkpointing_steps 3 --logging_strategy steps --logging_steps 2"

pytestmark = pytest.mark.usefixtures("no_state_of_another_test")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), sizes=(("train", 72), ("validation", 24), ("test", 24)))


@pytest.fixture
def train(monkeypatch, corpus):
    """`train(script, output, arguments)`: the script in this process, on the tiny corpus."""

    def run(script, output: Path, arguments: str, data: Path = corpus) -> None:
        command = f"{TINY} --data_dir {data} --output_dir {output} {arguments}"
        monkeypatch.setattr(sys, "argv", [script.__file__, *command.split()])
        script.main()

    return run


def results(output: Path) -> dict:
    [path] = [
        output / f"{task}_results.json"
        for task in ("pretrain", "finetune")
        if (output / f"{task}_results.json").exists()
    ]
    return json.loads(path.read_text())


def losses(output: Path) -> list[float]:
    return [record["loss"] for record in results(output)["training_log"]]


def rates(output: Path) -> list[float]:
    return [record["learning_rate"] for record in results(output)["training_log"]]


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def signalled_at(monkeypatch, owner, method: str, call: int, number: int = signal.SIGTERM) -> None:
    """Send this process a signal at the given call of a method."""
    original, calls = getattr(owner, method), []

    def signalled(*args, **kwargs):
        calls.append(None)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, method, signalled)


@pytest.mark.parametrize("job", ["pre-training", pytest.param("fine-tuning", marks=pytest.mark.slow)])
def test_kills_at_random_moments_lose_nothing(tmp_path, job):
    """`make faults` is the long version."""
    command = [sys.executable, str(ROOT / "tests" / "faults.py"), "--kills", "2", "--output_dir", str(tmp_path)]
    command += ["--scenarios", "kills", "--jobs", job]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 kills in" in result.stdout and "0 runs differ" in result.stdout


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_a_checkpoint_and_says_how_to_go_on(train, tmp_path, monkeypatch, caplog, number, status):
    caplog.set_level("INFO")
    train(run_pretrain, tmp_path / "whole", PRETRAIN)
    with monkeypatch.context() as context, pytest.raises(SystemExit) as end:
        signalled_at(context, PretrainingLoop, "update", 11, number)
        train(run_pretrain, tmp_path / "stopped", PRETRAIN)
    assert end.value.code == status
    assert newest_checkpoint(tmp_path / "stopped").name == "checkpoint-11"
    assert f"Stopped by {number.name} after step 11; to continue from there" in caplog.text
    assert not (tmp_path / "stopped" / "pretrain_results.json").exists()
    train(run_pretrain, tmp_path / "stopped", f"{PRETRAIN} --resume_from_checkpoint latest")
    assert "after step 11 of 18" in caplog.text
    assert_same_weights(tmp_path / "whole", tmp_path / "stopped")
    assert losses(tmp_path / "whole") == losses(tmp_path / "stopped")


def test_a_signal_in_an_evaluation_is_not_kept_waiting(train, tmp_path, monkeypatch):
    train(run_pretrain, tmp_path / "whole", PRETRAIN)
    with monkeypatch.context() as context, pytest.raises(SystemExit):
        signalled_at(context, PretrainingLoop, "evaluate", 2)
        train(run_pretrain, tmp_path / "stopped", PRETRAIN)
    assert newest_checkpoint(tmp_path / "stopped").name == "checkpoint-12"
    train(run_pretrain, tmp_path / "stopped", f"{PRETRAIN} --resume_from_checkpoint latest")
    assert_same_weights(tmp_path / "whole", tmp_path / "stopped")
    recalls = [[record["R_11@1"] for record in results(tmp_path / name)["history"]] for name in ("whole", "stopped")]
    assert recalls[0] == recalls[1] and len(recalls[0]) == 3


def test_finetuning_goes_on_at_the_seed_and_the_step_where_it_was(train, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    train(run_finetune, tmp_path / "whole", FINETUNE)
    with monkeypatch.context() as context, pytest.raises(SystemExit) as end:
        signalled_at(context, UtteranceClassificationTrainer, "training_step", 18 + 14)
        train(run_finetune, tmp_path / "stopped", FINETUNE)
    assert end.value.code == 143
    assert newest_checkpoint(tmp_path / "stopped" / "seed_2").name == "checkpoint-14"
    caplog.clear()
    with pytest.raises(ValueError, match="not in .*/stopped/seed_N of a seed of --seeds; give latest"):
        train(run_finetune, tmp_path / "stopped", f"{FINETUNE} --resume_from_checkpoint {tmp_path}/whole/seed_2")
    # A kill after the results leaves a checkpoint.
    shutil.copytree(
        tmp_path / "stopped" / "seed_2" / "checkpoint-14", tmp_path / "stopped" / "seed_1" / "checkpoint-14"
    )
    train(run_finetune, tmp_path / "stopped", f"{FINETUNE} --resume_from_checkpoint latest")
    assert "seed 1 is finished" in caplog.text and "after step 14 of 18" in caplog.text
    assert not list((tmp_path / "stopped").glob("seed_*/checkpoint-*"))
    for folder in ("seed_1", "seed_2", "."):
        assert_same_weights(tmp_path / "whole" / folder, tmp_path / "stopped" / folder)
    whole, stopped = (results(tmp_path / name) for name in ("whole", "stopped"))
    assert whole["test_mean"] == stopped["test_mean"]
    histories = [json.loads((tmp_path / name / "seed_2" / "results.json").read_text()) for name in ("whole", "stopped")]
    assert [[record.get("loss"), record.get("eval_loss")] for record in histories[0]["history"]] == [
        [record.get("loss"), record.get("eval_loss")] for record in histories[1]["history"]
    ]


@pytest.mark.parametrize("script", [run_pretrain, run_finetune])
def test_the_originals_recipe_goes_on_too(train, tmp_path, monkeypatch, script):
    settings = {
        run_pretrain: "--max_epochs 2 --logging_steps 1 --checkpointing_steps 5",
        run_finetune: "--seeds 1 --num_train_epochs 2 --checkpointing_steps 5",
    }[script]
    settings = f"--recipe original --dropout 0.3 {settings}"
    train(script, tmp_path / "whole", settings)
    owner, method = {
        run_pretrain: (PretrainingLoop, "update"),
        run_finetune: (UtteranceClassificationTrainer, "training_step"),
    }[script]
    with monkeypatch.context() as context, pytest.raises(SystemExit):
        signalled_at(context, owner, method, 100)
        train(script, tmp_path / "stopped", settings)
    train(script, tmp_path / "stopped", f"{settings} --resume_from_checkpoint latest")
    assert_same_weights(tmp_path / "whole", tmp_path / "stopped")


def test_a_checkpoint_that_is_not_whole_is_left_out_with_a_word(train, tmp_path, monkeypatch, caplog):
    settings = f"{PRETRAIN} --save_total_limit 9"
    train(run_pretrain, tmp_path / "whole", settings)
    shutil.copytree(tmp_path / "whole", tmp_path / "broken")
    (tmp_path / "broken" / "checkpoint-16" / STATE).unlink()
    with open(tmp_path / "broken" / "checkpoint-12" / "model.safetensors", "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    shutil.copytree(tmp_path / "whole" / "checkpoint-16", tmp_path / "broken" / ".checkpoint-17.partial")
    caplog.set_level("INFO")
    train(run_pretrain, tmp_path / "broken", f"{settings} --resume_from_checkpoint latest")
    assert f"checkpoint-16 is not a complete checkpoint of training: {STATE} is missing" in caplog.text
    assert "checkpoint-12 is not a complete checkpoint of training: model.safetensors was changed" in caplog.text
    assert "after step 8 of 18" in caplog.text
    assert_same_weights(tmp_path / "whole", tmp_path / "broken")
    assert not (tmp_path / "broken" / ".checkpoint-17.partial").exists()
    (tmp_path / "whole" / "checkpoint-4" / "config.json").unlink()
    with pytest.raises(
        FileNotFoundError, match="checkpoint-4 is not a complete checkpoint of training: config.json is missing"
    ):
        train(run_pretrain, tmp_path / "whole", f"{settings} --resume_from_checkpoint {tmp_path}/whole/checkpoint-4")


@pytest.mark.parametrize(
    ("owner", "method", "call", "left"), [(Path, "rename", 2, "first"), (shutil, "rmtree", 3, "second")]
)
def test_a_kill_while_a_checkpoint_is_replaced_leaves_one_of_the_two(tmp_path, monkeypatch, owner, method, call, left):
    checkpoint, mine = tmp_path / "run" / "checkpoint-10", tmp_path / "run" / ".venv.old"

    def write(content: str) -> None:
        with whole_checkpoint(checkpoint) as staging:
            (staging / "file").write_text(content)

    write("first")
    mine.mkdir()
    if (child := os.fork()) == 0:
        try:
            signalled_at(monkeypatch, owner, method, call, signal.SIGKILL)
            write("second")
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    shutil.copytree(tmp_path / "run", tmp_path / "again")
    assert find_checkpoint("latest", tmp_path / "run") == checkpoint
    begin_run(tmp_path / "run", {}, resuming=True, overwrite=False)
    assert (checkpoint / "file").read_text() == left
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"checkpoint-10", ".run", ".venv.old"}
    begin_run(tmp_path / "again", {}, resuming=False, overwrite=False)
    assert {path.name for path in (tmp_path / "again").iterdir()} == {".run", ".venv.old"}


def test_a_given_checkpoint_is_gone_on_from_in_a_new_folder_too(train, tmp_path):
    train(run_pretrain, tmp_path / "whole", f"{PRETRAIN} --save_total_limit 2")
    assert [step for step, _ in checkpoints(tmp_path / "whole")] == [12, 16]
    shutil.move(tmp_path / "whole" / "checkpoint-12", tmp_path / "moved")
    train(run_pretrain, tmp_path / "new", f"{PRETRAIN} --resume_from_checkpoint {tmp_path / 'moved'}")
    assert_same_weights(tmp_path / "whole", tmp_path / "new")
    assert [step for step, _ in checkpoints(tmp_path / "new")] == [16]
    # The folder of another run is refused, and keeps its model.
    train(run_pretrain, tmp_path / "other", f"{PRETRAIN} --max_steps 4 --seed 7")
    before = (tmp_path / "other" / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="other is from another run: --seed is 1 and was 7"):
        train(run_pretrain, tmp_path / "other", f"{PRETRAIN} --resume_from_checkpoint {tmp_path / 'moved'}")
    assert (tmp_path / "other" / "model.safetensors").read_bytes() == before


def test_a_signal_before_the_first_step_in_a_new_folder_leaves_a_checkpoint_there(train, tmp_path, monkeypatch):
    train(run_pretrain, tmp_path / "whole", f"{PRETRAIN} --save_total_limit 2")
    with monkeypatch.context() as context, pytest.raises(SystemExit):
        signalled_at(context, PretrainingLoop, "evaluate", 1)
        train(run_pretrain, tmp_path / "new", f"{PRETRAIN} --resume_from_checkpoint {tmp_path}/whole/checkpoint-12")
    assert newest_checkpoint(tmp_path / "new").name == "checkpoint-12"
    train(run_pretrain, tmp_path / "new", f"{PRETRAIN} --resume_from_checkpoint latest")
    assert_same_weights(tmp_path / "whole", tmp_path / "new")


@pytest.mark.parametrize("script", ["run_pretrain.py", pytest.param("run_finetune.py", marks=pytest.mark.slow)])
def test_a_signal_to_two_processes_saves_one_checkpoint(corpus, tmp_path, script):
    settings = f"{TINY} --data_dir {corpus} --output_dir {tmp_path / 'run'} --checkpointing_steps 100000"
    length = (
        "--max_steps 100000 --max_epochs 100000"
        if script == "run_pretrain.py"
        else "--num_train_epochs 10000 --patience 10000"
    )
    command = [sys.executable, *TORCHRUN, str(ROOT / script), *settings.split(), *length.split()]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    with open(tmp_path / "printed", "w") as printed:
        process = subprocess.Popen(command, env=environment, stdout=printed, stderr=subprocess.STDOUT)
        try:
            end = time.monotonic() + 280
            while not re.search(r"(epoch|step) [\d,]+  validation", said := (tmp_path / "printed").read_text()):
                assert process.poll() is None and time.monotonic() < end, said
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=120)
        finally:
            process.kill()
    said = (tmp_path / "printed").read_text()
    assert "Stopped by SIGTERM after step" in said and "error:" not in said, said
    check_whole(newest_checkpoint(tmp_path / "run" if script == "run_pretrain.py" else tmp_path / "run" / "seed_1"))


def test_an_overwritten_run_that_is_stopped_leaves_nothing_of_the_earlier_one_but_files_of_the_user(
    train, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    train(run_finetune, folder, "--seeds 1 2 --num_train_epochs 1")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match="--overwrite_output_dir would delete --model .*run/seed_1; give another"):
        train(run_finetune, folder, f"--model {folder}/seed_1 --overwrite_output_dir")
    with monkeypatch.context() as context, pytest.raises(SystemExit):
        signalled_at(context, CheckpointCallback, "on_step_end", 2)
        train(run_finetune, folder, "--seeds 1 --num_train_epochs 1 --overwrite_output_dir")
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    left = {name for name in left if not name.startswith("seed_1/checkpoint-2/")}
    assert left == {"notes.txt", ".run/fingerprint.json", "seed_1/.run/fingerprint.json"}


def test_latest_begins_where_there_is_nothing_yet(train, tmp_path):
    train(run_pretrain, tmp_path / "new", f"{PRETRAIN} --resume_from_checkpoint latest")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="not empty"):
        train(run_pretrain, tmp_path / "mine", f"{PRETRAIN} --resume_from_checkpoint latest")


CHANGES = {
    "--learning_rate 0.02": "--learning_rate is 0.02 and was 0.01",
    "--dropout 0.2": "--dropout is 0.2 and was 0.1",
    "--seed 5": "--seed is 5 and was 1",
    "--batch_size 13": "--batch_size is 13 and was 12",
    "--mixed_precision bf16": "--mixed_precision is 'bf16' and was 'no'",
    "--lr_scheduler_type linear": "--lr_scheduler_type is 'linear' and was 'plateau'",
    "--min_count 1": "--min_count is 1 and was 2",
}


def test_a_run_with_another_corpus_vocabulary_or_setting_is_refused_with_what_differs(train, tmp_path, corpus):
    common = f"{PRETRAIN} --lr_scheduler_type plateau"
    first = f"{common} --max_steps 4"
    train(run_pretrain, tmp_path / "run", first)
    for change, named in CHANGES.items():
        AcceleratorState._reset_state(reset_partial_state=True)
        with pytest.raises(ValueError, match="is from another run") as error:
            train(run_pretrain, tmp_path / "run", f"{first} {change} --resume_from_checkpoint latest")
        assert named in str(error.value)
    AcceleratorState._reset_state(reset_partial_state=True)
    other = shutil.copytree(corpus, tmp_path / "other")
    changed = (other / "train.jsonl").read_text().replace("cake", "party", 1)
    (other / "train.jsonl").write_text(changed)
    with pytest.raises(ValueError, match="is from another run") as error:
        train(run_pretrain, tmp_path / "run", f"{first} --resume_from_checkpoint latest", data=other)
    assert "the train split's digest is" in str(error.value)
    # What does not change the result may change, and a run may go on for longer.
    free = "--max_steps 8 --logging_steps 2 --save_total_limit 3 --checkpointing_steps 1 --eval_batch_size 5"
    train(run_pretrain, tmp_path / "run", f"{common} {free} --resume_from_checkpoint latest")
    train(run_pretrain, tmp_path / "whole", f"{common} --max_steps 8")
    assert_same_weights(tmp_path / "run", tmp_path / "whole")


def test_finetuning_with_another_corpus_or_setting_is_refused_with_what_differs(train, tmp_path, corpus):
    settings = "--seeds 1 --num_train_epochs 1"
    train(run_finetune, tmp_path / "run", settings)
    for change in ("--learning_rate 0.5", "--warmup_steps 3", "--weight_decay 0.1", "--gradient_accumulation_steps 2"):
        with pytest.raises(ValueError, match=f"is from another run.*{change.split()[0]} is "):
            train(run_finetune, tmp_path / "run", f"{settings} {change} --resume_from_checkpoint latest")
    other = shutil.copytree(corpus, tmp_path / "other")
    changed = (other / "test.jsonl").read_text().replace("joy", "anger", 1)
    (other / "test.jsonl").write_text(changed)
    with pytest.raises(ValueError, match="the test split's digest is"):
        train(run_finetune, tmp_path / "run", f"{settings} --resume_from_checkpoint latest", data=other)


def test_a_checkpoint_that_is_due_at_the_end_of_an_epoch_is_saved_when_no_evaluation_saves_one(
    train, tmp_path, monkeypatch
):
    saved = []
    finish = finetuning_checkpoints.finish_checkpoint
    monkeypatch.setattr(
        finetuning_checkpoints, "finish_checkpoint", lambda folder: (saved.append(folder.name), finish(folder))
    )
    # An epoch has 9 steps.
    settings = "--seeds 1 --num_train_epochs 2 --eval_strategy steps --eval_steps 6 --checkpointing_steps 9"
    train(run_finetune, tmp_path / "run", settings)
    assert saved == ["checkpoint-6", "checkpoint-9", "checkpoint-12", "checkpoint-18"]


@pytest.fixture
def ctrl_c():
    """As at a terminal: the processes that run tests side by side ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_signal_ends_at_once():
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("script", "length"), [(run_pretrain, "--max_steps 2"), (run_finetune, "--seeds 1 --max_steps 2")]
)
def test_training_works_in_a_thread_of_a_program_too(train, tmp_path, script, length):
    with ThreadPoolExecutor(1) as thread:
        thread.submit(train, script, tmp_path / "run", length).result()
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_negatives_and_batches_of_an_epoch_are_not_replayed(train, tmp_path, monkeypatch):
    """A run that goes on in its second epoch asks for that epoch's batches only."""
    settings = f"{PRETRAIN} --objective sampled_bce"
    train(run_pretrain, tmp_path / "whole", settings)
    shutil.rmtree(tmp_path / "whole" / "pretrain_results.json", ignore_errors=True)
    asked = []
    original = DialogueBatches.share
    monkeypatch.setattr(DialogueBatches, "share", lambda self, batch: asked.append(batch) or original(self, batch))
    train(run_pretrain, tmp_path / "whole", f"{settings} --resume_from_checkpoint latest")
    assert len(asked) == 2, "steps 17 and 18"
