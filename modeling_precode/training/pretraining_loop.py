"""The pre-training loop: steps, evaluations and checkpoints. Stopping and resuming it does not change the result."""

import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, send_to_device
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase, TrainerCallback, TrainerControl, TrainerState
from transformers.utils import SAFE_WEIGHTS_NAME

from data_scripts.tools.progress import ProgressLines
from data_scripts.tools.whole_files import link_or_copy, replaced_files

from ..modeling_precode import PreCodeForConversationCompletion
from ..sharing.model_card import write_model_card
from ..sharing.push import push_checkpoint
from ..sharing.run_summary import RunSummary
from .batches import DialogueLoader
from .checkpoints import random_state, remove_old_checkpoints, set_random_state, whole_checkpoint
from .fingerprint import write_fingerprint
from .interruption import Interruption, raise_nonfinite
from .masking import MaskedDialogues
from .memory import memory_use
from .negatives import DialoguesWithNegatives
from .optimization import Schedule
from .original_recipe import original_modules
from .pretraining_arguments import ConversationCompletionArguments
from .progress import Progress, log_line
from .recall import RecallEvaluation

logger = logging.getLogger(__name__)

SELECTION_METRIC = "R_11@1"
WEIGHTS, BEST_WEIGHTS, STATE = SAFE_WEIGHTS_NAME, "best_model.safetensors", "training_state.pt"


@dataclass
class PretrainingLoop:
    """A run of Conversation Completion, from the first or a later step to the end.

    Args:
        args: The settings.
        accelerator: The accelerator of the run.
        model: The model, from `Accelerator.prepare`.
        tokenizer: The tokenizer, which is saved with the model.
        optimizer: The optimizer, from `Accelerator.prepare`.
        schedule: The learning rate schedule.
        loader: The loader of this process's share of every batch.
        num_utterances, num_targets: (dialogues,) the numbers of utterances and of targets of every training dialogue.
        dialogue_ids: The id of every training dialogue.
        validation: The evaluation that chooses the checkpoint.
        total_steps: The maximum number of steps.
        summary: Returns the summary of the run from the best step and its scores.
        fingerprint: The values that a resumed run must share with this one.
        callbacks: Callbacks that receive every event. They may set `control.should_training_stop`.
    """

    args: ConversationCompletionArguments
    accelerator: Accelerator
    model: torch.nn.Module
    tokenizer: PreTrainedTokenizerBase
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    loader: DialogueLoader
    num_utterances: np.ndarray
    num_targets: np.ndarray
    dialogue_ids: list[str]
    validation: RecallEvaluation
    total_steps: int
    summary: Callable[..., RunSummary]
    fingerprint: dict[str, Any]
    callbacks: list[TrainerCallback] = field(default_factory=list)

    def __post_init__(self):
        self.progress = Progress()
        self.control = TrainerControl()
        self.batches = self.loader.batch_sampler
        self.output_dir = Path(self.args.output_dir)
        steps_per_epoch = -(-len(self.batches) // self.args.gradient_accumulation_steps)
        self.eval_steps = min(self.args.eval_steps or steps_per_epoch, self.total_steps)
        self.checkpointing_steps = self.args.checkpointing_steps or self.eval_steps
        in_batch = self.unwrapped.config.convcom_objective == "in_batch_softmax"
        several = self.accelerator.num_processes > 1
        self.gather_candidates = several and in_batch and self.args.in_batch_candidates == "all"
        if self.args.recipe == "original":
            self.clipped = original_modules(self.unwrapped)
        else:
            self.clipped = [[p for p in self.unwrapped.parameters() if p.requires_grad]]
        self.stream: Iterator | None = None
        self.saved = None
        self.start, self.first_step = time.perf_counter(), 0

    @property
    def unwrapped(self) -> PreCodeForConversationCompletion:
        """The model without the wrapper for several processes."""
        return self.accelerator.unwrap_model(self.model)

    def run(self, interruption: Interruption) -> None:
        """Train to the end, with the best checkpoint in the output folder, or exit after an interruption."""
        progress, args = self.progress, self.args
        self.model.train()  # `from_pretrained` returns it in evaluation mode
        silent = not self.accelerator.is_main_process
        lines = ProgressLines("pre-training", self.total_steps, progress.step, silent=silent)
        self.notify("on_train_begin")
        while True:
            due = progress.step % self.eval_steps == 0 or progress.step == self.total_steps
            due |= self.control.should_training_stop and not progress.best  # or there would be no checkpoint
            if progress.step > progress.evaluated and due and not self.evaluate(interruption):
                self.stop(interruption)
            if progress.step >= self.total_steps or progress.bad_evaluations >= args.patience:
                break
            if self.control.should_training_stop:
                break
            self.update()
            lines.update()
            self.notify("on_step_end")
            if progress.step % self.checkpointing_steps == 0 or self.control.should_save:
                self.save_checkpoint()
            if interruption.anywhere(self.accelerator):
                self.stop(interruption)
        lines.close()
        self.accelerator.wait_for_everyone()
        self.notify("on_train_end")

    def notify(self, event: str, **details: Any) -> None:
        """Call every callback with an event, as `Trainer` does."""
        best = self.progress.best
        state = TrainerState(
            epoch=self.progress.epoch + self.progress.batch / len(self.batches),
            global_step=self.progress.step,
            max_steps=self.total_steps,
            log_history=[*self.progress.training_log, *self.progress.history],
            best_metric=best.get(SELECTION_METRIC),
            best_global_step=best.get("step"),
            is_local_process_zero=self.accelerator.is_local_main_process,
            is_world_process_zero=self.accelerator.is_main_process,
        )
        self.control.should_save = False
        for callback in self.callbacks:
            details |= {"model": self.unwrapped, "processing_class": self.tokenizer, "optimizer": self.optimizer}
            changed = getattr(callback, event)(self.args, state, self.control, **details)
            self.control = changed or self.control

    def update(self) -> None:
        """Do one step of the optimizer, over one or several batches."""
        progress, args, accelerator = self.progress, self.args, self.accelerator
        batches = self.next_batches()
        dialogues = np.concatenate([self.batches.dialogues(number) for number, _ in batches])
        utterances = self.num_utterances[dialogues]
        # Processes average their gradients. With this divisor the result is the mean over the targets of all processes.
        num_items = int(self.num_targets[dialogues].sum()) / accelerator.num_processes
        total = torch.zeros((), device=accelerator.device)
        for _, batch in batches:
            last = batch is batches[-1][1]
            with nullcontext() if last else accelerator.no_sync(self.model):
                batch = send_to_device(batch, accelerator.device, non_blocking=True)
                part = self.model(**batch, num_items_in_batch=num_items, gather_candidates=self.gather_candidates).loss
                part.backward()
            total += part.detach()
        loss = float(accelerator.reduce(total, "mean"))
        norms = [accelerator.clip_grad_norm_(parameters, args.max_grad_norm) for parameters in self.clipped]
        norm = float(torch.stack(norms).norm())
        if not math.isfinite(loss) or not math.isfinite(norm):
            self.stop_at_nonfinite(loss, norm, batches, dialogues)
        learning_rate = self.optimizer.param_groups[0]["lr"]
        self.optimizer.step()
        self.schedule.after_step()
        self.optimizer.zero_grad()
        progress.step += 1
        progress.batch += len(batches)
        progress.utterances += int(utterances.sum())
        progress.add_loss(loss)
        if progress.step % args.logging_steps == 0:
            self.log_step(learning_rate, norm)

    def next_batches(self) -> list[tuple[int, dict[str, torch.Tensor]]]:
        """This process's share of the batches of the next step, each with its index in the epoch."""
        progress = self.progress
        if progress.batch == len(self.batches):
            progress.epoch, progress.batch, self.stream = progress.epoch + 1, 0, None
        if self.stream is None:
            if isinstance(self.loader.dataset, DialoguesWithNegatives | MaskedDialogues):
                self.loader.dataset.redraw(progress.epoch)
            self.loader.set_epoch(progress.epoch, progress.batch)
            self.stream = iter(self.loader)
        last = min(progress.batch + self.args.gradient_accumulation_steps, len(self.batches))
        return [(number, next(self.stream)) for number in range(progress.batch, last)]

    def elapsed(self) -> float:
        """The duration of the run in seconds, with the parts before it was resumed."""
        return self.progress.seconds + time.perf_counter() - self.start

    def log_step(self, learning_rate: float, norm: float) -> None:
        """Log the figures since the last record. `norm` is the norm of the gradient before clipping."""
        progress = self.progress
        done = progress.step - self.first_step
        record = {
            "step": progress.step,
            "loss": progress.mean_loss("log"),
            "learning_rate": learning_rate,
            "gradient_norm": norm,
            "utterances_per_second": progress.utterances / (self.elapsed() - progress.evaluation_seconds),
            "seconds_to_the_end": (time.perf_counter() - self.start) / done * (self.total_steps - progress.step),
            **memory_use(self.accelerator.device),
        }
        progress.training_log.append(record)
        self.accelerator.log(
            {f"train/{name}": value for name, value in record.items() if name != "step"}, step=progress.step
        )
        self.notify("on_log", logs=record)

    def evaluate(self, interruption: Interruption) -> bool:
        """Score the validation split, and save the model if it is the best so far.

        Returns:
            Whether the evaluation was completed, and not interrupted.
        """
        progress, start = self.progress, time.perf_counter()
        recalls, _ = self.validation(self.unwrapped, interruption)
        if recalls is None:
            return False
        training_seconds = self.elapsed() - (time.perf_counter() - start) - progress.evaluation_seconds
        progress.evaluation_seconds += time.perf_counter() - start
        progress.evaluated = progress.step
        record = {
            "step": progress.step,
            "epoch": progress.epoch + 1,
            "utterances": progress.utterances,
            "utterances_per_second": progress.utterances / training_seconds,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "loss": progress.mean_loss("evaluation"),
            **recalls,
            "seconds": self.elapsed(),
        }
        progress.history.append(record)
        self.accelerator.log({name: value for name, value in record.items() if name != "step"}, step=progress.step)
        logger.info(log_line("validation", record))
        self.schedule.after_evaluation(record[SELECTION_METRIC])
        improved = record[SELECTION_METRIC] > progress.best.get(SELECTION_METRIC, 0)
        progress.bad_evaluations = 0 if improved else progress.bad_evaluations + 1
        if improved or not progress.best:
            progress.best = record
            if self.accelerator.is_main_process:
                self.save_best(recalls)
        self.notify("on_evaluate", metrics={f"eval_{name}": value for name, value in record.items()})
        return True

    def save_best(self, recalls: dict[str, float]) -> None:
        """Save the model with its card in the output folder, and push it if the settings say so."""
        args = self.args
        with replaced_files(self.output_dir) as folder:
            self.unwrapped.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            summary = self.summary(self.progress.step, validation=recalls)
            write_model_card(folder, args.hub_model_id or args.output_dir, "convcom", summary)
        if args.push_to_hub and args.hub_strategy == "best":
            push_checkpoint(self.output_dir, args.hub_model_id, args.hub_private_repo)

    def save_checkpoint(self) -> None:
        """Save a checkpoint of this step, unless there is one, and remove old ones."""
        folder = self.output_dir / f"checkpoint-{self.progress.step}"
        if self.saved == folder:
            return
        self.save(folder)
        self.saved = folder
        if self.accelerator.is_main_process:
            remove_old_checkpoints(self.output_dir, self.args.save_total_limit, self.progress.step)
        self.notify("on_save")

    def save(self, folder: Path, **more: Any) -> None:
        """Write everything that a resumed run needs.

        Args:
            folder: The folder of the checkpoint.
            more: Further objects, each for a file `NAME.pt`.
        """
        processes = gather_object([random_state()])
        if not self.accelerator.is_main_process:
            return
        state = {
            "progress": {**asdict(self.progress), "seconds": self.elapsed()},
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": processes,
        }
        with whole_checkpoint(folder) as staging:
            self.unwrapped.save_pretrained(staging)
            self.tokenizer.save_pretrained(staging)
            torch.save(state, staging / STATE)
            for name, value in more.items():
                torch.save(value, staging / f"{name}.pt")
            if self.progress.best:
                link_or_copy(self.output_dir / WEIGHTS, staging / BEST_WEIGHTS)
            write_fingerprint(staging, self.fingerprint)

    def load(self, checkpoint: Path) -> None:
        """Resume from a checkpoint, and copy its best weights into the output folder."""
        state = torch.load(checkpoint / STATE, map_location="cpu", weights_only=True)
        self.progress = Progress(**state["progress"])
        self.first_step = self.progress.step
        if checkpoint.resolve().parent == self.output_dir.resolve():
            self.saved = self.output_dir / checkpoint.name
        self.unwrapped.load_state_dict(load_file(checkpoint / WEIGHTS))
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.progress.best and self.accelerator.is_main_process:
            with replaced_files(self.output_dir) as folder:
                self.unwrapped.save_pretrained(folder)
                self.tokenizer.save_pretrained(folder)
                shutil.copy(checkpoint / BEST_WEIGHTS, folder / WEIGHTS)
        processes = state["random"]
        if len(processes) != self.accelerator.num_processes:
            logger.info(
                f"{checkpoint} was saved by {len(processes)} process(es), and this run has "
                f"{self.accelerator.num_processes}: the batches are the same, but dropout is not"
            )
        if self.accelerator.process_index < len(processes):
            set_random_state(processes[self.accelerator.process_index])
        logger.info(f"Resuming from {checkpoint}, after step {self.progress.step:,} of {self.total_steps:,}")

    def stop(self, interruption: Interruption) -> None:
        """Save a checkpoint, and exit."""
        self.save_checkpoint()
        interruption.end(self.progress.step, self.accelerator)

    def stop_at_nonfinite(self, loss: float, norm: float, batches: list, dialogues: np.ndarray) -> None:
        """Save the state and the batches of the failed step, and end the run."""
        step = self.progress.step + 1
        folder = self.output_dir / f"nonfinite-{step}"
        tensors = [{name: item for name, item in batch.items() if torch.is_tensor(item)} for _, batch in batches]
        self.save(folder, batches=gather_object([tensors]))
        problem = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient of the loss {loss:.4f} is {norm}"
        raise_nonfinite(folder, step, problem, [self.dialogue_ids[int(i)] for i in dialogues], self.accelerator)
