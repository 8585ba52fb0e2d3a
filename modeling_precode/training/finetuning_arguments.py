"""The settings of fine-tuning, including those of `transformers.TrainingArguments` that work here."""

import os
from copy import copy
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import parse_flag_from_env
from transformers import TrainingArguments

from ..sharing.local_names import without_folders
from .arguments import FLAG, RECIPES, TextEncoderTrainingArguments, argument
from .processes import DDP_TIMEOUT

# The inherited arguments that have an effect here, besides those that are declared again below. All others must keep
# their defaults.
INHERITED = {
    *("gradient_accumulation_steps", "max_steps", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps"),
    *("optim", "optim_args", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon"),
    *("label_smoothing_factor", "bf16", "fp16", "tf32", "use_cpu", "full_determinism"),
    *("gradient_checkpointing", "gradient_checkpointing_kwargs"),
    *("activation_checkpointing", "activation_checkpointing_kwargs"),
    *("logging_steps", "logging_first_step", "log_level", "log_level_replica", "log_on_each_node"),
    *("disable_tqdm", "run_name", "project", "trackio_space_id", "eval_steps", "eval_delay", "eval_on_start"),
    *("save_steps", "hub_token", "hub_private_repo", "dataloader_num_workers", "dataloader_pin_memory"),
    *("ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_static_graph", "ddp_backend", "local_rank"),
}
# What may differ when a run is resumed: where and what is written, logged, scored and sent, and how batches are spread
# over devices. The number of dialogues in a batch must be the same.
MAY_CHANGE = {
    *("output_dir", "overwrite_output_dir", "seed", "seeds", "do_train", "do_eval", "do_predict", "score_test"),
    *("resume_from_checkpoint", "restore_callback_states_from_checkpoint", "checkpointing_steps"),
    *("save_strategy", "save_steps", "save_total_limit", "logging_strategy", "logging_steps", "logging_first_step"),
    *("log_level", "log_level_replica", "log_on_each_node", "disable_tqdm", "report_to", "run_name"),
    *("project", "trackio_space_id", "use_cpu"),
    *("push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_strategy"),
    *("per_device_train_batch_size", "per_device_eval_batch_size", "dataloader_num_workers", "dataloader_pin_memory"),
    *("ddp_find_unused_parameters", "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_static_graph"),
    *("ddp_backend", "ddp_timeout", "local_rank"),
}


@dataclass
class UtteranceClassificationArguments(TextEncoderTrainingArguments, TrainingArguments):
    """Settings of [`UtteranceClassificationTrainer`]. Every field is an argument of `run_finetune.py`, which lists them
    with their meaning and default: `python run_finetune.py --help-all`.

    The trainer does not read `seeds`, `score_test` and `calibrate`, and does not push at the end: call its `predict`,
    `calibrate` and `push_to_hub`, or [`train_seed`] for each seed. With `push_to_hub=True` and `hub_strategy="best"`,
    the trainer pushes every new best checkpoint.

    Raises:
        ValueError: A value is out of range, or an argument of `TrainingArguments` has no effect here.
    """

    output_dir: str = argument("Folder for checkpoints, predictions and scores.", "checkpoints/finetuned")
    overwrite_output_dir: bool = argument("Allow an output folder that is not empty.", False)
    recipe: str = argument(
        "original: train as the original implementation does, with its settings for the corpus where you give none.",
        "default",
        choices=list(RECIPES),
    )
    seeds: list[int] = argument("One run for each seed. Mean and standard deviation are reported.", [1])
    seed: int | None = argument(  # type: ignore[assignment]
        "One run with this seed, the same as --seeds with one number."
    )
    metric_for_best_model: str = argument("Metric on the validation split that chooses the checkpoint.", "weighted_f1")
    patience: int = argument("Stop after N evaluations without improvement of that metric.", 4)
    class_weight_rate: float | None = argument(
        "Weight each class by (n_min / n)^rate in the loss; the original uses 0.5 (default: no weights)."
    )
    corpus_weights: list[float] | None = argument(
        "With several corpora: how often a training dialogue is drawn from each, relative to the others (default: "
        "every dialogue once an epoch)."
    )
    multi_task: bool = argument(
        "With several corpora: train one encoder with one classification head per corpus, for the labels of the "
        "corpus. Each corpus gets its own checkpoint (default: one head, for corpora with the same labels).",
        False,
    )
    soft_labels: bool = argument(
        "Train on label_distributions, such as the votes of annotators or the probabilities of a teacher, in place of "
        "the labels, where an utterance has them.",
        False,
    )
    focused_labels: list[str] | None = argument(
        "Labels that the original's scores and class weights count (default: all)."
    )
    excluded_label: str | None = argument("Also report the micro F1 without this label.")
    score_test: bool = argument("Score the test split at the end. Use false in trials that choose settings.", True)
    calibrate: bool = argument(
        "Fit a temperature for the probabilities on the validation split. Labels do not change.", True
    )
    learning_rate: float = argument("Initial learning rate.", 2e-3)
    num_train_epochs: float = argument("Maximum number of epochs.", 12)
    per_device_train_batch_size: int = argument("Dialogues per step and device.", 8)
    per_device_eval_batch_size: int = argument("Dialogues per step and device in evaluation.", 32)
    max_grad_norm: float = argument("Maximum norm of the gradient; 0 for no limit.", 5.0)
    report_to: str = argument("Tracker: tensorboard, trackio or wandb.", "none")
    eval_strategy: str = argument("When to evaluate: epoch or steps.", "epoch")
    save_strategy: str | None = argument(  # type: ignore[assignment]
        "When to save: must equal --eval_strategy, the default."
    )
    logging_strategy: str = argument("When to log.", "epoch")
    checkpointing_steps: int | None = argument("Also save a checkpoint every N steps, in addition to --save_strategy.")
    save_total_limit: int | None = argument("Number of checkpoints to keep in training, besides the best one.", 1)
    restore_callback_states_from_checkpoint: bool = argument(
        "Continue the count of early stopping when a run is resumed.", True
    )
    resume_from_checkpoint: str | None = argument(
        "Resume from this folder seed_N/checkpoint-STEP in the output folder. latest: resume from the newest one "
        "there, or start if there is none. Finished seeds are not run again."
    )
    push_to_hub: bool = argument("Upload the best checkpoint.", False)
    hub_model_id: str | None = argument("Name on the Hub (default: the name of the output folder).")
    hub_strategy: str = argument("When to upload: end, or best for also every new best checkpoint.", "end")
    load_best_model_at_end: bool = argument("At the end, load the checkpoint that the metric chose.", True)
    greater_is_better: bool | None = argument("Whether a higher metric is better (default: yes, except for the loss).")
    ddp_timeout: int = argument("Seconds that a process waits for the others.", DDP_TIMEOUT)
    ddp_find_unused_parameters: bool | None = argument("Whether some parameters may not contribute to the loss.", False)
    do_train: bool | None = argument(  # type: ignore[assignment]
        "Train. With only --do_eval or --do_predict, the checkpoint is scored without training.", **FLAG
    )
    do_eval: bool | None = argument("Score the validation split.", **FLAG)  # type: ignore[assignment]
    do_predict: bool | None = argument("Score the test split.", **FLAG)  # type: ignore[assignment]

    def __post_init__(self):
        self._check_values()
        self._check_inherited()
        derived = ("greater_is_better", "save_strategy", "eval_steps", "text_encoder_learning_rate")
        self.derived = {name for name in derived if getattr(self, name) is None} | {"save_steps", "seed"}
        if not self.use_cpu:
            self.derived.add("use_cpu")
        self._choose_steps()
        self.metric_for_best_model = self.metric_for_best_model.removeprefix("eval_")
        if self.greater_is_better is None:
            self.greater_is_better = self.metric_for_best_model != "loss"
        if self.recipe == "original" and not self.greater_is_better:
            raise ValueError(
                "--recipe original chooses the checkpoint with the highest metric; got --metric_for_best_model "
                f"{self.metric_for_best_model}, of which the lowest is best; leave one of them out"
            )
        if not (self.bf16 or self.fp16):
            # `Trainer` follows the launcher's precision. It is set here so that it is saved with the result.
            precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
            self.bf16, self.fp16 = precision == "bf16", precision == "fp16"
        if self.fp16 and self.recipe == "original":
            raise ValueError(
                "--fp16 cannot be used with --recipe original, which clips the gradient of each module; give --bf16"
            )
        # Otherwise `TrainingArguments` uses a GPU although the launcher says not to, or requires one for bfloat16.
        self.use_cpu |= parse_flag_from_env("ACCELERATE_USE_CPU")
        self.use_cpu |= self.bf16 and not torch.accelerator.is_available()
        flags, strategy = (self.do_train, self.do_eval, self.do_predict), self.hub_strategy
        self.hub_strategy = "end"  # `TrainingArguments` does not have the strategy `best`
        super().__post_init__()
        (self.do_train, self.do_eval, self.do_predict), self.hub_strategy = flags, strategy
        if self.n_gpu > 1:
            # Otherwise `Trainer` splits a batch over all visible GPUs, but a `BatchLayout` cannot be split.
            self._n_gpu = 1

    def _check_values(self) -> None:
        for name in ("checkpointing_steps", "per_device_train_batch_size", "per_device_eval_batch_size", "patience"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"--{name} must be at least 1; got {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise ValueError(f"--learning_rate must be more than 0; got {self.learning_rate}")
        if self.max_grad_norm < 0:
            raise ValueError(f"--max_grad_norm must be at least 0, which is no limit; got {self.max_grad_norm}")
        optimizer = str(getattr(self.optim, "value", self.optim))
        if optimizer.startswith("schedule_free"):
            raise ValueError(
                f"--optim {optimizer}: it would be scored and saved with other weights than it is meant to be; give an "
                "optimizer with a schedule, such as adamw_torch"
            )
        if self.hub_strategy not in ("end", "best"):
            raise ValueError(f"--hub_strategy {self.hub_strategy}: unknown; known are end, best")
        if self.label_smoothing_factor and self.class_weight_rate is not None:
            raise ValueError("--label_smoothing_factor cannot be used with --class_weight_rate; leave one of them out")
        if self.corpus_weights is not None and self.recipe == "original":
            raise ValueError("--corpus_weights cannot be used with --recipe original; leave one of them out")
        if self.multi_task:
            self._check_multi_task()
        if self.label_smoothing_factor and self.soft_labels:
            raise ValueError("--label_smoothing_factor cannot be used with --soft_labels; leave one of them out")
        if self.seed is not None and self.seeds not in ([1], [self.seed]):
            raise ValueError(f"--seed {self.seed} and --seeds {' '.join(map(str, self.seeds))}: leave one of them out")
        if self.seed is None:
            self.seed = self.seeds[0]
        elif self.seeds == [1]:
            self.seeds = [self.seed]

    def _check_multi_task(self) -> None:
        if self.recipe == "original":
            raise ValueError("--multi_task cannot be used with --recipe original; leave one of them out")
        if self.label_smoothing_factor:
            raise ValueError(
                "--label_smoothing_factor cannot be used with --multi_task, because it would move probability to the "
                "labels of other corpora; leave one of them out"
            )
        if self.push_to_hub:
            raise ValueError(
                "--push_to_hub cannot be used with --multi_task, which saves a checkpoint for each corpus; push each "
                "one with precode push"
            )
        if self.only_scores:
            raise ValueError(
                "--do_eval and --do_predict without --do_train cannot be used with --multi_task; score the checkpoint "
                "of each corpus on this corpus alone"
            )

    @classmethod
    def names_without_effect(cls) -> set[str]:
        """The inherited arguments that do not work here."""
        return {option.name for option in fields(cls)} - INHERITED - set(_declared(cls))

    @property
    def saved_names(self) -> list[str]:
        """The settings in a configuration file: those declared here, and inherited ones that were changed.

        A default that depends on other settings is left out, so that it follows them if they are changed.
        """
        own = [name for name in _declared(type(self)) if name not in self.derived]
        changed = (
            option
            for option in fields(self)
            if (getattr(self, option.name, None) or None) != (_default(option) or None)
        )
        return [*own, *(option.name for option in changed if option.name in INHERITED - self.derived)]

    def _check_inherited(self) -> None:
        if not self.load_best_model_at_end:
            raise ValueError("--load_best_model_at_end False: this does not work here; leave it out")
        refused = self.names_without_effect()
        for option in fields(self):
            value, default = getattr(self, option.name, None), _default(option)
            # The command line parses a default of "no" as false, and a default of "" as None.
            changed = value != default and (bool(value) or default not in ("no", ""))
            if option.init and option.name in refused and changed:
                raise ValueError(f"--{option.name} {value}: this does not work here; leave it out")

    def _choose_steps(self) -> None:
        """Save a checkpoint at every evaluation, so that the best one is available at the end."""
        evaluation = str(getattr(self.eval_strategy, "value", self.eval_strategy))
        saving = str(getattr(self.save_strategy, "value", self.save_strategy or evaluation))
        if evaluation not in ("epoch", "steps"):
            raise ValueError(
                f"--eval_strategy {evaluation}: the checkpoint is chosen by evaluations; give epoch or steps"
            )
        if saving != evaluation:
            raise ValueError(
                f"--save_strategy {saving}: not every evaluation would have a checkpoint; leave this out, or give "
                f"{evaluation}, as --eval_strategy"
            )
        self.eval_strategy, self.save_strategy = evaluation, saving
        defaults = {option.name: _default(option) for option in fields(TrainingArguments)}
        if evaluation == "epoch":
            self._check_unused_steps(defaults)
        else:
            self.eval_steps = self.eval_steps or self.logging_steps
            if self.save_steps not in (defaults["save_steps"], self.eval_steps):
                raise ValueError(
                    f"--save_steps {self.save_steps:.0f}: not every evaluation would have a checkpoint; give "
                    f"{self.eval_steps:.0f}, as --eval_steps"
                )
            self.save_steps = self.eval_steps

    def _check_unused_steps(self, defaults: dict[str, Any]) -> None:
        """Raise a ValueError for a number of steps that has no effect, because evaluations are by epoch."""
        strategies = {"eval_steps": "eval_strategy", "save_steps": "eval_strategy", "logging_steps": "logging_strategy"}
        if str(getattr(self.logging_strategy, "value", self.logging_strategy)) == "steps":
            del strategies["logging_steps"]
        for name, strategy in strategies.items():
            value = getattr(self, name)
            if value not in (None, defaults[name]):
                raise ValueError(
                    f"--{name} {value:g}: this is for --{strategy} steps; give that too, or leave this out"
                )

    @property
    def only_scores(self) -> bool:
        """Whether to score a checkpoint without training."""
        return self.do_train is False or (self.do_train is None and bool(self.do_eval or self.do_predict))

    @property
    def pushes_best(self) -> bool:
        """Whether to push every new best checkpoint."""
        return self.push_to_hub and self.hub_strategy == "best"

    @property
    def scores_test(self) -> bool:
        """Whether to score the test split."""
        flags = (self.do_train, self.do_eval, self.do_predict)
        return self.score_test if all(flag is None for flag in flags) else bool(self.do_predict)

    def for_seed(self, seed: int) -> "UtteranceClassificationArguments":
        """The settings of one seed's run, with an output folder of its own."""
        args = copy(self)
        args.output_dir, args.seed = str(Path(self.output_dir) / f"seed_{seed}"), seed
        if self.push_to_hub:
            # The seeds are pushed to one repository, with the name of the folder of all.
            args.hub_model_id = self.hub_model_id or Path(self.output_dir).resolve().name
        return args

    def for_trainer(self) -> "UtteranceClassificationArguments":
        """The settings for `transformers.Trainer`, without what this library does itself."""
        args = copy(self)
        args.push_to_hub = False
        args.hub_token = None  # `Trainer` would pickle it into every checkpoint with the other arguments
        args.save_total_limit = None  # old checkpoints are removed once a new one is complete
        # `Trainer` evaluates and saves by its strategies, whatever is scored at the end.
        args.do_train = args.do_eval = True
        if args.lr_scheduler_type in ("reduce_lr_on_plateau", "greedy"):
            mode = "max" if args.greater_is_better else "min"
            assert not isinstance(args.lr_scheduler_kwargs, str)  # `TrainingArguments` has parsed it
            args.lr_scheduler_kwargs = {"mode": mode, **(args.lr_scheduler_kwargs or {})}
        args.max_grad_norm = 0  # `clip_gradient` clips instead
        return args

    def to_dict(self) -> dict[str, Any]:
        """The settings without tokens and without the folders of paths, as trackers and files of results get them."""
        return without_folders(super().to_dict())

    def fingerprint(self) -> dict[str, Any]:
        """The settings that a resumed run must share with the run that it continues, without the seed."""
        settings = {name: value for name, value in self.to_dict().items() if name not in MAY_CHANGE}
        return {**settings, "dialogues a batch": self.per_device_train_batch_size * self.world_size}


def _default(option: Field) -> Any:
    return option.default_factory() if option.default_factory is not MISSING else option.default


def _declared(kind: type) -> list[str]:
    """The names of the settings that this library declares, not those of transformers."""
    own = [name for base in kind.__mro__ if base.__module__ == __name__ for name in base.__annotations__]
    return [*own, *(option.name for option in fields(TextEncoderTrainingArguments))]
