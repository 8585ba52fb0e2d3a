"""Maximum plus mean over the states of sequences without padding."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .kernels import kernels_for
from .steps import Steps


def pool(states: Tensor, steps: Steps, pooling_length: int | None = None, padding: Tensor | None = None) -> Tensor:
    """Compute the maximum plus the mean over the states of each sequence.

    Args:
        states: (S, I, d), the states at the places of `steps`, for each of S directions.
        steps: The steps of N sequences.
        pooling_length: Pool as if every sequence were padded to this many states. The original pools over 60. By
            default, pool over the sequence only.
        padding: (d,), the state at such padding; 0 by default.

    Returns:
        (S, N, d), in the order of the rows of `steps`.
    """
    maximum, total = _MaximumAndSum.apply(states, steps)
    lengths = torch.from_numpy(steps.lengths()).to(states.device, total.dtype, non_blocking=True).unsqueeze(1)
    if pooling_length is None:
        return (maximum + total / lengths).to(states.dtype)
    missing = (pooling_length - lengths).clamp(min=0)
    padding = states.new_zeros(states.shape[-1]) if padding is None else padding
    maximum = torch.where(missing > 0, torch.maximum(maximum, padding), maximum)
    return (maximum + (total + missing * padding) / (lengths + missing)).to(states.dtype)


class _MaximumAndSum(torch.autograd.Function):
    """Maximum and sum, step by step. Of several equal maxima, the first one gets the gradient."""

    @staticmethod
    def forward(ctx, states: Tensor, steps: Steps) -> tuple[Tensor, Tensor]:
        kernels = kernels_for(states)
        # A sum of many low-precision numbers would lose digits.
        exact = torch.promote_types(states.dtype, torch.float32)
        maximum = states[:, : steps.sizes[0]].to(exact, copy=True)
        total = maximum.clone()
        step_of_maximum = torch.zeros_like(maximum, dtype=torch.int32)
        ctx.steps, ctx.shape, ctx.dtype = steps, states.shape, states.dtype
        if kernels:
            states = states.contiguous()
            ctx.sizes, ctx.places = _places(states, steps)
            tensors = (*ctx.places, states, maximum, total, step_of_maximum)
            kernels.pool_forward(*ctx.sizes, *(tensor.data_ptr() for tensor in tensors))
        else:
            for step, (block, rows, before) in enumerate(steps.blocks()):
                if before is not None:
                    higher = states[:, block] > maximum[:, rows]
                    step_of_maximum[:, rows].masked_fill_(higher, step)
                    torch.maximum(maximum[:, rows], states[:, block], out=maximum[:, rows])
                    total[:, rows] += states[:, block]
                else:
                    step_of_maximum[:, rows] = step
        ctx.save_for_backward(step_of_maximum)
        return maximum, total

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_maximum: Tensor, grad_total: Tensor):
        (step_of_maximum,) = ctx.saved_tensors
        grad = grad_total.new_empty(ctx.shape, dtype=ctx.dtype)
        kernels = kernels_for(grad)
        if kernels:
            tensors = (*ctx.places, grad_maximum.contiguous(), grad_total.contiguous(), step_of_maximum, grad)
            kernels.pool_backward(*ctx.sizes, *(tensor.data_ptr() for tensor in tensors))
        else:
            for step, (block, rows, _) in enumerate(ctx.steps.blocks()):
                own = grad_maximum[:, rows] * (step_of_maximum[:, rows] == step)
                torch.add(own, grad_total[:, rows], out=grad[:, block])
        return grad, None


def _places(states: Tensor, steps: Steps) -> tuple[tuple[int, ...], tuple[Tensor, Tensor]]:
    """The sizes and tensors by which the kernels find the states of a sequence."""
    starts = torch.tensor([0, *steps.sizes[:-1]]).cumsum(0)
    return (*states.shape, steps.sizes[0]), (starts, torch.from_numpy(steps.lengths()))
