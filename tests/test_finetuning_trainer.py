"""What `UtteranceClassificationTrainer` promises besides a plain run: half precision, repeated runs, schedules."""

import math

import pytest
import torch
from test_trainers import corpus, finetuning, folder, tokenizer  # noqa: F401

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
