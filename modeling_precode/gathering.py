"""Rows of a tensor from all processes, with gradients."""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def gather_counts(rows: Tensor) -> list[int]:
    """How many rows every process has."""
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.empty_like(count) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, count)
    return torch.cat(counts).tolist()


def gather_rows(rows: Tensor, counts: list[int]) -> Tensor:
    """Rows (n, ...) of every process -> those of all (sum of n, ...), in the order of the processes.

    Gradients flow back to the process that a row is from, summed over the losses of all processes. All processes
    call this together, in the forward pass and so in the backward pass.

    Args:
        rows: of this process, of the same shape elsewhere but for n.
        counts: n of every process.
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
