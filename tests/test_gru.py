"""What `GRU` promises: the numbers of `nn.GRU`, forward and backward, for sequences without padding."""

import os
import subprocess
import sys
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


@pytest.mark.skipif(kernels_for(torch.zeros(1)) is None, reason="no C compiler, so no kernels")
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("size", [3, 40])
def test_the_compiled_kernels_give_the_numbers_of_pytorch(monkeypatch, size, bidirectional):
    """Over several blocks, with and without gradients."""
    results = [states_pools_and_gradients(monkeypatch, use, size, bidirectional) for use in ("1", "0")]
    for compiled, plain in zip(*results, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(kernels_for(torch.zeros(1, dtype=torch.bfloat16)) is None, reason="no C compiler, so no kernels")
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


def test_without_a_compiler_pytorch_does_the_work(tmp_path):
    code = """if True:
        import torch
        from modeling_precode.gru import GRU, Steps
        from modeling_precode.kernels import kernels_for
        states = GRU(2, 2)(torch.zeros(1, 2), torch.zeros(2, 1, dtype=torch.long), Steps.of([1]))
        print(kernels_for(states), states.shape)
    """
    environment = {**os.environ, "CC": "no-such-compiler", "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout == "None torch.Size([2, 1, 2])\n"
