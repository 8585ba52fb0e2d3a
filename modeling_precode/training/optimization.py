"""Optimization: the learning rate over a run, and the learning rates of the parts of a model.

A schedule has a warm-up and then follows the step or the dev metric. A trained text encoder has a learning rate of its
own, which may fall with the depth of a layer.
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
# Of these no step depends on how many there are.
ENDLESS = ("plateau", "constant")
SCHEDULES = (*ENDLESS, "linear", "cosine")


def floors(optimizer: Optimizer, lowest: float) -> list[float]:
    """The lowest learning rate of every group of parameters: that of the first one, and the others in proportion."""
    rates = [group["lr"] for group in optimizer.param_groups]
    return [lowest * (rate / rates[0]) for rate in rates]


class Schedule:
    """Sets an optimizer's learning rate.

    Args:
        kind: `plateau` multiplies by `factor`, down to `min_learning_rate` (that of the first group of parameters; the
            others in proportion), at every evaluation that is not better than all before it; `constant` stays;
            `linear` and `cosine` go to 0 at `total_steps`.
        optimizer: with the learning rate to start from, or to warm up to.
        warmup_steps: the learning rate rises evenly during so many steps.
        total_steps: of the run.
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
            self.by_metric.best = 0.0  # a recall of 0 is no improvement
            if warmup_steps:
                self.by_step = LinearLR(optimizer, start_factor=1 / (warmup_steps + 1), total_iters=warmup_steps)
        elif kind == "constant":
            self.by_step = get_scheduler("constant_with_warmup", optimizer, warmup_steps)
        else:
            self.by_step = get_scheduler(kind, optimizer, warmup_steps, total_steps)

    def after_step(self) -> None:
        if self.by_step is not None:
            self.by_step.step()

    def after_evaluation(self, metric: float) -> None:
        if self.by_metric is not None:
            self.by_metric.step(metric)

    def parts(self) -> dict[str, Any]:
        return {name: part for name, part in vars(self).items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self.parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
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
    """The trained parameters of a model by their learning rates, for an optimizer; `learning_rate` comes first.

    Args:
        model: with any utterance encoder.
        learning_rate: of all but the text encoder.
        text_encoder_learning_rate: of the text encoder's last layer; 2e-5 when not given.
        layer_decay: every layer of the text encoder has the learning rate of the one above times this, and what stands
            before the first layer that of the first one times this.
        groups: of an optimizer, to be divided further; all in one when not given.

    Raises:
        ValueError: a `layer_decay` that is not above 0 and at most 1, or for an encoder without a list of layers.
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
            # Depth 0 is not of the text encoder.
            depth = depths.get(parameter, 0)
            rate = top * decay ** (depth - 1) if depth else learning_rate
            part = divided.setdefault((depth, number), {**group, "params": [], "lr": rate})
            part["params"].append(parameter)
    return [divided[place] for place in sorted(divided)]


def _depths(encoder: PreTrainedModel) -> dict[nn.Parameter, int]:
    """For every parameter of a text encoder, how deep it lies: 1 in the last layer, 2 in the one before, and so on."""
    count = encoder.config.num_hidden_layers
    lists = ((name, part) for name, part in encoder.named_modules() if isinstance(part, nn.ModuleList))
    layers = next((name for name, part in lists if len(part) == count), None)
    if layers is None:
        raise ValueError(
            f"--layer_decay: a {encoder.config.model_type!r} has no list of {count} layers; leave the option out"
        )
    depths: dict[nn.Parameter, int] = {}
    # In the order of definition embeddings come before the layers, and a last normalization after them.
    depth = count + 1
    for name, parameter in encoder.named_parameters():
        if match := re.match(rf"{re.escape(layers)}\.(\d+)\.", name):
            depth = count - int(match[1])
        depths[parameter] = depth
    return depths
