"""Kill and disturb what the library does, and compare what comes out with what an undisturbed run gives.

    python tests/faults.py --output_dir faults --report docs/reliability.md

The jobs are pre-training and fine-tuning (in one process and in two), the computation of utterance vectors, the build
of a corpus with two processes, and a push. Each is run once undisturbed. Then it is killed with `kill -9` at random
moments and run again, started twice at once, continued after the clock went back, and run on a disk that is full or
read-only. What it leaves behind must be that of the undisturbed run, bit for bit except for times, with nothing half
written. Every error must be one line that names the cause. Exits with 1 where anything differs.
"""

import argparse
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.update(ACCELERATE_USE_CPU="true", TOKENIZERS_PARALLELISM="false")

import datasets
import torch
from campaign_report import write_report
from corpus_of_topics import write_corpus
from fault_campaign.clock import clock_goes_back
from fault_campaign.collisions import two_at_once
from fault_campaign.corpus import Corpus
from fault_campaign.disks import full_disk, read_only
from fault_campaign.job import Job
from fault_campaign.kills import killed
from fault_campaign.outcome import Outcome
from fault_campaign.push import Push
from fault_campaign.training import SCRIPTS, Training
from fault_campaign.vectors import Vectors

SCENARIOS = {
    "kills": killed,
    "two": two_at_once,
    "clock": clock_goes_back,
    "full": full_disk,
    "read-only": read_only,
}
JOBS = ("pre-training", "fine-tuning", "vectors", "corpus", "push")


def jobs_of(names: list[str], folder: Path) -> list[Job]:
    """The jobs by name, with what they read."""
    data = write_corpus(folder / "corpus", sizes=(("train", 60), ("validation", 40), ("test", 40)))
    jobs: list[Job] = [Training(task, count, data) for task in SCRIPTS if task in names for count in (1, 2)]
    jobs += [Vectors(data, folder / "vectors")] if "vectors" in names else []
    jobs += [Corpus(folder / "files")] if "corpus" in names else []
    jobs += [Push(folder / "pushed")] if "push" in names else []
    return jobs


def applies(scenario: str, job: Job) -> bool:
    """Whether a scenario is run for a job: one process stands for two, and two pushes are two commits."""
    if isinstance(job, Training):
        return scenario == "kills" or job.processes == 1
    return not (isinstance(job, Push) and scenario == "two")


def campaign(jobs: list[Job], args: argparse.Namespace) -> list[Outcome]:
    """Run all scenarios of all jobs, and print a line for each."""
    draw, outcomes = random.Random(args.seed), []
    for number, job in enumerate(jobs):
        folder = args.output_dir / job.name.replace(", ", "-").replace(" ", "-")
        folder.mkdir(parents=True)
        job.prepare(folder / "undisturbed")
        begin = time.perf_counter()
        if failed := job.start(folder / "undisturbed").finish():
            raise RuntimeError(f"{job.name}: {failed[0]}")
        seconds = time.perf_counter() - begin
        expected = job.state(folder / "undisturbed")
        for scenario in (scenario for scenario in args.scenarios if applies(scenario, job)):
            share = args.kills // len(jobs) + (number < args.kills % len(jobs))
            count = share if scenario == "kills" else args.trials
            begin = time.perf_counter()
            outcome = SCENARIOS[scenario](job, folder, draw, count, expected, seconds)
            outcomes.append(outcome)
            spent = time.perf_counter() - begin
            print(f"{outcome.name}: {outcome.kills} kills; {outcome.result()}; {spent:.0f} s", flush=True)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=112, help="of all jobs together, in the scenario kills")
    parser.add_argument("--trials", type=int, default=3, help="of every other scenario, for each job")
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path, help="write the table into this document")
    args = parser.parse_args()
    args.output_dir = args.output_dir.absolute()
    os.environ["HF_DATASETS_CACHE"] = str(args.output_dir / "cache")
    datasets.config.HF_DATASETS_CACHE = args.output_dir / "cache"
    datasets.disable_progress_bars()
    torch.set_num_threads(1)
    torch.set_printoptions(profile="full", precision=17)
    start = time.perf_counter()
    outcomes = campaign(jobs_of(args.jobs, args.output_dir), args)
    kills, problems = sum(one.kills for one in outcomes), [problem for one in outcomes for problem in one.problems]
    seconds = time.perf_counter() - start
    rows = [["scenario", "kills", "outcome"], *([one.name, str(one.kills), one.result()] for one in outcomes)]
    rows.append(["all", str(kills), f"{len(problems)} runs differ"])
    write_report("faults", rows, args.report, f"{seconds / 60:.0f} minutes, seed {args.seed}")
    print(f"{kills} kills in {seconds:.0f} s; {len(problems)} runs differ")
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
