"""What training promises when it cannot go on: an error that says why, and nothing lost.

The disk may be full, and a loss or a gradient may be no number.
"""

import gc
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_resume import PRETRAIN, assert_same_weights, corpus, train  # noqa: F401

import run_finetune
import run_pretrain
from modeling_precode import PreCodeForConversationCompletion, PreCodeForUtteranceClassification
from modeling_precode.training.checkpoints import newest_checkpoint
from modeling_precode.training.finetuning_checkpoints import CheckpointCallback
from modeling_precode.training.pretraining_loop import STATE, PretrainingLoop

pytestmark = pytest.mark.usefixtures("no_state_of_another_test")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of four megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]).returncode
    ):
        pytest.skip("mounting a file system is not permitted here")
    yield disk
    gc.collect()  # a trainer holds the lock on its folder
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("script", [run_pretrain, run_finetune])
def test_a_full_disk_is_an_error_that_leaves_the_last_checkpoint(train, tmp_path, small_disk, script):  # noqa: F811
    settings = {run_pretrain: PRETRAIN, run_finetune: "--seeds 1 --num_train_epochs 3 --checkpointing_steps 3"}[script]
    settings += " --save_total_limit 2"
    train(script, tmp_path / "whole", settings)
    output, filler = small_disk / "run", small_disk / "filler"
    written = []

    def fill(checkpoint: Path) -> None:
        written.append(checkpoint.name)
        if len(written) == 2:
            filler.write_bytes(b"0" * (shutil.disk_usage(small_disk).free - 4096))

    save, on_save = PretrainingLoop.save, CheckpointCallback.on_save
    with pytest.MonkeyPatch.context() as context:
        context.setattr(
            PretrainingLoop, "save", lambda self, folder, **more: (save(self, folder, **more), fill(folder))
        )
        context.setattr(
            CheckpointCallback,
            "on_save",
            lambda self, args, state, control, **more: (
                on_save(self, args, state, control, **more),
                fill(Path(args.output_dir) / f"checkpoint-{state.global_step}"),
            )[0],
        )
        with pytest.raises(OSError, match="could not be written: .*Make room, and run the same command with --resume"):
            train(script, output, settings)
    checkpoint = newest_checkpoint(output if script is run_pretrain else output / "seed_1")
    assert checkpoint.name == written[1]
    assert not list(output.rglob(".*.partial"))
    filler.unlink()
    train(script, output, f"{settings} --resume_from_checkpoint latest")
    assert_same_weights(tmp_path / "whole", output)


def test_a_loss_that_is_no_number_stops_the_run_with_everything_to_look_into(train, tmp_path):  # noqa: F811
    output = tmp_path / "run"
    with pytest.raises(
        ValueError, match=r"step \d+: the loss is (nan|inf) for the dialogues .*nonfinite-\d+ has"
    ) as error:
        settings = "--lr_scheduler_type constant --dropout 0.5 --learning_rate 1e38 --checkpointing_steps 1"
        train(run_pretrain, output, f"{PRETRAIN} {settings}")
    [folder] = output.glob("nonfinite-*")
    names = json.loads((folder / "dialogues.json").read_text())
    assert len(names) == 12 and all(name in str(error.value) for name in names[:5])
    [[batch]] = torch.load(folder / "batches.pt", weights_only=True)
    model = PreCodeForConversationCompletion.from_pretrained(folder).train()
    assert not math.isfinite(model(**batch).loss.item())
    step = int(folder.name.removeprefix("nonfinite-"))
    assert torch.load(folder / STATE, weights_only=True)["progress"]["step"] == step - 1
    assert newest_checkpoint(output).name == f"checkpoint-{step - 1}"


def test_a_loss_that_is_no_number_stops_finetuning_too(train, tmp_path):  # noqa: F811
    with pytest.raises(ValueError, match=r"step \d+: the loss is (nan|inf) for the dialogues .*nonfinite-\d+ has"):
        train(run_finetune, tmp_path / "run", "--seeds 1 --learning_rate 1e37 --num_train_epochs 2")
    [folder] = tmp_path.rglob("nonfinite-*")
    assert len(json.loads((folder / "dialogues.json").read_text())) == 8
    [[batch]] = torch.load(folder / "batches.pt", weights_only=True)
    assert not math.isfinite(PreCodeForUtteranceClassification.from_pretrained(folder)(**batch).loss.item())
    assert {"batches.pt", "model.safetensors", "optimizer.pt"} <= {path.name for path in folder.iterdir()}


def test_a_gradient_that_is_no_number_stops_finetuning_before_the_step(train, tmp_path, monkeypatch, corpus):  # noqa: F811
    train(run_finetune, tmp_path / "start", "--seeds 1 --max_steps 1")
    model = PreCodeForUtteranceClassification.from_pretrained(tmp_path / "start")
    with torch.no_grad():
        model.classifier.output.weight *= 1e25
    model.save_pretrained(tmp_path / "start")
    command = f"--model {tmp_path / 'start'} --corpus custom --data_dir {corpus} --output_dir {tmp_path / 'run'}"
    monkeypatch.setattr(sys, "argv", [run_finetune.__file__, *command.split()])
    with pytest.raises(ValueError, match=r"step 1: the gradient is (inf|nan) for the dialogues .*nonfinite-1 has"):
        run_finetune.main()
    [folder] = tmp_path.rglob("nonfinite-1")
    assert_same_weights(tmp_path / "start", folder)
