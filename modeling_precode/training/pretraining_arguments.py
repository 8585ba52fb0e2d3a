"""The settings of a pre-training with Conversation Completion."""

from dataclasses import asdict, dataclass
from typing import Any

from ..configuration_precode import CONVCOM_OBJECTIVES
from .arguments import RECIPES, TextEncoderTrainingArguments, argument
from .optimization import ENDLESS, SCHEDULES

WARMUP_STEPS = 300


@dataclass
class ConversationCompletionArguments(TextEncoderTrainingArguments):
    """Settings of [`ConversationCompletionTrainer`]. Every field is an argument of `run_pretrain.py`, which lists them
    with their meaning and default: `python run_pretrain.py --help`.

    Raises:
        ValueError: a value out of range.
    """

    output_dir: str = argument("Where the best checkpoint goes.", "checkpoints/pretrained")
    overwrite_output_dir: bool = argument("Write into a folder that is not empty.", False)
    recipe: str = argument(
        "original: the procedure of the original implementation, and its settings where none are given.",
        "default",
        choices=list(RECIPES),
    )
    objective: str = argument("The loss.", "in_batch_softmax", choices=list(CONVCOM_OBJECTIVES))
    num_negatives: int = argument("Negatives a dialogue, with sampled_bce; evaluation has ten.", 10)
    in_batch_candidates: str = argument(
        "With several processes, in_batch_softmax takes its candidates from the batch of all, or of one process.",
        "all",
        choices=["all", "process"],
    )
    check_overlap: list[str] = argument("Print what of train stands in the test split of these, as NAME=DATA_DIR.", [])
    negatives_seed: int = argument("Seed of the evaluation's negatives.", 0)
    seed: int = argument("Seed of weights, order, dropout and training negatives.", 1)
    batch_size: int = argument("Dialogues a batch, over all processes.", 64)
    batch_tokens: int | None = argument("Tokens a batch, over all processes, about; in place of --batch_size.")
    gradient_accumulation_steps: int = argument("Batches a step.", 1)
    mixed_precision: str | None = argument("no or bf16 (default: as `accelerate launch` says).", choices=["no", "bf16"])
    gradient_checkpointing: bool = argument("Compute a text encoder twice and keep less of it in memory.", False)
    eval_batch_size: int = argument("Dialogues a batch in evaluation.", 64)
    learning_rate: float = argument("Adam's learning rate.", 2e-3)
    lr_scheduler_type: str = argument(
        "plateau: --lr_factor where the dev metric does not improve.", "cosine", choices=list(SCHEDULES)
    )
    warmup_steps: int | None = argument(
        "The learning rate rises during so many steps (default: before linear and cosine 300, or a tenth of all steps "
        "where that is less)."
    )
    max_grad_norm: float = argument("The gradient's norm is clipped to this.", 5.0)
    max_epochs: int = argument("Epochs at most.", 20)
    max_steps: int | None = argument("Steps at most.")
    eval_steps: int | None = argument("Evaluate every so many steps (default: after every epoch).")
    logging_steps: int = argument("Log loss, learning rate, speed and more every so many steps.", 100)
    lr_factor: float = argument("The learning rate is multiplied by this when the dev metric does not improve.", 0.75)
    min_learning_rate: float = argument("Not below this.", 2e-5)
    patience: int = argument("Stop after this many evaluations without improvement.", 3)
    checkpointing_steps: int | None = argument(
        "Save everything that is needed to go on every so many steps (default: before every evaluation)."
    )
    save_total_limit: int | None = argument("Keep so many of those checkpoints, the newest.", 1)
    resume_from_checkpoint: str | None = argument(
        "Go on from this folder checkpoint-STEP, or from the latest one in the output folder, or, where there is "
        "none yet, begin: latest."
    )
    report_to: str = argument("A tracker: tensorboard, trackio, wandb or none.", "none")
    push_to_hub: bool = argument("Upload the best checkpoint.", False)
    hub_strategy: str = argument(
        "When: at the end, or also whenever there is a better one.", "end", choices=["end", "best"]
    )
    hub_model_id: str | None = argument("Its name on the Hub (default: the output folder's name).")
    hub_private_repo: bool = argument("Upload to a private repository.", False)

    def __post_init__(self):
        steps = ("max_steps", "eval_steps", "logging_steps", "checkpointing_steps", "gradient_accumulation_steps")
        sizes = ("batch_size", "batch_tokens", "eval_batch_size", "num_negatives")
        for name in (*sizes, *steps, "max_epochs", "patience", "save_total_limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name} must be at least 1; got {value}")
        if self.warmup_steps is not None and self.warmup_steps < 0:
            raise ValueError(f"--warmup_steps must be at least 0; got {self.warmup_steps}")
        for name in ("learning_rate", "max_grad_norm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"--{name} must be more than 0; got {getattr(self, name)}")
        if not 0 < self.lr_factor < 1:
            raise ValueError(f"--lr_factor must be more than 0 and less than 1; got {self.lr_factor}")
        if self.min_learning_rate < 0:
            raise ValueError(f"--min_learning_rate must be at least 0; got {self.min_learning_rate}")
        if self.objective == "in_batch_softmax" and self.batch_size == 1 and self.batch_tokens is None:
            raise ValueError("--batch_size 1: in_batch_softmax takes its candidates from the batch's other dialogues")

    def fingerprint(self) -> dict[str, Any]:
        """The settings that a resumed run must share with the run that it continues."""
        free = {"output_dir", "overwrite_output_dir", "check_overlap", "eval_batch_size", "logging_steps", "report_to"}
        free |= {"gradient_checkpointing", "checkpointing_steps", "save_total_limit", "resume_from_checkpoint"}
        free |= {"mixed_precision", *(name for name in asdict(self) if name.startswith(("push_", "hub_")))}
        if self.lr_scheduler_type in ENDLESS:
            # These may go on for longer than was planned.
            free |= {"max_steps", "max_epochs", "patience"}
        return {name: value for name, value in asdict(self).items() if name not in free}

    def set_warmup(self, total_steps: int) -> None:
        """Where no warm-up was given, choose the default, so that it is saved with the result."""
        if self.warmup_steps is None:
            endless = self.lr_scheduler_type in ENDLESS
            self.warmup_steps = 0 if endless else min(WARMUP_STEPS, total_steps // 10)
