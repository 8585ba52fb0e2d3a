"""Learning rates of the parts of a model: a trained text encoder has one of its own, which may fall with the depth."""

import re
from typing import Any

from torch import nn

from .modeling_precode import PreCodePreTrainedModel

TEXT_ENCODER_LEARNING_RATE = 2e-5


def parameter_groups(
    model: PreCodePreTrainedModel,
    learning_rate: float,
    text_encoder_learning_rate: float | None = None,
    layer_decay: float | None = None,
    groups: list[dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """The trained parameters of a model by their learning rates, for an optimiser; `learning_rate` comes first.

    Args:
        model: with any utterance encoder.
        learning_rate: of all but the text encoder.
        text_encoder_learning_rate: of the text encoder's last layer; 2e-5 when not given.
        layer_decay: every layer of the text encoder has the learning rate of the one above times this, and what stands
            before the first layer that of the first one times this.
        groups: of an optimiser, to be divided further; all in one when not given.

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


def _depths(encoder: nn.Module) -> dict[nn.Parameter, int]:
    """For every parameter of a text encoder, how deep it lies: 1 in the last layer, 2 in the one before, and so on."""
    count = encoder.config.num_hidden_layers
    lists = ((name, part) for name, part in encoder.named_modules() if isinstance(part, nn.ModuleList))
    layers = next((name for name, part in lists if len(part) == count), None)
    if layers is None:
        raise ValueError(
            f"--layer_decay: a {encoder.config.model_type!r} has no list of {count} layers; leave the option out"
        )
    depths = {}
    # In the order of definition embeddings come before the layers, and a last normalisation after them.
    depth = count + 1
    for name, parameter in encoder.named_parameters():
        if match := re.match(rf"{re.escape(layers)}\.(\d+)\.", name):
            depth = count - int(match[1])
        depths[parameter] = depth
    return depths
