"""Damage good files of every kind, read them, and report what ends in anything but a clear error.

    python tests/fuzz.py --minutes 30 --report docs/reliability.md

Hypothesis builds good files and damages them by their structure: fields of other types and sizes, left out, repeated,
nested, cut off. For the parsers of this library, atheris also looks for inputs that reach new code, if it is installed.
Every reader gets the same time. Each file is read within limits on memory and time. It must be read, or refused with a
ValueError or an OSError in one line that names it. The inputs that find a fault, and small ones that reach new code,
are saved in `tests/fuzz_seeds`, where the tests read them from then on. Exits with 1 if there is a fault.
"""

import argparse
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

from campaign_report import write_report
from fuzzing import files, models
from fuzzing.damage import damaged_bytes
from fuzzing.new_code import lines_reached
from fuzzing.results import Results
from fuzzing.targets import EXPORTS, PARSERS, SECONDS, TARGETS, Target, outcome, target_of
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from transformers.utils.logging import disable_progress_bar

disable_progress_bar()
ROOT = Path(__file__).resolve().parents[1]
SEEDS = ROOT / "tests" / "fuzz_seeds"
# The size of the saved inputs that reach new code, in bytes: of one, and of all.
LARGEST_SEED, LARGEST_SEEDS = 2000, 32_000
# The least number of new lines for which an input is saved.
NEW_LINES = 3
# Larger inputs that find a fault are not saved with the tests, but here.
LARGEST_FAULT, LARGE_FAULTS = 20_000, ROOT / "build" / "fuzz"
BATCH = 50
STRATEGIES: dict[str, Callable[[], st.SearchStrategy[bytes]]] = {
    "chat.txt": lambda: files.texts(files.ANDROID, files.IPHONE),
    "transcript.txt": lambda: files.texts(files.INLINE, files.AFTER, files.ABOVE),
    "plain.txt": lambda: files.texts(files.PLAIN),
    "subtitles.srt": lambda: files.texts(files.SUBRIP),
    "captions.vtt": lambda: files.texts(files.WEBVTT, head="WEBVTT\n\n"),
    "messages.json": files.json_chats,
    "own.jsonl": files.json_lines,
    "film.xml": lambda: files.texts(files.OPUS, head="<document>", tail="</document>"),
    "table.csv": lambda: files.texts(files.CSV, head="dialogue_id,speaker,text,label\r\n"),
    "table.tsv": lambda: files.texts(files.TSV, head="dialogue_id\tspeaker\ttext\tlabel\n"),
    "chat.txt.gz": lambda: files.compressed(files.texts(files.ANDROID, files.PLAIN)),
    "book.xlsx": files.workbooks,
    "table.parquet": files.parquet_tables,
}


def seeds_of(target: Target) -> list[bytes]:
    """The saved inputs of a target."""
    found = sorted(path for path in SEEDS.iterdir() if target_of(path.name) == target)
    return [path.read_bytes() for path in found]


def strategy_of(target: Target, good: Path) -> st.SearchStrategy[bytes]:
    """Inputs for a target. `good` is the folder with the good models."""
    if not target.folder:
        strategy, seeds = STRATEGIES[target.file](), seeds_of(target)
        return strategy | st.sampled_from(seeds).flatmap(damaged_bytes) if seeds else strategy
    path = good / target.folder / target.file
    if path.suffix == ".onnx":
        return models.graph_of(path)
    return models.json_of(path) if path.suffix == ".json" else models.weights_of(path)


def place_of(target: Target, good: Path, folder: Path) -> Path:
    """Where an input is written: into a copy of the good model that it belongs to."""
    folder.mkdir(exist_ok=True)
    if target.folder:
        shutil.copytree(good / target.folder, folder / target.folder, dirs_exist_ok=True)
    return folder / target.folder / target.file


def each_example(inputs: st.SearchStrategy[bytes], number: int, count: int, use: Callable[[bytes], None]) -> None:
    """Call a function with some inputs of a strategy, the same for the same number."""
    quick = {"deadline": None, "database": None, "phases": [Phase.generate], "suppress_health_check": HealthCheck}

    @seed(number)
    @settings(max_examples=count, **quick)
    @given(inputs)
    def trial(data: bytes) -> None:
        use(data)

    trial()


def try_examples(
    target: Target, inputs: st.SearchStrategy[bytes], path: Path, number: int, count: int, end: float = float("inf")
) -> Results:
    """Try some inputs until a time."""
    results = Results()

    def use(data: bytes) -> None:
        if time.monotonic() < end:
            path.write_bytes(data)
            results.add(outcome(target, path), data)

    each_example(inputs, number, count, use)
    return results


def structured(target: Target, good: Path, folder: Path, number: int, seconds: float) -> Results:
    """Try inputs that are damaged by their structure, in processes that may crash."""
    results, end = Results(), time.monotonic() + seconds
    path, saved = place_of(target, good, folder), folder / "results"
    inputs = strategy_of(target, good)

    def work() -> None:
        found, batch = Results(), number
        while time.monotonic() < end:
            found.merge(try_examples(target, inputs, path, batch, BATCH, end))
            found.save(saved)
            batch += 1

    while time.monotonic() < end:
        saved.unlink(missing_ok=True)
        died = run_process(work, end)
        if saved.exists():
            results.merge(Results.load(saved))
        if died:
            results.add(died, path.read_bytes())
        number += 1_000_000
    return results


def run_process(work: Callable[[], None], end: float) -> str | None:
    """Run a function in a process of its own until a time, and return what it died of, or None."""
    child = os.fork()
    if not child:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what native code says about damage
            work()
            os._exit(0)
        finally:
            os._exit(1)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return None if status == 0 else f"the process died at status {status}"
        if time.monotonic() > end + 3 * SECONDS:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"more than {SECONDS} s, without a way to stop it"
        time.sleep(0.02)


def coverage_guided(target: Target, folder: Path, number: int, seconds: float) -> tuple[Results, list[bytes]]:
    """Try inputs that atheris finds. Returns the results, and the inputs that reach new code."""
    corpus, result = folder / "corpus", folder / "results"
    corpus.mkdir(parents=True)
    examples: list[bytes] = []
    each_example(STRATEGIES[target.file](), number, 40, examples.append)
    good = [*seeds_of(target), *(data for data in examples if len(data) <= LARGEST_SEED)]
    for count, data in enumerate(good):
        (corpus / f"good{count:03}").write_bytes(data)
    command = [sys.executable, "-m", "fuzzing.coverage_guided", target.file, str(seconds), str(corpus), str(result)]
    options = {"cwd": ROOT / "tests", "env": {**os.environ, "PYTHONPATH": str(ROOT)}, "timeout": seconds + 300}
    run = subprocess.run(command, capture_output=True, text=True, **options)
    if not result.exists():
        raise RuntimeError(f"atheris ended without a result on {target.name}: {run.stdout[-500:]}{run.stderr[-2000:]}")
    found = [path for path in corpus.iterdir() if not path.name.startswith("good")]
    return Results.load(result), [path.read_bytes() for path in found]


def save_faults(target: Target, results: Results) -> None:
    """Save the smallest input of each kind of fault."""
    for kind, (_, data) in results.faults.items():
        name = hashlib.sha256(kind.encode()).hexdigest()[:8]
        folder = SEEDS if len(data) <= LARGEST_FAULT else LARGE_FAULTS
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"fault-{name}-{target.seeds}").write_bytes(data)


def save_new_code(target: Target, candidates: list[bytes], folder: Path) -> None:
    """Save the small inputs that reach lines of the readers which no saved input of the target reaches."""
    path = place_of(target, folder, folder / "new_code")

    def reached(data: bytes) -> set[tuple[str, int]]:
        path.write_bytes(data)
        return lines_reached(lambda: outcome(target, path))

    seen = set().union(*map(reached, seeds_of(target)))
    used = sum(path.stat().st_size for path in SEEDS.glob("new-*"))
    for data in sorted(candidates, key=len):
        if len(data) > LARGEST_SEED or used + len(data) > LARGEST_SEEDS:
            break
        new = reached(data) - seen
        if len(new) >= NEW_LINES:
            seen |= new
            used += len(data)
            (SEEDS / f"new-{hashlib.sha256(data).hexdigest()[:8]}-{target.seeds}").write_bytes(data)


def campaign(targets: list[Target], minutes: float, number: int) -> dict[str, Results]:
    """Try every target for the same time, save what is worth it, and return what was found by the target's name."""
    has_atheris = importlib.util.find_spec("atheris") is not None
    if not has_atheris:
        print('no inputs guided by coverage, because atheris is not installed: pip install ".[fuzz]"', flush=True)
    found: dict[str, Results] = {}
    with tempfile.TemporaryDirectory(prefix="precode-fuzz-") as name:
        folder = Path(name)
        models.write_checkpoints(folder)
        if set(targets) & set(EXPORTS):
            models.write_export(folder)
        seconds = 60 * minutes / len(targets)
        for target in targets:
            is_guided = has_atheris and target in PARSERS
            results = structured(target, folder, folder / "structured", number, seconds / (2 if is_guided else 1))
            if is_guided:
                guided, inputs = coverage_guided(target, folder / "guided", number, seconds / 2)
                results.merge(guided)
                save_new_code(target, inputs, folder)
            save_faults(target, results)
            found[target.name] = results
            for part in ("structured", "guided"):
                shutil.rmtree(folder / part, ignore_errors=True)
            print(f"{target.name}: {dict(results.counts)}", flush=True)
    return found


def table(found: dict[str, Results]) -> list[list[str]]:
    """The rows of the report."""
    rows = [["reader", "inputs", "read", "refused", "kinds of faults"]]
    all_results = Results()
    for results in found.values():
        all_results.merge(results)
    for name, results in [*found.items(), ("all", all_results)]:
        counts = results.counts
        kinds = len(results.faults) if name != "all" else sum(len(one.faults) for one in found.values())
        shown = (counts.total(), counts["read"], counts["refused"], kinds)
        rows.append([name, *(f"{count:,}" for count in shown)])
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the inputs (default: the time)")
    parser.add_argument("--only", help="try the targets whose names contain this")
    parser.add_argument("--report", type=Path, help="write the table into this document")
    args = parser.parse_args()
    targets = [target for target in TARGETS if not args.only or args.only in target.name]
    found = campaign(targets, args.minutes, args.seed)
    write_report("fuzz", table(found), args.report, f"{args.minutes:g} minutes, seed {args.seed}")
    faults = [(name, what) for name, results in found.items() for what, _ in results.faults.values()]
    for name, what in faults:
        print(f"{name}: {what}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
