"""Linear classifiers and TF-IDF of scikit-learn, as arrays and JSON: reading them runs no code."""

import json
from pathlib import Path
from typing import Any

import numpy as np

# The arguments of TfidfVectorizer that decide how a text is read once the vocabulary is known.
READING = ("token_pattern", "ngram_range", "sublinear_tf")


class LinearClassifier:
    """A logistic regression as its weights.

    Args:
        weights: (labels, features).
        biases: (labels,).
        labels: The name of each label.
    """

    def __init__(self, weights: np.ndarray, biases: np.ndarray, labels: list[str]):
        self.weights, self.biases, self.labels = weights, biases, labels

    @classmethod
    def of(cls, head: Any, scaler: Any = None) -> "LinearClassifier":
        """The weights of a LogisticRegression, whose features a StandardScaler may have scaled."""
        weights, biases = head.coef_, head.intercept_
        if scaler is not None:
            weights = weights / scaler.scale_
            biases = biases - weights @ scaler.mean_
        if len(head.classes_) == 2:
            weights, biases = np.concatenate([-weights, weights]), np.concatenate([-biases, biases])
        return cls(weights, biases, [str(label) for label in head.classes_])

    def predict(self, features: Any) -> list[str]:
        """The labels of features (N, D), dense or sparse."""
        scores = features @ self.weights.T + self.biases
        return [self.labels[best] for best in scores.argmax(-1)]

    def save(self, folder: Path) -> None:
        np.savez(folder / "head.npz", weights=self.weights, biases=self.biases)
        (folder / "labels.json").write_text(json.dumps(self.labels), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "LinearClassifier":
        with np.load(folder / "head.npz", allow_pickle=False) as arrays:
            weights, biases = arrays["weights"], arrays["biases"]
        return cls(weights, biases, json.loads((folder / "labels.json").read_text(encoding="utf-8")))


def save_tfidf(folder: Path, words: Any) -> None:
    """Save a fitted TfidfVectorizer."""
    terms = words.get_feature_names_out().tolist()
    reading = {name: getattr(words, name) for name in READING}
    (folder / "terms.json").write_text(json.dumps({**reading, "vocabulary": terms}), encoding="utf-8")
    np.save(folder / "idf.npy", words.idf_)


def load_tfidf(folder: Path) -> Any:
    """Load what [`save_tfidf`] saved."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    settings = json.loads((folder / "terms.json").read_text(encoding="utf-8"))
    words = TfidfVectorizer(**{**settings, "ngram_range": tuple(settings["ngram_range"])})
    words.idf_ = np.load(folder / "idf.npy", allow_pickle=False)
    return words
