"""`Trainer` for dialogues: batches that do not depend on the number of processes, and checkpoints that are whole."""

import logging
import math
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader
from transformers import EvalPrediction, PreTrainedModel, Trainer, TrainerCallback
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import EvalLoopOutput

from data_scripts.tools.whole_files import partial_path, read_json, write_json

from ..data_collator import IGNORED_LABEL
from .batches import DialogueBatches, DialogueLoader, WholeBatches
from .checkpoints import remove_old_checkpoints, whole_checkpoint
from .encoded_dialogues import INPUTS, EncodedDialogues
from .interruption import Interruption, raise_nonfinite
from .memory import memory_use
from .optimization import floors, parameter_groups
from .original_recipe import OriginalBatches, OriginalOrder

logger = logging.getLogger(__name__)

LOSSES, STATE = "losses.json", "trainer_state.json"


class DialogueTrainer(Trainer):
    """Trains on the same batches on any number of processes, scores them the same, and goes on from a checkpoint as
    if it had never stopped.

    Args:
        interruption: makes it save a checkpoint and exit.
        checkpointing_steps: save a checkpoint every so many steps, besides those of the save strategy.
        save_total_limit: keep so many checkpoints, and the best one.
        original_order: take the dialogues in the order of the original implementation.
        text_encoder_learning_rate, layer_decay: of a trained text encoder, as in [`parameter_groups`].
    """

    def __init__(
        self,
        *,
        interruption: Interruption,
        checkpointing_steps: int | None,
        save_total_limit: int | None,
        original_order: bool,
        text_encoder_learning_rate: float | None = None,
        layer_decay: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.interruption = interruption
        self.checkpointing_steps = checkpointing_steps
        self.save_total_limit = save_total_limit
        self.rates = (text_encoder_learning_rate, layer_decay)
        self.folder = Path(self.args.output_dir)
        num_utterances, num_tokens = EncodedDialogues(self.train_dataset).sizes()
        self.num_utterances = int(num_utterances.sum())
        batch_size = self.args.per_device_train_batch_size * self.args.world_size
        if original_order:
            self.batches = OriginalBatches(OriginalOrder(len(self.train_dataset), self.args.seed), batch_size)
        else:
            place = (self.args.process_index, self.args.world_size)
            self.batches = DialogueBatches(num_tokens, self.args.seed, batch_size, None, *place)
        # The sum of the losses since the last log record, and the step of that record.
        self.losses, self.logged = 0.0, 0
        # This process's share of the batches of the step.
        self.step_batches: list[dict[str, Any]] = []
        self.dialogue_ids: list[str] = self.train_dataset["dialogue_id"]
        self.staging: Path | None = None
        self.add_callback(_Keeper(self))

    def create_optimizer(self, model: PreTrainedModel | None = None) -> torch.optim.Optimizer:
        """`Trainer`'s, where a text encoder has learning rates of its own."""
        optimizer = super().create_optimizer() if model is None else super().create_optimizer(model)
        groups, optimizer.param_groups = optimizer.param_groups, []
        for group in parameter_groups(self.model, self.args.learning_rate, *self.rates, groups):
            optimizer.add_param_group(group)
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None):
        """`Trainer`'s, of which `reduce_lr_on_plateau` takes a lower metric for a better one, and has one lowest
        learning rate for all."""
        if self.args.lr_scheduler_type == "reduce_lr_on_plateau":
            mode = "max" if self.args.greater_is_better else "min"
            self.args.lr_scheduler_kwargs = {"mode": mode, **(self.args.lr_scheduler_kwargs or {})}
        scheduler = super().create_scheduler(num_training_steps, optimizer)
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.min_lrs = floors(scheduler.optimizer, scheduler.min_lrs[0])
        return scheduler

    def get_train_dataloader(self) -> DataLoader:
        columns = [name for name in (*INPUTS, "labels") if name in self.train_dataset.column_names]
        return DialogueLoader(self.train_dataset.select_columns(columns), self.batches, **self.loading())

    def get_eval_dataloader(self, eval_dataset=None) -> DataLoader:
        return self.get_test_dataloader(self.eval_dataset if eval_dataset is None else eval_dataset)

    def get_test_dataloader(self, test_dataset) -> DataLoader:
        columns = [name for name in (*INPUTS, "labels") if name in test_dataset.column_names]
        place = (self.args.process_index, self.args.world_size)
        batches = WholeBatches(len(test_dataset), self.args.per_device_eval_batch_size, *place)
        dialogues = test_dataset.select_columns(columns)
        return DataLoader(dialogues, batch_sampler=batches, generator=torch.Generator(), **self.loading())

    def loading(self) -> dict[str, Any]:
        """The settings of the loaders."""
        workers = self.args.dataloader_num_workers
        pinned = self.args.dataloader_pin_memory and self.args.device.type == "cuda"
        return {"collate_fn": self.data_collator, "num_workers": workers, "pin_memory": pinned}

    def evaluation_loop(
        self, dataloader, description, prediction_loss_only=None, ignore_keys=None, metric_key_prefix="eval"
    ) -> EvalLoopOutput:
        """Every process scores whole batches; their rows are put together in the order of the corpus."""
        self.callback_handler.eval_dataloader = dataloader
        self.model.eval()
        rows, loss = [], 0.0
        for batch in dataloader:
            # Not `prediction_step`, which waits for the other processes, and they may have a batch less.
            with torch.no_grad():
                output = self.model(**self._prepare_inputs(batch))
            loss += float(output.loss) * int((batch["labels"] != IGNORED_LABEL).sum())
            rows.append((output.logits.float().cpu().numpy(), batch["labels"].numpy()))
            self.control = self.callback_handler.on_prediction_step(self.args, self.state, self.control)
        gathered = gather_object([(rows, loss)])
        batches = [
            shares[i]
            for i in range(max(len(shares) for shares, _ in gathered))
            for shares, _ in gathered
            if i < len(shares)
        ]
        logits, labels = (_stack([batch[part] for batch in batches]) for part in (0, 1))
        metrics = dict(self.compute_metrics(EvalPrediction(predictions=logits, label_ids=labels)))
        metrics["loss"] = sum(share for _, share in gathered) / max(int((labels != IGNORED_LABEL).sum()), 1)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in metrics.items()}
        return EvalLoopOutput(predictions=logits, label_ids=labels, metrics=metrics, num_samples=len(labels))

    def training_step(self, model, inputs, num_items_in_batch=None) -> torch.Tensor:
        self.step_batches.append(inputs)
        loss = super().training_step(model, inputs, num_items_in_batch)
        value = float(self.accelerator.reduce(loss, "mean"))
        if not math.isfinite(value):
            self.stop_at_nonfinite(f"the loss is {value}")
        self.losses += value
        return loss

    def _get_grad_norm(self, model, grad_norm=None) -> torch.Tensor:
        norm = super()._get_grad_norm(model, grad_norm)
        # Scaled gradients of float16 may overflow: that step is not taken, and the scale goes down.
        if self.accelerator.scaler is None and not math.isfinite(norm):
            self.stop_at_nonfinite(f"the gradient is {float(norm)}")
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            # `Trainer` counts from where a run was resumed.
            logs["loss"] = self.losses / (self.state.global_step - self.logged)
            self.losses, self.logged = 0.0, self.state.global_step
            seconds, epochs = time.perf_counter() - self.start, self.state.epoch - self.first_epoch
            logs["utterances_per_second"] = self.num_utterances * epochs / seconds
            logs.update(memory_use(self.args.device))
            left = self.state.max_steps - self.state.global_step
            logs["seconds_to_the_end"] = seconds / (self.state.global_step - self.first_step) * left
        super().log(logs, start_time)

    def _get_output_dir(self, trial) -> str:
        return str(self.staging or self.folder)

    def _save_checkpoint(self, model, trial) -> None:
        """`Trainer`'s checkpoint, which is there when it is whole, and only then takes the place of an older one."""
        step = self.state.global_step
        self.write_checkpoint(self.folder / f"checkpoint-{step}")
        if self.args.should_save:
            best = self.state.best_model_checkpoint
            remove_old_checkpoints(self.folder, self.save_total_limit, step, keep=Path(best) if best else None)

    def write_checkpoint(self, folder: Path, **more: Any) -> None:
        """Write a folder with everything that is needed to go on, and files `NAME.pt` with more."""
        main = self.args.should_save
        with whole_checkpoint(folder) if main else nullcontext(partial_path(folder)) as self.staging:
            self.accelerator.wait_for_everyone()
            super()._save_checkpoint(self.model, None)
            self.accelerator.wait_for_everyone()
            staging, self.staging = self.staging, None
            self.find_best()
            if main:
                written = staging / f"checkpoint-{self.state.global_step}"
                for path in written.iterdir():
                    path.rename(staging / path.name)
                written.rmdir()
                self.state.save_to_json(str(staging / STATE))
                write_json(staging / LOSSES, {"losses": self.losses, "logged": self.logged})
                for name, value in more.items():
                    torch.save(value, staging / f"{name}.pt")
        self.accelerator.wait_for_everyone()

    def find_best(self) -> None:
        """The best checkpoint is where it is now, and not where it was written or when the folder had another name."""
        if self.state.best_global_step:
            self.state.best_model_checkpoint = str(self.folder / f"checkpoint-{self.state.best_global_step}")

    def train_from(self, checkpoint: Path | None) -> None:
        """Train from the start, or go on from a checkpoint; end with the best model."""
        if checkpoint is None:
            self.train()
            return
        saved = read_json(checkpoint / LOSSES)
        self.losses, self.logged = saved["losses"], saved["logged"]
        state = TrainerState.load_from_json(str(checkpoint / STATE))
        logger.info(f"  going on from {checkpoint}, after step {state.global_step:,} of {state.max_steps:,}")
        if not state.stateful_callbacks["TrainerControl"]["args"]["should_training_stop"]:
            self.train(resume_from_checkpoint=str(checkpoint))
            return
        # It was the last one: only the scores are missing.
        self.state = state
        self.find_best()
        self._load_best_model()
        self.model = self.accelerator.prepare_model(self.model, evaluation_mode=True)

    def stop_at_nonfinite(self, what: str) -> None:
        step, accumulated = self.state.global_step, self.args.gradient_accumulation_steps
        first = step * accumulated % (-(-len(self.batches) // accumulated) * accumulated)
        numbers = range(first, min(first + accumulated, len(self.batches)))
        dialogues = np.concatenate([self.batches.dialogues(number) for number in numbers])
        folder = self.folder / f"nonfinite-{step + 1}"
        tensors = [
            {name: item.cpu() for name, item in batch.items() if torch.is_tensor(item)} for batch in self.step_batches
        ]
        self.write_checkpoint(folder, batches=gather_object([tensors]))
        raise_nonfinite(folder, step + 1, what, [self.dialogue_ids[i] for i in dialogues], self.accelerator)


class _Keeper(TrainerCallback):
    """Asks for the checkpoints of a `DialogueTrainer` that its save strategy does not."""

    def __init__(self, trainer: DialogueTrainer):
        self.trainer = trainer
        self.told = False

    def on_train_begin(self, args, state, control, **kwargs):
        trainer = self.trainer
        trainer.find_best()
        trainer.start, trainer.first_step, trainer.first_epoch = (
            time.perf_counter(),
            state.global_step,
            state.epoch or 0,
        )

    def on_step_end(self, args, state, control, **kwargs):
        trainer = self.trainer
        trainer.step_batches.clear()
        self.told = trainer.interruption.anywhere(trainer.accelerator)
        due = trainer.checkpointing_steps and state.global_step % trainer.checkpointing_steps == 0
        # A checkpoint of an epoch's last step is one of its evaluation too, which comes next.
        last = state.global_step % -(-len(trainer.batches) // args.gradient_accumulation_steps) == 0
        if (due or self.told) and not last and state.global_step < state.max_steps:
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        if self.told:
            self.trainer.interruption.end(state.global_step, self.trainer.accelerator)


def _stack(batches: list[np.ndarray]) -> np.ndarray:
    """Batches of dialogues -> one, padded to the longest dialogue as in a batch."""
    width = max(batch.shape[1] for batch in batches)
    padding = [[(0, 0), (0, width - batch.shape[1]), *[(0, 0)] * (batch.ndim - 2)] for batch in batches]
    padded = [np.pad(batch, pad, constant_values=IGNORED_LABEL) for batch, pad in zip(batches, padding, strict=True)]
    return np.concatenate(padded)
