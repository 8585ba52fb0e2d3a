"""The settings of pre-training with Conversation Completion."""

from dataclasses import asdict, dataclass
from typing import Any

from ..configuration_precode import CONVCOM_OBJECTIVES
from .arguments import RECIPES, TextEncoderTrainingArguments, argument
from .optimization import ENDLESS, SCHEDULES

WARMUP_STEPS = 300


@dataclass
class ConversationCompletionArguments(TextEncoderTrainingArguments):
    """Settings of [`ConversationCompletionTrainer`]. Every field is an argument of `run_pretrain.py`, which lists them
    with their meaning and default: `python run_pretrain.py --help-all`.

    Raises:
        ValueError: A value is out of range.
    """

    output_dir: str = argument("Folder for the best checkpoint.", "checkpoints/pretrained")
    overwrite_output_dir: bool = argument("Allow an output folder that is not empty.", False)
    recipe: str = argument(
        "original: train as the original implementation does, with its settings where you give none.",
        "default",
        choices=list(RECIPES),
    )
    objective: str = argument("Training objective.", "in_batch_softmax", choices=list(CONVCOM_OBJECTIVES))
    num_negatives: int = argument("Negatives per dialogue, with sampled_bce. Evaluation uses ten.", 10)
    in_batch_candidates: str = argument(
        "With several processes: candidates of in_batch_softmax come from the batch of all processes, or of each.",
        "all",
        choices=["all", "process"],
    )
    check_overlap: list[str] = argument("Corpora whose test splits are compared with train, as NAME=DATA_DIR.", [])
    negatives_seed: int = argument("Seed of the negatives in evaluation.", 0)
    seed: int = argument("Seed of weights, order, dropout and training negatives.", 1)
    batch_size: int = argument("Dialogues per batch, over all processes.", 64)
    batch_tokens: int | None = argument("Approximate tokens per batch, over all processes, in place of --batch_size.")
    gradient_accumulation_steps: int = argument("Batches per step.", 1)
    mixed_precision: str | None = argument(
        "no or bf16 (default: as set by `accelerate launch`).", choices=["no", "bf16"]
    )
    gradient_checkpointing: bool = argument("Save memory by computing a text encoder twice.", False)
    eval_batch_size: int = argument("Dialogues per batch in evaluation.", 64)
    learning_rate: float = argument("Learning rate of Adam.", 2e-3)
    lr_scheduler_type: str = argument(
        "Schedule. plateau multiplies by --lr_factor when the validation metric does not improve.",
        "cosine",
        choices=list(SCHEDULES),
    )
    warmup_steps: int | None = argument(
        "Steps of warm-up (default: with linear and cosine 300, or a tenth of all steps if that is less; otherwise "
        "none)."
    )
    max_grad_norm: float = argument("Maximum norm of the gradient.", 5.0)
    max_epochs: int = argument("Maximum number of epochs.", 20)
    max_steps: int | None = argument("Maximum number of steps.")
    eval_steps: int | None = argument("Evaluate every N steps (default: after every epoch).")
    logging_steps: int = argument("Log loss, learning rate, speed and more every N steps.", 100)
    lr_factor: float = argument("Factor of the learning rate when the validation metric does not improve.", 0.75)
    min_learning_rate: float = argument("Minimum learning rate of plateau.", 2e-5)
    patience: int = argument("Stop after N evaluations without improvement.", 3)
    checkpointing_steps: int | None = argument(
        "Save a checkpoint to resume from every N steps (default: before every evaluation)."
    )
    save_total_limit: int | None = argument("Number of those checkpoints to keep, newest first.", 1)
    resume_from_checkpoint: str | None = argument(
        "Resume from this folder checkpoint-STEP. latest: resume from the newest one in the output folder, or start "
        "if there is none."
    )
    report_to: str = argument("Tracker: tensorboard, trackio, wandb or none.", "none")
    push_to_hub: bool = argument("Upload the best checkpoint.", False)
    hub_strategy: str = argument(
        "When to upload: end, or best for also every new best checkpoint.", "end", choices=["end", "best"]
    )
    hub_model_id: str | None = argument("Name on the Hub (default: the name of the output folder).")
    hub_private_repo: bool = argument("Upload to a private repository.", False)

    def __post_init__(self):
        self.derived = {name for name in ("text_encoder_learning_rate",) if getattr(self, name) is None}
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
            raise ValueError(
                "--batch_size 1: in_batch_softmax takes candidates from other dialogues of the batch; give 2 or more"
            )

    def fingerprint(self) -> dict[str, Any]:
        """The settings that a resumed run must share with the run that it continues."""
        free = {"output_dir", "overwrite_output_dir", "check_overlap", "eval_batch_size", "logging_steps", "report_to"}
        free |= {"gradient_checkpointing", "checkpointing_steps", "save_total_limit", "resume_from_checkpoint"}
        free |= {"mixed_precision", *(name for name in asdict(self) if name.startswith(("push_", "hub_")))}
        if self.lr_scheduler_type in ENDLESS:
            # Such a run may be continued beyond its planned end.
            free |= {"max_steps", "max_epochs", "patience"}
        return {name: value for name, value in asdict(self).items() if name not in free}

    def set_warmup(self, total_steps: int) -> None:
        """Set the default number of warm-up steps, if there is none, so that it is saved with the result."""
        if self.warmup_steps is None:
            endless = self.lr_scheduler_type in ENDLESS
            self.derived.add("warmup_steps")
            self.warmup_steps = 0 if endless else min(WARMUP_STEPS, total_steps // 10)
