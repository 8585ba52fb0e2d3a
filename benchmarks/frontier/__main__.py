"""Compare the speed and the weighted F1 of models on MELD's test split, from raw text, on two cores.

    python -m benchmarks.frontier --data_dir MELD --train meld openerc --word_vectors glove.6B.100d.txt.gz \\
        --checkpoints "GRU mid=checkpoints/mid" "GRU mid, int8=exported/mid"
    python -m benchmarks.frontier --write README.md docs/speed.md   # runs nothing

The test split is repeated to the number of utterances, or for `--max_seconds` with a slow model. Every entry has a
process of its own. A line per entry is appended to the results, so that an interrupted run continues. An entry whose
package is not installed is skipped.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evidence.results import Results, key_of
from data_scripts.building.label_maps import LabelMap
from data_scripts.building.options import parse_options
from data_scripts.tools.whole_files import digest, whole_folder
from modeling_precode import ERCScores

from .entries import Entry, all_entries, model_files, packaged_encoder
from .report import groups_of, write_report
from .texts import read_labels, write_test, write_training

ROOT = Path(__file__).resolve().parents[2]
LABEL_MAP = "ekman"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data_dir", type=Path, help="the folder of MELD; without it, only the report is written")
    add("--checkpoints", nargs="+", default=[], metavar="NAME=FOLDER", help="checkpoints or exported models")
    add("--train", nargs="+", choices=["meld", "openerc"], default=["meld"], help="the corpora to train rivals on")
    add("--entries", nargs="+", metavar="NAME", help="run only these")
    add("--word_vectors", type=Path, help="a file of word vectors, for their mean")
    add("--sentence_encoder", type=Path, default=packaged_encoder(), help="the folder of a sentence encoder")
    add("--utterances", type=int, default=100_000)
    add("--max_seconds", type=float, default=180, help="stop the clock of a slow model after so many seconds")
    add("--threads", type=int, default=2, help="the number of cores")
    add("--results", type=Path, default=Path(__file__).with_name("results.jsonl"))
    add("--output_dir", type=Path, default=Path("build/frontier"), help="the folder for trained rivals")
    add("--write", nargs="+", type=Path, default=[], metavar="DOCUMENT", help="insert the tables and save the plot")
    add("--plot", type=Path, default=ROOT / "docs" / "frontier.svg")
    args = parser.parse_args()
    if args.utterances < 1 or args.threads < 1:
        parser.error("--utterances and --threads must be at least 1")
    return args


class Runner:
    """Runs entries in processes of their own, and keeps their results."""

    def __init__(self, args: argparse.Namespace, results: Results):
        self.args, self.results = args, results
        self.test = args.output_dir / "test.json"
        write_test(self.test, args.data_dir, LABEL_MAP)
        self.gold = read_labels(self.test)
        self.training = {corpus: args.output_dir / f"{corpus}.json" for corpus in args.train}
        for corpus, path in self.training.items():
            write_training(path, corpus, args.data_dir, LABEL_MAP)

    def run(self, entry: Entry) -> None:
        """Train and measure an entry without a result.

        Raises:
            RuntimeError: The process of the entry failed.
        """
        if entry.obstacle:
            print(f"{entry.name}: skipped; {entry.obstacle}", flush=True)
            return
        training = self.training.get(entry.train) if not entry.is_ours else None
        model = key_of("frontier", entry.process_kind, entry.digests(), training and digest(training))
        size = {"utterances": self.args.utterances, "threads": self.args.threads}
        key = key_of(model, entry.name, digest(self.test), size)
        if self.results.get(key):
            return
        folder = entry.folder or self.trained(entry, training, model)
        found = self.call("measure", entry.process_kind, folder, self.test, self.args.utterances, self.args.max_seconds)
        figures = json.loads(found.splitlines()[-1])
        scores = self.scores(figures.pop("labels"), entry.name)
        files = model_files(folder) if entry.is_ours else [path for path in folder.rglob("*") if path.is_file()]
        disk = {"disk_megabytes": sum(path.stat().st_size for path in files) / 1e6}
        facts = {"name": entry.name, "train": entry.train, "is_ours": entry.is_ours}
        self.results.add({"key": key, "seed": None, **facts, **size, **figures, **disk, "scores": scores})
        speed = figures["utterances_per_second"]
        print(f"{entry.name} ({entry.train}): {speed:,.0f} utterances/s, {scores['weighted_f1']:.4f}", flush=True)

    def trained(self, entry: Entry, training: Path, key: str) -> Path:
        """The folder of a trained rival."""
        folder = self.args.output_dir.resolve() / f"{entry.kind.__name__}-{entry.train}-{key}"
        if not folder.exists():
            source = [entry.source] if entry.source else []
            with whole_folder(folder) as unfinished:
                self.call("train", entry.process_kind, unfinished, training, *source)
        return folder

    def scores(self, predicted: list[str], name: str) -> dict[str, float]:
        """The scores of the labels of the first pass, which a short run does not finish."""
        label_map = LabelMap.load(LABEL_MAP)
        labels = sorted(set(predicted))
        counterparts = dict(zip(labels, label_map.counterparts(labels, name), strict=True)) if len(labels) > 1 else {}
        ids = {label: i for i, label in enumerate(label_map.labels)}
        found = ERCScores().compute(
            predictions=np.array([ids[counterparts.get(label) or label] for label in predicted]),
            references=np.array([ids[label] for label in self.gold[: len(predicted)]]),
            label_names=label_map.labels,
        )
        return {score: found[score] for score in ("weighted_f1", "macro_f1", "accuracy")}

    def call(self, *arguments: Any) -> str:
        """What a process prints, on as many cores as threads."""
        cores = sorted(os.sched_getaffinity(0))[-self.args.threads :]
        threads = {name: str(self.args.threads) for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")}
        result = subprocess.run(
            [sys.executable, "-m", "benchmarks.frontier.process", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, **threads, "HF_HUB_OFFLINE": "1"},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
            capture_output=True,
            text=True,
        )
        if result.returncode:
            last = result.stderr.strip().splitlines()[-1:] or [f"exit code {result.returncode}"]
            raise RuntimeError(f"{arguments[0]} {arguments[1]}: {last[0]}")
        return result.stdout


def main() -> None:
    args = parse_arguments()
    results = Results(args.results)
    failures = []
    if args.data_dir:
        names = [name.partition("=")[0] for name in args.checkpoints]
        checkpoints = parse_options(args.checkpoints, "--checkpoints", as_text=names)
        entries = all_entries(checkpoints, args.train, args.word_vectors, args.sentence_encoder)
        if unknown := set(args.entries or ()) - {entry.name for entry in entries}:
            raise ValueError(f"--entries {', '.join(unknown)}: unknown; known: {', '.join(e.name for e in entries)}")
        runner = Runner(args, results)
        for entry in entries:
            if args.entries is None or entry.name in args.entries:
                try:
                    runner.run(entry)
                except RuntimeError as error:
                    failures.append(entry.name)
                    print(f"{entry.name}: failed; {error}", flush=True)
    write_report(groups_of(results, args.utterances, args.threads), args.write, args.plot)
    if failures:
        sys.exit(f"error: failed: {', '.join(failures)}")


if __name__ == "__main__":
    main()
