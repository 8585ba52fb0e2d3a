"""Kills at random moments: what is run again afterwards ends as if it had not been killed."""

import random
import time
from collections import Counter
from pathlib import Path

from .job import Job
from .outcome import Outcome
from .processes import Processes


def kill_once(run: Processes, job: Job, draw: random.Random, seconds: float) -> str | None:
    """Kill a run at a random moment; returns its phase or which process, or None where it had ended."""
    phases = list(job.phases)
    wanted = draw.choice(phases)
    if job.phases_repeat or wanted == phases[0]:
        time.sleep(draw.uniform(0, (0.8 if len(phases) > 1 else 1) * seconds))
    while len(phases) > 1 and phases[run.marks[0]] != wanted and not run.has_ended():
        time.sleep(0.0002)
    time.sleep(draw.uniform(0, job.phases[wanted]))
    return None if run.has_ended() else run.kill(draw) or phases[run.marks[0]]


def after_kill(run: Processes, job: Job, output: Path, what: str) -> list[str]:
    """What is wrong after a kill, before the next run."""
    problems = []
    ended_well = run.wait()
    if what == "worker" and not ended_well and (unclear := run.unclear_error("was killed")):
        problems.append(unclear)
    if left := run.left():
        problems.append(f"{len(left)} processes outlive their parent")
    return problems + job.check_killed(output)


def killed(job: Job, folder: Path, draw: random.Random, kills: int, expected: dict, seconds: float) -> Outcome:
    """Kill a job again and again, each time up to three times before it may end.

    Args:
        job: The job.
        folder: Where it writes.
        draw: The source of all that is random.
        kills: How often it is killed.
        expected: What an undisturbed run leaves behind.
        seconds: How long an undisturbed run takes.
    """
    outcome, counts = Outcome(f"kills: {job.name}"), Counter[str]()
    while outcome.kills < kills:
        output = folder / f"killed-{outcome.runs}"
        job.prepare(output)
        problems = []
        for _ in range(draw.randint(1, 3)):
            run = job.start(output)
            what = kill_once(run, job, draw, seconds) if outcome.kills < kills else None
            if what is None:
                problems += run.finish()
                break
            problems += after_kill(run, job, output, what)
            outcome.kills += 1
            counts[what] += 1
        problems += job.start(output).finish()
        problems += job.differences(output, expected)
        outcome.add_run(output, problems)
        if not problems:
            job.remove(output)
    outcome.details = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))
    return outcome
