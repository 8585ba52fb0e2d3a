"""`UtteranceClassificationTrainer`: a `transformers.Trainer` that fine-tunes a model to label every utterance."""

import logging
import math
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, DatasetDict
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
)
from transformers.optimization import GreedyLR
from transformers.trainer_utils import EvalLoopOutput, PredictionOutput, TrainOutput

from data_scripts.tools.whole_files import write_json

from ..data_collator import PreCodeDataCollator
from ..evaluation.calibration import calibrate
from ..modeling_precode import PreCodeForUtteranceClassification
from ..sharing.push import push_checkpoint
from ..sharing.run_summary import RunSummary
from .checkpoints import RESULTS, begin_run, find_checkpoint, resume_choice
from .encoded_dialogues import EncodedDialogues
from .finetuning_arguments import UtteranceClassificationArguments
from .finetuning_checkpoints import (
    CheckpointCallback,
    OriginalProcedure,
    PushBest,
    clip_gradient,
    load_best,
    no_incomplete_checkpoint,
    read_training_state,
    save_checkpoints,
    stop_at_nonfinite,
)
from .finetuning_corpus import check_corpus, class_weights, corpora_of
from .finetuning_dialogues import encode_splits, evaluation_loader, training_batches, training_loader
from .finetuning_evaluation import UtteranceScorer, labeled_utterances, logits_and_labels, predict_dialogues
from .finetuning_progress import Bar, LogLine, MinuteLines, TrainingFigures
from .fingerprint import SEED, check_fingerprint
from .interruption import Interruption
from .memory import keep_freed_memory
from .multi_task import heads_of
from .optimization import decay_groups, floors, parameter_groups
from .run_lock import lock_run
from .run_origin import RunOrigin
from .starting import check_gradient_checkpointing, check_text_encoder_options

logger = logging.getLogger(__name__)


class UtteranceClassificationTrainer(Trainer):
    """Fine-tunes a model to label every utterance of a dialogue, or trains it from scratch (paper, section 3.4).

    The batches and the scores do not depend on the number of processes. A run that is resumed from a checkpoint gives
    the same result as a run that was never stopped.

    ```python
    corpus = load_corpus("meld", "MELD")
    tokenizer = AutoTokenizer.from_pretrained("pretrained")
    model = PreCodeForUtteranceClassification.from_pretrained("pretrained", **label_settings(corpus))
    args = UtteranceClassificationArguments(output_dir="meld")
    trainer = UtteranceClassificationTrainer(model, args, corpus["train"], corpus["validation"], tokenizer)
    trainer.train()
    trainer.calibrate()
    trainer.save_model()
    ```

    Args:
        model: The model to train, with one output per label of the corpus.
        args: The settings. The trainer uses `seed`, not `seeds`: `run_finetune.py` builds one trainer per seed.
        train_dataset: Dialogues, as `load_corpus` returns them. A row has `utterances`, a list of strings, and
            `labels`, a list of `ClassLabel`s, -1 for an utterance without a label. With `args.soft_labels`, it also has
            `label_distributions`: for every utterance, the probabilities of all labels, or an empty list. With
            `args.multi_task`, they come from `mix_corpora(corpora, separate_labels=True)`.
        eval_dataset: The dialogues that choose the checkpoint, in the same form.
        processing_class: The tokenizer.
        test_dataset: The dialogues that are scored once at the end, in the same form. None by default.
        callbacks: Further callbacks of transformers.
        origin: What the run started from, for the model card and for the check of a resumed run.
        interruption: The handler of signals that stop the run; a new one by default.

    Raises:
        ValueError: The corpus has no labels, the model has other labels, or the settings do not fit the model.
    """

    model: PreCodeForUtteranceClassification
    args: UtteranceClassificationArguments
    train_dataset: Dataset
    eval_dataset: Dataset
    processing_class: PreTrainedTokenizerBase
    data_collator: PreCodeDataCollator

    def __init__(
        self,
        model: PreCodeForUtteranceClassification,
        args: UtteranceClassificationArguments,
        train_dataset: Dataset,
        eval_dataset: Dataset,
        processing_class: PreTrainedTokenizerBase,
        test_dataset: Dataset | None = None,
        callbacks: list[TrainerCallback] | None = None,
        origin: RunOrigin | None = None,
        interruption: Interruption | None = None,
    ):
        splits = {"train": train_dataset, "validation": eval_dataset, "test": test_dataset}
        self.corpus = DatasetDict({name: rows for name, rows in splits.items() if rows is not None})
        self.names = check_corpus(self.corpus, model, args)
        check_text_encoder_options(args, model)
        check_gradient_checkpointing(model, bool(args.gradient_checkpointing))
        model.config.class_weights = class_weights(self.corpus, self.names, args)
        self.heads = heads_of(self.corpus, args.multi_task)
        self.scorer = UtteranceScorer(self.names, args, self.heads)
        self.settings, self.origin = args, origin or RunOrigin(", ".join(self.heads or ["custom"]))
        self.scores: dict[str, dict[str, Any]] = {}
        self.calibration: dict[str, Any] | None = None
        self.predictions: dict[str, PredictionOutput] = {}
        with args.main_process_first():
            model.to(args.device)  # type: ignore[arg-type]
            self.encoded, collator = encode_splits(self.corpus, model, processing_class, args)
        procedure = [OriginalProcedure()] if args.recipe == "original" else []
        usual = [EarlyStoppingCallback(args.patience), LogLine(args.metric_for_best_model)]
        pushing = [PushBest(self)] if args.pushes_best else []
        super().__init__(
            model=model,
            args=args.for_trainer(),
            data_collator=collator,
            train_dataset=self.encoded["train"],
            eval_dataset=self.encoded["validation"],
            processing_class=processing_class,
            compute_metrics=self.scorer.metrics,
            callbacks=[*procedure, *usual, *(callbacks or []), CheckpointCallback(self), *pushing],
        )
        if self.pop_callback(PrinterCallback if args.disable_tqdm else ProgressCallback):
            self.add_callback(MinuteLines() if args.disable_tqdm else Bar())
        self.interruption = interruption or Interruption()
        self.save_total_limit = args.save_total_limit
        self._prepare_batches()

    def _prepare_batches(self) -> None:
        num_utterances, num_tokens = EncodedDialogues(self.train_dataset).sizes()
        self.batches = training_batches(num_tokens, corpora_of(self.corpus["train"]), self.settings)
        self.figures = TrainingFigures(int(num_utterances.sum()))
        # This process's share of the batches of the current step.
        self.step_batches: list[dict[str, Any]] = []
        has_ids = "dialogue_id" in self.train_dataset.column_names
        self.dialogue_ids = self.train_dataset["dialogue_id"] if has_ids else [str(i) for i in range(len(num_tokens))]

    # ---- Methods that `Trainer` calls

    def create_optimizer(self, model: PreTrainedModel | None = None) -> torch.optim.Optimizer:
        """Build `Trainer`'s optimizer, with separate learning rates for a text encoder."""
        if self.optimizer is None:
            groups = decay_groups(self.model, self.get_decay_parameter_names(self.model), self.args.weight_decay)
            rates = (self.args.learning_rate, self.settings.text_encoder_learning_rate, self.settings.layer_decay)
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = kind(parameter_groups(self.model, *rates, groups), **options)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None):
        """Build `Trainer`'s schedule. One by the metric scales its minimum to the learning rate of every group."""
        scheduler = super().create_scheduler(num_training_steps, optimizer)
        if isinstance(scheduler, ReduceLROnPlateau | GreedyLR):
            scheduler.min_lrs = floors(scheduler.optimizer, scheduler.min_lrs[0])
        return scheduler

    def get_train_dataloader(self) -> DataLoader:
        """The loader of this process's share of the training batches."""
        return training_loader(self.train_dataset, self.batches, self.data_collator, self.settings)

    def get_eval_dataloader(self, eval_dataset: Dataset | str | None = None) -> DataLoader:
        """The loader of the validation split, or of other dialogues."""
        return self.get_test_dataloader(self.eval_dataset if eval_dataset is None else eval_dataset)

    def get_test_dataloader(self, test_dataset: Dataset) -> DataLoader:
        """The loader of dialogues, as in the constructor, for evaluation."""
        return evaluation_loader(*self._encoded(test_dataset), self.settings)

    def _encoded(self, dialogues: Dataset) -> tuple[Dataset, PreCodeDataCollator]:
        """The encoded dialogues of a split, or other dialogues of the same form, and their collator."""
        for name, rows in self.corpus.items():
            if dialogues is rows:
                return self.encoded[name], self.data_collator
        if "input_ids" in dialogues.column_names:
            return dialogues, self.data_collator
        splits = DatasetDict({"test": dialogues})
        encoded, collator = encode_splits(splits, self.model, self.processing_class, self.settings)
        return encoded["test"], collator

    def evaluation_loop(
        self, dataloader, description, prediction_loss_only=None, ignore_keys=None, metric_key_prefix="eval"
    ) -> EvalLoopOutput:
        """Score dialogues with all processes. The result does not depend on their number."""
        self.callback_handler.eval_dataloader = dataloader
        if not self.accelerator._models:
            # Nothing was trained. As in `Trainer`, the model then gets its precision here.
            self.model = self.accelerator.prepare_model(self.model, evaluation_mode=True)
        self.model.eval()
        prediction, loss = predict_dialogues(self.model, dataloader, self.args.device, self._after_evaluation_batch)
        logits, labels = logits_and_labels(prediction)
        metrics = {}
        if loss is not None:
            assert self.compute_metrics is not None
            metrics = {**self.compute_metrics(prediction), "loss": loss}
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in metrics.items()}
        return EvalLoopOutput(predictions=logits, label_ids=labels, metrics=metrics, num_samples=len(labels))

    def _after_evaluation_batch(self) -> None:
        self.control = self.callback_handler.on_prediction_step(self.args, self.state, self.control)

    def training_step(self, model, inputs, num_items_in_batch=None) -> torch.Tensor:
        """Compute the loss and the gradient of a batch. A loss that is not finite ends the run."""
        self.step_batches.append(inputs)
        if torch.is_tensor(num_items_in_batch):
            # `Trainer` divides by the number of labels, also with label smoothing and a step without any.
            num_items_in_batch = num_items_in_batch.clamp(min=1)
        loss = super().training_step(model, inputs, num_items_in_batch)
        value = float(self.accelerator.reduce(loss, "mean"))
        if not math.isfinite(value):
            stop_at_nonfinite(self, f"the loss is {value}")
        self.figures.add_loss(value)
        return loss

    def _get_grad_norm(self, model, grad_norm=None) -> float:
        """Clip the gradient here, where `Trainer` computes its norm: those of float16 can be unscaled only once."""
        return clip_gradient(self)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log values. A record with a loss also has the speed, the memory and the time that is left."""
        if "loss" in logs:
            logs.update(self.figures.record(self.state, self.args.device))
        super().log(logs, start_time)

    # ---- Methods that a user calls

    def train(  # type: ignore[override]
        self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any
    ) -> TrainOutput:
        """Train, and load the model that did best on the validation split.

        Args:
            resume_from_checkpoint: A folder `checkpoint-STEP` in the output folder. `True` or `"latest"` means the
                newest one; training starts from the beginning if there is none.
            kwargs: Further arguments of `Trainer.train`.

        Returns:
            What `Trainer.train` returns. The loss is NaN if the training of the checkpoint had already ended.

        Raises:
            ValueError: The checkpoint is from another run or folder, or a loss or gradient is not finite.
            OSError: There is no such checkpoint, a checkpoint cannot be written, or another run uses the folder.
        """
        folder = Path(self.args.output_dir)
        choice = resume_choice(resume_from_checkpoint)
        self.lock = lock_run(folder, self.accelerator)
        checkpoint = find_checkpoint(choice, folder, elsewhere=False)
        fingerprint = self.fingerprint()
        if choice:
            check_fingerprint(folder, fingerprint)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            begin_run(folder, fingerprint, bool(choice), self.settings.overwrite_output_dir)
        # What was predicted before, and its temperature, are not those of the model that is trained now.
        self.predictions, self.scores, self.calibration = {}, {}, None
        self.model.config.temperature = 1.0
        keep_freed_memory()
        with self.interruption, no_incomplete_checkpoint(self):
            return self._train_from(checkpoint, kwargs)

    def _train_from(self, checkpoint: Path | None, kwargs: dict[str, Any]) -> TrainOutput:
        # Another evaluation of a resumed run would count for early stopping.
        self.args.eval_on_start = self.settings.eval_on_start and checkpoint is None
        if checkpoint is None:
            return super().train(**kwargs)
        state, saved = read_training_state(checkpoint)
        self.figures.load_state_dict(saved)
        logger.info(f"  resuming from {checkpoint}, after step {state.global_step:,} of {state.max_steps:,}")
        if not saved["finished"]:
            return super().train(resume_from_checkpoint=str(checkpoint), **kwargs)
        # The training has already ended; only the scores are missing.
        self.state = state
        load_best(self, checkpoint)
        return TrainOutput(state.global_step, math.nan, {})

    def predict(self, test_dataset: Dataset, ignore_keys=None, metric_key_prefix: str = "test") -> PredictionOutput:
        """Predict the labels of dialogues, and score them.

        Args:
            test_dataset: Dialogues, as in the constructor. The scores of the trainer's own splits go into the card.
            ignore_keys: Not used.
            metric_key_prefix: Prefix of the name of every metric.

        Returns:
            Logits (dialogues, utterances, labels), label ids (dialogues, utterances), -100 at padding, and the metrics.
        """
        prediction = super().predict(test_dataset, ignore_keys, metric_key_prefix)
        for name, rows in self.corpus.items():
            if test_dataset is rows:
                self.predictions[name], self.scores[name] = prediction, self.scorer.scores(prediction, corpora_of(rows))
                if self.args.metric_for_best_model == "loss":
                    assert prediction.metrics is not None
                    self.scores[name]["loss"] = prediction.metrics[f"{metric_key_prefix}_loss"]
        return prediction

    def calibrate(self) -> dict[str, Any]:
        """Fit the temperature of the probabilities on the validation split. No predicted label changes.

        Returns:
            The temperature, and calibration error and likelihood before and after it on every predicted split, as
            [`modeling_precode.calibrate`] returns them. With one head per corpus, these are by the name of the corpus.
        """
        if "validation" not in self.predictions:
            self.predict(self.corpus["validation"], metric_key_prefix="eval")
        if self.heads is not None:
            self.calibration = self.heads.calibrate(self.corpus, self.predictions)
            return self.calibration
        self.calibration = calibrate({split: labeled_utterances(one) for split, one in self.predictions.items()})
        self.accelerator.unwrap_model(self.model).config.temperature = self.calibration["temperature"]
        return self.calibration

    def fingerprint(self) -> dict[str, Any]:
        """The values that a resumed run must share with this one, by their names in error messages."""
        fingerprint = self.origin.run_fingerprint(self.settings, self.corpus, self.processing_class, self.model)
        return {**fingerprint, SEED: self.settings.seed}

    def summary(self, scores: dict[str, Any]) -> RunSummary:
        """The summary of the run, which the checkpoint contains.

        Args:
            scores: The scores to report, by split.
        """
        assert self.settings.seed is not None
        tested = "test scored once" if "test" in scores else "test not scored"
        return self.origin.summary(
            self.corpus,
            self.accelerator.unwrap_model(self.model).config,
            self.settings,
            seed=self.settings.seed,
            selection=f"best {self.args.metric_for_best_model} on the validation split; {tested}",
            scores=scores,
            calibration=self.calibration,
        )

    def save_model(
        self, output_dir: str | None = None, _internal_call: bool = False, scores: dict[str, Any] | None = None
    ) -> None:
        """Save the model with its tokenizer and its model card.

        Args:
            output_dir: The folder; by default the output folder of the settings. With one head per corpus, it gets a
                folder for each corpus, with a model for its labels.
            scores: The scores in the card, by split; by default those of all predictions so far.
        """
        if _internal_call:
            super().save_model(output_dir, _internal_call)
        elif self.args.should_save:
            folder, model = Path(output_dir or self.args.output_dir), self.accelerator.unwrap_model(self.model)
            summary = self.summary(self.scores if scores is None else scores)
            model.config.training_summary = summary.to_dict()
            save_checkpoints(folder, model, self.processing_class, summary, self.heads)

    def save_results(self) -> dict[str, Any]:
        """Write the summary and the history of the run into `results.json`.

        Returns:
            The summary.
        """
        summary = self.accelerator.unwrap_model(self.model).config.training_summary
        history = [record for record in self.state.log_history if "train_runtime" not in record]
        write_json(Path(self.args.output_dir) / RESULTS, {**summary, "history": history})
        return summary

    def push_checkpoint(self) -> str | None:
        """Upload the checkpoint in the output folder, with its card, to the Hub.

        Returns:
            The address of the commit, or None in a process other than the main one and when the push failed. A message
            then says how to push it later.
        """
        args = self.settings
        if self.heads is not None:
            raise ValueError(f"{args.output_dir} has a checkpoint for each corpus; push each one with push_checkpoint")
        if not self.args.should_save:
            return None
        return push_checkpoint(self.args.output_dir, args.hub_model_id, bool(args.hub_private_repo), args.hub_token)

    def push_to_hub(self) -> str | None:  # type: ignore[override]
        """Save the model with its card, and upload it as [`push_checkpoint`] does."""
        self.save_model()
        return self.push_checkpoint()
