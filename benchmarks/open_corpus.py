"""Prints the agreement and the variety of the corpus `openerc`, in comparison with other corpora.

python -m benchmarks.open_corpus [meld=MELD dailydialog=DAILYDIALOG]

A label can be given away by a word in the text, or by the opening line of a dialogue if it follows a template. Both are
measured. So is how many emotions show only in the dialogue: by an annotator who saw utterances without it, and by the
model that comes with the package.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from data_scripts import label_names, load_corpus

MELD_LABELS = Path(__file__).with_name("meld_validation_labels.jsonl")
# The labels of an annotator who saw each utterance alone, without its dialogue.
LABELS_ALONE = Path(__file__).with_name("openerc_labels_alone.jsonl")
# The ids of dialogues whose feelings show in ordinary words begin with these numbers.
QUIET = ("41-", "42-", "43-", "44-")
# Words that name a label, in any of the names of the corpora.
GIVEAWAYS = {
    "anger": {"angry", "anger", "mad", "furious", "annoyed", "annoying", "frustrated", "rage", "irritated"},
    "disgust": {"disgust", "disgusting", "disgusted", "gross", "revolting", "yuck", "ew", "sickening"},
    "fear": {"fear", "afraid", "scared", "terrified", "frightened", "nervous", "worried", "anxious", "panic"},
    "joy": {"joy", "happy", "glad", "delighted", "excited", "thrilled", "wonderful", "happiness", "proud"},
    "sadness": {"sad", "sadness", "unhappy", "miserable", "heartbroken", "lonely", "depressed", "crying", "grief"},
    "surprise": {"surprise", "surprised", "surprising", "shocked", "unbelievable", "astonished", "amazed", "wow"},
}
GIVEAWAYS |= {"happiness": GIVEAWAYS["joy"]}
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


def print_annotators() -> None:
    """Print how often annotators differ in which way: the first three, in pairs, over all splits."""
    confused: Counter[tuple[str, ...]] = Counter()
    total: Counter[str] = Counter()
    for split in ("train", "validation", "test"):
        for dialogue in annotations(split):
            for votes in zip(*dialogue[:3], strict=True):
                total.update(map(str, votes))
                confused.update(tuple(sorted(map(str, pair))) for pair in combinations(votes, 2))
    names = sorted(total)
    print("pairs of annotations, in percent of those of the label of the row:")
    print(" " * 9 + "".join(f"{name:>9}" for name in names))
    for row in names:
        pairs = {name: confused[tuple(sorted((row, name)))] for name in names}
        # A pair of equal labels counts twice, once for each.
        counts = {name: count * (1 + (name == row)) for name, count in pairs.items()}
        print(f"{row:<9}" + "".join(f"{count / sum(counts.values()):>9.1%}" for count in counts.values()))


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


def print_labels_alone() -> None:
    """Print how many emotions an annotator does not see in an utterance without its dialogue."""
    labels_of = {}
    for split in ("train", "validation", "test"):
        for line in (DATA / f"{split}.jsonl").read_text(encoding="utf-8").splitlines():
            dialogue = json.loads(line)
            labels_of[dialogue["dialogue_id"]] = dialogue["labels"]
    entries = [json.loads(line) for line in LABELS_ALONE.read_text(encoding="utf-8").splitlines()]
    for name, is_quiet in (("quiet dialogues", True), ("the other dialogues", False)):
        pairs = [
            (labels_of[entry["dialogue_id"]][entry["utterance"]], entry["label"])
            for entry in entries
            if entry["dialogue_id"].startswith(QUIET) == is_quiet
        ]
        emotions = [(label, alone) for label, alone in pairs if label in GIVEAWAYS]
        neutral = sum(alone == "neutral" for _, alone in emotions) / len(emotions)
        other = sum(alone not in (label, "neutral") for label, alone in emotions) / len(emotions)
        print(
            f"{name}: {len(emotions)} utterances with an emotion were labeled without their dialogue; {neutral:.0%} "
            f"became neutral, {other:.0%} another emotion"
        )


def distinct(utterances: Iterable[list[str]], n: int) -> float:
    grams = [tuple(words[i : i + n]) for words in utterances for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams)


def near_duplicates(dialogues: list[list[str]]) -> int:
    """The number of pairs of dialogues whose word trigrams have a Jaccard index of more than 0.6."""
    grams = [{tuple(words[i : i + 3]) for i in range(len(words) - 2)} for words in dialogues]
    places: dict[tuple[str, ...], list[int]] = {}
    for number, found in enumerate(grams):
        for gram in found:
            places.setdefault(gram, []).append(number)
    shared = Counter(pair for found in places.values() if len(found) < 50 for pair in combinations(found, 2))
    return sum(n / len(grams[a] | grams[b]) > 0.6 for (a, b), n in shared.items())


def giveaways(corpus: Any) -> tuple[float, float]:
    """The shares of utterances with an emotion whose text names it, and of those whose words have another label too."""
    names = label_names(corpus) or []
    labels_of: dict[str, set[str]] = {}
    found: list[tuple[str, str]] = []
    for row in corpus:
        for text, label in zip(row["utterances"], row["labels"], strict=True):
            words = " ".join(word.strip(".,!?…\"'") for word in text.lower().split())
            if label >= 0:
                labels_of.setdefault(words, set()).add(names[label])
                found.append((words, names[label]))
    emotional = [(words, label) for words, label in found if label in GIVEAWAYS]
    named = sum(not GIVEAWAYS[label].isdisjoint(words.split()) for words, label in emotional)
    ambiguous = sum(len(labels_of[words]) > 1 for words, _ in emotional)
    return named / len(emotional), ambiguous / len(emotional)


def labels_by_opening_line(corpus: Any) -> tuple[float, float]:
    """How often a linear model tells the labels of the other lines of a dialogue from its opening line, and by chance.

    Returns:
        The accuracy in five folds of dialogues, and the accuracy of always the most frequent label.
    """
    rows = [row for row in corpus if len(row["utterances"]) > 1]
    lines = [row["utterances"][0] for row in rows for label in row["labels"][1:] if label >= 0]
    labels = np.array([label for row in rows for label in row["labels"][1:] if label >= 0])
    groups = [number for number, row in enumerate(rows) for label in row["labels"][1:] if label >= 0]
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2), LogisticRegression(max_iter=300))
    predicted = cross_val_predict(model, lines, labels, groups=groups, cv=GroupKFold(5))
    return float((predicted == labels).mean()), float(np.bincount(labels).max() / len(labels))


def shown_by_context(corpus: Any) -> tuple[int, int]:
    """The utterances with an emotion that the default model labels right in the dialogue, but not alone, and the ones
    that it labels right in the dialogue."""
    from transformers import pipeline

    import modeling_precode  # noqa: F401

    emotions, names = pipeline("conversation-emotion"), label_names(corpus) or []
    together = [turn["label"] for turns in emotions(list(corpus["utterances"])) for turn in turns]
    alone = [turn["label"] for [turn] in emotions([[text] for texts in corpus["utterances"] for text in texts])]
    labels = [names[label] if label >= 0 else None for labels in corpus["labels"] for label in labels]
    right = [
        (label == by_text, label == by_dialogue)
        for label, by_text, by_dialogue in zip(labels, alone, together, strict=True)
        if label in GIVEAWAYS
    ]
    return sum(by_dialogue and not by_text for by_text, by_dialogue in right), sum(found for _, found in right)


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
    lengths = np.array([len(words) for words in utterances])
    named, ambiguous = giveaways(corpus)
    by_opening, chance = labels_by_opening_line(corpus)
    people = Counter(name for speakers in corpus["speakers"] for name in set(speakers) if name)
    print(
        f"  lengths {lengths.mean():.1f} ± {lengths.std():.1f} words; the most frequent name is in "
        f"{max(people.values(), default=0) / len(dialogues):.1%} of dialogues; {named:.1%} of utterances with an "
        f"emotion name it, the words of {ambiguous:.1%} also have another label; from the opening line, "
        f"{by_opening:.1%} of the other labels are right ({chance:.1%} by chance)"
    )
    print("  " + ", ".join(f"{label} {count / labels.total():.1%}" for label, count in labels.most_common()))


def main() -> None:
    print_agreement()
    print_annotators()
    print_labels_alone()
    print_variety("openerc", None)
    for split in ("validation", "test"):
        only, right = shown_by_context(load_corpus("openerc")[split])
        print(f"  {split}: {only} of {right} emotions that the default model finds, it finds in the dialogue only")
    for other in sys.argv[1:]:
        name, _, data_dir = other.partition("=")
        print_variety(name, data_dir or None)
        if name == "meld":
            print_agreement_with_meld(data_dir)


if __name__ == "__main__":
    main()
