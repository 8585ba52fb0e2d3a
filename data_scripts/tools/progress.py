"""The display of progress: a bar on a terminal, log lines otherwise."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm.auto import tqdm

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
# Without a terminal, a line at this interval replaces the progress bar.
SECONDS_PER_LINE = 60


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
        return f" of {self.total:,} {self.unit}, about {left / 60:.0f} min left"

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
