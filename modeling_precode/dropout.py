"""Dropout that is fast on a CPU."""

import torch
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """`nn.Dropout` that draws 16 random bits per element on a CPU, where PyTorch draws a floating-point number.

    The probability is rounded to the nearest multiple of 1 / 65536 below 1. The elements that are kept are scaled
    accordingly.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply dropout in training. In evaluation, the inputs are returned unchanged."""
        if not self.training or self.p in (0, 1) or inputs.device.type != "cpu":
            return super().forward(inputs)
        dropped = min(round(self.p * 2**16), 2**16 - 1)
        draws = torch.empty((inputs.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        kept = draws.view(torch.int16)[: inputs.numel()].view(inputs.shape) >= dropped - 2**15
        return inputs * (kept * (2**16 / (2**16 - dropped))).to(inputs.dtype)
