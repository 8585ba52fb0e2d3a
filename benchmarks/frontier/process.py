"""The process of one entry: it trains a rival, or measures one model and prints the figures as JSON.

python -m benchmarks.frontier.process train MODULE:CLASS FOLDER TRAINING.json [SOURCE]
python -m benchmarks.frontier.process measure MODULE:CLASS FOLDER TEST.json UTTERANCES MAX_SECONDS
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.memory import megabytes

from .texts import Training, read_dialogues, repeated

# The number of utterances that a model gets at once, and of the dialogues that it labels before the clock starts.
CHUNK, WARM_UP = 10_000, 20


def class_of(name: str) -> Any:
    module, _, kind = name.partition(":")
    return getattr(importlib.import_module(f"benchmarks.frontier.{module}"), kind)


def measure(kind: str, folder: Path, test: Path, utterances: int, max_seconds: float) -> dict[str, Any]:
    """Label MELD's test split again and again, at least once, and for as long as there is time.

    Returns:
        `utterances_per_second`, `load_seconds`, `peak_megabytes` of resident memory, and the `labels` of the first pass
        over the test split.
    """
    dialogues = read_dialogues(test)
    size = sum(map(len, dialogues))
    start = time.perf_counter()
    model = class_of(kind)(folder)
    model(dialogues[:WARM_UP])
    load_seconds = time.perf_counter() - start
    labels: list[str] = []
    labeled, seconds = 0, 0.0
    for chunk in repeated(dialogues, utterances, CHUNK):
        start = time.perf_counter()
        found = model(chunk)
        seconds += time.perf_counter() - start
        labeled += len(found)
        labels += found[: size - len(labels)]
        if seconds > max_seconds and len(labels) == size:
            break
    return {
        "utterances_per_second": labeled / seconds,
        "load_seconds": load_seconds,
        "peak_megabytes": megabytes("VmHWM"),
        "labels": labels,
    }


def main() -> None:
    task, kind, folder, texts, *rest = sys.argv[1:]
    if task == "train":
        source = Path(rest[0]) if rest else None
        class_of(kind).train(Training.read(Path(texts)), Path(folder), source)
    else:
        print(json.dumps(measure(kind, Path(folder), Path(texts), int(rest[0]), float(rest[1]))))


if __name__ == "__main__":
    main()
