"""The lock on the output folder of a run: two runs in one folder would delete each other's files."""

import sys
from pathlib import Path
from weakref import WeakValueDictionary

from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list
from filelock import FileLock, Timeout

from .fingerprint import RUN_FOLDER
from .interruption import finish_exchanges

LOCK = f"{RUN_FOLDER}/lock"
# The loading processes of a run that was killed hold its lock until they notice. They look every 5 seconds, and may
# have to wait for a core on a busy machine.
TIMEOUT_SECONDS = 15

_locks: WeakValueDictionary[Path, FileLock] = WeakValueDictionary()


def lock_run(output_dir: Path, state: Accelerator | PartialState) -> FileLock | None:
    """Lock an output folder for a run, until nothing refers to the lock or the process ends. All processes call this.

    Args:
        output_dir: The folder, which is created if it does not exist. The same process may lock it more than once.
        state: The processes of the run.

    Returns:
        The lock in the main process, and None in the others.

    Raises:
        OSError: In the main process: another run uses the folder, or it cannot be written.
        SystemExit: In every other process.
    """
    lock, problem = None, [""]
    if state.is_main_process:
        try:
            lock = _locked(output_dir)
        except OSError as error:
            problem = [str(error)]
    if state.num_processes > 1:
        broadcast_object_list(problem)
    if not problem[0]:
        return lock
    finish_exchanges(state)
    if state.is_main_process:
        raise OSError(problem[0])
    sys.exit(1)


def _locked(output_dir: Path) -> FileLock:
    path = output_dir.resolve() / LOCK
    if lock := _locks.get(path):
        return lock
    path.parent.mkdir(parents=True, exist_ok=True)
    # Any thread may drop the last reference to it.
    lock = FileLock(path, timeout=TIMEOUT_SECONDS, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise OSError(
            f"{output_dir}: another run writes to this folder; wait until it ends, or give another --output_dir"
        ) from None
    _locks[path] = lock
    return lock
