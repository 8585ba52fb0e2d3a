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


def texts_of(corpus: Path) -> list[str]:
    """Every training utterance."""
    lines = (corpus / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return [text for line in lines for text in json.loads(line)["utterances"]]
