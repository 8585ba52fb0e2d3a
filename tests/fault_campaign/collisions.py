"""Two runs at once in one output folder or one cache: both succeed, or one is refused with a clear error."""

import random
import time
from pathlib import Path

from .job import Job
from .outcome import Outcome


def two_at_once(job: Job, folder: Path, draw: random.Random, trials: int, expected: dict, seconds: float) -> Outcome:
    """Start a job a second time while it runs; see [`killed`] for the arguments."""
    outcome, refused = Outcome(f"two at once: {job.name}"), 0
    for trial in range(trials):
        output = folder / f"two-{trial}"
        logs = [Path(f"{output}-{name}.log") for name in "ab"]
        first = job.start(output, logs[0])
        time.sleep(draw.choice((0, draw.uniform(0, seconds))))
        second = job.start(output, logs[1])
        ended = [(run, run.wait()) for run in (first, second)]
        errors = [run.unclear_error("another run", "not empty") for run, ended_well in ended if not ended_well]
        refused += len(errors)
        problems = [error for error in errors if error] + ["both failed"] * (len(errors) == 2)
        problems += job.differences(output, expected)
        outcome.add_run(output, problems)
    outcome.details = f"{refused} refused with a clear error"
    return outcome
