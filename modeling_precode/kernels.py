"""Loads `kernels.c`, compiled once a machine, where there is a C compiler; without one, PyTorch does the same work."""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("kernels.c")
COMPILE = ["-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-fPIC", "-c"]
# Without `-fopenmp`, for PyTorch's own OpenMP is loaded already, and a second one's threads would wait for its.
LINK = ["-shared", "-lm"]
# The types of number that there are kernels for, each in a library of its own.
TYPES = {torch.float32: [], torch.bfloat16: ["-DBFLOAT16"]}
# Numbers and addresses that each function takes.
FUNCTIONS = {"gru_forward": (6, 8), "gru_backward": (8, 9), "pool_forward": (4, 6), "pool_backward": (4, 6)}


def kernels_for(tensor: Tensor) -> ctypes.CDLL | None:
    """The compiled functions, where they can work on such a tensor; `PRECODE_KERNELS=0` turns them off."""
    if tensor.device.type != "cpu" or tensor.dtype not in TYPES or os.environ.get("PRECODE_KERNELS") == "0":
        return None
    return _load(tensor.dtype)


@functools.cache
def _load(dtype: torch.dtype) -> ctypes.CDLL | None:
    try:
        source, options = SOURCE.read_bytes(), [*COMPILE, *TYPES[dtype]]
        machine = f"{platform.machine()} {platform.processor()} {_processor()} {options} {LINK}"
        digest = hashlib.sha256(source + machine.encode()).hexdigest()[:16]
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "precode"
        library = cache / f"kernels-{digest}.so"
        if not library.exists():
            _compile(library, options)
        functions = ctypes.CDLL(str(library))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        logger.debug("no compiled kernels: %s", error)
        return None
    for name, (numbers, addresses) in FUNCTIONS.items():
        function = getattr(functions, name)
        function.argtypes = [ctypes.c_long] * numbers + [ctypes.c_void_p] * addresses
        function.restype = None
    return functions


def _processor() -> str:
    """What the processor can do: code for one may stop another."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _compile(library: Path, options: list[str]) -> None:
    """Compiled aside and put in place whole, as several processes may do so at once."""
    library.parent.mkdir(parents=True, exist_ok=True)
    compiler = os.environ.get("CC", "cc")
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        compiled, linked = Path(folder, "kernels.o"), Path(folder, "kernels.so")
        for command in ([*options, SOURCE, "-o", compiled], [compiled, *LINK, "-o", linked]):
            subprocess.run([compiler, *command], check=True, capture_output=True, timeout=60)
        os.replace(linked, library)
