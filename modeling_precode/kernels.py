"""Loads the compiled kernels that pip built with the package. Without them, PyTorch does the same work."""

import ctypes
import functools
import logging
import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

LIBRARIES = [Path(__file__).with_name(f"_kernels{suffix}") for suffix in EXTENSION_SUFFIXES]
# The dtypes that have kernels.
TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
# The number of integers and of addresses that each function takes.
FUNCTIONS = {"gru_forward": (6, 8), "gru_backward": (8, 9), "pool_forward": (4, 6), "pool_backward": (4, 6)}


def kernels_for(tensor: Tensor) -> SimpleNamespace | None:
    """The compiled functions for the device and dtype of a tensor, or `None`. `PRECODE_KERNELS=0` turns them off.

    The first call for a supported device and dtype logs whether the kernels are used, at the level INFO.
    """
    if tensor.device.type != "cpu" or tensor.dtype not in TYPES:
        return None
    if os.environ.get("PRECODE_KERNELS") == "0":
        _log("not used (PRECODE_KERNELS=0)")
        return None
    kernels, state = _load()
    _log(state)
    return kernels.get(tensor.dtype)


@functools.cache
def _log(state: str) -> None:
    logger.info("compiled kernels: %s", state)


@functools.cache
def _load() -> tuple[dict[torch.dtype, SimpleNamespace], str]:
    """The functions of each dtype for this processor, and a message that says whether they are used, and why not."""
    path = next((path for path in LIBRARIES if path.is_file()), None)
    if path is None:
        return {}, (
            f"not used (none in {LIBRARIES[0].parent}: install a C compiler, then precode with pip, and load the model "
            "without trust_remote_code)"
        )
    try:
        library = ctypes.CDLL(str(path))
        instruction_set = _instruction_set(library)
        return {dtype: _functions(library, f"{name}_{instruction_set}") for dtype, name in TYPES.items()}, (
            f"used ({path.name}, {instruction_set})"
        )
    except (OSError, AttributeError) as error:
        return {}, f"not used ({error})"


def _instruction_set(library: ctypes.CDLL) -> str:
    """The instruction set that PyTorch uses on this processor if the library has it, else the default one."""
    name = torch.backends.cpu.get_cpu_capability()
    return name if hasattr(library, f"gru_forward_float32_{name}") else "DEFAULT"


def _functions(library: ctypes.CDLL, suffix: str) -> SimpleNamespace:
    functions = SimpleNamespace()
    for name, (integers, addresses) in FUNCTIONS.items():
        function = getattr(library, f"{name}_{suffix}")
        function.argtypes = [ctypes.c_int64] * integers + [ctypes.c_void_p] * addresses
        function.restype = None
        setattr(functions, name, function)
    return functions
