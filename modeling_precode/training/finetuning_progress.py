"""The progress of fine-tuning: a line per evaluation, a progress bar or a line per minute, and the logged figures."""

import logging
import time
from typing import Any

import torch
from transformers import ProgressCallback, TrainerCallback, TrainerState

from data_scripts.tools.progress import ProgressLines

from .memory import memory_use

logger = logging.getLogger(__name__)


class LogLine(TrainerCallback):
    """One line of log per evaluation.

    Args:
        metric: The metric in the line.
    """

    def __init__(self, metric: str):
        self.metric = metric

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        """Log the metric of an evaluation."""
        if state.is_world_process_zero and f"eval_{self.metric}" in metrics:
            name = f"eval_{self.metric}"
            line = f"  epoch {state.epoch or 0:.0f}  validation {self.metric} {metrics[name]:.4f}"
            of_corpora = {key: value for key, value in metrics.items() if key.startswith(f"{name}_of_")}
            shown = "  ".join(f"{key.removeprefix(f'{name}_of_')} {value:.4f}" for key, value in of_corpora.items())
            logger.info(f"{line} (mean)  {shown}" if shown else line)


class MinuteLines(TrainerCallback):
    """Logs one line per minute; for a run without a terminal."""

    def on_train_begin(self, args, state, control, **kwargs):
        """Start the lines of progress."""
        silent = not state.is_world_process_zero
        self.lines = ProgressLines("fine-tuning", state.max_steps, state.global_step, silent=silent)

    def on_step_end(self, args, state, control, **kwargs):
        """Log a line if a minute has passed."""
        self.lines.update()


class Bar(ProgressCallback):
    """The progress bar of `Trainer`, without the dictionaries of logged values."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Show nothing. `ProgressCallback` would print the logged values."""


class TrainingFigures:
    """The figures of a log record: mean loss, speed, memory and the time that is left.

    Args:
        num_utterances: The number of training utterances.
    """

    def __init__(self, num_utterances: int):
        self.num_utterances = num_utterances
        # The sum of the losses since the last log record, and the step of that record.
        self.losses, self.logged = 0.0, 0
        self.start, self.first_step, self.first_epoch = time.perf_counter(), 0, 0.0

    def begin(self, state: TrainerState) -> None:
        """Note when, and at which step, the training begins or continues."""
        if not state.global_step:
            self.losses, self.logged = 0.0, 0
        self.start, self.first_step, self.first_epoch = time.perf_counter(), state.global_step, state.epoch or 0

    def add_loss(self, loss: float) -> None:
        """Add the loss of a batch."""
        self.losses += loss

    def record(self, state: TrainerState, device: torch.device) -> dict[str, float]:
        """The figures at a step. The mean loss starts again after it.

        `Trainer` would count the steps from where a run was resumed.
        """
        loss = self.losses / (state.global_step - self.logged)
        self.losses, self.logged = 0.0, state.global_step
        seconds = time.perf_counter() - self.start
        steps_left = state.max_steps - state.global_step
        return {
            "loss": loss,
            "utterances_per_second": self.num_utterances * (state.epoch - self.first_epoch) / seconds,
            **memory_use(device),
            "seconds_to_the_end": seconds / (state.global_step - self.first_step) * steps_left,
        }

    def state_dict(self) -> dict[str, Any]:
        """The figures that a checkpoint contains."""
        return {"losses": self.losses, "logged": self.logged}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore the figures of a checkpoint."""
        self.losses, self.logged = saved["losses"], saved["logged"]
