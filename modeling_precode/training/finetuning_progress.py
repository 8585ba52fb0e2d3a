"""What a person sees of a fine-tuning: a line an evaluation, and a bar on a terminal or a line a minute without one."""

import logging

from transformers import ProgressCallback, TrainerCallback

from .progress import ProgressLines

logger = logging.getLogger(__name__)


class LogLine(TrainerCallback):
    """One line of log per evaluation.

    Args:
        metric: that the line shows.
    """

    def __init__(self, metric: str):
        self.metric = metric

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        if state.is_world_process_zero and f"eval_{self.metric}" in metrics:
            name = f"eval_{self.metric}"
            line = f"  epoch {state.epoch or 0:.0f}  validation {self.metric} {metrics[name]:.4f}"
            of_corpora = {key: value for key, value in metrics.items() if key.startswith(f"{name}_of_")}
            shown = "  ".join(f"{key.removeprefix(f'{name}_of_')} {value:.4f}" for key, value in of_corpora.items())
            logger.info(f"{line} (mean)  {shown}" if shown else line)


class MinuteLines(TrainerCallback):
    """Without a terminal, a line of log every minute."""

    def on_train_begin(self, args, state, control, **kwargs):
        silent = not state.is_world_process_zero
        self.lines = ProgressLines("fine-tuning", state.max_steps, state.global_step, silent=silent)

    def on_step_end(self, args, state, control, **kwargs):
        self.lines.update()


class Bar(ProgressCallback):
    """The progress bar of `Trainer`, without its dictionaries of logs."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        pass
