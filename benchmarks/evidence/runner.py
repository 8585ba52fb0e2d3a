"""Runs the experiments without a result: pre-training on all cores, then fine-tuning runs on one core each."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from data_scripts.tools.whole_files import read_json

from .checkpoints import Checkpoint
from .experiments import FINETUNE, PRETRAIN, Run
from .multi_task import head_of, of_all_corpora, sources
from .results import Results
from .views import PATHS, has_files
from .views import arguments as view_arguments

ROOT = Path(__file__).resolve().parents[2]
# Parallel runs may need the same view.
VIEWS = Lock()


@dataclass
class Runner:
    """Runs experiments, and saves their results.

    Args:
        data_dir: The folder with the corpora.
        output_dir: The folder for checkpoints and logs, from which interrupted runs are resumed.
        results: The results, with one line per run and seed.
        jobs: The number of parallel fine-tuning runs, each with one thread.
    """

    data_dir: Path
    output_dir: Path
    results: Results
    jobs: int

    def run(self, runs: Iterable[Run]) -> None:
        runs = [run for run in runs if self.is_possible(run)]
        finetuning = [run for run in runs if run.script == FINETUNE and self.missing(run)]
        needed = {run.start.key for run in finetuning if run.start}
        for run in runs:
            if run.script == PRETRAIN and (self.missing(run) or run.key in needed):
                self.pretrain(run)
        # Start with the long runs, so that no core is busy alone at the end.
        finetuning.sort(key=lambda run: run.corpus != "dailydialog")
        trainings: dict[Path, list[Run]] = {}
        for run in finetuning:
            trainings.setdefault(self.folder(run), []).append(run)
        with ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(self.finetune, trainings.values()))

    def is_possible(self, run: Run) -> bool:
        """Whether the data of a run exists, and the finished model that it starts from."""
        has_start = not isinstance(run.start, Checkpoint) or run.start.source is not None
        read = [run.settings, *run.settings.get("multi_task", {}).values()]
        return has_start and all(has_files(settings, self.data_dir) for settings in read)

    def missing(self, run: Run) -> list[int]:
        return [seed for seed in run.seeds if self.results.get(run.key, seed) is None]

    def folder(self, run: Run) -> Path:
        return self.output_dir / "runs" / run.folder

    def predictions(self, run: Run) -> list[Path]:
        """The files with the test predictions of all seeds."""
        head = head_of(run.settings).replace(" ", "-") if "multi_task" in run.settings else "."
        return [self.folder(run) / f"seed_{seed}" / head / "test_predictions.jsonl" for seed in run.seeds]

    def pretrain(self, run: Run) -> None:
        [seed] = run.seeds
        file = self.folder(run) / "pretrain_results.json"
        cpu_seconds = None
        if not file.is_file():
            if isinstance(run.start, Run):
                self.pretrain(run.start)
            cpu_seconds = self.call(run, {"seed": seed})
        if self.missing(run):
            found = read_json(file)
            kept = {name: found[name] for name in ("scores", "history", "versions")}
            self.results.add({**self.line(run, seed), "cpu_seconds": cpu_seconds, **kept})

    def finetune(self, runs: list[Run]) -> None:
        """Train once, for a run or for the results of a training on several corpora."""
        missing = {run.key: self.missing(run) for run in runs}
        seeds = sorted({seed for found in missing.values() for seed in found})
        cpu_seconds = self.call(runs[0], {"seeds": seeds}, OMP_NUM_THREADS="1")
        for run, seed in [(one, seed) for one in runs for seed in missing[one.key]]:
            found = read_json(self.folder(run) / f"seed_{seed}" / "results.json")
            metric = f"eval_{run.settings['metric_for_best_model']}"
            curve = [record[metric] for record in found["history"] if metric in record]
            of_seed = None if cpu_seconds is None else round(cpu_seconds / len(seeds), 1)
            more = {"cpu_seconds": of_seed, "epochs": len(curve), "dev_by_epoch": curve}
            kept = {name: found[name] for name in ("scores", "calibration", "leakage", "versions")}
            if "multi_task" in run.settings:
                head = head_of(run.settings)
                kept["scores"] = {split: scores["corpora"][head] for split, scores in found["scores"].items()}
                kept["calibration"] = found["calibration"][head]
            self.results.add({**self.line(run, seed), **more, **kept})

    def line(self, run: Run, seed: int) -> dict[str, Any]:
        start = run.start and {"key": run.start.key, "seed": next(iter(run.start.seeds), None)}
        if isinstance(run.start, Checkpoint):
            start |= {"checkpoint": run.start.name}
        return {"key": run.key, "seed": seed, "script": run.script, "settings": run.settings, "start": start}

    def call(self, run: Run, seeds: dict[str, Any], **environment: str) -> float | None:
        """Run a script and log its output to a file.

        Returns:
            The CPU time in seconds, summed over all cores. None if an earlier call was continued, whose time is not
            known.
        """
        folder = self.folder(run)
        is_continued = folder.is_dir()
        log = self.output_dir / "logs" / f"{folder.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(ROOT / run.script), *self.arguments(run, seeds)]
        print(f"$ {shlex.join(command)}  # {log}", flush=True)
        begun = time.perf_counter()
        with open(log, "a", encoding="utf-8") as output:
            environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
            _, status, usage = os.wait4(process.pid, 0)
        if status:
            last = log.read_text(encoding="utf-8").strip().splitlines()[-1:]
            raise RuntimeError(f"{folder.name} failed; last line of {log}: {''.join(last)}")
        print(f"{folder.name}: {time.perf_counter() - begun:.0f} s", flush=True)
        return None if is_continued else usage.ru_utime + usage.ru_stime

    def arguments(self, run: Run, seeds: dict[str, Any]) -> list[str]:
        settings = dict(run.settings)
        if "history" in settings:
            with VIEWS:
                settings = view_arguments(settings, self.data_dir, self.output_dir / "views")
        if "multi_task" in settings:
            corpora = sources(settings, self.data_dir)
            settings = {**of_all_corpora(settings), "corpus": corpora, "multi_task": True}
        for name in PATHS:
            if name in settings:
                settings[name] = self.data_dir / settings[name]
        if str(settings.get("text_encoder", "")).startswith("package:"):
            package, _, path = settings["text_encoder"].removeprefix("package:").partition("/")
            settings["text_encoder"] = Path(find_spec(package).submodule_search_locations[0], path)
        if run.start:
            is_finished = isinstance(run.start, Checkpoint)
            settings["model"] = run.start.model if is_finished else self.folder(run.start)
        settings |= {**seeds, "output_dir": self.folder(run), "resume_from_checkpoint": "latest"}
        parts = []
        for name, value in settings.items():
            parts += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
        return parts
