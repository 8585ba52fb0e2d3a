"""Disks that are full or read-only: a clear error, and nothing is lost or half written."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_scripts.tools.whole_files import digest

from .job import Job, unfinished
from .kills import kill_once
from .outcome import Outcome

MEGABYTES = 16
NOT_PERMITTED = "mounting a file system is not permitted here"


def mount(folder: Path, *options: str) -> bool:
    """Mount a small file system in memory; returns whether this is permitted."""
    if shutil.which("mount") is None:
        return False
    command = ["mount", *(options or ("-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs")), str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system of a few megabytes, or None where mounting is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    if not mount(folder):
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def full_disk(job: Job, folder: Path, draw: random.Random, trials: int, expected: dict, seconds: float) -> Outcome:
    """Run a job on a disk that becomes full, make room, and run it again; see [`killed`] for the arguments."""
    outcome, refused = Outcome(f"full disk: {job.name}"), 0
    for trial in range(trials):
        with small_disk(folder / f"full-{trial}") as disk:
            if disk is None:
                return Outcome(outcome.name, details=NOT_PERMITTED, is_skipped=True)
            output, log = disk / "run", folder / f"full-{trial}.log"
            job.prepare(output)
            room = draw.choice((0, draw.uniform(0, 0.9))) * size(folder / "undisturbed")
            filler = disk / "filler"
            filler.write_bytes(b"0" * max(int(shutil.disk_usage(disk).free - room) // 4096 * 4096, 0))
            run = job.start(output, log)
            problems = []
            if not run.wait():
                refused += 1
                unclear = run.unclear_error("disk is full", "No space left on device")
                problems += [unclear] if unclear else []
                # What can be gone on with is kept, under a name that says so.
                problems += [f"unfinished {name}" for name in unfinished(output) if name.startswith(".")]
            filler.unlink()
            problems += job.start(output, log).finish()
            problems += job.differences(output, expected)
        outcome.add_run(folder / f"full-{trial}", problems)
    outcome.details = f"{refused} ended with a clear error"
    return outcome


def read_only(job: Job, folder: Path, draw: random.Random, trials: int, expected: dict, seconds: float) -> Outcome:
    """Kill a job, run it while its folder is read-only, and run it again; see [`killed`] for the arguments."""
    outcome = Outcome(f"read-only folder: {job.name}")
    for trial in range(trials):
        with small_disk(folder / f"read-only-{trial}") as disk:
            if disk is None:
                return Outcome(outcome.name, details=NOT_PERMITTED, is_skipped=True)
            output, log = disk / "run", folder / f"read-only-{trial}.log"
            job.prepare(output)
            if trial:  # the first begins in an empty folder
                run = job.start(output, log)
                outcome.kills += kill_once(run, job, draw, seconds) is not None
                run.wait()
                run.left()
            before = {path: digest(path) for path in disk.rglob("*") if path.is_file()}
            mount(disk, "-o", "remount,ro")
            run = job.start(output, log)
            ended_well = run.wait()
            unclear = None if ended_well else run.unclear_error("Read-only file system", "read-only")
            problems = [unclear] if unclear else []
            mount(disk, "-o", "remount,rw")
            if before != {path: digest(path) for path in disk.rglob("*") if path.is_file()}:
                problems.append("files were changed")
            problems += job.start(output, log).finish()
            problems += job.differences(output, expected)
        outcome.add_run(folder / f"read-only-{trial}", problems)
    return outcome
