"""Runs that end early: stopped by SIGTERM or one Ctrl-C, or by a loss or gradient that is not finite."""

import logging
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

import torch
from accelerate import Accelerator

from data_scripts.tools.whole_files import write_json

from .checkpoints import RESUME

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """Within it, the first SIGTERM or Ctrl-C is noted, so that training can stop between two steps. The next one ends
    the program at once."""

    def __init__(self):
        self.signal: signal.Signals | None = None

    def __enter__(self) -> "Interruption":
        self.before = {number: signal.signal(number, self.note) for number in SIGNALS}
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def note(self, number: int, frame) -> None:
        self.signal = signal.Signals(number)
        self.__exit__()

    def anywhere(self, accelerator: Accelerator) -> bool:
        """Whether any process was told to stop; all processes call this together."""
        if accelerator.num_processes == 1:
            return self.signal is not None  # which does not wait for a GPU
        told = torch.tensor(int(self.signal is not None), device=accelerator.device)
        return bool(accelerator.reduce(told, "sum"))

    def end(self, step: int, accelerator: Accelerator) -> NoReturn:
        """Exit after a checkpoint of this step, with the status of a program that the signal ended, so that what is
        to follow a finished run does not follow this one."""
        name = self.signal.name if self.signal else "a signal to another process"
        logger.info(f"Stopped by {name} after step {step:,}; to go on from there, {RESUME}")
        finish_exchanges(accelerator)
        accelerator.end_training()
        sys.exit(128 + (self.signal or signal.SIGTERM))


def finish_exchanges(accelerator: Accelerator) -> None:
    """Wait for all processes, for good.

    Gloo's thread clears its last exchange away after everyone has it, and needs the interpreter for that; where the
    process group goes at the same moment, the two wait for one another for ever.
    """
    accelerator.wait_for_everyone()
    if accelerator.num_processes > 1:
        time.sleep(0.2)


def raise_nonfinite(folder: Path, step: int, what: str, dialogue_ids: list[str], accelerator: Accelerator) -> NoReturn:
    """Exit, with a ValueError in the main process that says where everything is.

    Args:
        folder: that the state before the step was saved to.
        step: that could not be taken.
        what: is wrong.
        dialogue_ids: of the step's batches.
    """
    finish_exchanges(accelerator)
    if not accelerator.is_main_process:
        sys.exit(1)
    write_json(folder / "dialogues.json", dialogue_ids)
    more = len(dialogue_ids) - 5
    names = ", ".join(dialogue_ids[:5]) + (f" and {more} more" if more > 0 else "")
    raise ValueError(
        f"step {step}: {what} for the dialogues {names}; {folder} has all of them (dialogues.json), the batch of every "
        "process (batches.pt), and the model and the optimizer before the step. A lower --learning_rate or "
        "--max_grad_norm may help"
    )
