"""A corpus that a tiny model learns at once: dialogues that keep to one topic, which is the label."""

import json
import random
from pathlib import Path

TOPICS = {
    "joy": ["party", "cake", "song", "dance", "gift", "friend", "laugh", "sunny", "prize", "smile"],
    "anger": ["broken", "late", "rude", "noise", "queue", "refund", "shout", "unfair", "wrong", "stupid"],
    "neutral": ["table", "train", "number", "form", "letter", "street", "office", "paper", "monday", "bus"],
}


def write_corpus(folder: Path, sizes=(("train", 200), ("validation", 30), ("test", 30)), labels=True) -> Path:
    """A folder of JSON Lines for `--corpus custom`."""
    draw = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    for split, size in sizes:
        lines = []
        for _ in range(size):
            label, words = draw.choice(list(TOPICS.items()))
            utterances = [" ".join(draw.choices(words, k=draw.randint(2, 6))) for _ in range(draw.randint(3, 7))]
            line = {"utterances": utterances, "speakers": ["A", "B"] * 4}
            line["speakers"] = line["speakers"][: len(utterances)]
            if labels:
                line["labels"] = [label] * len(utterances)
            lines.append(json.dumps(line))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_two_corpora(root: Path, names: dict[str, str]) -> list[Path]:
    """Two corpora of different words, `large` and `small`, where the labels of the small one have other names."""
    for corpus, sizes in (("large", (48, 10, 10)), ("small", (16, 6, 6))):
        folder = write_corpus(root / corpus, sizes=tuple(zip(("train", "validation", "test"), sizes, strict=True)))
        for path in folder.iterdir():
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            for row in rows:
                row["utterances"] = [f"{corpus} {text}" for text in row["utterances"]]
                if corpus == "small":
                    row["labels"] = [names.get(label, label) for label in row["labels"]]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return [root / "large", root / "small"]


def texts_of(corpus: Path) -> list[str]:
    """Every training utterance."""
    lines = (corpus / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return [text for line in lines for text in json.loads(line)["utterances"]]
