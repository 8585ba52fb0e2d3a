"""What the trainers promise besides a plain run: half precision, repeated runs, other schedules."""

import math

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from datasets import concatenate_datasets
from test_trainers import corpus, finetuning, folder, pretraining, tokenizer  # noqa: F401
from transformers import TrainerCallback

pytestmark = pytest.mark.usefixtures("no_state_of_another_test")


def records(trainer, name: str) -> list[float]:
    return [record[name] for record in trainer.state.log_history if name in record]


def test_gradients_of_float16_are_unscaled_clipped_and_logged(finetuning):  # noqa: F811
    trainer = finetuning(num_train_epochs=1, max_grad_norm=1e-3, logging_strategy="steps", logging_steps=1)
    # A CPU has a scaler too, but Accelerate creates one only for a GPU.
    trainer.accelerator.scaler, trainer.accelerator.native_amp = torch.amp.GradScaler("cpu"), True
    trainer.accelerator.state._mixed_precision = "fp16"
    clipped = []
    trainer.create_optimizer().register_step_pre_hook(
        lambda optimizer, args, kwargs: clipped.append(
            torch.nn.utils.get_total_norm([p.grad for p in trainer.model.parameters() if p.grad is not None])
        )
    )
    trainer.train()
    norms = records(trainer, "grad_norm")
    assert len(norms) == len(clipped) == 5 and all(0.01 < norm < 100 for norm in norms)
    assert all(math.isclose(norm, 1e-3, rel_tol=1e-2) for norm in clipped)


def test_scores_and_temperature_are_those_of_the_trained_model(finetuning, corpus, tmp_path):  # noqa: F811
    trainer = finetuning(num_train_epochs=1)
    trainer.model.config.temperature = 7.0
    untrained = trainer.predict(corpus["validation"]).predictions
    trainer.predict(corpus["test"])
    trainer.calibrate()
    trainer.train()
    assert trainer.scores == {} and trainer.model.config.temperature == 1 and trainer.summary({}).calibration is None
    trainer.calibrate()
    trained = trainer.predictions["validation"].predictions
    assert trainer.scores.keys() == {"validation"} and not np.allclose(trained, untrained)
    assert trainer.model.config.temperature == trainer.calibration["temperature"]


def test_the_card_of_pretraining_has_no_score_of_the_untrained_model(pretraining, corpus):  # noqa: F811
    trainer = pretraining()
    trainer.evaluate(corpus["test"], "test")
    trainer.train()
    assert trainer.scores.keys() == {"validation"}


class Score(TrainerCallback):
    """Replaces the validation score."""

    def __init__(self, value: float):
        self.value = value

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        metrics["eval_weighted_f1"] = self.value


def test_a_finished_run_that_chose_no_checkpoint_keeps_its_last_weights(finetuning):  # noqa: F811
    settings = {"recipe": "original", "lr_scheduler_type": "reduce_lr_on_plateau", "num_train_epochs": 2}
    first, again = (finetuning([Score(0.0)], **settings) for _ in range(2))
    first.train()
    assert first.state.best_model_checkpoint is None
    again.train(resume_from_checkpoint=True)
    one, other = (trainer.model.state_dict() for trainer in (first, again))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_trainer_trains_again_and_logs_the_losses_of_the_second_run(finetuning):  # noqa: F811
    trainer = finetuning(num_train_epochs=2, overwrite_output_dir=True)
    trainer.train()
    first = records(trainer, "loss")
    trainer.train()
    again = records(trainer, "loss")
    assert len(again) == 2 and all(0 < loss <= first[-1] * 1.5 for loss in again)


class Kill(TrainerCallback):
    """Ends the process, as far as the trainer can tell, after a step."""

    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def history(trainer) -> list[dict]:
    """The log of a run without times, speed and memory."""
    names = ("step", "epoch", "loss", "grad_norm", "learning_rate", "eval_loss", "eval_weighted_f1")
    return [{name: record[name] for name in names if name in record} for record in trainer.state.log_history[:-1]]


def test_a_run_that_is_killed_inside_an_epoch_ends_as_if_it_had_not_been(finetuning, tmp_path):  # noqa: F811
    settings = {"checkpointing_steps": 2, "eval_on_start": True, "patience": 2}
    whole = finetuning(output_dir=str(tmp_path / "whole"), **settings)
    whole.train()
    with pytest.raises(KeyboardInterrupt):
        finetuning([Kill(8)], output_dir=str(tmp_path / "killed"), **settings).train()
    resumed = finetuning(output_dir=str(tmp_path / "killed"), **settings)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 15 and history(resumed) == history(whole)
    one, other = (trainer.model.state_dict() for trainer in (whole, resumed))
    assert all(torch.equal(one[name], other[name]) for name in one)


class Rise(TrainerCallback):
    """Replaces the validation score by one that rises."""

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        metrics["eval_weighted_f1"] = state.epoch / 10


def test_a_greedy_schedule_raises_the_learning_rate_while_the_metric_rises(finetuning):  # noqa: F811
    options = {"patience": 0, "factor": 0.5, "min_lr": 1e-3}
    trainer = finetuning([Rise()], lr_scheduler_type="greedy", lr_scheduler_kwargs=options)
    trainer.train()
    assert records(trainer, "learning_rate") == pytest.approx([0.02, 0.04, 0.08])
    assert trainer.lr_scheduler.min_lrs[0] == 1e-3


def test_a_step_without_labels_has_no_loss_with_label_smoothing(finetuning, corpus):  # noqa: F811
    without = corpus["train"].map(lambda row: {"labels": [-1] * len(row["labels"])}, features=corpus["train"].features)
    corpus["train"] = concatenate_datasets([without.select(range(20)), corpus["train"].select(range(2))])
    settings = {"label_smoothing_factor": 0.1, "per_device_train_batch_size": 1, "num_train_epochs": 1}
    trainer = finetuning(**settings, logging_strategy="steps", logging_steps=1)
    trainer.train()
    losses = records(trainer, "loss")
    assert len(losses) == 22 and losses.count(0) == 20


@pytest.mark.parametrize("in_terminal", [True, False])
def test_no_dictionaries_of_logged_values_are_printed(finetuning, capsys, in_terminal):  # noqa: F811
    finetuning(num_train_epochs=1, disable_tqdm=not in_terminal).train()
    printed = capsys.readouterr()
    assert "'loss'" not in printed.out and "'eval_loss'" not in printed.out
    assert ("5/5" in printed.err) == in_terminal


def test_a_checkpoint_is_scored_in_the_precision_that_it_was_trained_in(finetuning, corpus, tmp_path):  # noqa: F811
    trained = finetuning(bf16=True, num_train_epochs=1)
    trained.train()
    for bf16 in (True, False):
        scored = finetuning(output_dir=str(tmp_path / "scored"), bf16=bf16)
        scored.model.load_state_dict(trained.model.state_dict())
        one, other = (trainer.predict(corpus["test"]).predictions for trainer in (trained, scored))
        assert np.array_equal(one, other) == bf16
        AcceleratorState._reset_state()  # which keeps the precision of the first trainer
