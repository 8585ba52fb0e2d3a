"""The learning rate over a run: warm-up, then a schedule by the step or by the dev metric."""

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR, ReduceLROnPlateau
from transformers import get_scheduler

# Of these no step depends on how many there are.
ENDLESS = ("plateau", "constant")
SCHEDULES = (*ENDLESS, "linear", "cosine")


def floors(optimizer: Optimizer, lowest: float) -> list[float]:
    """The lowest learning rate of every group of parameters: that of the first one, and the others in proportion."""
    rates = [group["lr"] for group in optimizer.param_groups]
    return [lowest * (rate / rates[0]) for rate in rates]


class Schedule:
    """Sets an optimiser's learning rate.

    Args:
        kind: `plateau` multiplies by `factor`, down to `min_learning_rate` (that of the first group of parameters; the
            others in proportion), at every evaluation that is not better than all before it; `constant` stays;
            `linear` and `cosine` go to 0 at `total_steps`.
        optimizer: with the learning rate to start from, or to warm up to.
        warmup_steps: the learning rate rises evenly during so many steps.
        total_steps: of the run.
    """

    def __init__(
        self,
        kind: str,
        optimizer: Optimizer,
        warmup_steps: int,
        total_steps: int,
        factor: float,
        min_learning_rate: float,
    ):
        self.by_metric = self.by_step = None
        if kind == "plateau":
            self.by_metric = ReduceLROnPlateau(
                optimizer,
                mode="max",
                factor=factor,
                patience=0,
                threshold=0,
                min_lr=floors(optimizer, min_learning_rate),
            )
            self.by_metric.best = 0.0  # a recall of 0 is no improvement
            if warmup_steps:
                self.by_step = LinearLR(optimizer, start_factor=1 / (warmup_steps + 1), total_iters=warmup_steps)
        elif kind == "constant":
            self.by_step = get_scheduler("constant_with_warmup", optimizer, warmup_steps)
        else:
            self.by_step = get_scheduler(kind, optimizer, warmup_steps, total_steps)

    def after_step(self) -> None:
        if self.by_step is not None:
            self.by_step.step()

    def after_evaluation(self, metric: float) -> None:
        if self.by_metric is not None:
            self.by_metric.step(metric)

    def parts(self) -> dict[str, Any]:
        return {name: part for name, part in vars(self).items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self.parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
