"""Callbacks of fine-tuning, which complete the checkpoints that `Trainer` writes, clip gradients, and end a run.

Also saves the final model."""

import logging
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import gather_object
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase, TrainerCallback, TrainerState
from transformers.trainer_utils import SaveStrategy
from transformers.utils import SAFE_WEIGHTS_NAME

from data_scripts.tools.whole_files import read_json, replaced_files, write_json

from ..modeling_precode import PreCodeForUtteranceClassification
from ..sharing.model_card import write_model_card
from ..sharing.run_summary import RunSummary
from .checkpoints import (
    MANIFEST,
    clear_write_errors,
    finish_checkpoint,
    note_heads,
    remove_old_checkpoints,
    whole_checkpoint,
)
from .interruption import raise_nonfinite
from .multi_task import CorpusHeads
from .original_recipe import compute_as_original, original_modules

if TYPE_CHECKING:
    from .finetuning import UtteranceClassificationTrainer

logger = logging.getLogger(__name__)

TRAINING, STATE = "training.json", "trainer_state.json"


class CheckpointCallback(TrainerCallback):
    """Requests checkpoints besides those of the evaluations, completes every checkpoint, and ends an interrupted run.

    A checkpoint is complete once its manifest is written, which is done last.

    Args:
        trainer: The trainer of the run.
    """

    def __init__(self, trainer: "UtteranceClassificationTrainer"):
        self.trainer = trainer
        self.interrupted = False

    def on_train_begin(self, args, state, control, **kwargs):
        """Find the best checkpoint of a resumed run, and start the figures."""
        locate_best(self.trainer)
        self.trainer.figures.begin(state)

    def on_step_end(self, args, state, control, **kwargs):
        """Request a checkpoint if it is due or the run is interrupted."""
        trainer = self.trainer
        trainer.step_batches.clear()
        self.interrupted = trainer.interruption.anywhere(trainer.accelerator)
        due = args.checkpointing_steps and state.global_step % args.checkpointing_steps == 0
        # After the last step of an epoch, the evaluation of the epoch saves the checkpoint.
        steps_per_epoch = -(-len(trainer.batches) // args.gradient_accumulation_steps)
        last = args.save_strategy == SaveStrategy.EPOCH and state.global_step % steps_per_epoch == 0
        if (due or self.interrupted) and not last and state.global_step < state.max_steps:
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        """Complete the checkpoint, remove old ones, and end an interrupted run."""
        trainer, folder = self.trainer, Path(args.output_dir)
        trainer.accelerator.wait_for_everyone()
        best = locate_best(trainer)
        if args.should_save:
            checkpoint = folder / f"checkpoint-{state.global_step}"
            state.save_to_json(str(checkpoint / STATE))
            finished = control.should_training_stop
            write_json(checkpoint / TRAINING, {**trainer.figures.state_dict(), "finished": finished})
            finish_checkpoint(checkpoint)
            remove_old_checkpoints(folder, trainer.save_total_limit, state.global_step, keep=best)
        trainer.accelerator.wait_for_everyone()
        if self.interrupted:
            trainer.interruption.end(state.global_step, trainer.accelerator)


class OriginalProcedure(TrainerCallback):
    """Trains as the original does: with its computation, and without counting a score of 0 as an improvement."""

    def on_train_begin(self, args, state, control, model, lr_scheduler, **kwargs):
        """Prepare the model, and the best score of a new run."""
        compute_as_original(model)
        if state.global_step == 0:
            state.best_metric = lr_scheduler.best = 0.0


class PushBest(TrainerCallback):
    """Pushes every checkpoint that is better than all earlier ones, including those of earlier seeds.

    Args:
        trainer: The trainer of the run.
        earlier: The files with the results of earlier seeds; none by default.
    """

    def __init__(self, trainer: "UtteranceClassificationTrainer", earlier: Sequence[Path] = ()):
        self.trainer, self.earlier = trainer, earlier
        self.scores: dict[str, float] = {}

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        """Keep the scores for the model card."""
        self.scores = {name.removeprefix("eval_"): value for name, value in metrics.items() if "_f1" in name}

    def on_save(self, args, state, control, **kwargs):
        """Push the checkpoint if it is the best of all seeds so far."""
        if not state.is_world_process_zero or state.best_global_step != state.global_step:
            return
        metric, sign = args.metric_for_best_model, 1 if args.greater_is_better else -1
        done = [read_json(path)["scores"]["validation"][metric] for path in self.earlier if path.is_file()]
        if sign * state.best_metric > max((sign * value for value in done), default=-math.inf):
            self.trainer.save_model(scores={"validation": self.scores})
            self.trainer.push_checkpoint()


def locate_best(trainer: "UtteranceClassificationTrainer") -> Path | None:
    """Look for the best checkpoint in the output folder, which may have moved since the checkpoint was written.

    Returns:
        Its folder, or None if no evaluation has chosen a checkpoint.
    """
    step = trainer.state.best_global_step
    if not step:
        return None
    best = Path(trainer.args.output_dir) / f"checkpoint-{step}"
    trainer.state.best_model_checkpoint = str(best)
    return best


def load_best(trainer: "UtteranceClassificationTrainer", last: Path) -> None:
    """Load the weights of the best checkpoint, or those of the last one if no evaluation has chosen a checkpoint."""
    trainer.model.load_state_dict(load_file((locate_best(trainer) or last) / SAFE_WEIGHTS_NAME))


def read_training_state(checkpoint: Path) -> tuple[TrainerState, dict[str, Any]]:
    """Read `Trainer`'s state and, as [`CheckpointCallback`] wrote it, the rest of a checkpoint's state."""
    return TrainerState.load_from_json(str(checkpoint / STATE)), read_json(checkpoint / TRAINING)


@contextmanager
def no_incomplete_checkpoint(trainer: "UtteranceClassificationTrainer") -> Iterator[None]:
    """Remove the checkpoint that an error in training leaves incomplete.

    Raises:
        OSError: A checkpoint could not be written. The message says why, and what to do.
    """
    try:
        yield
    except Exception as error:
        incomplete = Path(trainer.args.output_dir) / f"checkpoint-{trainer.state.global_step}"
        if incomplete.is_dir() and not (incomplete / MANIFEST).is_file():
            shutil.rmtree(incomplete, ignore_errors=True)
            with clear_write_errors(incomplete):
                raise error
        raise


def clip_gradient(trainer: "UtteranceClassificationTrainer") -> float:
    """Clip the norm of the gradient, or with the original's recipe that of each of its modules, and return it.

    A norm that is not finite ends the run before the gradient changes the weights.
    """
    accelerator, model, limit = trainer.accelerator, trainer.model, trainer.settings.max_grad_norm or math.inf
    by_module = trainer.settings.recipe == "original"
    modules = original_modules(model) if by_module else [list(model.parameters())]
    norm = math.hypot(*(float(accelerator.clip_grad_norm_(parameters, limit)) for parameters in modules))
    # Scaled gradients of float16 may overflow. The scaler then skips the step and reduces the scale.
    if not math.isfinite(norm) and accelerator.scaler is None:
        stop_at_nonfinite(trainer, f"the gradient is {norm}")
    return norm


def stop_at_nonfinite(trainer: "UtteranceClassificationTrainer", problem: str) -> None:
    """Save the state before the step and the batches of the step, and end the run."""
    step, accumulated = trainer.state.global_step, trainer.args.gradient_accumulation_steps
    first = step * accumulated % (-(-len(trainer.batches) // accumulated) * accumulated)
    batches = range(first, min(first + accumulated, len(trainer.batches)))
    dialogues = np.concatenate([trainer.batches.dialogues(batch) for batch in batches])
    tensors = [
        {name: item.cpu() for name, item in batch.items() if torch.is_tensor(item)} for batch in trainer.step_batches
    ]
    gathered = gather_object([tensors])
    folder = Path(trainer.args.output_dir) / f"nonfinite-{step + 1}"
    if trainer.args.should_save:
        assert trainer.optimizer is not None and trainer.lr_scheduler is not None
        with whole_checkpoint(folder) as staging:
            trainer.accelerator.unwrap_model(trainer.model).save_pretrained(staging)
            trainer.processing_class.save_pretrained(staging)
            torch.save(trainer.optimizer.state_dict(), staging / "optimizer.pt")
            torch.save(trainer.lr_scheduler.state_dict(), staging / "scheduler.pt")
            torch.save(gathered, staging / "batches.pt")
            trainer.state.save_to_json(str(staging / STATE))
    trainer.accelerator.wait_for_everyone()
    ids = [trainer.dialogue_ids[i] for i in dialogues]
    raise_nonfinite(folder, step + 1, problem, ids, trainer.accelerator)


def save_checkpoints(
    folder: Path,
    model: PreCodeForUtteranceClassification,
    tokenizer: PreTrainedTokenizerBase,
    summary: RunSummary,
    heads: CorpusHeads | None = None,
) -> None:
    """Save a model with its tokenizer, the summary of its run and its model card.

    Args:
        folder: The folder.
        model: The model.
        tokenizer: The tokenizer of the model.
        summary: The summary of the run, for the card.
        heads: The heads of the model. Each is then saved as a model of its own, in a folder of its own in `folder`.
    """
    if heads is not None:
        note_heads(folder, list(heads.folders.values()))
        for corpus, name in heads.folders.items():
            summary_of_corpus = heads.summary(summary, corpus)
            save_checkpoints(folder / name, heads.checkpoint(model, summary_of_corpus), tokenizer, summary_of_corpus)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with replaced_files(folder) as files:
        model.save_pretrained(files)
        tokenizer.save_pretrained(files)
        write_model_card(files, str(folder), "erc", summary)
