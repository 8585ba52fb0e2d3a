"""Baselines without neural networks: the most frequent label, a linear model over a bag of words, and for Conversation
Completion the overlap of words between a candidate and its dialogue."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict
from scipy.sparse import csr_matrix, diags
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from data_scripts import label_names
from modeling_precode import ConvComRecall, DialoguesWithNegatives, ERCScores, PreCodeTokenizer, encode_dialogues

from .results import Results, key_of
from .views import has_files, load

INVERSE_PENALTIES = (0.3, 1.0, 3.0, 10.0)
# The number of utterances on each side in the context of the bag of words.
WINDOWS = (1, 2, 4, 8, 1000)


def add_baselines(corpora: dict[str, dict], metrics: dict[str, str], data_dir: Path, results: Results) -> None:
    """Add the results of all baselines that are missing.

    Args:
        corpora: The arguments for reading each corpus, by name.
        metrics: The dev metric that chooses the penalty, for each labeled corpus.
        data_dir: The folder with the corpora.
        results: The results to extend.
    """
    for name, metric in metrics.items():
        corpus = corpora[name]
        keys = {kind: key_of(kind, corpus) for kind in ("majority", "bag of words")}
        if all(results.get(key) for key in keys.values()) or not has_files(corpus, data_dir):
            continue
        found = load(corpus, data_dir)
        for kind, scores in emotion_baselines(found, metric).items():
            results.add({"key": keys[kind], "seed": None, "baseline": kind, "settings": corpus, **scores})


def emotion_baselines(corpus: DatasetDict, metric: str) -> dict[str, dict[str, Any]]:
    """The scores of the most frequent label, and of the linear model with the best penalty on the validation split."""
    names = label_names(corpus)
    excluded = metric.removeprefix("micro_f1_without_") if metric.startswith("micro_f1_without_") else None
    texts, labels = {}, {}
    for split, rows in corpus.items():
        texts[split], labels[split] = labeled_texts(rows)

    def score(predictions: dict[str, np.ndarray]) -> dict[str, dict]:
        return {
            split: ERCScores().compute(
                predictions=found, references=labels[split], label_names=names, excluded_label=excluded
            )
            for split, found in predictions.items()
        }

    most = np.bincount(labels["train"]).argmax()
    majority = score({split: np.full(len(labels[split]), most) for split in ("validation", "test")})
    model, chosen = fit_bag_of_words(
        texts["train"],
        labels["train"],
        texts["validation"],
        lambda found: score({"validation": found})["validation"][metric],
    )
    linear = score({split: model.predict(texts[split]) for split in ("validation", "test")})
    return {"majority": {"scores": majority}, "bag of words": {"scores": linear, "chosen": chosen}}


def labeled_texts(rows: Dataset) -> tuple[list[str], np.ndarray]:
    """The utterances of a split that have a label, and their labels."""
    pairs = [
        pair
        for utterances, row in zip(rows["utterances"], rows["labels"], strict=True)
        for pair in zip(utterances, row, strict=True)
        if pair[1] >= 0
    ]
    return [text for text, _ in pairs], np.array([label for _, label in pairs])


def fit_bag_of_words(
    texts: list[str], labels: np.ndarray, held_out: list[str], score: Callable[[np.ndarray], float]
) -> tuple[Pipeline, dict[str, Any]]:
    """The linear model whose penalty and weights of labels do best on held-out texts, and these settings."""
    words = TfidfVectorizer(token_pattern=r"[a-z']+|[!?]", ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    counts, held_out_counts = words.fit_transform(texts), words.transform(held_out)
    best, chosen = None, {}
    for penalty in INVERSE_PENALTIES:
        for balance in (None, "balanced"):
            model = LogisticRegression(C=penalty, class_weight=balance, max_iter=2000)
            model.fit(counts, labels)
            dev = score(model.predict(held_out_counts))
            if best is None or dev > best:
                best, chosen, kept = dev, {"C": penalty, "class_weight": balance}, model
    return make_pipeline(words, kept), chosen


def completion_baseline(corpus: dict[str, Any], data_dir: Path, tokenizer: PreCodeTokenizer, results: Results) -> None:
    """Add the recall of a bag-of-words scorer on the negatives of `run_pretrain.py`'s own evaluation.

    The score of a candidate is the cosine of its counts, weighted by inverse document frequency, with those of the
    utterances around the target. The number of these utterances is chosen on the validation split.
    """
    key = key_of("bag-of-words completion", corpus)
    if results.get(key):
        return
    found = load(corpus, data_dir)
    frequencies = np.ones(len(tokenizer))
    for batch in found["train"].iter(1000):
        for dialogue in encode_dialogues(batch, tokenizer)["input_ids"]:
            for word in {word for utterance in dialogue for word in utterance}:
                frequencies[word] += 1
    weights = np.log(len(found["train"]) / frequencies).clip(min=0)
    logits = {split: bag_of_words_logits(found[split], tokenizer, weights) for split in ("validation", "test")}
    dev = {window: recalls(scores) for window, scores in logits["validation"].items()}
    best = max(dev, key=lambda window: dev[window]["R_11@1"])
    scores = {"validation": dev[best], "test": recalls(logits["test"][best])}
    line = {"key": key, "seed": None, "baseline": "bag-of-words completion", "settings": corpus}
    results.add({**line, "scores": scores, "chosen": {"window": best}})


def recalls(logits: np.ndarray) -> dict[str, float]:
    return ConvComRecall().compute(predictions=logits, references=np.zeros(len(logits), dtype=int))


def bag_of_words_logits(rows: Any, tokenizer: PreCodeTokenizer, weights: np.ndarray) -> dict[int, np.ndarray]:
    """The cosines (targets, 11) for each window, the true utterance first."""
    encoded = rows.map(encode_dialogues, batched=True, fn_kwargs={"tokenizer": tokenizer})
    dialogues = encoded.filter(lambda ids: [len(row) >= 3 for row in ids], batched=True, input_columns="input_ids")
    logits: dict[int, list[np.ndarray]] = {window: [] for window in WINDOWS}
    for dialogue in DialoguesWithNegatives(dialogues, 10, 0):
        utterances = _bags(dialogue["input_ids"], weights)
        candidates, size = _normalized(utterances), utterances.shape[0]
        negatives = _normalized(_bags(dialogue["negative_input_ids"], weights))
        for window in WINDOWS:
            distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
            around = _normalized(csr_matrix((distance > 0) & (distance <= window)).astype(float) @ utterances)
            true = np.asarray(around.multiply(candidates).sum(1))
            logits[window].append(np.hstack([true, (around @ negatives.T).toarray()])[1:-1])
    return {window: np.concatenate(rows) for window, rows in logits.items()}


def _bags(utterances: list[list[int]], weights: np.ndarray) -> csr_matrix:
    columns = np.concatenate(utterances)
    bounds = np.cumsum([0, *map(len, utterances)])
    bags = csr_matrix((weights[columns], columns, bounds), shape=(len(utterances), len(weights)))
    bags.sum_duplicates()
    return bags


def _normalized(bags: csr_matrix) -> csr_matrix:
    norms = np.sqrt(np.asarray(bags.multiply(bags).sum(1)).ravel())
    return diags(1 / np.maximum(norms, 1e-12)) @ bags
