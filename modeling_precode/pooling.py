"""Maximum plus mean over the states of sequences without padding."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .steps import Steps


def pool(states: Tensor, steps: Steps, pooling_length: int | None = None, padding: Tensor | None = None) -> Tensor:
    """Maximum plus mean over the states of each sequence.

    Args:
        states: (S, I, d), at the places of `steps`; S takes of them, such as the two directions.
        steps: of N sequences.
        pooling_length: a sequence counts as padded to that many states, as the original pools over 60.
        padding: (d,), the state at such padding; 0 when not given.

    Returns:
        (S, N, d), in the order of the rows of `steps`.
    """
    maximum, total = _MaximumAndSum.apply(states, steps)
    lengths = torch.tensor(steps.lengths(), dtype=states.dtype, device=states.device).unsqueeze(1)
    if pooling_length is None:
        return maximum + total / lengths
    missing = (pooling_length - lengths).clamp(min=0)
    padding = states.new_zeros(states.shape[-1]) if padding is None else padding
    maximum = torch.where(missing > 0, torch.maximum(maximum, padding), maximum)
    return maximum + (total + missing * padding) / (lengths + missing)


class _MaximumAndSum(torch.autograd.Function):
    """Step by step, without a temporary of the states' size but their gradient."""

    @staticmethod
    def forward(ctx, states: Tensor, steps: Steps) -> tuple[Tensor, Tensor]:
        maximum = states[:, : steps.sizes[0]].clone()
        total = maximum.clone()
        for block, rows, block_before in steps.blocks():
            if block_before is not None:
                torch.maximum(maximum[:, rows], states[:, block], out=maximum[:, rows])
                total[:, rows] += states[:, block]
        ctx.save_for_backward(states, maximum)
        ctx.steps = steps
        return maximum, total

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_maximum: Tensor, grad_total: Tensor):
        states, maximum = ctx.saved_tensors
        grad = torch.empty_like(states)
        # Each maximum's gradient goes to one state, the last of equal ones.
        left = grad_maximum.clone()
        for block, rows, _ in reversed(list(ctx.steps.blocks())):
            own = torch.mul(left[:, rows], states[:, block] == maximum[:, rows])
            left[:, rows] -= own
            torch.add(own, grad_total[:, rows], out=grad[:, block])
        return grad, None
