"""Prints the agreement and the variety of the corpus `openerc`, in comparison with other corpora.

python benchmarks/open_corpus.py [meld=MELD dailydialog=DAILYDIALOG]
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from data_scripts import label_names, load_corpus

MELD_LABELS = Path(__file__).with_name("meld_validation_labels.jsonl")
DATA = Path(__file__).resolve().parents[1] / "data_scripts" / "openerc_data"


def fleiss_kappa(items: Sequence[Sequence[Any]]) -> tuple[float, dict[str, float]]:
    """Fleiss' kappa over items with the same number of labels each: overall, and for each label against the others."""
    raters, labels = len(items[0]), sorted({label for item in items for label in item})
    counts = [[item.count(label) for label in labels] for item in items]
    agreement = sum((sum(n * n for n in row) - raters) / (raters * (raters - 1)) for row in counts) / len(items)
    shares = [sum(row[i] for row in counts) / (len(items) * raters) for i in range(len(labels))]
    chance = sum(share * share for share in shares)
    by_label = {
        label: 1
        - sum(row[i] * (raters - row[i]) for row in counts)
        / (len(items) * raters * (raters - 1) * shares[i] * (1 - shares[i]))
        for i, label in enumerate(labels)
    }
    return (agreement - chance) / (1 - chance), by_label


def annotations(split: str) -> Iterator[list[list[str | None]]]:
    """Yield the annotations of each dialogue: one list of labels for each annotator.

    A fourth annotator labeled only the utterances on which the first three differ.
    """
    for line in (DATA / f"{split}.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)["annotations"]


def print_agreement() -> None:
    for split in ("train", "validation", "test"):
        dialogues = list(annotations(split))
        items = [votes for dialogue in dialogues for votes in zip(*dialogue[:3], strict=True)]
        fourth = sum(label is not None for dialogue in dialogues for votes in dialogue[3:] for label in votes)
        kappa, by_label = fleiss_kappa(items)
        labels = ", ".join(f"{label} {value:.2f}" for label, value in by_label.items())
        print(
            f"{split}: {len(items):,} utterances with three annotations, {fourth} with a fourth; "
            f"Fleiss' kappa {kappa:.2f} ({labels})"
        )


def print_agreement_with_meld(data_dir: str) -> None:
    """Compare MELD's labels with those of an annotator who saw only the text and the guideline of `openerc`."""
    meld = load_corpus("meld", data_dir)["validation"]
    names = label_names(meld) or []
    published = {row["dialogue_id"]: [names[label] for label in row["labels"]] for row in meld}
    pairs: list[tuple[str, ...]] = []
    for line in MELD_LABELS.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        pairs += zip(published[entry["dialogue_id"]], entry["labels"], strict=True)
    kappa, _ = fleiss_kappa(pairs)
    confused = Counter(pair for pair in pairs if pair[0] != pair[1]).most_common(3)
    equal = sum(label == gold for gold, label in pairs) / len(pairs)
    print(
        f"meld, validation: {len(pairs)} utterances labeled by this guideline, {equal:.0%} as published, "
        f"kappa {kappa:.2f}; most often "
        + ", ".join(f"{label} for {gold} ({count})" for (gold, label), count in confused)
    )


def distinct(utterances: Iterable[list[str]], n: int) -> float:
    grams = [tuple(words[i : i + n]) for words in utterances for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams)


def near_duplicates(dialogues: list[list[str]], share: float = 0.6) -> int:
    """The number of pairs of dialogues whose word trigrams have a Jaccard index of more than `share`."""
    grams = [{tuple(words[i : i + 3]) for i in range(len(words) - 2)} for words in dialogues]
    places: dict[tuple[str, ...], list[int]] = {}
    for number, found in enumerate(grams):
        for gram in found:
            places.setdefault(gram, []).append(number)
    shared = Counter(pair for found in places.values() if len(found) < 50 for pair in combinations(found, 2))
    return sum(n / len(grams[a] | grams[b]) > share for (a, b), n in shared.items())


def print_variety(name: str, data_dir: str | None) -> None:
    corpus = load_corpus(name, data_dir)["train"]
    dialogues = corpus["utterances"]
    utterances = [text.lower().split() for dialogue in dialogues for text in dialogue]
    openings = Counter(tuple(words[:3]) for words in utterances if len(words) >= 3)
    common = sum(openings[tuple(words[:3])] >= 20 for words in utterances if len(words) >= 3) / len(utterances)
    names = label_names(corpus) or []
    labels = Counter(names[label] for row in corpus["labels"] for label in row if label >= 0)
    # The same number of utterances of each corpus, because longer texts have more repetitions.
    sample = utterances[:8000]
    print(
        f"{name}: {len(dialogues):,} dialogues, {len(utterances):,} utterances of "
        f"{sum(map(len, utterances)) / len(utterances):.1f} "
        f"words; distinct-1 {distinct(sample, 1):.3f}, distinct-2 {distinct(sample, 2):.3f}; {common:.1%} of "
        "utterances share "
        "their first three words with 20 others; "
        f"{near_duplicates([sum(map(str.split, d), []) for d in dialogues])} near-duplicates"
    )
    print("  " + ", ".join(f"{label} {count / labels.total():.1%}" for label, count in labels.most_common()))


def main() -> None:
    print_agreement()
    print_variety("openerc", None)
    for other in sys.argv[1:]:
        name, _, data_dir = other.partition("=")
        print_variety(name, data_dir or None)
        if name == "meld":
            print_agreement_with_meld(data_dir)


if __name__ == "__main__":
    main()
