"""`UtteranceClassificationTrainer`: a `transformers.Trainer` that fine-tunes a model to label every utterance."""

import logging
import math
import shutil
import time
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object, send_to_device
from datasets import Dataset, DatasetDict
from safetensors.torch import load_file
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
)
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import EvalLoopOutput, PredictionOutput, TrainOutput

from data_scripts.building.mixing import CORPUS
from data_scripts.tools.whole_files import read_json, replaced_files, write_json

from ..data_collator import IGNORED_LABEL, PreCodeDataCollator
from ..evaluation.calibration import calibrate
from ..evaluation.metrics import ERCScores, score_values, with_macro_f1_of_supported
from ..modeling_precode import PreCodeForUtteranceClassification
from ..sharing.model_card import write_model_card
from ..sharing.push import push_checkpoint
from ..sharing.run_summary import RunSummary
from ..tokenization_precode import encode_dialogues
from .batches import DialogueBatches, DialogueLoader, EpochBatches, WeightedBatches, WholeBatches
from .checkpoints import MANIFEST, begin_run, clear_write_errors, find_checkpoint, resume_choice
from .encoded_dialogues import INPUTS, EncodedDialogues
from .finetuning_arguments import UtteranceClassificationArguments
from .finetuning_checkpoints import (
    RESULTS,
    STATE,
    TRAINING,
    CheckpointCallback,
    ClipGradients,
    stop_at_nonfinite,
)
from .finetuning_corpus import check_distributions, check_labels, check_model_labels, class_weights, corpora_of
from .finetuning_progress import Bar, LogLine, MinuteLines
from .fingerprint import check_fingerprint
from .interruption import Interruption
from .memory import keep_freed_memory, memory_use
from .optimization import floors, parameter_groups
from .original_recipe import OriginalBatches, OriginalOrder
from .run_origin import RunOrigin
from .starting import check_gradient_checkpointing, check_text_encoder_options, with_vectors

logger = logging.getLogger(__name__)


class UtteranceClassificationTrainer(Trainer):
    """Fine-tunes a model to label every utterance of a dialogue, or trains it from scratch (paper, section 3.4).

    It trains on the same batches on any number of processes, scores them the same, and continues from a checkpoint as
    if it had never stopped.

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
        model: to train, with one output per label of the corpus.
        args: the settings. Only `seed` counts of the seeds; `run_finetune.py` runs several.
        train_dataset: dialogues, as `load_corpus` gives them. A row has `utterances`, a list of strings, and `labels`,
            a list of `ClassLabel`s, -1 for an utterance without a label; with `args.soft_labels` also
            `label_distributions`, for every utterance the probabilities of all labels, or an empty list.
        eval_dataset: the dialogues that choose the checkpoint, of the same form.
        processing_class: the tokenizer.
        test_dataset: the dialogues that are scored once at the end, of the same form.
        callbacks: further callbacks of transformers.
        origin: where the corpus and the model come from, for the card and for the check of a resumed run.
        interruption: notes signals; a new one when not given.

    Raises:
        ValueError: a corpus without labels, labels that the model does not have, settings that do not fit the model.
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
        self.names = check_labels(self.corpus, args)
        check_model_labels(model, self.names)
        if args.corpus_weights is not None and CORPUS not in train_dataset.column_names:
            raise ValueError("--corpus_weights: there is one corpus; leave them out, or give several with --corpus")
        if args.soft_labels:
            check_distributions(train_dataset, self.names)
        check_text_encoder_options(args, model)
        check_gradient_checkpointing(model, bool(args.gradient_checkpointing))
        model.config.class_weights = class_weights(self.corpus, self.names, args)
        self.metric = ERCScores()
        self.settings, self.origin = args, origin or RunOrigin()
        assert args.seed is not None
        self.seed = args.seed
        self.scores: dict[str, dict[str, Any]] = {}
        self.calibration: dict[str, Any] | None = None
        self.predictions: dict[str, PredictionOutput] = {}
        with args.main_process_first():
            model.to(args.device)  # type: ignore[arg-type]
            self.encoded, collator = encode_splits(self.corpus, model, processing_class, args)
        super().__init__(
            model=model,
            args=_for_trainer(args),
            data_collator=collator,
            train_dataset=self.encoded["train"],
            eval_dataset=self.encoded["validation"],
            processing_class=processing_class,
            compute_metrics=self.metrics,
            callbacks=self._callbacks(args, callbacks),
        )
        self.remove_callback(PrinterCallback if args.disable_tqdm else ProgressCallback)
        self.interruption = interruption or Interruption()
        self.save_total_limit = args.save_total_limit
        self._prepare_batches()

    def _callbacks(
        self, args: UtteranceClassificationArguments, callbacks: list[TrainerCallback] | None
    ) -> list[TrainerCallback]:
        clipping = ClipGradients(self, args.max_grad_norm, by_module=args.recipe == "original")
        progress = [MinuteLines() if args.disable_tqdm else Bar()]
        stopping = [EarlyStoppingCallback(args.patience), LogLine(args.metric_for_best_model)]
        own = [clipping, *stopping, *progress]
        return [*own, *(callbacks or []), CheckpointCallback(self)]

    def _prepare_batches(self) -> None:
        num_utterances, num_tokens = EncodedDialogues(self.train_dataset).sizes()
        self.num_utterances = int(num_utterances.sum())
        batch_size = self.args.per_device_train_batch_size * self.args.world_size
        self.batches: EpochBatches
        if self.settings.recipe == "original":
            self.batches = OriginalBatches(OriginalOrder(len(self.train_dataset), self.seed), batch_size)
        elif self.settings.corpus_weights is not None:
            settings = {"seed": self.seed, "batch_size": batch_size, "process_index": self.args.process_index}
            corpora, weights = self.corpus["train"][CORPUS], self.settings.corpus_weights
            settings["num_processes"] = self.args.world_size
            self.batches = WeightedBatches(num_tokens, corpora, weights, **settings)
        else:
            place = (self.args.process_index, self.args.world_size)
            self.batches = DialogueBatches(num_tokens, self.seed, batch_size, None, *place)
        # The sum of the losses since the last log record, and the step of that record.
        self.losses, self.logged = 0.0, 0
        # When and where the training began; `CheckpointCallback` sets them.
        self.start, self.first_step, self.first_epoch = time.perf_counter(), 0, 0.0
        # This process's share of the batches of the step.
        self.step_batches: list[dict[str, Any]] = []
        ids = self.train_dataset["dialogue_id"] if "dialogue_id" in self.train_dataset.column_names else None
        self.dialogue_ids = ids or [str(number) for number in range(len(self.train_dataset))]

    # ---- What `Trainer` is made of

    def create_optimizer(self, model: PreTrainedModel | None = None) -> torch.optim.Optimizer:
        """`Trainer`'s optimizer, where a text encoder has learning rates of its own."""
        if self.optimizer is None:
            decayed = set(self.get_decay_parameter_names(self.model))
            groups: list[dict[str, Any]] = [
                {"params": [], "weight_decay": self.args.weight_decay},
                {"params": [], "weight_decay": 0.0},
            ]
            for name, parameter in self.model.named_parameters():
                groups[name not in decayed]["params"].append(parameter)
            rates = (self.args.learning_rate, self.settings.text_encoder_learning_rate, self.settings.layer_decay)
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = kind(parameter_groups(self.model, *rates, groups), **options)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None):
        """`Trainer`'s schedule, of which `reduce_lr_on_plateau` takes a lower metric for a better one, and has one
        lowest learning rate for all."""
        if self.args.lr_scheduler_type == "reduce_lr_on_plateau":
            mode = "max" if self.args.greater_is_better else "min"
            settings = self.args.lr_scheduler_kwargs or {}
            assert isinstance(settings, dict)
            self.args.lr_scheduler_kwargs = {"mode": mode, **settings}
        scheduler = super().create_scheduler(num_training_steps, optimizer)
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.min_lrs = floors(scheduler.optimizer, scheduler.min_lrs[0])
        return scheduler

    def get_train_dataloader(self) -> DataLoader:
        learned = ("labels", "label_distributions") if self.settings.soft_labels else ("labels",)
        columns = [name for name in (*INPUTS, *learned) if name in self.train_dataset.column_names]
        return DialogueLoader(self.train_dataset.select_columns(columns), self.batches, **self.loading())

    def get_eval_dataloader(self, eval_dataset: Dataset | str | None = None) -> DataLoader:
        return self.get_test_dataloader(self.eval_dataset if eval_dataset is None else eval_dataset)

    def get_test_dataloader(self, test_dataset: Dataset) -> DataLoader:
        test_dataset, collator = self._encoded(test_dataset)
        columns = [name for name in (*INPUTS, "labels", CORPUS) if name in test_dataset.column_names]
        place = (self.args.process_index, self.args.world_size)
        batches = WholeBatches(len(test_dataset), self.args.per_device_eval_batch_size, *place)
        dialogues = test_dataset.select_columns(columns)
        loading = {**self.loading(), "collate_fn": collator}
        return DataLoader(dialogues, batch_sampler=batches, generator=torch.Generator(), **loading)

    def _encoded(self, dialogues: Dataset) -> tuple[Dataset, PreCodeDataCollator]:
        """Dialogues as the model reads them: one of the splits, or others of the same form."""
        for name, rows in self.corpus.items():
            if dialogues is rows:
                return self.encoded[name], self.data_collator
        if "input_ids" in dialogues.column_names:
            return dialogues, self.data_collator
        others = DatasetDict({"test": dialogues})
        encoded, collator = encode_splits(others, self.model, self.processing_class, self.settings)
        return encoded["test"], collator

    def loading(self) -> dict[str, Any]:
        """The settings of the loaders."""
        workers = self.args.dataloader_num_workers
        pinned = self.args.dataloader_pin_memory and self.args.device.type == "cuda"
        return {"collate_fn": self.data_collator, "num_workers": workers, "pin_memory": pinned}

    def evaluation_loop(
        self, dataloader, description, prediction_loss_only=None, ignore_keys=None, metric_key_prefix="eval"
    ) -> EvalLoopOutput:
        """Every process scores whole batches; their rows are put together in the order of the corpus."""
        self.callback_handler.eval_dataloader = dataloader
        self.model.eval()
        rows, loss = [], 0.0
        for batch in dataloader:
            labels = batch.get("labels", torch.full(batch["attention_mask"].shape[:2], IGNORED_LABEL))
            # Not `prediction_step`, which waits for the other processes, and they may have a batch less.
            with torch.no_grad():
                output = self.model(**send_to_device(batch, self.args.device))
            if output.loss is not None:
                loss += float(output.loss) * int((labels != IGNORED_LABEL).sum())
            rows.append((output.logits.float().cpu().numpy(), labels.numpy()))
            self.control = self.callback_handler.on_prediction_step(self.args, self.state, self.control)
        gathered = gather_object([(rows, loss)])
        batches = [
            shares[i]
            for i in range(max(len(shares) for shares, _ in gathered))
            for shares, _ in gathered
            if i < len(shares)
        ]
        logits, labels = (_stack([batch[part] for batch in batches]) for part in (0, 1))
        count, metrics = int((labels != IGNORED_LABEL).sum()), {}
        if count:
            prediction = EvalPrediction(predictions=logits, label_ids=labels, inputs=corpora_of(dataloader.dataset))
            assert self.compute_metrics is not None
            metrics = dict(self.compute_metrics(prediction))
            metrics["loss"] = sum(share for _, share in gathered) / count
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in metrics.items()}
        return EvalLoopOutput(predictions=logits, label_ids=labels, metrics=metrics, num_samples=len(labels))

    def training_step(self, model, inputs, num_items_in_batch=None) -> torch.Tensor:
        self.step_batches.append(inputs)
        loss = super().training_step(model, inputs, num_items_in_batch)
        value = float(self.accelerator.reduce(loss, "mean"))
        if not math.isfinite(value):
            stop_at_nonfinite(self, f"the loss is {value}")
        self.losses += value
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            # `Trainer` counts from where a run was resumed.
            logs["loss"] = self.losses / (self.state.global_step - self.logged)
            self.losses, self.logged = 0.0, self.state.global_step
            seconds, epochs = time.perf_counter() - self.start, self.state.epoch - self.first_epoch
            logs["utterances_per_second"] = self.num_utterances * epochs / seconds
            logs.update(memory_use(self.args.device))
            left = self.state.max_steps - self.state.global_step
            logs["seconds_to_the_end"] = seconds / (self.state.global_step - self.first_step) * left
        super().log(logs, start_time)

    # ---- What a person calls

    def train(  # type: ignore[override]
        self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any
    ) -> TrainOutput:
        """Train, and end with the model that did best on the validation split.

        Args:
            resume_from_checkpoint: a folder `checkpoint-STEP`; `True` or `"latest"` for the newest one in the output
                folder, or the beginning where there is none.
            kwargs: as `Trainer.train` takes them.

        Raises:
            ValueError: a checkpoint of another run, or a loss that is not finite.
            OSError: no such checkpoint, or one that cannot be written.
        """
        folder = Path(self.args.output_dir)
        given = resume_choice(resume_from_checkpoint)
        checkpoint = find_checkpoint(given, folder)
        fingerprint = self.fingerprint()
        if given:
            check_fingerprint(folder, fingerprint)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            begin_run(folder, fingerprint, resuming=bool(given))
        keep_freed_memory()
        with self.interruption:
            try:
                return self._train_from(checkpoint, kwargs)
            except Exception as error:
                unfinished = folder / f"checkpoint-{self.state.global_step}"
                if unfinished.is_dir() and not (unfinished / MANIFEST).is_file():
                    shutil.rmtree(unfinished, ignore_errors=True)
                    with clear_write_errors(unfinished):
                        raise error
                raise

    def _train_from(self, checkpoint: Path | None, kwargs: dict[str, Any]) -> TrainOutput:
        if checkpoint is None:
            return super().train(**kwargs)
        saved = read_json(checkpoint / TRAINING)
        self.losses, self.logged = saved["losses"], saved["logged"]
        state = TrainerState.load_from_json(str(checkpoint / STATE))
        logger.info(f"  continuing from {checkpoint}, after step {state.global_step:,} of {state.max_steps:,}")
        if not saved["finished"]:
            return super().train(resume_from_checkpoint=str(checkpoint), **kwargs)
        # It was the last one: only the scores are missing.
        self.state = state
        self.locate_best()
        self.model.load_state_dict(load_file(Path(state.best_model_checkpoint) / "model.safetensors"))
        self.model = self.accelerator.prepare_model(self.model, evaluation_mode=True)
        return TrainOutput(state.global_step, math.nan, {})

    def locate_best(self) -> None:
        """The best checkpoint is where it is now, and not where the folder was when it was written."""
        if self.state.best_global_step:
            best = Path(self.args.output_dir) / f"checkpoint-{self.state.best_global_step}"
            self.state.best_model_checkpoint = str(best)

    def predict(self, test_dataset: Dataset, ignore_keys=None, metric_key_prefix: str = "test") -> PredictionOutput:
        """Logits (dialogues, utterances, labels), label ids (dialogues, utterances), -100 at padding, and the scores.

        Args:
            test_dataset: dialogues, as in the constructor. The scores of the trainer's own splits go into the card.
            ignore_keys: not used.
            metric_key_prefix: before the name of every metric.
        """
        prediction = super().predict(test_dataset, ignore_keys, metric_key_prefix)
        for name, rows in self.corpus.items():
            if test_dataset is rows:
                self.predictions[name], self.scores[name] = prediction, self.score(prediction, corpora_of(rows))
                if self.args.metric_for_best_model == "loss":
                    assert prediction.metrics is not None
                    self.scores[name]["loss"] = prediction.metrics[f"{metric_key_prefix}_loss"]
        return prediction

    def metrics(self, prediction: EvalPrediction) -> dict[str, float]:
        """The scores of an evaluation that are one number each; of several corpora, also the metric that chooses the
        checkpoint for each."""
        names = prediction.inputs if isinstance(prediction.inputs, np.ndarray) else None
        scores, metric = self.score(prediction, names), self.settings.metric_for_best_model
        corpora = scores.get("corpora", {})
        of_corpora = {f"{metric}_of_{name}": one[metric] for name, one in corpora.items() if metric in one}
        return {**score_values(scores), **of_corpora}

    def score(self, prediction: EvalPrediction | PredictionOutput, corpora: np.ndarray | None = None) -> dict[str, Any]:
        """Every score of `ERCScores`, over the utterances that have a label.

        Args:
            prediction: logits and label ids.
            corpora: (dialogues,) of several corpora, the name of each dialogue's. `corpora` of the result then has the
                scores of each, with a `macro_f1` over the labels that the corpus has, and what is one number is the
                mean over them.
        """
        labeled = _arrays(prediction)[1] != IGNORED_LABEL
        scores = self._score(prediction, labeled)
        if corpora is None:
            return scores
        by_corpus = {
            str(name): with_macro_f1_of_supported(self._score(prediction, labeled & (corpora == name)[:, None]))
            for name in dict.fromkeys(corpora)
        }
        figures = score_values(next(iter(by_corpus.values())))
        means = {metric: float(np.mean([one[metric] for one in by_corpus.values()])) for metric in figures}
        return {**scores, **means, "corpora": by_corpus}

    def _score(self, prediction: EvalPrediction | PredictionOutput, labeled: np.ndarray) -> dict[str, Any]:
        logits, labels = _arrays(prediction)
        return self.metric.compute(
            predictions=logits.argmax(-1)[labeled],
            references=labels[labeled],
            label_names=self.names,
            focused_labels=self.settings.focused_labels,
            excluded_label=self.settings.excluded_label,
        )

    def calibrate(self) -> dict[str, Any]:
        """Fit the temperature of the probabilities on the validation split. No label changes.

        Returns:
            the temperature, and error and likelihood without and with it on every split that was predicted.
        """
        if "validation" not in self.predictions:
            self.predict(self.corpus["validation"], metric_key_prefix="eval")
        labeled = {}
        for split, prediction in self.predictions.items():
            logits, labels = _arrays(prediction)
            has_label = labels != IGNORED_LABEL
            labeled[split] = (logits[has_label], labels[has_label])
        self.calibration = calibrate(labeled)
        self.accelerator.unwrap_model(self.model).config.temperature = self.calibration["temperature"]
        return self.calibration

    def fingerprint(self) -> dict[str, Any]:
        """What a resumed run must share with this one, by its name for a person."""
        return self.origin.run_fingerprint(self.settings, self.corpus)

    def summary(self, scores: dict[str, Any]) -> RunSummary:
        """The summary of the run that the checkpoint keeps."""
        tested = "test scored once" if "test" in scores else "test not scored"
        return self.origin.summary(
            self.corpus,
            self.accelerator.unwrap_model(self.model).config,
            self.settings,
            seed=self.seed,
            selection=f"best {self.args.metric_for_best_model} on the validation split; {tested}",
            scores=scores,
            calibration=self.calibration,
        )

    def save_model(
        self, output_dir: str | None = None, _internal_call: bool = False, scores: dict[str, Any] | None = None
    ) -> None:
        """Write the model with its tokenizer and its card.

        Args:
            output_dir: the output folder of the settings by default.
            scores: for the card, by split; those of the predictions so far by default.
        """
        if _internal_call:
            return super().save_model(output_dir, _internal_call)
        if not self.args.should_save:
            return None
        folder, model = Path(output_dir or self.args.output_dir), self.accelerator.unwrap_model(self.model)
        summary = self.summary(self.scores if scores is None else scores)
        model.config.training_summary = summary.to_dict()
        folder.mkdir(parents=True, exist_ok=True)
        with replaced_files(folder) as files:
            model.save_pretrained(files)
            self.processing_class.save_pretrained(files)
            write_model_card(files, str(folder), "erc", summary)
        return None

    def save_results(self) -> dict[str, Any]:
        """Write `results.json`, with the summary and the history of the run, and return the summary."""
        summary = self.accelerator.unwrap_model(self.model).config.training_summary
        history = [record for record in self.state.log_history if "train_runtime" not in record]
        write_json(Path(self.args.output_dir) / RESULTS, {**summary, "history": history})
        return summary

    def push_checkpoint(self) -> str | None:
        """Upload the checkpoint in the output folder, with its card, to the Hub.

        Returns:
            the address of the commit; None in a process other than the main one, and when the push failed. The
            message then says how to push it later.
        """
        if not self.args.should_save:
            return None
        args = self.settings
        return push_checkpoint(self.args.output_dir, args.hub_model_id, bool(args.hub_private_repo), args.hub_token)

    def push_to_hub(  # type: ignore[override]
        self, commit_message: str | None = None, blocking: bool = True, **kwargs: Any
    ) -> str | None:
        """Save the model with its card, and upload it; see [`push_checkpoint`]."""
        self.save_model()
        return self.push_checkpoint()


def _for_trainer(args: UtteranceClassificationArguments) -> UtteranceClassificationArguments:
    """The settings that `Trainer` gets: what it would do besides is done here."""
    args_of_trainer = copy(args)
    args_of_trainer.push_to_hub = False
    args_of_trainer.hub_token = None  # or `Trainer` pickles it with the other arguments, into every checkpoint
    args_of_trainer.save_total_limit = None  # old ones go when a new one is whole
    # `Trainer` evaluates and saves by its strategies, whatever is asked for at the end.
    args_of_trainer.do_train = args_of_trainer.do_eval = True
    args_of_trainer.max_grad_norm = 0  # `ClipGradients` does
    return args_of_trainer


def encode_splits(
    splits: DatasetDict,
    model: PreCodeForUtteranceClassification,
    tokenizer: PreTrainedTokenizerBase,
    args: UtteranceClassificationArguments,
) -> tuple[DatasetDict, PreCodeDataCollator]:
    """Dialogues as the model reads them, and the collator that makes batches of them."""
    settings = {"tokenizer": tokenizer, "speaker_prefix": model.config.speaker_prefix}
    encoded = splits.map(encode_dialogues, batched=True, fn_kwargs=settings, desc="tokenizing")
    encoded, vectors = with_vectors(encoded, model, args.vector_type, args.bf16)
    return encoded, PreCodeDataCollator(tokenizer.pad_token_id, with_layout=True, vectors=vectors)


def _arrays(prediction: EvalPrediction | PredictionOutput) -> tuple[np.ndarray, np.ndarray]:
    """Logits (dialogues, utterances, labels) and label ids (dialogues, utterances)."""
    logits, labels = prediction.predictions, prediction.label_ids
    assert isinstance(logits, np.ndarray) and isinstance(labels, np.ndarray)
    return logits, labels


def _stack(batches: list[np.ndarray]) -> np.ndarray:
    """Batches of dialogues -> one, padded to the longest dialogue as in a batch."""
    width = max(batch.shape[1] for batch in batches)
    padding = [[(0, 0), (0, width - batch.shape[1]), *[(0, 0)] * (batch.ndim - 2)] for batch in batches]
    padded = [np.pad(batch, pad, constant_values=IGNORED_LABEL) for batch, pad in zip(batches, padding, strict=True)]
    return np.concatenate(padded)
