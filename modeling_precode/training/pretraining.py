"""The training loop of Conversation Completion, which can stop at any step and go on as if it had not."""

import logging
import math
import shutil
import sys
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
from datasets import Dataset
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase

from data_scripts.tools.whole_files import link_or_copy, replaced_files

from ..data_collator import PreCodeDataCollator
from ..evaluation.metrics import ConvComRecall
from ..sharing.model_card import write_model_card
from ..sharing.push import push_checkpoint
from ..sharing.run_summary import RunSummary
from .batches import DialogueLoader, WholeBatches
from .checkpoints import random_state, remove_old_checkpoints, set_random_state, whole_checkpoint
from .encoded_dialogues import INPUTS, EncodedDialogues
from .fingerprint import write_fingerprint
from .interruption import Interruption, raise_nonfinite
from .memory import memory_use
from .negatives import DialoguesWithNegatives
from .optimization import Schedule
from .original_recipe import original_modules

logger = logging.getLogger(__name__)

SELECTION_METRIC = "R_11@1"
EVALUATION_NEGATIVES = 10
WEIGHTS, BEST_WEIGHTS, STATE = "model.safetensors", "best_model.safetensors", "training_state.pt"


class Evaluation:
    """Recall on one split, with the corpus's negatives or those that a seed draws, the same in every run.

    A batch is one process's, whole, so that the recall is the same to the last digit on any number of processes.
    """

    def __init__(
        self,
        dialogues: Dataset,
        negatives_seed: int,
        batch_size: int,
        collator: PreCodeDataCollator,
        accelerator: Accelerator,
    ):
        if "negative_input_ids" in dialogues.column_names:
            columns = [name for name in INPUTS if name in dialogues.column_names]
            dataset = dialogues.select_columns([*columns, "negative_input_ids"])
        else:
            dataset = DialoguesWithNegatives(EncodedDialogues(dialogues), EVALUATION_NEGATIVES, negatives_seed)
        batches = WholeBatches(len(dataset), batch_size, accelerator.process_index, accelerator.num_processes)
        pinned = accelerator.device.type == "cuda"
        self.loader = DataLoader(
            dataset, batch_sampler=batches, collate_fn=collator, generator=torch.Generator(), pin_memory=pinned
        )
        self.accelerator = accelerator
        self.metric = ConvComRecall()

    @torch.no_grad()
    def __call__(self, model, interruption: Interruption | None = None) -> dict[str, float] | None:
        """The recalls, or None where the interruption came before they were known."""
        model.eval()
        rows = 0
        for batch in progress_bar(self.loader, "evaluating", self.accelerator):
            if interruption is not None and interruption.signal is not None:
                break
            batch = send_to_device(batch, self.accelerator.device, non_blocking=True)
            logits = model(**batch).logits.float()
            has_utterance = batch["attention_mask"].any(-1)
            is_target = torch.zeros_like(has_utterance)
            is_target[:, 1:-1] = has_utterance[:, 2:]
            scored = logits[is_target].cpu()
            self.metric.add_batch(predictions=scored.numpy(), references=[0] * len(scored))
            rows += len(scored)
        model.train()
        recalls = self.metric.compute() if rows else {}
        if interruption is not None and interruption.anywhere(self.accelerator):
            return None
        counts = gather_object([(rows, {name: round(value * rows) for name, value in recalls.items()})])
        names = next(hits for _, hits in counts if hits)
        total = sum(rows for rows, _ in counts)
        return {name: sum(hits.get(name, 0) for _, hits in counts) / total for name in names}


def progress_bar(iterable, description: str, accelerator: Accelerator, **kwargs):
    quiet = not accelerator.is_main_process or not sys.stderr.isatty()
    return tqdm(iterable, desc=description, disable=quiet, leave=False, dynamic_ncols=True, **kwargs)


@dataclass
class Progress:
    """How far a run is. Everything here is in its checkpoints.

    Args:
        step: updates done.
        epoch: of the next batch.
        batch: the next batch's place in the epoch.
        evaluated: the step of the last evaluation.
        utterances: seen.
        seconds: that the run took.
        evaluation_seconds: of these, spent in evaluations.
        bad_evaluations: since the best one.
        losses: the sum and number since the last log record, and since the last evaluation.
        best: the record of the best evaluation.
        history: a record an evaluation.
        training_log: a record every `logging_steps`.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    evaluated: int = 0
    utterances: int = 0
    seconds: float = 0.0
    evaluation_seconds: float = 0.0
    bad_evaluations: int = 0
    losses: dict[str, list[float]] = field(default_factory=lambda: {"log": [0.0, 0], "evaluation": [0.0, 0]})
    best: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    training_log: list[dict[str, Any]] = field(default_factory=list)

    def add_loss(self, loss: float) -> None:
        for total in self.losses.values():
            total[0] += loss
            total[1] += 1

    def mean_loss(self, since: str) -> float:
        """The mean since the last `log` or `evaluation`, which begins anew."""
        total, count = self.losses[since]
        self.losses[since] = [0.0, 0]
        return total / count


@dataclass
class Pretraining:
    """A run of Conversation Completion.

    Args:
        args: the settings of `run_pretrain.py`.
        model, optimizer: as `Accelerator.prepare` made them.
        loader: of a process's share of every batch.
        num_utterances: (dialogues,) of every training dialogue.
        dialogue_ids: of every training dialogue.
        validation: chooses the checkpoint.
        total_steps: at most.
        summary: of the run, from the best step and its scores.
        fingerprint: what a resumed run must have in common with this one.
    """

    args: Any
    accelerator: Accelerator
    model: torch.nn.Module
    tokenizer: PreTrainedTokenizerBase
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    loader: DialogueLoader
    num_utterances: np.ndarray
    dialogue_ids: list[str]
    validation: Evaluation
    total_steps: int
    summary: Callable[..., RunSummary]
    fingerprint: dict[str, Any]

    def __post_init__(self):
        self.progress = Progress()
        self.batches = self.loader.batch_sampler
        self.output_dir = Path(self.args.output_dir)
        steps_an_epoch = -(-len(self.batches) // self.args.gradient_accumulation_steps)
        self.eval_steps = min(self.args.eval_steps or steps_an_epoch, self.total_steps)
        self.checkpointing_steps = self.args.checkpointing_steps or self.eval_steps
        in_batch = self.unwrapped.config.convcom_objective == "in_batch_softmax"
        several = self.accelerator.num_processes > 1
        self.gather_candidates = several and in_batch and self.args.in_batch_candidates == "all"
        if self.args.recipe == "original":
            self.clipped = original_modules(self.unwrapped)
        else:
            self.clipped = [[p for p in self.unwrapped.parameters() if p.requires_grad]]
        self.stream = self.saved = None
        self.start, self.first_step = time.perf_counter(), 0

    @property
    def unwrapped(self) -> torch.nn.Module:
        return self.accelerator.unwrap_model(self.model)

    def run(self, interruption: Interruption) -> None:
        """Train to the end, with the best checkpoint in the output folder; or until an interruption, and exit."""
        progress, args = self.progress, self.args
        self.model.train()  # a loaded one is not
        bar = progress_bar(None, "pre-training", self.accelerator, total=self.total_steps, initial=progress.step)
        while True:
            due = progress.step % self.eval_steps == 0 or progress.step == self.total_steps
            if progress.step > progress.evaluated and due and not self.evaluate(interruption):
                self.stop(interruption)
            if progress.step >= self.total_steps or progress.bad_evaluations >= args.patience:
                break
            self.update()
            bar.update()
            if progress.step % self.checkpointing_steps == 0:
                self.save_checkpoint()
            if interruption.anywhere(self.accelerator):
                self.stop(interruption)
        bar.close()
        self.accelerator.wait_for_everyone()

    def update(self) -> None:
        """One step of the optimiser, over one or several batches."""
        progress, args, accelerator = self.progress, self.args, self.accelerator
        batches = self.next_batches()
        dialogues = np.concatenate([self.batches.dialogues(number) for number, _ in batches])
        utterances = self.num_utterances[dialogues]
        # Processes average their gradients, whatever their shares: the mean over all targets is what comes out.
        num_items = int(np.maximum(utterances - 2, 0).sum()) / accelerator.num_processes
        loss = torch.zeros((), device=accelerator.device)
        for _, batch in batches:
            last = batch is batches[-1][1]
            with nullcontext() if last else accelerator.no_sync(self.model):
                batch = send_to_device(batch, accelerator.device, non_blocking=True)
                part = self.model(**batch, num_items_in_batch=num_items, gather_candidates=self.gather_candidates).loss
                part.backward()
            loss += part.detach()
        loss = float(accelerator.reduce(loss, "mean"))
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
        """This process's share of the batches of the next step, each with its place in the epoch."""
        progress = self.progress
        if progress.batch == len(self.batches):
            progress.epoch, progress.batch, self.stream = progress.epoch + 1, 0, None
        if self.stream is None:
            if isinstance(self.loader.dataset, DialoguesWithNegatives):
                self.loader.dataset.redraw(progress.epoch)
            self.loader.set_epoch(progress.epoch, progress.batch)
            self.stream: Iterator = iter(self.loader)
        last = min(progress.batch + self.args.gradient_accumulation_steps, len(self.batches))
        return [(number, next(self.stream)) for number in range(progress.batch, last)]

    def elapsed(self) -> float:
        return self.progress.seconds + time.perf_counter() - self.start

    def log_step(self, learning_rate: float, norm: float) -> None:
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

    def evaluate(self, interruption: Interruption) -> bool:
        """Score the validation split, and keep the model where it is the best yet; false where interrupted."""
        progress, start = self.progress, time.perf_counter()
        recalls = self.validation(self.unwrapped, interruption)
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
        return True

    def save_best(self, recalls: dict[str, float]) -> None:
        args = self.args
        with replaced_files(self.output_dir) as folder:
            self.unwrapped.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            summary = self.summary(self.progress.step, validation=recalls)
            write_model_card(folder, args.hub_model_id or args.output_dir, "convcom", summary)
        if args.push_to_hub and args.hub_strategy == "best":
            push_checkpoint(self.output_dir, args.hub_model_id, args.hub_private_repo)

    def save_checkpoint(self) -> None:
        folder = self.output_dir / f"checkpoint-{self.progress.step}"
        if self.saved == folder:
            return
        self.save(folder)
        self.saved = folder
        if self.accelerator.is_main_process:
            remove_old_checkpoints(self.output_dir, self.args.save_total_limit, self.progress.step)

    def save(self, folder: Path, **more: Any) -> None:
        """Everything that is needed to go on, and files `NAME.pt` with more."""
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
        """Go on from a checkpoint, with its best weights in the output folder."""
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
                f"{self.accelerator.num_processes}: the batches stay the same, dropout does not"
            )
        if self.accelerator.process_index < len(processes):
            set_random_state(processes[self.accelerator.process_index])
        logger.info(f"Going on from {checkpoint}, after step {self.progress.step:,} of {self.total_steps:,}")

    def stop(self, interruption: Interruption) -> None:
        self.save_checkpoint()
        interruption.end(self.progress.step, self.accelerator)

    def stop_at_nonfinite(self, loss: float, norm: float, batches: list, dialogues: np.ndarray) -> None:
        step = self.progress.step + 1
        folder = self.output_dir / f"nonfinite-{step}"
        tensors = [{name: item for name, item in batch.items() if torch.is_tensor(item)} for _, batch in batches]
        self.save(folder, batches=gather_object([tensors]))
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient of the loss {loss:.4f} is {norm}"
        raise_nonfinite(folder, step, what, [self.dialogue_ids[int(i)] for i in dialogues], self.accelerator)


def log_line(split: str, record: dict) -> str:
    parts = [f"step {record['step']:,}", split]
    if "loss" in record:
        parts += [f"loss {record['loss']:.4f}", f"lr {record['learning_rate']:.2e}", f"{record['seconds']:.0f} s"]
        parts += [f"{record['utterances_per_second']:,.0f} utterances/s"]
    parts += [f"{name} {value:.4f}" for name, value in record.items() if name.startswith("R_")]
    return "  ".join(parts)
