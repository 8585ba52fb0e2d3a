"""Pre-training and fine-tuning, in one process and in two, resumed after every interruption."""

import json
import os
import sys
from pathlib import Path

import torch
from torch.distributed import TCPStore

import run_finetune
import run_pretrain
from modeling_precode.training.checkpoints import checkpoints
from modeling_precode.training.finetuning import UtteranceClassificationTrainer
from modeling_precode.training.finetuning_checkpoints import CheckpointCallback
from modeling_precode.training.pretraining_loop import STATE, PretrainingLoop
from modeling_precode.training.recall import RecallEvaluation

from .job import Job, mark

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
MARKED = {
    "evaluation": [(RecallEvaluation, "__call__"), (UtteranceClassificationTrainer, "evaluation_loop")],
    "checkpoint": [
        (PretrainingLoop, "save"),
        (UtteranceClassificationTrainer, "save_model"),
        (CheckpointCallback, "on_save"),
    ],
}
HOST = "127.0.0.1"
# What says how long something took, or how much memory there was.
TIMES = ("second", "runtime", "megabytes")


def without_times(value):
    """Figures of a run without those that say how long something took or where it is."""
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if not any(time in str(name) for time in TIMES)}
        return {name: without_times(item) for name, item in kept.items() if name not in ("command", "output_dir")}
    return [without_times(item) for item in value] if isinstance(value, list) else value


class Training(Job):
    """A training script, in one or two processes."""

    phases = {"step": 0.03, "evaluation": 0.03, "checkpoint": 0.003}

    def __init__(self, task: str, processes: int, data: Path):
        self.name = f"{task}, {processes} process{'es' * (processes > 1)}"
        self.task, self.processes, self.data = task, processes, data

    def functions(self, output: Path):
        script, settings = SCRIPTS[self.task]
        arguments = [*SMALL.split(), *settings.split(), "--data_dir", str(self.data), "--output_dir", str(output)]
        if self.task == "fine-tuning":
            arguments += ["--per_device_train_batch_size", str(10 // self.processes)]
        argv = [script.__file__, *arguments, "--resume_from_checkpoint", "latest"]
        if self.processes > 1:
            # As under torchrun, the parent listens before its processes start. A port that is only chosen here could
            # belong to another program by the time at which the first process listens.
            self.store = TCPStore(HOST, 0, is_master=True, wait_for_workers=False)
        return [lambda marks, rank=rank: self.run(argv, rank, marks) for rank in range(self.processes)]

    def run(self, argv: list[str], rank: int, marks) -> None:
        sys.argv = argv
        if self.processes > 1:
            ranks = {"RANK": rank, "LOCAL_RANK": rank}
            sizes = {"WORLD_SIZE": self.processes, "LOCAL_WORLD_SIZE": self.processes}
            store = {"MASTER_ADDR": HOST, "MASTER_PORT": self.store.port, "TORCHELASTIC_USE_AGENT_STORE": True}
            os.environ.update({name: str(value) for name, value in {**ranks, **sizes, **store}.items()})
        if rank == 0:
            for phase, methods in MARKED.items():
                for owner, method in methods:
                    mark(owner, method, list(self.phases).index(phase), marks)
        SCRIPTS[self.task][0].main()

    def state(self, output: Path) -> dict[str, object]:
        """Weights, predictions, figures, and the state of the last checkpoint."""
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
