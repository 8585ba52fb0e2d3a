"""The speed of matrix products on a device, and its peak memory."""

import ctypes
import time
from pathlib import Path

import torch

from benchmarks.memory import megabytes


def peak_product(device: torch.device, dtype: torch.dtype) -> float:
    """The GFLOP/s of the product of two large matrices."""
    size = 2048 if device.type == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    a @ b
    synchronize(device)
    start = time.perf_counter()
    for _ in range(3):
        a @ b
    synchronize(device)
    return 3 * 2 * size**3 / (time.perf_counter() - start) / 1e9


def synchronize(device: torch.device) -> None:
    """Wait for the work of a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def reset_peak(device: torch.device) -> None:
    """Start a new measurement of the peak memory."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif Path("/proc/self/clear_refs").exists():
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes(device: torch.device) -> float:
    """The peak memory of the GPU, or the peak resident memory of this process; NaN if it is unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return megabytes("VmHWM")
