"""What building a corpus in processes promises when one of them is killed: a clear error, and no process that stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fault_campaign.processes import is_running

ROOT = Path(__file__).resolve().parents[2]

BUILD = """
import sys, time
from data_scripts.building.parts import in_processes
from data_scripts.tools.console import one_line_errors

with one_line_errors():
    print(list(in_processes(time.sleep, [0, 0, 0, 600, 600], 2)))
"""


@pytest.fixture
def build():
    """A process that has started two others, and those."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", BUILD], env=environment, **pipes) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if not children.exists():
            process.kill()
            pytest.skip("needs /proc/PID/task/PID/children")
        while len(workers := [int(pid) for pid in children.read_text().split()]) < 2:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.2)
        yield process, workers
        process.kill()


def test_processes_end_with_a_build_that_is_killed(build):
    process, workers = build
    process.kill()
    end = time.monotonic() + 20
    while any(map(is_running, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    left = [pid for pid in workers if is_running(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def test_a_process_that_is_killed_ends_a_build_with_what_to_do(build):
    process, workers = build
    os.kill(workers[0], signal.SIGKILL)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and not output
    assert errors.startswith("error: one of 2 processes was killed, perhaps because the memory is full; run the same")
    assert errors.count("\n") == 1
