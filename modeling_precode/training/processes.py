"""The processes of a run: their accelerator, their cores, and the timeout of their communication."""

import os
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, parse_flag_from_env

# Seconds that a process waits for another. The first one may have to build a corpus and encode its utterances.
DDP_TIMEOUT = 24 * 60 * 60


def start_accelerator(mixed_precision: str | None, tracker: str | None, folder: str) -> Accelerator:
    """Create the accelerator of a pre-training run. It connects the processes of a launcher.

    Args:
        mixed_precision: `"no"`, `"bf16"`, or None for the setting of the launcher.
        tracker: The name of a tracker, or None.
        folder: The folder that the tracker writes into.

    Raises:
        ValueError: The precision is another one.
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


def join_cpu_processes() -> None:
    """Connect the processes of a launcher on CPUs. `TrainingArguments` would wait for half an hour at most."""
    has_several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    if has_several and parse_flag_from_env("ACCELERATE_USE_CPU") and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=DDP_TIMEOUT))


def use_cores(device: torch.device) -> None:
    """On a CPU, use this process's share of the cores, unless `OMP_NUM_THREADS` sets the number of threads."""
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(max(cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)), 1))
