"""The end of a run whose loss is no number any more."""

import sys
from pathlib import Path
from typing import NoReturn

from accelerate import Accelerator

from .checkpoints import write_json
from .interruption import finish_exchanges


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
