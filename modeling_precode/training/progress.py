"""How far a run is: its counters, which every checkpoint holds, and what a person sees of them."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tqdm.auto import tqdm

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
# Without a terminal, a line every so many seconds takes the place of a progress bar.
SECONDS_PER_LINE = 60


@dataclass
class Progress:
    """How far a pre-training is. Everything here is in its checkpoints.

    Args:
        step: optimizer steps done.
        epoch: of the next batch.
        batch: the next batch's place in the epoch.
        evaluated: the step of the last evaluation.
        utterances: seen.
        seconds: that the run took.
        evaluation_seconds: of these, spent in evaluations.
        bad_evaluations: since the best one.
        losses: the sum and the number of losses since the last log record, and since the last evaluation.
        best: the record of the best evaluation.
        history: one record per evaluation.
        training_log: one record per `logging_steps`.
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
        """The mean since the last `log` or `evaluation`; the count starts again."""
        total, count = self.losses[since]
        self.losses[since] = [0.0, 0]
        return total / count


class ProgressLines:
    """A progress bar on a terminal; elsewhere a line of log every minute.

    Args:
        description: what goes on.
        total: how many items there are; None where nobody knows.
        done: how many of them were done before.
        unit: what an item is.
        silent: show nothing; for all processes but the main one.
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
        self.said = self.start

    def update(self, done: int = 1) -> None:
        self.done += done
        self.bar.update(done)
        now = time.monotonic()
        if self.lines and now - self.said >= SECONDS_PER_LINE:
            self.said = now
            logger.info(f"{self.description}: {self.done:,}{self.time_left(now)}")

    def time_left(self, now: float) -> str:
        if self.total is None:
            return f" {self.unit}"
        left = (now - self.start) / (self.done - self.first) * max(self.total - self.done, 0)
        return f" of {self.total:,} {self.unit}, about {left / 60:.0f} minutes left"

    def close(self) -> None:
        self.bar.close()


def with_progress(
    items: Iterable[Item], description: str, total: int, unit: str = "batches", silent: bool = False
) -> Iterator[Item]:
    """The items, with a progress bar on a terminal or a line of log every minute."""
    lines = ProgressLines(description, total, unit=unit, silent=silent)
    try:
        for item in items:
            yield item
            lines.update()
    finally:
        lines.close()


def log_line(split: str, record: dict[str, Any]) -> str:
    """The figures of an evaluation of pre-training, as one line."""
    parts = [f"step {record['step']:,}", split]
    if "loss" in record:
        parts += [f"loss {record['loss']:.4f}", f"lr {record['learning_rate']:.2e}", f"{record['seconds']:.0f} s"]
        parts += [f"{record['utterances_per_second']:,.0f} utterances/s"]
    parts += [f"{name} {value:.4f}" for name, value in record.items() if name.startswith("R_")]
    return "  ".join(parts)
