"""Probabilities that mean what they say: one temperature for all logits, and how far confidence is from accuracy.

After Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017. Logits (N, C) and labels
(N,) are NumPy arrays or tensors on the CPU, of labelled utterances only.
"""

from typing import Any

import numpy as np

BINS = 15
# Where every label is right, the likelihood has no end: the colder the better.
COLDEST, HOTTEST = 1 / 20, 20.0


def fit_temperature(logits: Any, labels: Any) -> float:
    """The temperature, from 0.05 to 20, by which logits are to be divided for the least negative log-likelihood of the
    labels. It changes no label.

    Raises:
        ValueError: there is no label, or the shapes do not go together.
    """
    logits, labels = _checked(logits, labels)
    of_labels = logits[np.arange(len(labels)), labels]
    coldest, hottest = COLDEST, HOTTEST
    # The likelihood is concave in 1 / T, so that its slope says on which side the best one lies.
    for _ in range(60):
        temperature = float(np.sqrt(coldest * hottest))
        probabilities = np.exp(_log_probabilities(logits / temperature))
        slope = ((probabilities * logits).sum(1) - of_labels).mean()
        if slope == 0:
            break
        coldest, hottest = (temperature, hottest) if slope > 0 else (coldest, temperature)
    return temperature


def negative_log_likelihood(logits: Any, labels: Any, temperature: float = 1.0) -> float:
    """The mean over the utterances, in nats, all classes weighing the same."""
    logits, labels = _checked(logits, labels)
    return float(-_log_probabilities(logits / temperature)[np.arange(len(labels)), labels].mean())


def expected_calibration_error(logits: Any, labels: Any, temperature: float = 1.0) -> float:
    """How far the probability of the predicted label is from the share of right ones, in 15 bins of equal width: the
    mean over the bins, each weighing as many utterances as it has."""
    logits, labels = _checked(logits, labels)
    probabilities = np.exp(_log_probabilities(logits / temperature))
    confidence, is_right = probabilities.max(1), logits.argmax(1) == labels
    bins = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(int)
    return float(np.abs(np.bincount(bins, weights=is_right - confidence)).sum() / len(labels))


def calibrate(splits: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    """Fit the temperature on the split `validation`, and say what it does to all of them.

    Args:
        splits: logits and labels by the name of the split.

    Returns:
        `temperature`, and for every split `before` and `after`, each with `ece` and `nll`.
    """
    temperature = fit_temperature(*splits["validation"])

    def figures(split: str, temperature: float) -> dict[str, float]:
        return {
            "ece": expected_calibration_error(*splits[split], temperature),
            "nll": negative_log_likelihood(*splits[split], temperature),
        }

    return {
        "temperature": temperature,
        **{split: {"before": figures(split, 1.0), "after": figures(split, temperature)} for split in splits},
    }


def _checked(logits: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(
            "calibration takes logits (utterances, classes) and a label for each utterance, at least one; got the "
            f"shapes {logits.shape} and {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(
            f"labels are class ids below {logits.shape[1]}; got {labels.min()} to {labels.max()}. Leave out utterances "
            "without a label"
        )
    return logits, labels


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
