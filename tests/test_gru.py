"""What `BiGRU` promises: the numbers of `nn.GRU`, forward and backward."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from modeling_precode.gru import BiGRU


@pytest.mark.parametrize("lengths", [[1], [4, 4, 4], [3, 1, 9, 9, 4]])
def test_states_and_gradients_are_those_of_pytorch(lengths):
    torch.manual_seed(0)
    ours = BiGRU(7, 5).double()
    theirs = nn.GRU(7, 5, bidirectional=True).double()
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(len(lengths), max(lengths), 7, dtype=torch.double)
    results = []
    for gru, run in ((ours, ours), (theirs, lambda packed: theirs(packed)[0])):
        x = inputs.clone().requires_grad_()
        data = run(pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)).data
        torch.manual_seed(1)
        (data * torch.randn_like(data)).sum().backward()
        results.append([data.detach(), x.grad, *(parameter.grad for parameter in gru.parameters())])
    for our, their in zip(*results, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-10, atol=1e-12)


def test_it_trains_under_bfloat16_autocast():
    gru = BiGRU(7, 5)
    packed = pack_padded_sequence(torch.randn(2, 3, 7), torch.tensor([3, 2]), batch_first=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = gru(packed).data
    states.float().sum().backward()
    assert states.dtype == torch.bfloat16
    assert all(torch.isfinite(parameter.grad).all() for parameter in gru.parameters())
