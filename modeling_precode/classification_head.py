"""The head that scores the classes of every utterance, a mask of classes, and the loss against distributions."""

import torch
from torch import Tensor, nn

from .configuration_precode import PreCodeConfig


class ClassificationHead(nn.Module):
    """Linear, tanh, Linear: (..., d_u + d_s) -> (..., C) (paper, section 3.4)."""

    def __init__(self, config: PreCodeConfig):
        super().__init__()
        size = config.utterance_hidden_size + config.conversation_state_size
        assert config.num_labels is not None
        self.dense = nn.Linear(size, config.classifier_hidden_size)
        self.output = nn.Linear(config.classifier_hidden_size, config.num_labels)

    def forward(self, states: Tensor) -> Tensor:
        """Compute the logits (..., C) from the vector and the state of each utterance (..., d_u + d_s)."""
        return self.output(torch.tanh(self.dense(states)))


def mask_classes(logits: Tensor, class_mask: Tensor) -> Tensor:
    """Give the classes that the utterances of a dialogue cannot have the probability 0.

    Args:
        logits: (D, U, C).
        class_mask: (D, C), 1 for a class that the utterances of a dialogue can have, and 0 for the others.

    Returns:
        The logits, with the lowest number of their type for the other classes.

    Raises:
        ValueError: The mask has another shape.
    """
    if class_mask.shape != (logits.shape[0], logits.shape[2]):
        raise ValueError(
            f"`class_mask` must have the shape (dialogues, classes), here {(logits.shape[0], logits.shape[2])}; got "
            f"{tuple(class_mask.shape)}"
        )
    return logits.masked_fill(~class_mask.bool().unsqueeze(1), torch.finfo(logits.dtype).min)


def soft_cross_entropy(logits: Tensor, labels: Tensor, distributions: Tensor, weights: Tensor | None) -> Tensor:
    """Sum the cross-entropy of all labeled utterances, against their distribution or else their label.

    Args:
        logits: (D, U, C).
        labels: (D, U), -100 without a label.
        distributions: (D, U, C), 0 without a distribution.
        weights: (C,), the weights of the classes, or `None`.

    Raises:
        ValueError: The distributions have another shape than the logits.
    """
    if distributions.shape != logits.shape:
        raise ValueError(
            f"soft targets must have the shape (dialogues, utterances, classes), here {tuple(logits.shape)}; "
            f"got {tuple(distributions.shape)}"
        )
    labels = labels.unsqueeze(-1)
    of_labels = labels == torch.arange(logits.shape[-1], device=labels.device)
    has_distribution = distributions.sum(-1, keepdim=True) > 0
    targets = torch.where(has_distribution & (labels != -100), distributions.float(), of_labels.float())
    losses = -targets * logits.float().log_softmax(-1)
    return (losses if weights is None else losses * weights).sum()
