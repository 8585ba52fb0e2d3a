"""The end of a run: being told to stop by SIGTERM, or Ctrl-C once, and parting from the other processes."""

import logging
import signal
import sys
import time
from typing import NoReturn

import torch
from accelerate import Accelerator

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
