"""What every job of the campaign has: a way to start it, and what it must leave behind."""

import mmap
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from .processes import Processes

# Names under which something unfinished is written.
UNFINISHED = ("*.partial", ".*.old", "new-files", ".new-files*", "*.incomplete", "tmp-*")


def unfinished(folder: Path) -> list[str]:
    """What a run left half written in a folder."""
    return sorted({path.name for pattern in UNFINISHED for path in folder.rglob(pattern)})


def mark(owner: Any, name: str, phase: int, marks: mmap.mmap) -> None:
    """Let a function of a class or module mark its phase while it runs."""
    function = getattr(owner, name)

    def marked(*args, **kwargs):
        before, marks[0] = marks[0], phase
        try:
            return function(*args, **kwargs)
        finally:
            marks[0] = before

    setattr(owner, name, marked)


class Job:
    """Something that the library does, which writes into one folder and can be run again after an interruption."""

    name: str
    # The parts of the job in which it is killed equally often, each with about its length in seconds. The first is what
    # is not marked.
    phases: ClassVar[dict[str, float]] = {"running": 0.03}
    phases_repeat: ClassVar[bool] = True

    def prepare(self, output: Path) -> None:
        """What must be there before the first run."""

    def functions(self, output: Path) -> list[Callable[[mmap.mmap], None]]:
        """What each process does."""
        raise NotImplementedError

    def state(self, output: Path) -> dict[str, object]:
        """What the job leaves behind, by name."""
        raise NotImplementedError

    def check_killed(self, output: Path) -> list[str]:
        """What is wrong after a kill, before the job is run again."""
        return []

    def start(self, output: Path, log: Path | None = None, first: Callable[[], None] | None = None) -> Processes:
        """Start the job.

        Args:
            output: Where it writes.
            log: Where it prints; by default beside the output.
            first: What its processes do before anything else.
        """

        def with_first(function):
            return lambda marks: (first and first(), function(marks))

        functions = [with_first(function) for function in self.functions(output)]
        return Processes(functions, log or Path(f"{output}.log"))

    def differences(self, output: Path, expected: dict[str, object]) -> list[str]:
        """The parts that are not as in an undisturbed run."""
        try:
            state = self.state(output)
        except Exception as error:  # whatever is wrong with a file
            return [f"{type(error).__name__}: {error}"]
        different = [part for part in {**expected, **state} if state.get(part) != expected.get(part)]
        return different + [f"unfinished {name}" for name in unfinished(output)]

    def remove(self, output: Path) -> None:
        shutil.rmtree(output, ignore_errors=True)
