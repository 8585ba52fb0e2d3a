"""Kill training with `kill -9` again and again, at random moments, and compare what comes out.

    python tests/faults.py --kills 44 --output_dir faults

Pre-training and fine-tuning, in one process and in two, are run once undisturbed, and then again and again: killed in
a step, in an evaluation or while a checkpoint is being written, gone on with, perhaps killed again, and let end. The
weights, the optimizer's state and every figure but times must then be those of the undisturbed run, bit for bit. Prints
a report, and exits with 1 where anything differs.

Processes are forked from one that has imported everything, so that starting takes no time; of two processes, one is
killed first and the other within a tenth of a second.
"""

import argparse
import json
import mmap
import os
import random
import signal
import socket
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for name in ("OMP_NUM_THREADS", "HF_HUB_OFFLINE"):
    os.environ.setdefault(name, "1")
os.environ.update(ACCELERATE_USE_CPU="true", TOKENIZERS_PARALLELISM="false")
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
from corpus_of_topics import write_corpus  # noqa: E402

import run_finetune  # noqa: E402
import run_pretrain  # noqa: E402
from data_scripts.tools.console import one_line_errors  # noqa: E402
from modeling_precode.training.checkpoints import checkpoints  # noqa: E402
from modeling_precode.training.finetuning import UtteranceClassificationTrainer  # noqa: E402
from modeling_precode.training.finetuning_checkpoints import CheckpointCallback  # noqa: E402
from modeling_precode.training.pretraining_loop import STATE, PretrainingLoop  # noqa: E402
from modeling_precode.training.recall import RecallEvaluation  # noqa: E402

PHASES = ("step", "evaluation", "checkpoint")
SMALL = "--corpus custom --hidden_size 8 --word_vector_size 8 --dropout 0.2 --learning_rate 0.01"
SCRIPTS = {
    "pre-training": (
        run_pretrain,
        "--batch_size 10 --eval_batch_size 7 --max_epochs 4 --eval_steps 7 --checkpointing_steps 5 --logging_steps 3",
    ),
    "fine-tuning": (
        run_finetune,
        "--seeds 1 2 --per_device_eval_batch_size 7 --num_train_epochs 3 --checkpointing_steps 4 "
        "--logging_strategy steps --logging_steps 3",
    ),
}
# What says how long something took, or how much memory there was.
TIMES = ("second", "runtime", "megabytes")


def mark(function, phase: str, marks: mmap.mmap):
    """The function, with its phase marked while it runs."""

    def marked(*args, **kwargs):
        before, marks[0] = marks[0], PHASES.index(phase)
        try:
            return function(*args, **kwargs)
        finally:
            marks[0] = before

    return marked


class Run:
    """A run in one or two processes, forked and started at once."""

    def __init__(self, task: str, processes: int, data: Path, output: Path):
        script, settings = SCRIPTS[task]
        self.output = output
        self.marks = mmap.mmap(-1, 1)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        arguments = [*SMALL.split(), *settings.split(), "--data_dir", str(data), "--output_dir", str(output)]
        if task == "fine-tuning":
            arguments += ["--per_device_train_batch_size", str(10 // processes)]
        argv = [script.__file__, *arguments, "--resume_from_checkpoint", "latest"]
        self.pids = [self.fork(script, argv, process, processes, port) for process in range(processes)]

    def fork(self, script, argv: list[str], process: int, processes: int, port: int) -> int:
        if pid := os.fork():
            return pid
        try:
            log = os.open(f"{self.output}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            sys.argv = argv
            if processes > 1:
                rank = {"RANK": process, "LOCAL_RANK": process, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
                address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
                os.environ.update({name: str(value) for name, value in {**rank, **address}.items()})
            if process == 0:
                RecallEvaluation.__call__ = mark(RecallEvaluation.__call__, "evaluation", self.marks)
                UtteranceClassificationTrainer.evaluation_loop = mark(
                    UtteranceClassificationTrainer.evaluation_loop, "evaluation", self.marks
                )
                PretrainingLoop.save = mark(PretrainingLoop.save, "checkpoint", self.marks)
                UtteranceClassificationTrainer.save_model = mark(
                    UtteranceClassificationTrainer.save_model, "checkpoint", self.marks
                )
                CheckpointCallback.on_save = mark(CheckpointCallback.on_save, "checkpoint", self.marks)
            with one_line_errors():
                script.main()
            code = 0
        except SystemExit as end:
            print(end.code)
            code = 1
        except BaseException as error:
            import traceback

            traceback.print_exception(error)
            code = 1
        sys.stdout.flush()
        os._exit(code)

    def ended(self) -> bool:
        """Whether the first process is done."""
        return os.waitid(os.P_PID, self.pids[0], os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self) -> None:
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in self.pids]
        if any(codes):
            raise RuntimeError(f"exit codes {codes}; see {self.output}.log")

    def kill(self, draw: random.Random, seconds: float) -> str | None:
        """Kill it at a random moment within so many seconds; returns what it was doing, or None where it had ended."""
        wanted = draw.choice(PHASES)
        time.sleep(draw.uniform(0, 0.8 * seconds))
        while PHASES[self.marks[0]] != wanted and not self.ended():
            time.sleep(0.0002)
        time.sleep(draw.uniform(0, 0.003 if wanted == "checkpoint" else 0.03))
        if self.ended():
            return None
        draw.shuffle(self.pids)
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
            time.sleep(draw.uniform(0, 0.1) if pid != self.pids[-1] else 0)
        for pid in self.pids:
            os.waitpid(pid, 0)
        return PHASES[self.marks[0]]


def without_times(value):
    """Figures of a run without those that say how long something took or where it is."""
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if not any(time in str(name) for time in TIMES)}
        return {name: without_times(item) for name, item in kept.items() if name not in ("command", "output_dir")}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def final_state(output: Path) -> dict[str, object]:
    """Everything that a run leaves behind: weights, predictions, figures, and the state of the last checkpoint."""
    state: dict[str, object] = {}
    for path in sorted(output.rglob("*")):
        name = str(path.relative_to(output))
        if name.startswith("checkpoint-"):
            continue
        if path.suffix in (".safetensors", ".jsonl"):
            state[name] = path.read_bytes()
        elif path.name.endswith("results.json"):
            state[name] = without_times(json.loads(path.read_text().replace(str(output), "OUTPUT")))
    for step, folder in checkpoints(output)[-1:]:
        state[f"checkpoint-{step}"] = (folder / "model.safetensors").read_bytes()
        saved = torch.load(folder / STATE, weights_only=True)
        state["training state"] = repr(without_times(saved))
    return state


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=44)
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    os.environ["HF_DATASETS_CACHE"] = str(args.output_dir / "cache")
    draw = random.Random(args.seed)
    torch.set_printoptions(profile="full", precision=17)
    data = write_corpus(args.output_dir / "corpus", sizes=(("train", 60), ("validation", 40), ("test", 40)))
    cases = [(task, processes) for task in SCRIPTS for processes in (1, 2)]
    print(f"{args.kills} kills, seed {args.seed}")
    lost, kills, start = [], Counter(), time.perf_counter()
    for number, (task, processes) in enumerate(cases):
        name = f"{task}-{processes}"
        begin = time.perf_counter()
        Run(task, processes, data, args.output_dir / name).wait()
        seconds = time.perf_counter() - begin
        expected = final_state(args.output_dir / name)
        wanted = args.kills // len(cases) + (number < args.kills % len(cases))
        phases, trials, same = Counter(), 0, 0
        while sum(phases.values()) < wanted:
            output = args.output_dir / f"{name}-killed-{trials}"
            for _ in range(draw.randint(1, 3)):
                run = Run(task, processes, data, output)
                phase = run.kill(draw, seconds) if sum(phases.values()) < wanted else None
                if phase is None:
                    run.wait()
                    break
                phases[phase] += 1
            Run(task, processes, data, output).wait()
            state = final_state(output)
            differing = [part for part in expected if state.get(part) != expected[part]]
            lost += [f"{output}: {', '.join(differing)}"] if differing else []
            trials, same = trials + 1, same + (not differing)
        kills += phases
        print(
            f"{task}, {processes} process(es): {sum(phases.values())} kills in {trials} runs ("
            + ", ".join(f"{phases[phase]} in a {phase}" for phase in PHASES)
            + f"); {same} of {trials} final states as undisturbed, bit for bit ({seconds:.1f} s a run)",
            flush=True,
        )
    print(f"{sum(kills.values())} kills in {time.perf_counter() - start:.0f} s; {len(lost)} runs differ")
    print("\n".join(lost), end="\n" if lost else "")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
