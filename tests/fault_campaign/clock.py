"""A clock that goes back: a run begins years ahead, and its files get times in the future and in the past."""

import os
import random
import time
from pathlib import Path

from .job import Job
from .kills import kill_once
from .outcome import Outcome

YEAR = 365 * 86400


def shift_clock(seconds: float) -> None:
    """Shift what this process takes for the time of day."""
    now, now_ns = time.time, time.time_ns
    time.time, time.time_ns = lambda: now() + seconds, lambda: now_ns() + int(seconds * 1e9)


def clock_goes_back(
    job: Job, folder: Path, draw: random.Random, trials: int, expected: dict, seconds: float
) -> Outcome:
    """Kill a run that began ten years ahead, date its files at random, and go on a year ago; see [`killed`]."""
    outcome = Outcome(f"clock goes back: {job.name}")
    for trial in range(trials):
        output = folder / f"clock-{trial}"
        job.prepare(output)
        run = job.start(output, first=lambda: shift_clock(10 * YEAR))
        if kill_once(run, job, draw, seconds) is not None:
            outcome.kills += 1
        run.wait()
        run.left()
        for path in output.rglob("*"):
            moment = time.time() + draw.uniform(-10, 10) * YEAR
            os.utime(path, (moment, moment), follow_symlinks=False)
        problems = job.start(output, first=lambda: shift_clock(-YEAR)).finish()
        problems += job.differences(output, expected)
        outcome.add_run(output, problems)
    return outcome
