"""The memory of a process: how much it uses, and how it keeps it."""

import ctypes
import sys

import psutil
import torch

# Of malloc.h: the size from which a block is taken from the system by itself, and the free memory at the end of the
# heap from which it is given back.
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1
LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Have the C library keep the large blocks that are freed, for the next ones.

    It would give each back to the system at once, and a training step on a CPU takes hundreds of megabytes anew,
    whose pages the system clears one by one: a fifth of the time of a step. Nothing happens where the C library is
    not glibc.
    """
    if sys.platform == "linux":
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option:
            set_option(M_MMAP_THRESHOLD, 2**30)
            set_option(M_TRIM_THRESHOLD, LARGEST)


def memory_use(device: torch.device) -> dict[str, float]:
    """Megabytes that are resident, and the most that a GPU held."""
    figures = {"resident_megabytes": psutil.Process().memory_info().rss / 2**20}
    if device.type == "cuda":
        figures["gpu_megabytes"] = torch.cuda.max_memory_allocated(device) / 2**20
    return figures
