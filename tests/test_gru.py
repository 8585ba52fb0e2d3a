"""What `GRU` promises: the numbers of `nn.GRU`, forward and backward, for sequences without padding."""

import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from modeling_precode.gru import GRU, join
from modeling_precode.kernels import kernels_for
from modeling_precode.pooling import pool
from modeling_precode.steps import BLOCK, Steps

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("lengths", [[1], [1, 1], [4, 4, 4], [3, 1, 9, 9, 4]])
def test_states_and_gradients_are_those_of_pytorch(lengths, bidirectional):
    """Inputs that stand at several places have the sum of the places' gradients."""
    torch.manual_seed(0)
    ours = GRU(7, 5, bidirectional).double()
    theirs = nn.GRU(7, 5, bidirectional=bidirectional).double()
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(4, 7, dtype=torch.double)
    index = torch.randint(0, 4, (sum(lengths),))
    steps = Steps.of(lengths)

    def run_theirs(inputs):
        packed = pack_sequence(inputs[index].split(lengths), enforce_sorted=False)
        return torch.cat(unpack_sequence(theirs(packed)[0]))

    results = []
    for gru, run in ((ours, lambda x: join(ours(x, index[steps.items], steps), steps)), (theirs, run_theirs)):
        x = inputs.clone().requires_grad_()
        states = run(x)
        torch.manual_seed(1)
        (states * torch.randn_like(states)).sum().backward()
        results.append([states.detach(), x.grad, *(parameter.grad for parameter in gru.parameters())])
        with torch.no_grad():
            torch.testing.assert_close(run(x), states, rtol=1e-12, atol=1e-12)
    index = index[steps.items]
    torch.testing.assert_close(ours.packed_states(inputs, index, steps), ours(inputs, index, steps))
    for our, their in zip(*results, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-10, atol=1e-12)


def test_step_by_step_the_states_are_those_of_the_sequence():
    gru, steps, inputs = GRU(7, 5, bidirectional=False), Steps.of([4]), torch.randn(4, 7)
    states = [None]
    for row in inputs:
        states.append(gru.step(row.unsqueeze(0), states[-1]))
    torch.testing.assert_close(torch.cat(states[1:]), join(gru(inputs, steps.items, steps), steps))


def test_it_trains_under_bfloat16_autocast():
    gru, steps = GRU(7, 5), Steps.of([3, 2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = gru(torch.randn(5, 7), steps.items, steps)
    states.float().sum().backward()
    assert states.dtype == torch.bfloat16
    assert all(torch.isfinite(parameter.grad).all() for parameter in gru.parameters())


@pytest.mark.skipif(kernels_for(torch.zeros(1)) is None, reason="no compiled kernels are installed")
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("size", [3, 40])
def test_the_compiled_kernels_give_the_numbers_of_pytorch(monkeypatch, size, bidirectional):
    """Over several blocks, with and without gradients."""
    results = [states_pools_and_gradients(monkeypatch, use, size, bidirectional) for use in ("1", "0")]
    for compiled, plain in zip(*results, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(
    kernels_for(torch.zeros(1, dtype=torch.bfloat16)) is None, reason="no compiled kernels are installed"
)
def test_in_bfloat16_the_compiled_kernels_are_as_near_to_float32_as_pytorch(monkeypatch):
    exact = states_pools_and_gradients(monkeypatch, "0", 40, True)
    compiled, plain = (states_pools_and_gradients(monkeypatch, use, 40, True, torch.bfloat16) for use in ("1", "0"))
    assert compiled[0].dtype == compiled[1].dtype == torch.bfloat16
    for number, by_kernels, by_pytorch in zip(exact, compiled, plain, strict=True):
        error, reference = ((result.float() - number).norm() / number.norm() for result in (by_kernels, by_pytorch))
        assert error < 1.1 * reference and error < 0.05


def states_pools_and_gradients(monkeypatch, use: str, size: int, bidirectional: bool, dtype=torch.float32):
    monkeypatch.setenv("PRECODE_KERNELS", use)
    torch.manual_seed(0)
    lengths = torch.randint(1, 9, (2 * BLOCK + 50,)).tolist()
    steps, gru = Steps.of(lengths), GRU(7, size, bidirectional)
    inputs, index = torch.randn(30, 7), torch.randint(0, 30, (2, sum(lengths)))
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        states = gru(inputs, index, steps)
        pooled = pool(states, steps)
        with torch.no_grad():
            torch.testing.assert_close(gru(inputs, index, steps), states)
    torch.manual_seed(1)
    (pooled * torch.randn_like(pooled, dtype=torch.float32)).sum().backward()
    return [states.detach(), pooled.detach(), *(parameter.grad for parameter in gru.parameters())]


def test_a_maximum_that_is_reached_twice_passes_its_gradient_once(monkeypatch):
    for use in ("1", "0"):
        monkeypatch.setenv("PRECODE_KERNELS", use)
        states = torch.tensor([[[1.0], [1.0], [0.0]]], requires_grad=True)
        pool(states, Steps.of([3])).sum().backward()
        torch.testing.assert_close(states.grad.flatten(), torch.tensor([1 + 1 / 3, 1 / 3, 1 / 3]))


LOAD = """if True:
    import logging, os, sys
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    import torch
    from modeling_precode.gru import GRU, Steps
    from modeling_precode.pooling import pool
    steps = Steps.of([3, 2])
    for use in ("1", "1", "0"):
        os.environ["PRECODE_KERNELS"] = use
        torch.manual_seed(0)
        print(pool(GRU(2, 40)(torch.randn(5, 2), steps.items, steps), steps).sum().item())
"""


def log_of(folder: Path, **environment: str) -> str:
    """The log of a process that computes states with the package of a folder, twice, and once without kernels."""
    environment = {**os.environ, "PYTHONPATH": str(folder), **environment}
    command = [sys.executable, "-c", LOAD]
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    log, result, again, off, plain = process.stdout.splitlines()
    assert result == again and float(result) == pytest.approx(float(plain), rel=1e-5)
    assert off == "compiled kernels: not used (PRECODE_KERNELS=0)"
    return log


@pytest.fixture
def source(tmp_path) -> Path:
    """A folder with what the extension is built from, and only those modules of the package that use it."""
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "modeling_precode").mkdir()
    (tmp_path / "modeling_precode" / "__init__.py").touch()
    for name in ("gru.py", "steps.py", "pooling.py", "kernels.py", "kernels.c"):
        shutil.copy(ROOT / "modeling_precode" / name, tmp_path / "modeling_precode")
    return tmp_path


def build(folder: Path, **environment: str) -> None:
    pytest.importorskip("setuptools")
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, check=True)


@pytest.mark.skipif(not shutil.which(os.environ.get("CC", "cc")), reason="no C compiler")
def test_the_kernels_are_built_with_the_package_for_every_instruction_set(source):
    """When they are used nothing is compiled, and nothing is read from or written to a person's folders."""
    build(source)
    [library] = source.glob("modeling_precode/_kernels.*")
    for capability in ("DEFAULT", torch.backends.cpu.get_cpu_capability()):
        home = {"HOME": str(source / "home"), "XDG_CACHE_HOME": str(source / "home")}
        log = log_of(source, ATEN_CPU_CAPABILITY=capability.lower(), CC="no-such-compiler", **home)
        used = capability if capability in ("AVX2", "AVX512") else "DEFAULT"
        assert log == f"compiled kernels: used ({library.name}, {used})"
    assert not (source / "home").exists()


def test_without_a_compiler_pytorch_does_the_work_and_the_log_says_so(source):
    build(source, CC="no-such-compiler")
    assert not list(source.glob("modeling_precode/_kernels.*"))
    reason = f"none in {source / 'modeling_precode'}: install a C compiler, then precode with pip"
    assert log_of(source).startswith(f"compiled kernels: not used ({reason}")


def test_a_library_that_cannot_be_loaded_is_named_in_the_log(source):
    library = source / "modeling_precode" / f"_kernels{EXTENSION_SUFFIXES[0]}"
    library.write_bytes(b"no library")
    assert log_of(source).startswith(f"compiled kernels: not used ({library}: ")
