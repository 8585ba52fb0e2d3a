"""Processes that are forked from one that has imported everything, so that starting takes no time."""

import mmap
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from data_scripts.tools.console import one_line_errors


def children(pid: int) -> list[int]:
    """The processes that a process has started; none where the system does not list them."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Processes:
    """One process for each function, started at once.

    Args:
        functions: What the processes do. Each gets the marks, in which it writes its phase.
        log: What they print is added to this file.
    """

    def __init__(self, functions: Sequence[Callable[[mmap.mmap], None]], log: Path):
        self.marks = mmap.mmap(-1, 1)
        self.log, self.log_start = log, log.stat().st_size if log.exists() else 0
        self.workers: list[int] = []
        sys.stdout.flush()
        self.pids = [self._fork(function) for function in functions]

    def _fork(self, function: Callable[[mmap.mmap], None]) -> int:
        if pid := os.fork():
            return pid
        code = 1
        try:
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            with one_line_errors():
                function(self.marks)
            code = 0
        except SystemExit as end:
            print(end.code)
        except BaseException as error:
            traceback.print_exception(error)
        finally:
            sys.stdout.flush()
            os._exit(code)

    def has_ended(self) -> bool:
        """Whether the first process is done."""
        return os.waitid(os.P_PID, self.pids[0], os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self) -> bool:
        """Wait for the end; returns whether all went well."""
        codes = [os.waitpid(pid, 0)[1] for pid in self.pids]
        return not any(codes)

    def finish(self) -> list[str]:
        """Wait for the end of a run that nothing disturbs; returns what is wrong if it fails."""
        if self.wait():
            return []
        return [f"a run that nothing disturbs failed: {' / '.join(self.printed().splitlines()[-2:])}"[:300]]

    def printed(self) -> str:
        return self.log.read_bytes()[self.log_start :].decode(errors="replace")

    def unclear_error(self, *causes: str) -> str | None:
        """What is wrong with the error of a run that failed: it is one line at the end, and names one of the causes."""
        lines = self.printed().splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        if len(errors) != 1 or "Traceback" in self.printed():
            return f"{len(errors)} lines of error, or a traceback: {' / '.join(lines[-2:])}"[:300]
        return None if any(cause in errors[0] for cause in causes) else f"another cause: {errors[0]}"[:300]

    def kill(self, draw: random.Random) -> str:
        """Kill them with `kill -9`, one within a tenth of a second after the other; returns which of them."""
        self.workers = [worker for pid in self.pids for worker in children(pid)]
        victims, which = self.pids.copy(), ""
        if self.workers:
            which = draw.choice(("main process", "worker", "all processes"))
            everyone = [*self.pids, *self.workers]
            victims = {"main process": victims, "worker": [draw.choice(self.workers)]}.get(which, everyone)
        victims = draw.sample(victims, len(victims))
        for number, pid in enumerate(victims):
            time.sleep(draw.uniform(0, 0.1) if number else 0)
            with suppress(ProcessLookupError):  # a worker ends with its parent
                os.kill(pid, signal.SIGKILL)
        return which

    def left(self, seconds: float = 10) -> list[int]:
        """The workers that still run after so many seconds."""
        end = time.monotonic() + seconds
        while any(map(is_running, self.workers)) and time.monotonic() < end:
            time.sleep(0.02)
        return [pid for pid in self.workers if is_running(pid)]
