"""How much memory a process uses."""

import psutil
import torch


def memory_use(device: torch.device) -> dict[str, float]:
    """Megabytes that are resident, and the most that a GPU held."""
    figures = {"resident_megabytes": psutil.Process().memory_info().rss / 2**20}
    if device.type == "cuda":
        figures["gpu_megabytes"] = torch.cuda.max_memory_allocated(device) / 2**20
    return figures
