"""What `BiGRU` promises: the numbers of `nn.GRU`, forward and backward, for sequences without padding."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from modeling_precode.gru import BiGRU, join
from modeling_precode.steps import Steps


@pytest.mark.parametrize("lengths", [[1], [1, 1], [4, 4, 4], [3, 1, 9, 9, 4]])
def test_states_and_gradients_are_those_of_pytorch(lengths):
    """Inputs that stand at several places have the sum of the places' gradients."""
    torch.manual_seed(0)
    ours = BiGRU(7, 5).double()
    theirs = nn.GRU(7, 5, bidirectional=True).double()
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
    for our, their in zip(*results, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-10, atol=1e-12)


def test_it_trains_under_bfloat16_autocast():
    gru, steps = BiGRU(7, 5), Steps.of([3, 2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = gru(torch.randn(5, 7), steps.items, steps)
    states.float().sum().backward()
    assert states.dtype == torch.bfloat16
    assert all(torch.isfinite(parameter.grad).all() for parameter in gru.parameters())
