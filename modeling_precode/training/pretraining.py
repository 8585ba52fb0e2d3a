"""`ConversationCompletionTrainer`: pre-training with Conversation Completion."""

import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, set_seed
from datasets import Dataset, DatasetDict
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase, TrainerCallback
from transformers.trainer_utils import PredictionOutput, TrainOutput

from data_scripts.tools.whole_files import replaced_files, write_json

from ..data_collator import PreCodeDataCollator
from ..modeling_precode import PreCodeForConversationCompletion
from ..sharing.local_names import without_folders
from ..sharing.model_card import write_model_card
from ..sharing.push import push_checkpoint
from ..sharing.run_summary import RunSummary
from .arguments import check_tracker
from .checkpoints import PRETRAIN_RESULTS, begin_run, find_checkpoint, resume_choice
from .completion_dialogues import completion_loader, encode_split
from .fingerprint import check_fingerprint
from .interruption import Interruption, finish_exchanges
from .masking import check_masking
from .memory import keep_freed_memory
from .optimization import Schedule, parameter_groups
from .original_recipe import compute_as_original
from .pretraining_arguments import ConversationCompletionArguments
from .pretraining_loop import SELECTION_METRIC, WEIGHTS, PretrainingLoop
from .processes import start_accelerator
from .recall import RecallEvaluation
from .run_lock import lock_run
from .run_origin import RunOrigin
from .starting import check_gradient_checkpointing, check_text_encoder_options
from .utterance_vectors import UtteranceVectors, with_vectors

logger = logging.getLogger(__name__)


class ConversationCompletionTrainer:
    """Pre-trains a model with Conversation Completion (paper, section 3.3), on one process or several.

    ```python
    set_seed(1)
    model = PreCodeForConversationCompletion(PreCodeConfig(vocab_size=len(tokenizer)))
    args = ConversationCompletionArguments(output_dir="pretrained", max_steps=1000)
    trainer = ConversationCompletionTrainer(model, args, corpus["train"], corpus["validation"], tokenizer)
    trainer.train()
    trainer.save_model()
    ```

    Args:
        model: The model to train. Call `transformers.set_seed` before you create it: its initial weights and the
            dropout in training use the random state.
        args: The settings.
        train_dataset: Dialogues, as `load_corpus` returns them. A row has `utterances`, a list of strings.
        eval_dataset: The dialogues that choose the checkpoint, in the same form.
        processing_class: The tokenizer.
        test_dataset: The dialogues that are scored once at the end, in the same form. None by default.
        callbacks: Callbacks of transformers. They receive the beginning and end of training, steps, logs, evaluations
            and checkpoints, and may stop the training.
        accelerator: The accelerator of the run; by default it is created from the settings.
        origin: What the run started from, for the model card and for the check of a resumed run.

    Raises:
        ValueError: The settings do not fit the model, or there are too few dialogues.
    """

    def __init__(
        self,
        model: PreCodeForConversationCompletion,
        args: ConversationCompletionArguments,
        train_dataset: Dataset,
        eval_dataset: Dataset,
        processing_class: PreTrainedTokenizerBase,
        test_dataset: Dataset | None = None,
        callbacks: list[TrainerCallback] | None = None,
        accelerator: Accelerator | None = None,
        origin: RunOrigin | None = None,
    ):
        check_tracker(args.report_to)
        tracker = None if args.report_to == "none" else args.report_to
        self.accelerator = accelerator or start_accelerator(args.mixed_precision, tracker, args.output_dir)
        if args.recipe == "original" and self.accelerator.num_processes > 1:
            raise ValueError(f"--recipe original trains in one process; got {self.accelerator.num_processes} processes")
        check_text_encoder_options(args, model)
        check_gradient_checkpointing(model, args.gradient_checkpointing)
        check_masking(model, args)
        model.config.convcom_objective = args.objective
        self.model, self.args, self.processing_class = model, args, processing_class
        self.callbacks, self.origin = list(callbacks or []), origin or RunOrigin()
        splits = {"train": train_dataset, "validation": eval_dataset, "test": test_dataset}
        self.corpus = DatasetDict({name: rows for name, rows in splits.items() if rows is not None})
        self.output_dir = Path(args.output_dir)
        self.scores: dict[str, dict[str, float]] = {}
        self._prepare()

    def _prepare(self) -> None:
        """Tokenize, and create the parts of the loop: batches, evaluations, optimizer and schedule."""
        args, accelerator, model = self.args, self.accelerator, self.model
        with accelerator.main_process_first():
            tokenizer = self.processing_class
            self.encoded = {
                name: encode_split(rows, tokenizer, name, args, model) for name, rows in self.corpus.items()
            }
            bf16 = accelerator.mixed_precision == "bf16"
            dialogues, vectors = with_vectors(self.encoded, model.to(accelerator.device), args.vector_type, bf16)
        collator = self._collator(vectors)
        self.evaluations = {
            name: self._evaluation(rows, collator) for name, rows in dialogues.items() if name != "train"
        }
        loader, *sizes = completion_loader(dialogues["train"], args, model.config, collator, accelerator)
        steps_per_epoch = -(-len(loader.batch_sampler) // args.gradient_accumulation_steps)
        total_steps = min(args.max_epochs * steps_per_epoch, args.max_steps or sys.maxsize)
        args.set_warmup(total_steps)
        assert args.warmup_steps is not None
        if args.recipe == "original":
            compute_as_original(model)
        if args.gradient_checkpointing:
            # Newer versions of transformers have another name for it.
            getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
        rates = (args.learning_rate, args.text_encoder_learning_rate, args.layer_decay)
        optimizer = torch.optim.Adam(parameter_groups(model, *rates), fused=True)
        prepared, optimizer = accelerator.prepare(model, optimizer)
        kind, bounds = args.lr_scheduler_type, (args.lr_factor, args.min_learning_rate)
        schedule = Schedule(kind, optimizer.optimizer, args.warmup_steps, total_steps, *bounds)
        self.loop = PretrainingLoop(
            args=args,
            accelerator=accelerator,
            model=prepared,
            tokenizer=self.processing_class,
            optimizer=optimizer,
            schedule=schedule,
            loader=loader,
            num_utterances=sizes[0],
            num_targets=sizes[1],
            dialogue_ids=self.encoded["train"]["dialogue_id"],
            validation=self.evaluations["validation"],
            total_steps=total_steps,
            summary=self.summary,
            fingerprint=self.fingerprint(),
            callbacks=self.callbacks,
        )

    def _evaluation(self, dialogues: Dataset, collator: PreCodeDataCollator) -> RecallEvaluation:
        args = self.args
        return RecallEvaluation(dialogues, args.negatives_seed, args.eval_batch_size, collator, self.accelerator)

    def _collator(self, vectors: UtteranceVectors | None) -> PreCodeDataCollator:
        # Dialogues with masked utterances have another layout.
        with_layout = self.model.config.text_context == "utterance"
        return PreCodeDataCollator(self.processing_class.pad_token_id, with_layout, vectors)

    def fingerprint(self) -> dict[str, Any]:
        """The values that a resumed run must share with this one, by their names in error messages."""
        dialogues = {split: rows.remove_columns("dialogue_id") for split, rows in self.encoded.items()}
        return {
            **self.origin.run_fingerprint(self.args, dialogues, self.processing_class, self.model),
            "--mixed_precision": self.accelerator.mixed_precision,
        }

    def summary(self, best_step: int, **scores: dict[str, float]) -> RunSummary:
        """The summary of the run, which the checkpoint contains.

        Args:
            best_step: The step of the best evaluation.
            scores: The scores of each split.
        """
        selection = f"best {SELECTION_METRIC} on the validation split, at step {best_step}; test scored once"
        config = self.model.config
        return self.origin.summary(
            self.corpus, config, self.args, seed=self.args.seed, selection=selection, scores=scores
        )

    def train(self, resume_from_checkpoint: str | bool | None = None) -> TrainOutput:
        """Train, and load the model that did best on the validation split, which is also in the output folder.

        Args:
            resume_from_checkpoint: A folder `checkpoint-STEP`. `True` or `"latest"` means the newest one in the output
                folder; training starts from the beginning if there is none.

        Returns:
            The number of steps, the mean loss before the best evaluation, and the record of the best evaluation.

        Raises:
            ValueError: The checkpoint is from another run, or a loss or gradient is not finite.
            OSError: There is no such checkpoint, a checkpoint cannot be written, or another run writes to the same
                folder.
        """
        args, accelerator, loop = self.args, self.accelerator, self.loop
        choice = resume_choice(resume_from_checkpoint)
        self.lock = lock_run(self.output_dir, accelerator)
        checkpoint = find_checkpoint(choice, self.output_dir)
        # The checkpoint may be of another folder, and that of the output of another run.
        for place in dict.fromkeys((checkpoint or self.output_dir, self.output_dir) if choice else ()):
            check_fingerprint(place, loop.fingerprint)
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            begin_run(self.output_dir, loop.fingerprint, bool(choice), args.overwrite_output_dir)
        self.scores = {}  # those of an earlier model
        keep_freed_memory()
        if accelerator.process_index:
            # Dropout differs between processes. The first process has the same random state as a single one.
            set_seed(args.seed, device_specific=True)
        if args.report_to != "none":
            settings = self.public_settings()
            flat = {
                name: value if isinstance(value, int | float | str) else str(value) for name, value in settings.items()
            }
            folder = {"wandb": {"dir": str(self.output_dir)}}
            accelerator.init_trackers("precode-pretrain", config=flat, init_kwargs=folder)
        with Interruption() as interruption:
            logger.info(self._start_line())
            if checkpoint is not None:
                loop.load(checkpoint)
            loop.run(interruption)
        best = loop.progress.best
        loop.unwrapped.load_state_dict(load_file(self.output_dir / WEIGHTS))
        self.scores["validation"] = {name: value for name, value in best.items() if name.startswith("R_")}
        return TrainOutput(loop.progress.step, best["loss"], dict(best))

    def _start_line(self) -> str:
        sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in self.encoded.items())
        trained = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        return (
            f"{self.origin.corpus}: {sizes} dialogues; {len(self.processing_class):,} words; {trained:,} trained "
            f"parameters; {self.accelerator.num_processes} process(es) of {torch.get_num_threads()} thread(s) on "
            f"{self.accelerator.device.type}"
        )

    def evaluate(self, eval_dataset: Dataset | None = None, metric_key_prefix: str = "eval") -> dict[str, float]:
        """Compute the recalls of a split.

        Args:
            eval_dataset: Dialogues, as in the constructor; by default those of the validation split.
            metric_key_prefix: Prefix of the name of every metric. With `"test"`, the scores go into the card.

        Returns:
            The recalls as fractions, such as `{"eval_R_11@1": 0.5}`.
        """
        dialogues = self.corpus["validation"] if eval_dataset is None else eval_dataset
        metrics = self.predict(dialogues, metric_key_prefix).metrics
        assert metrics is not None
        return metrics

    def predict(self, test_dataset: Dataset, metric_key_prefix: str = "test") -> PredictionOutput:
        """Score the candidates of dialogues.

        Args:
            test_dataset: Dialogues, as in the constructor.
            metric_key_prefix: Prefix of the name of every metric. With `"test"`, the scores go into the card.

        Returns:
            Scores (targets, 11) of the true utterance and its ten negatives, the true one first; the column of the true
            utterance (targets,), which is always 0; and the recalls.
        """
        split = next((name for name, rows in self.corpus.items() if rows is test_dataset), None)
        evaluation = self.evaluations.get(split) or self._evaluation_of(test_dataset)
        recalls, scores = evaluation(self.loop.unwrapped)
        assert recalls is not None  # there is no interruption here
        if metric_key_prefix == "test":
            self.scores["test"] = recalls
        if self.accelerator.num_processes > 1:
            scores = np.concatenate(gather_object([scores]))
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in recalls.items()}
        return PredictionOutput(scores, np.zeros(len(scores), dtype=np.int64), metrics)

    def _evaluation_of(self, dialogues: Dataset) -> RecallEvaluation:
        """The evaluation of dialogues that are not one of the trainer's splits."""
        encoded = encode_split(dialogues, self.processing_class, "test", self.args, self.model)
        bf16 = self.accelerator.mixed_precision == "bf16"
        rows, vectors = with_vectors({"test": encoded}, self.model, self.args.vector_type, bf16)
        return self._evaluation(rows["test"], self._collator(vectors))

    def end(self) -> None:
        """Close the trackers and disconnect the processes. Nothing can be trained or evaluated after this."""
        finish_exchanges(self.accelerator)
        self.accelerator.end_training()

    def public_settings(self) -> dict[str, Any]:
        """All settings of the run without the folders of paths, as a tracker and the file of results get them."""
        return without_folders({**self.origin.corpus_settings, **self.origin.settings, **asdict(self.args)})

    def save_model(self, output_dir: str | None = None) -> None:
        """Save the model with its tokenizer, its model card, and all figures of the run in `pretrain_results.json`.

        Args:
            output_dir: The folder; by default the output folder of the settings.
        """
        if not self.accelerator.is_main_process:
            return
        folder, progress, model = Path(output_dir or self.output_dir), self.loop.progress, self.loop.unwrapped
        summary = self.summary(progress.best.get("step", 0), **self.scores)
        model.config.training_summary = summary.to_dict()
        records = {"history": progress.history, "training_log": progress.training_log}
        folder.mkdir(parents=True, exist_ok=True)
        with replaced_files(folder) as files:
            model.save_pretrained(files)
            self.processing_class.save_pretrained(files)
            write_json(files / PRETRAIN_RESULTS, {**summary.to_dict(), "settings": self.public_settings(), **records})
            write_model_card(files, self.args.hub_model_id or str(folder), "convcom", summary)

    def push_to_hub(self) -> str | None:
        """Upload the checkpoint in the output folder, with its card, to the Hub.

        Returns:
            The address of the commit, or None in a process other than the main one and when the push failed. A message
            then says how to push it later.
        """
        if not self.accelerator.is_main_process:
            return None
        return push_checkpoint(self.output_dir, self.args.hub_model_id, self.args.hub_private_repo)
