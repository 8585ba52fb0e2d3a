"""The progress of a run: its counters, which every checkpoint contains, and their display."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tqdm.auto import tqdm

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
# Without a terminal, a line at this interval replaces the progress bar.
SECONDS_PER_LINE = 60


@dataclass
class Progress:
    """The progress of a pre-training run. Its checkpoints contain all fields.

    Args:
        step: Number of optimizer steps so far.
        epoch: Epoch of the next batch, from 0.
        batch: Index of the next batch in the epoch.
        evaluated: Step of the last evaluation.
        utterances: Number of utterances in the batches so far.
        seconds: Duration of the run.
        evaluation_seconds: Part of `seconds` spent in evaluations.
        bad_evaluations: Number of evaluations since the best one.
        losses: Sum and number of the losses since the last log record (`log`) and the last evaluation (`evaluation`).
        best: Record of the best evaluation.
        history: One record per evaluation.
        training_log: One record per `logging_steps`.
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
        """Add the loss of a step."""
        for total in self.losses.values():
            total[0] += loss
            total[1] += 1

    def mean_loss(self, since: str) -> float:
        """The mean loss since the last `log` or `evaluation`. The next mean starts from here."""
        total, count = self.losses[since]
        self.losses[since] = [0.0, 0]
        return total / count


class ProgressLines:
    """A progress bar on a terminal; otherwise one log line per minute.

    Args:
        description: The name of the activity.
        total: Number of items; None if it is not known.
        done: Number of items that are already done.
        unit: Name of the items.
        silent: Show nothing; for all processes except the main one.
    """

    def __init__(self, description: str, total: int | None, done: int = 0, unit: str = "steps", silent: bool = False):
        self.description, self.total, self.done, self.unit, self.silent = description, total, done, unit, silent
        terminal = sys.stderr.isatty()
        self.bar = tqdm(
            desc=description,
            total=total,
            initial=done,
            unit=f" {unit}",
            disable=silent or not terminal,
            leave=False,
            dynamic_ncols=True,
        )
        self.lines = not silent and not terminal
        self.first, self.start = done, time.monotonic()
        self.last_line = self.start

    def update(self, done: int = 1) -> None:
        """Count items that are done, and show the progress if it is time."""
        self.done += done
        self.bar.update(done)
        now = time.monotonic()
        if self.lines and now - self.last_line >= SECONDS_PER_LINE:
            self.last_line = now
            logger.info(f"{self.description}: {self.done:,}{self.time_left(now)}")

    def time_left(self, now: float) -> str:
        """The end of a line: the total and an estimate of the remaining time."""
        if self.total is None:
            return f" {self.unit}"
        left = (now - self.start) / (self.done - self.first) * max(self.total - self.done, 0)
        return f" of {self.total:,} {self.unit}, about {left / 60:.0f} minutes left"

    def close(self) -> None:
        """Remove the progress bar."""
        self.bar.close()


def with_progress(
    items: Iterable[Item], description: str, total: int, unit: str = "batches", silent: bool = False
) -> Iterator[Item]:
    """Yield the items, with a progress bar on a terminal or one log line per minute otherwise."""
    lines = ProgressLines(description, total, unit=unit, silent=silent)
    try:
        for item in items:
            yield item
            lines.update()
    finally:
        lines.close()


def log_line(split: str, record: dict[str, Any]) -> str:
    """The figures of an evaluation in pre-training, as one line."""
    parts = [f"step {record['step']:,}", split]
    if "loss" in record:
        parts += [f"loss {record['loss']:.4f}", f"lr {record['learning_rate']:.2e}", f"{record['seconds']:.0f} s"]
        parts += [f"{record['utterances_per_second']:,.0f} utterances/s"]
    parts += [f"{name} {value:.4f}" for name, value in record.items() if name.startswith("R_")]
    return "  ".join(parts)
