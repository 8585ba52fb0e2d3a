"""Prints the agreement and the variety of the corpus `openerc`, in comparison with other corpora.

python benchmarks/open_corpus.py [meld=MELD dailydialog=DAILYDIALOG]
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path

from data_scripts import label_names, load_corpus

DATA = Path(__file__).resolve().parents[1] / "data_scripts" / "openerc_data"


def fleiss_kappa(items: list[tuple[str, ...]]) -> tuple[float, dict[str, float]]:
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


def annotated(split: str) -> Iterator[list[tuple[str, ...]]]:
    """Yield the labels of all annotators for the utterances of each dialogue."""
    for line in (DATA / f"{split}.jsonl").read_text(encoding="utf-8").splitlines():
        yield list(zip(*json.loads(line)["annotations"], strict=True))


def print_agreement() -> None:
    for split in ("train", "validation", "test"):
        by_raters: dict[int, list[tuple[str, ...]]] = {}
        for items in annotated(split):
            by_raters.setdefault(len(items[0]), []).extend(items)
        for raters, items in sorted(by_raters.items()):
            line = f"{split}: {len(items):,} utterances with {raters} annotation(s)"
            if raters > 1:
                kappa, by_label = fleiss_kappa(items)
                labels = ", ".join(f"{label} {value:.2f}" for label, value in by_label.items())
                line += f", Fleiss' kappa {kappa:.2f} ({labels})"
            print(line)


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


if __name__ == "__main__":
    main()
