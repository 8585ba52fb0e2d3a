"""Optimization: learning rate schedules, and the learning rates of the parts of a model.

A schedule has a warm-up and then depends on the step or the validation metric. A trained text encoder has its own
learning rate, which may decrease from layer to layer.
"""

import re
from collections.abc import Collection
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR, ReduceLROnPlateau
from transformers import PreTrainedModel, get_scheduler

from ..modeling_precode import PreCodePreTrainedModel

TEXT_ENCODER_LEARNING_RATE = 2e-5
# Schedules that do not depend on the total number of steps.
ENDLESS = ("plateau", "constant")
SCHEDULES = (*ENDLESS, "linear", "cosine")


def floors(optimizer: Optimizer, lowest: float) -> list[float]:
    """The minimum learning rate of every parameter group: `lowest` for the first, in proportion for the others."""
    rates = [group["lr"] for group in optimizer.param_groups]
    return [lowest * (rate / rates[0]) for rate in rates]


class Schedule:
    """Sets an optimizer's learning rate.

    Args:
        kind: `plateau` multiplies the learning rate by `factor` after every evaluation that is not better than all
            before it. `constant` does not change it. `linear` and `cosine` decrease it to 0 at `total_steps`.
        optimizer: The optimizer, with the initial learning rate, or the one after the warm-up.
        warmup_steps: The number of steps in which the learning rate increases linearly.
        total_steps: The total number of steps of the run.
        factor: The factor of `plateau`.
        min_learning_rate: The minimum learning rate of `plateau` for the first parameter group. The minimum of the
            others is in proportion.
    """

    def __init__(
        self,
        kind: str,
        optimizer: Optimizer,
        warmup_steps: int,
        total_steps: int,
        factor: float,
        min_learning_rate: float,
    ):
        self.by_metric = self.by_step = None
        if kind == "plateau":
            self.by_metric = ReduceLROnPlateau(
                optimizer,
                mode="max",
                factor=factor,
                patience=0,
                threshold=0,
                min_lr=floors(optimizer, min_learning_rate),
            )
            self.by_metric.best = 0.0  # a recall of 0 is not an improvement
            if warmup_steps:
                self.by_step = LinearLR(optimizer, start_factor=1 / (warmup_steps + 1), total_iters=warmup_steps)
        elif kind == "constant":
            self.by_step = get_scheduler("constant_with_warmup", optimizer, warmup_steps)
        else:
            self.by_step = get_scheduler(kind, optimizer, warmup_steps, total_steps)

    def after_step(self) -> None:
        """Update the learning rate after a step of the optimizer."""
        if self.by_step is not None:
            self.by_step.step()

    def after_evaluation(self, metric: float) -> None:
        """Update the learning rate after an evaluation with this validation metric."""
        if self.by_metric is not None:
            self.by_metric.step(metric)

    def parts(self) -> dict[str, Any]:
        """The schedules of PyTorch that are used, by name."""
        return {name: part for name, part in vars(self).items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        """The state for a checkpoint."""
        return {name: part.state_dict() for name, part in self.parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state from [`state_dict`]."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])


def decay_groups(model: nn.Module, decayed: Collection[str], weight_decay: float) -> list[dict[str, Any]]:
    """The parameters of a model in two groups for an optimizer: with weight decay, and without.

    Args:
        model: The model.
        decayed: The names of the parameters with weight decay.
        weight_decay: The weight decay.
    """
    groups: list[dict[str, Any]] = [{"params": [], "weight_decay": weight_decay}, {"params": [], "weight_decay": 0.0}]
    for name, parameter in model.named_parameters():
        groups[name not in decayed]["params"].append(parameter)
    return groups


def parameter_groups(
    model: PreCodePreTrainedModel,
    learning_rate: float,
    text_encoder_learning_rate: float | None = None,
    layer_decay: float | None = None,
    groups: list[dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """Divide the trained parameters of a model into groups of equal learning rate, for an optimizer.

    The group with `learning_rate` comes first.

    Args:
        model: The model, with any utterance encoder.
        learning_rate: The learning rate of all parameters outside a text encoder.
        text_encoder_learning_rate: The learning rate of the text encoder's last layer; 2e-5 by default.
        layer_decay: The factor from the learning rate of a layer of the text encoder to that of the layer below, and
            from the first layer to the embeddings; 1 by default.
        groups: The groups of an optimizer, which are divided further; by default one group of all parameters.

    Raises:
        ValueError: `layer_decay` is not above 0 and at most 1, or the encoder has no list of layers.
    """
    decay = 1.0 if layer_decay is None else layer_decay
    if not 0 < decay <= 1:
        raise ValueError(f"--layer_decay must be more than 0 and at most 1; got {layer_decay}")
    top = TEXT_ENCODER_LEARNING_RATE if text_encoder_learning_rate is None else text_encoder_learning_rate
    encoder = getattr(model.base_model.utterance_encoder, "encoder", None)
    if encoder is None or decay == 1:
        depths = dict.fromkeys(encoder.parameters() if encoder is not None else (), 1)
    else:
        depths = _depths(encoder)
    divided: dict[tuple[int, int], dict[str, Any]] = {}
    for number, group in enumerate(groups or [{"params": list(model.parameters())}]):
        for parameter in filter(lambda parameter: parameter.requires_grad, group["params"]):
            # Depth 0 means outside the text encoder.
            depth = depths.get(parameter, 0)
            rate = top * decay ** (depth - 1) if depth else learning_rate
            part = divided.setdefault((depth, number), {**group, "params": [], "lr": rate})
            part["params"].append(parameter)
    return [divided[key] for key in sorted(divided)]


def _depths(encoder: PreTrainedModel) -> dict[nn.Parameter, int]:
    """The depth of every parameter of a text encoder: 1 in the last layer, 2 in the layer before, and so on."""
    count = encoder.config.num_hidden_layers
    lists = ((name, part) for name, part in encoder.named_modules() if isinstance(part, nn.ModuleList))
    layers = next((name for name, part in lists if len(part) == count), None)
    if layers is None:
        raise ValueError(
            f"--layer_decay: a {encoder.config.model_type!r} has no list of {count} layers; leave this out"
        )
    depths: dict[nn.Parameter, int] = {}
    # Parameters are in the order of definition: embeddings, layers, and a final normalization.
    depth = count + 1
    for name, parameter in encoder.named_parameters():
        if match := re.match(rf"{re.escape(layers)}\.(\d+)\.", name):
            depth = count - int(match[1])
        depths[parameter] = depth
    return depths
