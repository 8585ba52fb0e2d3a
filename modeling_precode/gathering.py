"""Gathers the rows of a tensor from all processes, with gradients."""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def gather_counts(rows: Tensor) -> list[int]:
    """The number of rows of each process."""
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.empty_like(count) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, count)
    return torch.cat(counts).tolist()


def gather_rows(rows: Tensor, counts: list[int]) -> Tensor:
    """The rows of all processes, (sum of n, ...), in the order of the processes.

    The gradient of a row flows back to the process that the row comes from, summed over the losses of all processes.
    All processes must call this function together, in the forward pass and therefore in the backward pass.

    Args:
        rows: (n, ...), the rows of this process. Only n may differ between processes.
        counts: n of each process.
    """
    return _GatherRows.apply(rows, counts)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows: Tensor, counts: list[int]) -> Tensor:
        ctx.counts = counts
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        total = grad.float().clone()
        dist.all_reduce(total)
        return total.split(ctx.counts)[dist.get_rank()].to(grad.dtype), None
