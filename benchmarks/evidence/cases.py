"""Finds labels that pre-training changed: all seeds of each system agree, but the two systems disagree.

    python -m benchmarks.evidence.cases --corpus meld

prints the dialogues with the most changes, first those to correct labels and then those to wrong ones, from the test
predictions in the output folder of `python -m benchmarks.evidence`.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .experiments import Experiments
from .results import Results
from .runner import Runner

HERE = Path(__file__).resolve().parent


class Change(NamedTuple):
    """An utterance whose label changed. `right` and `wrong` tell whether it became right or wrong."""

    position: int
    gold: str
    before: str
    after: str

    @property
    def right(self) -> bool:
        return self.after == self.gold

    @property
    def wrong(self) -> bool:
        return self.before == self.gold


def agreed(rows: Sequence[dict]) -> list[str | None]:
    """The label of each utterance of a dialogue if all seeds agree, else `None`."""
    return [
        labels[0] if len(set(labels)) == 1 else None
        for labels in zip(*(row["predictions"] for row in rows), strict=True)
    ]


def changes(before: Sequence[Path], after: Sequence[Path]) -> list[tuple[dict, list[Change]]]:
    """All test dialogues with their changes, from the predictions of all seeds of two systems."""
    systems = [[_read(path) for path in paths] for paths in (before, after)]
    found = []
    for name, dialogue in systems[0][0].items():
        labels = [agreed([seed[name] for seed in system]) for system in systems]
        rows = zip(dialogue["labels"], *labels, strict=True)
        changed = [Change(i, *row) for i, row in enumerate(rows) if None not in row and row[1] != row[2]]
        found.append((dialogue, changed))
    return found


def _read(path: Path) -> dict[str, dict]:
    with open(path, encoding="utf-8") as file:
        return {row["dialogue_id"]: row for row in map(json.loads, file)}


def summary(found: list[tuple[dict, list[Change]]]) -> str:
    """The number of labels that became right and wrong, by true label."""
    right, wrong = (
        Counter(change.gold for _, changed in found for change in changed if getattr(change, kind))
        for kind in ("right", "wrong")
    )
    labels = sorted(right | wrong, key=lambda label: -right[label] - wrong[label])
    parts = [f"{label} {right[label]} / {wrong[label]}" for label in labels]
    return f"became right {right.total()}, became wrong {wrong.total()} ({', '.join(parts)})"


def show(dialogue: dict, changed: list[Change]) -> str:
    by_position = {change.position: change for change in changed}
    lines = [f"dialogue {dialogue['dialogue_id']}"]
    for i, text in enumerate(dialogue["utterances"]):
        mark, note = " ", dialogue["labels"][i] or ""
        if change := by_position.get(i):
            mark = "+" if change.right else "-" if change.wrong else "~"
            note = f"{change.gold}; from scratch {change.before}, pre-trained {change.after}"
        speaker = f"{dialogue['speakers'][i]}: " if dialogue["speakers"] else ""
        lines.append(f"{mark} {speaker}{text}  [{note}]")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--dialogues", type=int, default=3, help="number of dialogues to show of each kind")
    parser.add_argument("--experiments", type=Path, default=HERE / "experiments.yaml")
    parser.add_argument("--output_dir", type=Path, default=Path("build/evidence"))
    args = parser.parse_args()
    [study] = [study for study in Experiments.read(args.experiments).studies if study.name == "transfer"]
    runner = Runner(Path(), args.output_dir, Results(args.output_dir / "results.jsonl"), 1)
    runs = [study.runs[args.corpus, variant, None] for variant in ("from scratch", "pre-trained")]
    found = changes(*(runner.predictions(run) for run in runs))
    print(f"{args.corpus}, test: {summary(found)}")
    for kind in ("right", "wrong"):
        most = sorted(found, key=lambda pair: -sum(getattr(change, kind) for change in pair[1]))[: args.dialogues]
        print(f"\nMost that became {kind}:")
        for dialogue, changed in most:
            print(f"\n{show(dialogue, changed)}")


if __name__ == "__main__":
    main()
