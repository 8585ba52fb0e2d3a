"""Runs that end early: stopped by SIGTERM or one Ctrl-C, or by a loss or gradient that is not finite."""

import logging
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import torch
from accelerate import Accelerator, PartialState

from data_scripts.tools.whole_files import write_json

from .checkpoints import RESUME

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """A context in which the first SIGTERM or Ctrl-C is recorded, so that training can stop between two steps.

    The second one ends the program immediately. Outside the main thread, Python takes no handlers of signals, so they
    keep their usual effect.
    """

    def __init__(self):
        self.signal: signal.Signals | None = None

    def __enter__(self) -> "Interruption":
        numbers = SIGNALS if threading.current_thread() is threading.main_thread() else ()
        self.before = {number: signal.signal(number, self.note) for number in numbers}
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self.before.items():
            if handler is not None:  # it was not installed by Python
                signal.signal(number, handler)

    def note(self, number: int, frame) -> None:
        """Record a signal. The next one has its usual effect."""
        self.signal = signal.Signals(number)
        self.__exit__()

    def anywhere(self, accelerator: Accelerator) -> bool:
        """Whether any process received a signal. All processes must call this together."""
        if accelerator.num_processes == 1:
            return self.signal is not None  # does not wait for the GPU
        received = torch.tensor(int(self.signal is not None), device=accelerator.device)
        return bool(accelerator.reduce(received, "sum"))

    def end(self, step: int, accelerator: Accelerator) -> NoReturn:
        """Exit after the checkpoint of a step, with the exit status of a program that the signal ended.

        A shell script then does not continue as after a finished run.
        """
        name = self.signal.name if self.signal else "a signal to another process"
        logger.info(f"Stopped by {name} after step {step:,}; to continue from there, {RESUME}")
        finish_exchanges(accelerator)
        accelerator.end_training()
        sys.exit(128 + (self.signal or signal.SIGTERM))


def finish_exchanges(accelerator: Accelerator | PartialState) -> None:
    """Wait for all processes, and for the end of their last exchange.

    Gloo's thread cleans up its last exchange after all processes have received it, and needs the interpreter for that.
    If the process group were destroyed at the same moment, both would wait for each other forever.
    """
    accelerator.wait_for_everyone()
    if accelerator.num_processes > 1:
        time.sleep(0.2)


def raise_nonfinite(
    folder: Path, step: int, problem: str, dialogue_ids: list[str], accelerator: Accelerator
) -> NoReturn:
    """End the run after a loss or gradient that is not finite.

    Args:
        folder: The folder with the state before the step.
        step: The step that failed.
        problem: The value that is not finite, as a clause.
        dialogue_ids: The ids of the dialogues in the step's batches.
        accelerator: The accelerator of the run.

    Raises:
        ValueError: In the main process, with the problem and the folder.
        SystemExit: In every other process.
    """
    finish_exchanges(accelerator)
    if not accelerator.is_main_process:
        sys.exit(1)
    write_json(folder / "dialogues.json", dialogue_ids)
    more = len(dialogue_ids) - 5
    names = ", ".join(map(str, dialogue_ids[:5])) + (f" and {more} more" if more > 0 else "")
    raise ValueError(
        f"step {step}: {problem} for the dialogues {names}; {folder} has all of them (dialogues.json), the batch of "
        "every process (batches.pt), and the model and the optimizer before the step. A lower --learning_rate or "
        "--max_grad_norm may help"
    )
