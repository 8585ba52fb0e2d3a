"""A GRU over sequences without padding, bidirectional or forward only, that is also fast on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import PackedSequence

from .kernels import kernels_for
from .steps import BLOCK, Steps


class GRU(nn.GRU):
    """`nn.GRU` with one layer, with the same parameters and results, without padding. S is the number of directions.

    On a CPU, this class is faster than `nn.GRU` for four reasons:

    * Both directions are computed together, so that each has a core.
    * An input that occurs at many places, such as a word, is multiplied with the input weights once.
    * The first step has no previous state and needs no product.
    * The backward pass touches only the rows of a step. PyTorch's fills a tensor of the size of the whole input with
      zeros at every step.

    On a GPU, and if `plain` is set, this is `nn.GRU` (cuDNN).
    """

    plain = False

    def __init__(self, input_size: int, hidden_size: int, bidirectional: bool = True):
        super().__init__(input_size, hidden_size, bidirectional=bidirectional)

    def forward(  # type: ignore[override]
        self, inputs: Tensor, index: Tensor, steps: Steps
    ) -> Tensor:
        """Compute the states of sequences of inputs.

        Args:
            inputs: (R, input_size), the distinct inputs.
            index: (2, I), the row of the input at each place of `steps`, for both directions.
            steps: The steps of the sequences.

        Returns:
            (S, I, hidden_size), the states at each place, for each direction. The backward direction begins at the end
            of each sequence.
        """
        directions = ("", "_reverse") if self.bidirectional else ("",)
        index = index[: len(directions)]
        if inputs.device.type != "cpu" or self.plain:
            return self.packed_states(inputs, index, steps)
        input_weight, weight, input_bias, bias = (
            torch.stack([getattr(self, f"{name}_l0{direction}") for direction in directions])
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        size = self.hidden_size
        # Only the candidate's share of the recurrent bias is multiplied with the reset gate.
        gate_bias = input_bias + F.pad(bias[:, : 2 * size], (0, size))
        # The candidate comes first, so that the backward pass can slice its gradients.
        input_weight, gate_bias = (tensor.roll(size, dims=1) for tensor in (input_weight, gate_bias))
        gates = torch.baddbmm(gate_bias.unsqueeze(1), inputs.expand(len(directions), -1, -1), input_weight.mT)
        # Under autocast the gates have another type than the weights.
        weight, bias = weight.to(gates.dtype), bias[:, 2 * size :].to(gates.dtype)
        return _Recurrence.apply(gates, weight, bias, index, steps)

    def packed_states(self, inputs: Tensor, index: Tensor, steps: Steps) -> Tensor:
        """Compute the same with `nn.GRU`, which uses cuDNN on a GPU."""
        sizes, training = torch.tensor(steps.sizes), self.training
        # Without dropout, the mode has one effect: in evaluation, cuDNN stores nothing for a backward pass.
        self.training = training or torch.is_grad_enabled()
        states = super().forward(PackedSequence(inputs.index_select(0, index[0]), sizes))[0].data
        self.training = training
        if not self.bidirectional:
            return states.unsqueeze(0)
        forward_states, backward_states = states.chunk(2, dim=-1)
        return torch.stack([forward_states, backward_states.index_select(0, steps.places[0][steps.items[1]])])

    def step(self, inputs: Tensor, states: Tensor | None) -> Tensor:
        """One step of a forward GRU: from inputs (N, input_size) and the previous states, if any, to states (N, H)."""
        return super().forward(inputs.unsqueeze(0), None if states is None else states.unsqueeze(0))[0][0]


def join(states: Tensor, steps: Steps) -> Tensor:
    """Concatenate the directions: states (S, I, H) -> (I, S H), forward then backward, in the order of the items."""
    return torch.cat([states[i].index_select(0, steps.places[i]) for i in range(len(states))], dim=-1)


class _Recurrence(torch.autograd.Function):
    """The recurrence of all directions.

    Takes the contribution of the inputs to the gates, (S, R, 3 H), in the order n, r, z. Returns the states (S, I, H).

    r, z and n are the reset gate, the update gate and the candidate, and h is the previous state (0 at the first step):
    h' = (1 - z) n + z h, n = tanh(x_n + r m), m = W_n h + b_n. The rows of the weight are in PyTorch's order, r, z, n.
    """

    @staticmethod
    def forward(ctx, gates: Tensor, weight: Tensor, bias: Tensor, index: Tensor, steps: Steps) -> Tensor:
        size, (directions, places) = weight.shape[2], index.shape
        bias, index = bias.contiguous(), index + gates.shape[1] * torch.arange(directions).unsqueeze(1)
        training = any(ctx.needs_input_grad)
        kernels = kernels_for(gates)
        # For a backward pass, the gates of all places are stored. Otherwise all blocks share the memory of one block.
        widest = min(BLOCK, steps.sizes[0])
        kept = places if training else 0 if kernels else widest
        resets_updates = gates.new_empty(directions, kept, 2 * size)
        memories, candidates = (gates.new_empty(directions, kept, size) for _ in range(2))
        states = gates.new_empty(directions, places, size)
        room = gates.new_empty(directions * widest * 3 * size)
        for block, _, before in steps.blocks():
            count = block.stop - block.start
            recurrent = None
            if before is not None:
                recurrent = room[: directions * count * 3 * size].view(directions, count, 3 * size)
                torch.bmm(states[:, before], weight.mT, out=recurrent)
            if kernels:
                kernels.gru_forward(
                    *(directions, places, size, block.start, before.start if before else -1, count),
                    *(_address(tensor) for tensor in (gates, index, recurrent, bias)),
                    *(_address(tensor) for tensor in (resets_updates, memories, candidates, states)),
                )
                continue
            x = gates.view(-1, 3 * size).index_select(0, index[:, block].reshape(-1)).view(directions, count, 3 * size)
            keep = block if training else slice(count)
            r_z, m, n = resets_updates[:, keep], memories[:, keep], candidates[:, keep]
            r, z = r_z.split(size, dim=-1)
            if recurrent is None:
                torch.sigmoid(x[..., size:], out=r_z)
                m.copy_(bias.unsqueeze(1).expand_as(m))
            else:
                torch.sigmoid(x[..., size:].add_(recurrent[..., : 2 * size]), out=r_z)
                torch.add(recurrent[..., 2 * size :], bias.unsqueeze(1), out=m)
            torch.addcmul(x[..., :size], r, m, out=n).tanh_()
            if before is None:
                torch.addcmul(n, n, z, value=-1, out=states[:, block])
            else:
                torch.lerp(n, states[:, before], z, out=states[:, block])
        if training:
            ctx.save_for_backward(weight, resets_updates, memories, candidates, states, index)
            ctx.steps, ctx.inputs = steps, gates.shape[1]
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_states: Tensor):
        weight, resets_updates, memories, candidates, states, index = ctx.saved_tensors
        grad_states = grad_states.contiguous()
        directions, places, size = states.shape
        rows = ctx.steps.sizes[0]
        kernels = kernels_for(states)
        previous = torch.empty_like(states)
        # The gradients with respect to n, r, z and m at every place. The first three are the gradient of the gates. The
        # last three are the gradient of the product with the recurrent weights.
        by_all = states.new_empty(directions, places, 4 * size)
        by_product = by_all[..., size:]
        later = states.new_zeros(directions, rows, size)
        room = states.new_empty(directions * min(BLOCK, rows) * size)
        for block, sequences, before in reversed(list(ctx.steps.blocks())):
            count = block.stop - block.start
            to_before = room[: directions * count * size].view(directions, count, size)
            if kernels:
                kernels.gru_backward(
                    *(
                        directions,
                        places,
                        size,
                        block.start,
                        before.start if before else -1,
                        count,
                        rows,
                        sequences.start,
                    ),
                    *(_address(tensor) for tensor in (grad_states, later, resets_updates, memories, candidates)),
                    *(_address(tensor) for tensor in (states, previous, by_all, to_before)),
                )
            else:
                grad = grad_states[:, block] + later[:, sequences]
                r, z = resets_updates[:, block].split(size, dim=-1)
                n = candidates[:, block]
                by_n, by_r, by_z, by_m = by_all[:, block].split(size, dim=-1)
                torch.mul(grad, z, out=to_before)
                # Factors such as 1 - z stay precise where a gate is nearly open or closed.
                torch.mul(grad.mul_(1 - z), (1 - n).mul_(1 + n), out=by_n)
                torch.mul(by_n, r, out=by_m)
                torch.mul(by_m * memories[:, block], 1 - r, out=by_r)
                h = previous[:, block].zero_() if before is None else previous[:, block].copy_(states[:, before])
                torch.mul((h - n).mul_(to_before), 1 - z, out=by_z)
            if before is not None:
                later[:, sequences] = to_before.baddbmm_(by_product[:, block], weight)
        # One direction after the other, and transposed afterwards: this copies fewer slices.
        grad_weight = torch.stack([h[rows:].T @ by[rows:] for h, by in zip(previous, by_product, strict=True)]).mT
        grad_bias = by_all[..., 3 * size :].sum(1)
        grad_gates = _sum_by(index.view(-1), by_all.flatten(0, 1), directions * ctx.inputs)[:, : 3 * size]
        return grad_gates.unflatten(0, (directions, -1)), grad_weight, grad_bias, None, None


def _address(tensor: Tensor | None) -> int | None:
    """The address of the data, or `None` (a null pointer) without data."""
    return None if tensor is None or not tensor.numel() else tensor.data_ptr()


def _sum_by(index: Tensor, values: Tensor, count: int) -> Tensor:
    """Sum the values (I, d) by their index (I,): (count, d)."""
    ends = torch.bincount(index, minlength=count).cumsum(0)
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    return F.embedding_bag(index.argsort(), values, starts, mode="sum")
