"""Calibration: the temperature of the probabilities, and the distance of confidence from accuracy.

After Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017. Logits (N, C) and labels
(N,) are NumPy arrays or tensors on the CPU, of labeled utterances only.
"""

from typing import Any

import numpy as np

BINS = 15
# The number of parts of the validation split in the cross-fit.
PARTS = 5
# Bounds of the temperature. If every label is right, the likelihood keeps rising as the temperature falls.
MIN_TEMPERATURE, MAX_TEMPERATURE = 1 / 20, 20.0


def fit_temperature(logits: Any, labels: Any) -> float:
    """Fit the temperature that minimizes the negative log-likelihood of the labels when the logits are divided by it.

    The division does not change any predicted label. [`calibrate`] tests whether it helps on other utterances too.

    Args:
        logits: (utterances, classes).
        labels: (utterances,) class ids.

    Returns:
        The temperature, from 0.05 to 20.

    Raises:
        ValueError: There is no label, the shapes do not match, or a label is not a class id.
    """
    logits, labels = _checked(logits, labels)
    of_labels = logits[np.arange(len(labels)), labels]
    low, high = MIN_TEMPERATURE, MAX_TEMPERATURE
    # The likelihood is concave in 1 / T, so its slope shows on which side the best temperature is.
    for _ in range(60):
        temperature = float(np.sqrt(low * high))
        probabilities = np.exp(_log_probabilities(logits / temperature))
        slope = ((probabilities * logits).sum(1) - of_labels).mean()
        if slope == 0:
            break
        low, high = (temperature, high) if slope > 0 else (low, temperature)
    return temperature


def negative_log_likelihood(logits: Any, labels: Any, temperature: float = 1.0) -> float:
    """The mean negative log-likelihood of the labels (utterances,) in nats, not weighted by class.

    Raises:
        ValueError: As [`fit_temperature`].
    """
    logits, labels = _checked(logits, labels)
    return float(-_log_probabilities(logits / temperature)[np.arange(len(labels)), labels].mean())


def expected_calibration_error(logits: Any, labels: Any, temperature: float = 1.0) -> float:
    """The distance of confidence (the probability of the predicted label) from accuracy, from 0 to 1.

    Utterances are divided into 15 bins of equal width by their confidence. The error is the mean over the bins of the
    distance between mean confidence and accuracy, weighted by the number of utterances in a bin.

    Raises:
        ValueError: As [`fit_temperature`].
    """
    confidence, is_right, bins = _binned(logits, labels, temperature)
    return float(np.abs(np.bincount(bins, weights=is_right - confidence)).sum() / len(bins))


def reliability(logits: Any, labels: Any, temperature: float = 1.0) -> list[dict[str, float]]:
    """The points of a reliability diagram: the bins of [`expected_calibration_error`] that have an utterance.

    Returns:
        The number of `utterances`, their mean `confidence` and their `accuracy` for every such bin, in the order of
        increasing confidence.

    Raises:
        ValueError: As [`fit_temperature`].
    """
    confidence, is_right, bins = _binned(logits, labels, temperature)
    return [
        {
            "utterances": int(inside.sum()),
            "confidence": float(confidence[inside].mean()),
            "accuracy": float(is_right[inside].mean()),
        }
        for inside in (bins == index for index in np.unique(bins))
    ]


def calibrate(splits: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    """Choose the temperature on the split `validation`, and report calibration on all splits without and with it.

    A temperature is used only if it helps on utterances that it was not fitted on: in a cross-fit over
    `validation`, it must lower both the negative log-likelihood and the expected calibration error. Otherwise the
    temperature stays 1.

    Args:
        splits: Logits (N, C) and labels (N,) of each split, dialogue after dialogue. `validation` is
            required.

    Returns:
        `temperature`; `cross_fit`, with the `fitted` temperature, whether it `helps`, and `before` and `after`, each
        with `ece` and `nll`, on the held-out parts of `validation`; and for every split `before` and `after` in the
        same form.

    Raises:
        ValueError: A split has no label, or its shapes do not match.
    """
    logits, labels = _checked(*splits["validation"])
    fitted = fit_temperature(logits, labels)
    before, after = _figures(logits, labels), _figures(_cross_fitted(logits, labels), labels)
    helps = all(after[figure] < before[figure] for figure in before)
    temperature = fitted if helps else 1.0
    return {
        "temperature": temperature,
        "cross_fit": {"fitted": fitted, "helps": helps, "before": before, "after": after},
        **{
            split: {"before": _figures(*split_data), "after": _figures(*split_data, temperature)}
            for split, split_data in splits.items()
        },
    }


def _cross_fitted(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The logits of every utterance, divided by a temperature that was fitted on the other parts.

    Parts are contiguous, so at most two of them share a dialogue. A single utterance keeps its logits.
    """
    if len(labels) == 1:
        return logits
    scaled = logits.copy()
    for part in np.array_split(np.arange(len(labels)), min(PARTS, len(labels))):
        others = np.delete(np.arange(len(labels)), part)
        scaled[part] /= fit_temperature(logits[others], labels[others])
    return scaled


def _figures(logits: Any, labels: Any, temperature: float = 1.0) -> dict[str, float]:
    return {
        "ece": expected_calibration_error(logits, labels, temperature),
        "nll": negative_log_likelihood(logits, labels, temperature),
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


def _binned(logits: Any, labels: Any, temperature: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The confidence of every utterance, whether its predicted label is right, and its bin."""
    logits, labels = _checked(logits, labels)
    confidence = np.exp(_log_probabilities(logits / temperature)).max(1)
    bins = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(int)
    return confidence, logits.argmax(1) == labels, bins


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
