"""What a user would try instead: models that label each utterance by itself, trained on the same labeled utterances.

Each class trains into a folder, and labels dialogues with what is in the folder.
"""

import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .linear import LinearClassifier, load_tfidf, save_tfidf
from .texts import Dialogue, Training

WORD = re.compile(r"[a-z']+|[!?]")
INVERSE_PENALTIES = (0.1, 1.0, 10.0)


class Rival:
    """The base of all rivals.

    `PACKAGES` are the modules that it needs, and `SOURCE` names the file or folder that it is trained with, if any.
    """

    PACKAGES: tuple[str, ...] = ("sklearn",)
    SOURCE: str | None = None

    @staticmethod
    def train(training: Training, folder: Path, source: Path | None) -> None:
        raise NotImplementedError

    def __call__(self, dialogues: list[Dialogue]) -> list[str]:
        return self.labels([text for dialogue in dialogues for _, text in dialogue])

    def labels(self, texts: list[str]) -> list[str]:
        raise NotImplementedError


class BagOfWords(Rival):
    """TF-IDF of words and pairs of words, with logistic regression."""

    @staticmethod
    def train(training: Training, folder: Path, source: Path | None) -> None:
        from benchmarks.evidence.baselines import fit_bag_of_words

        gold = np.array(training.held_out_labels)
        model, _ = fit_bag_of_words(
            training.texts,
            np.array(training.labels),
            training.held_out_texts,
            lambda found: weighted_f1(found, gold),
        )
        words, head = model
        save_tfidf(folder, words)
        LinearClassifier.of(head).save(folder)

    def __init__(self, folder: Path):
        self.words, self.head = load_tfidf(folder), LinearClassifier.load(folder)

    def labels(self, texts: list[str]) -> list[str]:
        return self.head.predict(self.words.transform(texts))


class FastText(Rival):
    """fastText with pairs of words; the best of a few settings on the held-out utterances."""

    PACKAGES = ("fasttext",)
    SETTINGS = [{"epoch": epoch, "lr": rate} for epoch in (5, 20) for rate in (0.1, 0.5)]
    # More buckets only make a larger file: the corpus has fewer pairs of words.
    COMMON = {"wordNgrams": 2, "dim": 100, "minCount": 2, "bucket": 100_000, "thread": 1, "seed": 1, "verbose": 0}

    @classmethod
    def train(cls, training: Training, folder: Path, source: Path | None) -> None:
        import fasttext

        lines = [f"__label__{label} {words(text)}" for text, label in zip(training.texts, training.labels, strict=True)]
        (folder / "train.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        best = -1.0
        for settings in cls.SETTINGS:
            model = fasttext.train_supervised(str(folder / "train.txt"), **cls.COMMON, **settings)
            score = weighted_f1(cls.predict(model, training.held_out_texts), training.held_out_labels)
            if score > best:
                best = score
                model.save_model(str(folder / "model.bin"))
        (folder / "train.txt").unlink()

    def __init__(self, folder: Path):
        import fasttext

        self.model = fasttext.load_model(str(folder / "model.bin"))

    def labels(self, texts: list[str]) -> list[str]:
        return self.predict(self.model, texts)

    @staticmethod
    def predict(model: Any, texts: list[str]) -> list[str]:
        found, _ = model.predict([words(text) for text in texts])
        return [labels[0].removeprefix("__label__") for labels in found]


class VectorRival(Rival):
    """A rival that classifies vectors of utterances with logistic regression."""

    @classmethod
    def train(cls, training: Training, folder: Path, source: Path | None) -> None:
        cls.prepare(folder, source)
        # The class loads what `prepare` wrote.
        encode = cls(folder).vectors
        head = fit_head(
            encode(training.texts), training.labels, encode(training.held_out_texts), training.held_out_labels
        )
        head.save(folder)

    @staticmethod
    def prepare(folder: Path, source: Path | None) -> None:
        """Write what computes the vectors into the folder."""
        raise NotImplementedError

    def __init__(self, folder: Path):
        self.head = LinearClassifier.load(folder) if (folder / "head.npz").exists() else None

    def vectors(self, texts: list[str]) -> np.ndarray:
        """The vectors (N, D) of N utterances."""
        raise NotImplementedError

    def labels(self, texts: list[str]) -> list[str]:
        return self.head.predict(self.vectors(texts))


class MeanWordVectors(VectorRival):
    """The mean of the word vectors of a file such as GloVe."""

    SOURCE = "word_vectors"

    @staticmethod
    def prepare(folder: Path, source: Path | None) -> None:
        from modeling_precode import load_word_vectors

        opened = gzip.open if source.suffix == ".gz" else open
        with opened(source, "rt", encoding="utf-8") as file:
            known = dict.fromkeys(line.partition(" ")[0] for line in file)
        # The first row is for utterances without a known word.
        vocabulary = {word: i for i, word in enumerate(["", *(word for word in known if word)])}
        vectors, _ = load_word_vectors(source, vocabulary)
        np.save(folder / "vectors.npy", vectors)
        (folder / "words.json").write_text(json.dumps(list(vocabulary), ensure_ascii=False), encoding="utf-8")

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.word_vectors = np.load(folder / "vectors.npy")
        vocabulary = json.loads((folder / "words.json").read_text(encoding="utf-8"))
        self.ids = {word: i for i, word in enumerate(vocabulary)}

    def vectors(self, texts: list[str]) -> np.ndarray:
        rows = [[self.ids[word] for word in WORD.findall(text.lower()) if word in self.ids] or [0] for text in texts]
        sizes = np.array([len(row) for row in rows])
        summed = np.add.reduceat(self.word_vectors[np.concatenate(rows)], np.cumsum(sizes) - sizes)
        return summed / sizes[:, None]


class StaticVectors(VectorRival):
    """Static vectors of tokens, distilled from a sentence encoder by model2vec."""

    PACKAGES = ("sklearn", "model2vec")
    SOURCE = "sentence_encoder"

    @staticmethod
    def prepare(folder: Path, source: Path | None) -> None:
        from model2vec.distill import distill

        distill(str(source), device="cpu").save_pretrained(folder / "vectors")

    def __init__(self, folder: Path):
        from model2vec import StaticModel

        super().__init__(folder)
        self.encoder = StaticModel.from_pretrained(folder / "vectors")

    def vectors(self, texts: list[str]) -> np.ndarray:
        return self.encoder.encode(texts, use_multiprocessing=False)


class SentenceEncoder(VectorRival):
    """A sentence encoder in sentence-transformers, not trained further."""

    PACKAGES = ("sklearn", "sentence_transformers")
    SOURCE = "sentence_encoder"

    @staticmethod
    def prepare(folder: Path, source: Path | None) -> None:
        from sentence_transformers import SentenceTransformer

        SentenceTransformer(str(source), device="cpu").save(str(folder / "encoder"))

    def __init__(self, folder: Path):
        from sentence_transformers import SentenceTransformer

        super().__init__(folder)
        self.encoder = SentenceTransformer(str(folder / "encoder"), device="cpu")

    def vectors(self, texts: list[str]) -> np.ndarray:
        return self.encoder.encode(texts, show_progress_bar=False)


def fit_head(
    vectors: np.ndarray, labels: Sequence[str], held_out_vectors: np.ndarray, held_out_labels: Sequence[str]
) -> LinearClassifier:
    """The logistic regression whose penalty and weights of labels do best on held-out utterances."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    best, kept = -1.0, None
    for penalty in INVERSE_PENALTIES:
        for balance in (None, "balanced"):
            head = LogisticRegression(C=penalty, class_weight=balance, max_iter=1000)
            model = make_pipeline(StandardScaler(), head).fit(vectors, labels)
            score = weighted_f1(model.predict(held_out_vectors), held_out_labels)
            if score > best:
                best, kept = score, LinearClassifier.of(head, model[0])
    return kept


def weighted_f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(gold, predicted, average="weighted", zero_division=0))


def words(text: str) -> str:
    """The words of an utterance, as one line for fastText."""
    return " ".join(WORD.findall(text.lower()))
