"""A bidirectional GRU over packed sequences that is fast on CPUs too."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import PackedSequence


class BiGRU(nn.GRU):
    """`nn.GRU(bidirectional=True)` of one layer, with its parameters and its results, from packed to packed.

    On a CPU, PyTorch's backward pass through packed sequences fills a tensor of the size of the whole input with
    zeros at every time step. Here the recurrence has a backward pass of its own, in which every step touches its own
    rows only and the gradient of the recurrent weights is one matrix product. Elsewhere this is `nn.GRU` (cuDNN).
    """

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__(input_size, hidden_size, bidirectional=True)

    def forward(self, packed: PackedSequence) -> PackedSequence:
        """Sequences (packed; data of shape (steps, input_size)) -> states (packed; (steps, 2 hidden_size))."""
        if packed.data.device.type != "cpu":
            return super().forward(packed)[0]
        batch_sizes = packed.batch_sizes.tolist()
        states = []
        for suffix in ("", "_reverse"):
            names = (f"{kind}_l0{suffix}" for kind in ("weight_ih", "bias_ih", "weight_hh", "bias_hh"))
            input_weight, input_bias, weight, bias = (getattr(self, name) for name in names)
            gates = F.linear(packed.data, input_weight, input_bias)
            # Under autocast the gates have another type than the weights.
            weight, bias = weight.to(gates.dtype), bias.to(gates.dtype)
            states.append(_Recurrence.apply(gates, weight, bias, batch_sizes, bool(suffix)))
        data = torch.cat(states, dim=1)
        return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)


class _Recurrence(torch.autograd.Function):
    """One direction of a GRU, its input's share of the gates given: (steps, 3 H) -> (steps, H).

    With r, z, n the reset gate, the update gate and the candidate, in PyTorch's order, and h the previous state:
    h' = (1 - z) n + z h, n = tanh(x_n + r m), m = W_n h + b_n.
    """

    @staticmethod
    def forward(ctx, gates: Tensor, weight: Tensor, bias: Tensor, batch_sizes: list[int], reverse: bool) -> Tensor:
        size = weight.shape[1]
        resets, updates, candidates, memories, previous, states = (gates.new_empty(len(gates), size) for _ in range(6))
        state = gates.new_zeros(batch_sizes[0], size)
        transposed = weight.t()
        for rows in _steps(batch_sizes, reverse):
            # Sequences are sorted by length, so those that have this step come first.
            count = rows.stop - rows.start
            before = previous[rows].copy_(state[:count])
            recurrent = torch.addmm(bias, before, transposed)
            x, m = gates[rows], recurrent[:, 2 * size :]
            recurrent[:, : 2 * size].add_(x[:, : 2 * size]).sigmoid_()
            r, z = resets[rows].copy_(recurrent[:, :size]), updates[rows].copy_(recurrent[:, size : 2 * size])
            n = torch.addcmul(x[:, 2 * size :], r, m, out=candidates[rows]).tanh_()
            memories[rows] = m
            state[:count] = torch.lerp(n, before, z, out=states[rows])
        ctx.save_for_backward(weight, resets, updates, candidates, memories, previous)
        ctx.batch_sizes, ctx.reverse = batch_sizes, reverse
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_states: Tensor):
        weight, resets, updates, candidates, memories, previous = ctx.saved_tensors
        size = weight.shape[1]
        # Everything that depends on one step alone is computed for all steps at once: the derivative of the new
        # state by the candidate's and the update gate's sums, and of the candidate's sum by the reset gate's.
        by_candidate = (1 - updates).mul_(1 - candidates * candidates)
        by_update = (previous - candidates).mul_(updates).mul_(1 - updates)
        by_reset = memories * resets * (1 - resets)
        grad_gates = grad_states.new_empty(len(grad_states), 3 * size)
        grad_recurrent = torch.empty_like(grad_gates)
        grad_state = grad_states.new_zeros(ctx.batch_sizes[0], size)
        for rows in reversed(_steps(ctx.batch_sizes, ctx.reverse)):
            grad = grad_state[: rows.stop - rows.start].add_(grad_states[rows])
            reset, update, candidate = grad_recurrent[rows].split(size, dim=1)
            grad_n = torch.mul(grad, by_candidate[rows], out=grad_gates[rows, 2 * size :])
            torch.mul(grad, by_update[rows], out=update)
            torch.mul(grad_n, by_reset[rows], out=reset)
            torch.mul(grad_n, resets[rows], out=candidate)
            grad.mul_(updates[rows]).addmm_(grad_recurrent[rows], weight)
        grad_gates[:, : 2 * size] = grad_recurrent[:, : 2 * size]
        return grad_gates, grad_recurrent.t() @ previous, grad_recurrent.sum(0), None, None


def _steps(batch_sizes: list[int], reverse: bool) -> list[slice]:
    """The rows of every time step, in the order in which the recurrence takes them."""
    steps, start = [], 0
    for count in batch_sizes:
        steps.append(slice(start, start + count))
        start += count
    return steps[::-1] if reverse else steps
