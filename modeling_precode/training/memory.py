"""The memory of a process: its use, and an option of the C library that speeds up training."""

import ctypes
import sys

import psutil
import torch

# Options in malloc.h: the size above which a block is requested from the system separately, and the amount of free
# memory at the end of the heap above which it is returned to the system.
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1
LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Make the C library keep large blocks that are freed, and reuse them.

    By default it returns them to the system immediately. A training step on a CPU then requests hundreds of megabytes
    again, and the system clears their pages, which takes a fifth of the time of a step. This has no effect if the C
    library is not glibc.
    """
    if sys.platform == "linux":
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option:
            set_option(M_MMAP_THRESHOLD, 2**30)
            set_option(M_TRIM_THRESHOLD, LARGEST)


def memory_use(device: torch.device) -> dict[str, float]:
    """The resident memory of this process, and the maximum memory of a GPU, in megabytes."""
    figures = {"resident_megabytes": psutil.Process().memory_info().rss / 2**20}
    if device.type == "cuda":
        figures["gpu_megabytes"] = torch.cuda.max_memory_allocated(device) / 2**20
    return figures
