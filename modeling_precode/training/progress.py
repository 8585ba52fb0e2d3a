"""The progress of a pre-training run: its counters, which every checkpoint contains, and its log lines."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """The progress of a pre-training run. Its checkpoints contain all fields.

    Args:
        step: Number of optimizer steps so far.
        epoch: Epoch of the next batch, from 0.
        batch: Index of the next batch in the epoch.
        evaluated: Step of the last evaluation.
        utterances: Number of utterances in the batches so far.
        seconds: Duration of the run.
        evaluation_seconds: Part of `seconds` spent in evaluations.
        bad_evaluations: Number of evaluations since the best one.
        losses: Sum and number of the losses since the last log record (`log`) and the last evaluation (`evaluation`).
        best: Record of the best evaluation.
        history: One record per evaluation.
        training_log: One record per `logging_steps`.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    evaluated: int = 0
    utterances: int = 0
    seconds: float = 0.0
    evaluation_seconds: float = 0.0
    bad_evaluations: int = 0
    losses: dict[str, list[float]] = field(default_factory=lambda: {"log": [0.0, 0], "evaluation": [0.0, 0]})
    best: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    training_log: list[dict[str, Any]] = field(default_factory=list)

    def add_loss(self, loss: float) -> None:
        """Add the loss of a step."""
        for total in self.losses.values():
            total[0] += loss
            total[1] += 1

    def mean_loss(self, since: str) -> float:
        """The mean loss since the last `log` or `evaluation`. The next mean starts from here."""
        total, count = self.losses[since]
        self.losses[since] = [0.0, 0]
        return total / count


def log_line(split: str, record: dict[str, Any]) -> str:
    """The figures of an evaluation in pre-training, as one line."""
    parts = [f"step {record['step']:,}", split]
    if "loss" in record:
        parts += [f"loss {record['loss']:.4f}", f"lr {record['learning_rate']:.2e}", f"{record['seconds']:.0f} s"]
        parts += [f"{record['utterances_per_second']:,.0f} utterances/s"]
    parts += [f"{name} {value:.4f}" for name, value in record.items() if name.startswith("R_")]
    return "  ".join(parts)
