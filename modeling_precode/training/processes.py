"""The processes of a run: their accelerator, their share of the cores, and how long they wait for one another."""

import os
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, parse_flag_from_env

# Seconds that a process waits for another: the first one may have a corpus to build, and its utterances to encode.
DDP_TIMEOUT = 24 * 60 * 60


def start_accelerator(mixed_precision: str | None = None, tracker: str | None = None, folder: str = ".") -> Accelerator:
    """The accelerator of a pre-training, which joins the processes of a launcher.

    Args:
        mixed_precision: `"no"`, `"bf16"`, or None for what the launcher says.
        tracker: a tracker's name, or None.
        folder: where the tracker writes.

    Raises:
        ValueError: another precision.
    """
    accelerator = Accelerator(
        log_with=tracker,
        project_dir=folder,
        mixed_precision=mixed_precision,
        step_scheduler_with_optimizer=False,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(seconds=DDP_TIMEOUT))],
    )
    if accelerator.mixed_precision not in ("no", "bf16"):
        raise ValueError(f"--mixed_precision {accelerator.mixed_precision}: give no or bf16")
    return accelerator


def join_cpu_processes(timeout: int = DDP_TIMEOUT) -> None:
    """Join the other processes of a launcher on a CPU. `TrainingArguments` would wait for them half an hour at most.

    Args:
        timeout: seconds that a process waits for another.
    """
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    if several and parse_flag_from_env("ACCELERATE_USE_CPU") and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=timeout))


def use_cores(device: torch.device) -> None:
    """On a CPU, give this process its share of the cores, where `OMP_NUM_THREADS` does not say how many threads."""
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(max(cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)), 1))
