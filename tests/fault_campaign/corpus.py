"""A corpus of several files, built with two processes."""

import json
import random
from pathlib import Path

from data_scripts import load_corpus

from .job import Job

FILES, DIALOGUES = 8, 300


class Corpus(Job):
    """The build of a corpus into a cache."""

    name = "corpus, 2 processes"

    def __init__(self, folder: Path):
        self.pattern = folder / "calls" / "*.jsonl"
        self.pattern.parent.mkdir(parents=True)
        draw = random.Random(0)
        for file in range(FILES):
            dialogues = [
                {
                    "utterances": [f"{draw.random()} {file}" for _ in range(6)],
                    "labels": draw.choices(["joy", "fear"], k=6),
                }
                for _ in range(DIALOGUES)
            ]
            lines = "".join(f"{json.dumps(dialogue)}\n" for dialogue in dialogues)
            (self.pattern.parent / f"{file}.jsonl").write_text(lines, encoding="utf-8")

    def functions(self, output: Path):
        return [lambda marks: self.run(output)]

    def run(self, output: Path) -> None:
        corpus = load_corpus("custom", self.pattern, cache_dir=output, num_proc=2, labels=["fear", "joy"])
        assert sum(corpus.num_rows.values()) == FILES * DIALOGUES

    def state(self, output: Path) -> dict[str, object]:
        files = {path.name: path.read_bytes() for path in output.rglob("*.arrow")}
        return {**files, "parts": [path.name for path in output.rglob("*.parts")]}
