"""Label many utterances with the default model: its memory stays flat, and threads may share it.

    python tests/soak.py --utterances 1000000 --report docs/reliability.md

The dialogues are those of the corpus `sample`, over and over, each time with a new word in every utterance.
The memory is flat if the resident memory of the process grows by less than GROWTH megabytes after the first
tenth of the utterances. Eight threads that call one pipeline must get exactly what one thread gets. Exits with 1 where
one of these does not hold.
"""

import argparse
import itertools
import os
import random
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from campaign_report import write_report
from transformers import pipeline

import modeling_precode  # noqa: F401
from data_scripts import load_corpus

GROWTH = 64
THREADS = 8
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def dialogues(utterances: int, draw: random.Random) -> Iterator[list[str]]:
    """Dialogues with so many utterances in all, or a few more."""
    rows = [row for split in load_corpus("sample").values() for row in split["utterances"]]
    for row in itertools.cycle(rows):
        if utterances <= 0:
            return
        yield [f"{text} {''.join(draw.choices(LETTERS, k=8))}" for text in row]
        utterances -= len(row)


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def memory_while_labeling(emotions, utterances: int, draw: random.Random) -> tuple[list[float], int]:
    """Label a stream; returns the memory after each hundredth of it, and how many utterances have a label."""
    memory, labeled = [], 0
    for turns in emotions(dialogues(utterances, draw)):
        labeled += sum(bool(turn["label"]) for turn in turns)
        if labeled * 100 >= utterances * (len(memory) + 1):
            memory.append(resident_megabytes())
            if len(memory) % 10 == 0:
                print(f"{labeled:,} utterances, {memory[-1]:.0f} MB", flush=True)
    return memory, labeled


def different_in_threads(emotions, utterances: int, draw: random.Random) -> tuple[int, int]:
    """How many dialogues get other results in eight threads than in one, and of how many."""
    read = list(dialogues(utterances, draw))

    def label(dialogue: list[str]) -> object:
        return emotions(dialogue, distribution=True)

    expected = list(map(label, read))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(label, read))
    sys.setswitchinterval(before)
    return sum(one != other for one, other in zip(expected, found, strict=True)), len(read)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=1_000_000)
    parser.add_argument("--thread_utterances", type=int, default=4000, help="that are labeled in threads too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path, help="write the table into this document")
    args = parser.parse_args()
    draw, emotions = random.Random(args.seed), pipeline("conversation-emotion")
    different, count = different_in_threads(emotions, args.thread_utterances, draw)
    print(f"{THREADS} threads: {different} of {count} dialogues differ", flush=True)
    start = time.perf_counter()
    memory, labeled = memory_while_labeling(emotions, args.utterances, draw)
    seconds = time.perf_counter() - start
    first_tenth = len(memory) // 10
    growth = max(memory[first_tenth:]) - memory[first_tenth - 1]
    rows = [
        ["what", "result", "required"],
        ["utterances labeled", f"{labeled:,}", f"{args.utterances:,}"],
        ["utterances per second", f"{labeled / seconds:,.0f}", ""],
        ["memory after the first tenth", f"{memory[first_tenth - 1]:.0f} MB", ""],
        ["growth of memory after that", f"{growth:.0f} MB", f"below {GROWTH} MB"],
        [f"dialogues that differ in {THREADS} threads", f"{different} of {count:,}", "0"],
    ]
    write_report("soak", rows, args.report, f"{seconds / 60:.0f} minutes, seed {args.seed}")
    failed = different or growth >= GROWTH or labeled < args.utterances
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
