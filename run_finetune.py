#!/usr/bin/env python
"""Fine-tune Pre-CODE, or train it from scratch, to label every utterance of a dialogue with an emotion.

    python run_finetune.py --model checkpoints/pretrained --corpus sample --output_dir checkpoints/finetuned
    python run_finetune.py --corpus meld --data_dir MELD --word_vectors glove.txt --seeds 1 2 3 --output_dir runs/meld

The arguments of `transformers.TrainingArguments` work here too, but for `--seed` (see `--seeds`).
"""

import json
import logging
import os
import shutil
import statistics
import sys
from collections import Counter
from collections.abc import Callable
from copy import copy
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from functools import cache
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from datasets import Dataset, DatasetDict
from torch.nn.utils import clip_grad_norm_
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedTokenizerBase,
    PrinterCallback,
    ProgressCallback,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from data_scripts import label_names
from data_scripts.inspection.overlap import find_overlap
from data_scripts.sharing.dataset_card import corpus_facts
from data_scripts.tools.console import one_line_errors
from data_scripts.tools.whole_files import read_json, replaced_files, write_json
from modeling_precode import (
    ERCScores,
    PreCodeDataCollator,
    PreCodeForUtteranceClassification,
    encode_dialogues,
    focused_class_weights,
)
from modeling_precode.data_collator import IGNORED_LABEL
from modeling_precode.evaluation.calibration import calibrate
from modeling_precode.modeling_precode import ClassificationHead
from modeling_precode.sharing.language import find_language
from modeling_precode.sharing.local_names import without_folders
from modeling_precode.sharing.model_card import write_model_card
from modeling_precode.sharing.push import push_checkpoint
from modeling_precode.sharing.run_summary import RunSummary, hyper_parameters, model_facts, text_encoder_facts
from modeling_precode.training.arguments import (
    DDP_TIMEOUT,
    RECIPES,
    CorpusArguments,
    EncoderArguments,
    argument,
    check_gradient_checkpointing,
    check_output_dir,
    check_tracker,
    load_config,
    parse_arguments,
    start_output,
    use_cores,
)
from modeling_precode.training.checkpoints import begin_run, find_checkpoint, remove_checkpoints
from modeling_precode.training.finetuning import DialogueTrainer
from modeling_precode.training.fingerprint import check_fingerprint, dataset_digest
from modeling_precode.training.interruption import Interruption, finish_exchanges
from modeling_precode.training.memory import keep_freed_memory
from modeling_precode.training.original_recipe import (
    compute_as_original,
    differences,
    finetuning_settings,
    original_modules,
)

logger = logging.getLogger("run_finetune")
RESULTS = "results.json"
DROPOUT = 0.5
# Arguments of `TrainingArguments` that would do nothing, or harm: batches and the choice of the checkpoint are fixed.
NOT_HERE = (
    *("load_best_model_at_end", "save_only_model", "auto_find_batch_size", "neftune_noise_alpha"),
    *("dataloader_drop_last", "dataloader_prefetch_factor", "dataloader_persistent_workers", "data_seed"),
    *("dataloader_multiprocessing_context", "train_sampling_strategy", "bf16_full_eval", "fp16_full_eval"),
)


@dataclass
class FinetuneArguments(TrainingArguments):
    output_dir: str = argument("Where checkpoints, predictions and scores go.", "checkpoints/finetuned")
    overwrite_output_dir: bool = argument("Write into a folder that is not empty.", False)
    recipe: str = argument(
        "original: the procedure of the original implementation, and its settings for the corpus where none are given.",
        "default",
        choices=list(RECIPES),
    )
    seeds: list[int] = argument("One run each; mean and standard deviation are reported.", [1])
    metric_for_best_model: str = argument("The dev metric that chooses the checkpoint.", "weighted_f1")
    patience: int = argument("Stop after this many epochs without improvement of that metric.", 4)
    class_weight_rate: float | None = argument(
        "Weigh a class by (n_min / n)^rate in the loss, as the original with 0.5 (default: no weights)."
    )
    focused_labels: list[str] | None = argument("Labels of the original's scores and class weights (default: all).")
    excluded_label: str | None = argument("Also report the micro F1 without this label.")
    score_test: bool = argument("Score the test split at the end; false in trials that choose settings.", True)
    calibrate: bool = argument(
        "Fit a temperature for the probabilities on the validation split; no label changes.", True
    )
    learning_rate: float = argument("The initial learning rate.", 2e-3)
    num_train_epochs: float = argument("Epochs at most.", 12)
    per_device_train_batch_size: int = argument("Dialogues a step and device.", 8)
    per_device_eval_batch_size: int = argument("Dialogues a step and device in evaluation.", 32)
    max_grad_norm: float = argument("The gradient's norm is clipped to this.", 5.0)
    report_to: str = argument("A tracker: tensorboard, trackio or wandb.", "none")
    eval_strategy: str = argument("When to evaluate.", "epoch")
    save_strategy: str = argument("When to save.", "epoch")
    logging_strategy: str = argument("When to log.", "epoch")
    checkpointing_steps: int | None = argument("Save a checkpoint every so many steps too, besides --save_strategy.")
    save_total_limit: int | None = argument("Checkpoints kept in training, besides the best one.", 1)
    restore_callback_states_from_checkpoint: bool = argument("Count on for early stopping where a run goes on.", True)
    resume_from_checkpoint: str | None = argument(
        "Go on from this folder seed_N/checkpoint-STEP in the output folder, or from the latest one, or, where there "
        "is none yet, begin: latest. Seeds that are done are not run again."
    )
    hub_strategy: str = argument(
        "When to push: at the end, or also whenever there is a better checkpoint: best.", "end"
    )
    load_best_model_at_end: bool = argument("End with the checkpoint that the dev metric chose.", True)
    greater_is_better: bool = argument("A higher dev metric is better.", True)
    ddp_timeout: int = argument("Seconds that a process waits for another.", DDP_TIMEOUT)
    ddp_find_unused_parameters: bool | None = argument("Whether a parameter may take no part in the loss.", False)

    def __post_init__(self):
        if self.checkpointing_steps is not None and self.checkpointing_steps < 1:
            raise ValueError(f"--checkpointing_steps must be at least 1; got {self.checkpointing_steps}")
        if self.learning_rate <= 0:
            raise ValueError(f"--learning_rate must be more than 0; got {self.learning_rate}")
        if self.hub_strategy not in ("end", "best"):
            raise ValueError(f"--hub_strategy {self.hub_strategy}: unknown; known are end, best")
        defaults = {field.name: field.default for field in fields(self)}
        for name in (name for name in NOT_HERE if getattr(self, name, defaults.get(name)) != defaults.get(name)):
            raise ValueError(f"--{name} {getattr(self, name)}: this does not work here; leave it out")
        if self.label_smoothing_factor and self.class_weight_rate is not None:
            raise ValueError("--label_smoothing_factor does not go with --class_weight_rate; leave one of them out")
        # `Trainer` knows no `best`, and pushes nothing here.
        self.push_best, self.hub_strategy = self.push_to_hub and self.hub_strategy == "best", "end"
        if not (self.bf16 or self.fp16):
            # What the launcher was told, which `Trainer` follows, is saved with the result too.
            precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
            self.bf16, self.fp16 = precision == "bf16", precision == "fp16"
        # Or `TrainingArguments` takes a GPU in spite of the launcher, or looks for one that can.
        self.use_cpu |= parse_flag_from_env("ACCELERATE_USE_CPU")
        self.use_cpu |= self.bf16 and not torch.accelerator.is_available()
        if self.use_cpu and int(os.environ.get("WORLD_SIZE", 1)) > 1 and not torch.distributed.is_initialized():
            # `TrainingArguments` leaves processes on a CPU PyTorch's half an hour.
            torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=self.ddp_timeout))
        super().__post_init__()
        if self.n_gpu > 1:
            # Or `Trainer` splits a batch over all GPUs that one process sees, but not where everything stands in it.
            self._n_gpu = 1
        if self.eval_strategy == self.save_strategy == "steps" and self.eval_steps != self.save_steps:
            raise ValueError(
                f"--save_steps {self.save_steps}: not every evaluation would have a checkpoint; give "
                f"{self.eval_steps:.0f}, as --eval_steps"
            )

    def fingerprint(self) -> dict:
        """The settings that a resumed run must share with the run that it goes on. Each seed is by itself."""
        free = ("output_dir", "overwrite_output_dir", "seed", "resume_", "restore_", "checkpointing_", "save_", "log")
        free += (
            "per_device_",
            "report_to",
            "run_name",
            "push_",
            "hub_",
            "dataloader_",
            "ddp_",
            "local_",
            "disable_tqdm",
        )
        settings = {name: value for name, value in self.to_dict().items() if not name.startswith(free)}
        return {**settings, "dialogues a batch": self.per_device_train_batch_size * self.world_size}


class LogLine(TrainerCallback):
    """One line an evaluation."""

    def __init__(self, metric: str):
        self.metric = metric

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        if state.is_world_process_zero:
            value = metrics[f"eval_{self.metric}"]
            logger.info(f"  epoch {state.epoch:.0f}  validation {self.metric} {value:.4f}")


class Bar(ProgressCallback):
    """The progress bar of `Trainer`, without its dictionaries of logs."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        pass


class OriginalProcedure(TrainerCallback):
    """The gradient clip of a module each, and a score of 0 that is no improvement."""

    def __init__(self, max_grad_norm: float):
        self.max_grad_norm = max_grad_norm

    def on_train_begin(self, args, state, control, model, lr_scheduler, **kwargs):
        compute_as_original(model)
        if state.global_step == 0:
            state.best_metric = lr_scheduler.best = 0.0

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        for parameters in original_modules(model) if self.max_grad_norm > 0 else ():
            clip_grad_norm_(parameters, self.max_grad_norm)


class PushBest(TrainerCallback):
    """Pushes every checkpoint that is better than those before, of the seeds before too."""

    def __init__(self, save_model: Callable[..., dict], folder: Path, args: FinetuneArguments):
        self.save_model, self.folder, self.args = save_model, folder, args
        self.scores: dict[str, float] = {}

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        self.scores = {name.removeprefix("eval_"): value for name, value in metrics.items() if "_f1" in name}

    def on_save(self, args, state, control, **kwargs):
        if not state.is_world_process_zero or state.best_global_step != state.global_step:
            return
        metric, output_dir = self.args.metric_for_best_model, Path(self.args.output_dir)
        done = [path for seed in self.args.seeds if (path := output_dir / f"seed_{seed}" / RESULTS).is_file()]
        if state.best_metric > max((read_json(path)["scores"]["validation"][metric] for path in done), default=-1):
            self.save_model(validation=self.scores)
            name = self.args.hub_model_id or output_dir.resolve().name
            push_checkpoint(self.folder, name, bool(self.args.hub_private_repo), self.args.hub_token)


def scorer(names: list[str], args: FinetuneArguments) -> Callable[[EvalPrediction], dict]:
    """Every ERC score of a `Trainer`'s predictions, over the utterances that have a label."""
    metric = ERCScores()

    def score(prediction: EvalPrediction) -> dict:
        labeled = prediction.label_ids != IGNORED_LABEL
        return metric.compute(
            predictions=prediction.predictions.argmax(-1)[labeled],
            references=prediction.label_ids[labeled],
            label_names=names,
            focused_labels=args.focused_labels,
            excluded_label=args.excluded_label,
        )

    return score


def numbers(scores: dict) -> dict[str, float]:
    return {name: value for name, value in scores.items() if isinstance(value, float)}


def check_labels(corpus: DatasetDict, names: list[str] | None, args: FinetuneArguments) -> None:
    """Find now what would otherwise end the run after its first epoch."""
    if names is None:
        raise ValueError("--corpus: this corpus has no labels; fine-tuning needs a corpus with the column `labels`")
    for split in ("train", "validation", "test"):
        if not any(label >= 0 for labels in corpus[split]["labels"] for label in labels):
            raise ValueError(f"--corpus: no utterance of the split {split} has a label")
    trial = EvalPrediction(predictions=np.eye(len(names))[None, :1], label_ids=np.zeros((1, 1), dtype=int))
    known = numbers(scorer(names, args)(trial))
    if args.metric_for_best_model not in known:
        raise ValueError(f"--metric_for_best_model {args.metric_for_best_model}: unknown; known are {', '.join(known)}")


def class_weights(corpus: DatasetDict, names: list[str], args: FinetuneArguments) -> list[float] | None:
    if args.class_weight_rate is None:
        return None
    counts = Counter(label for labels in corpus["train"]["labels"] for label in labels)
    by_name = {name: counts[i] for i, name in enumerate(names)}
    return focused_class_weights(by_name, args.focused_labels or names, args.class_weight_rate)


def run_seed(
    seed: int,
    corpus: DatasetDict,
    tokenizer: PreTrainedTokenizerBase,
    corpus_args: CorpusArguments,
    encoder_args: EncoderArguments,
    args: FinetuneArguments,
    leakage: dict[str, dict],
    interruption: Interruption,
    begin: Callable[[], None],
) -> dict:
    """Train with one seed, choose the checkpoint on dev, score it once on test. Returns the summary of the run."""
    folder = Path(args.output_dir) / f"seed_{seed}"
    if args.resume_from_checkpoint and (folder / RESULTS).is_file():
        logger.info(f"  seed {seed} is done")
        return {name: value for name, value in read_json(folder / RESULTS).items() if name != "history"}
    given = args.resume_from_checkpoint
    if given and Path(given).resolve().parent != folder.resolve():
        given = "latest"  # the folder is of another seed
    checkpoint = find_checkpoint(given, folder)
    names = label_names(corpus)
    score = scorer(names, args)
    set_seed(seed)
    model = encoder_args.build_model(
        PreCodeForUtteranceClassification,
        tokenizer,
        seed,
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
        class_weights=class_weights(corpus, names, args),
        temperature=1.0,  # not that of a head before
    )
    check_gradient_checkpointing(model, args.gradient_checkpointing)
    begin()
    if encoder_args.model and load_config(encoder_args.model).label2id != model.config.label2id:
        # A head of the same shape would have been loaded, for other labels.
        model.classifier = ClassificationHead(model.config)
    settings = {"tokenizer": tokenizer, "speaker_prefix": model.config.speaker_prefix}
    encoded = corpus.map(encode_dialogues, batched=True, fn_kwargs=settings, desc="tokenizing")
    with args.main_process_first():
        dialogues, vectors = encoder_args.with_vectors(encoded, model.to(args.device), args.bf16)
    trainer_args = copy(args)
    trainer_args.output_dir, trainer_args.seed, trainer_args.push_to_hub = str(folder), seed, False
    trainer_args.hub_token = None  # or `Trainer` pickles it with the other arguments, into every checkpoint
    trainer_args.save_total_limit = None  # the trainer's own is kept when a new checkpoint is whole
    original = args.recipe == "original"
    if original:
        trainer_args.max_grad_norm = 0  # the clip is the callback's
    trainer = DialogueTrainer(
        model=model,
        args=trainer_args,
        data_collator=PreCodeDataCollator(tokenizer.pad_token_id, with_layout=True, vectors=vectors),
        train_dataset=dialogues["train"],
        eval_dataset=dialogues["validation"],
        compute_metrics=lambda prediction: numbers(score(prediction)),
        callbacks=[
            *([OriginalProcedure(args.max_grad_norm)] if original else []),
            EarlyStoppingCallback(args.patience),
        ],
        interruption=interruption,
        checkpointing_steps=args.checkpointing_steps,
        save_total_limit=args.save_total_limit,
        original_order=original,
        text_encoder_learning_rate=encoder_args.text_encoder_learning_rate,
        layer_decay=encoder_args.layer_decay,
    )
    trainer.remove_callback(PrinterCallback if args.disable_tqdm else ProgressCallback)
    trainer.add_callback(LogLine(args.metric_for_best_model))
    if not args.disable_tqdm:
        trainer.add_callback(Bar)

    def save_model(calibration: dict | None = None, **scores: dict) -> dict:
        """The model, its tokenizer and its card in the seed's folder. Returns the summary of the run."""
        summary = RunSummary(
            corpus=corpus_args.corpus,
            licence=corpus["train"].info.license or "licence unknown",
            start=encoder_args.model or "from scratch",
            seed=seed,
            selection=f"best {args.metric_for_best_model} on the validation split; "
            + ("test scored once" if args.score_test else "test not scored"),
            scores=scores,
            calibration=calibration,
            facts=corpus_facts(corpus, corpus_args.corpus),
            settings=hyper_parameters(encoder_args.settings(), args),
            model=model_facts(model.config),
            text_encoder=text_encoder_facts(encoder_args.text_encoder),
            language=find_language(corpus_args.language, corpus["train"], corpus_args.corpus, corpus_args.options()),
            leakage=leakage,
            start_summary=load_config(encoder_args.model).training_summary if encoder_args.model else None,
        )
        model.config.training_summary = summary.to_dict()
        with replaced_files(folder) as files:
            model.save_pretrained(files)
            tokenizer.save_pretrained(files)
            write_model_card(files, str(folder), "erc", summary)
        return summary.to_dict()

    if args.push_best:
        trainer.add_callback(PushBest(save_model, folder, args))
    with interruption:
        trainer.train_from(checkpoint)

    # The test split is looked at once, with the checkpoint that the dev split chose.
    splits = ("validation", "test") if args.score_test else ("validation",)
    predictions = {split: trainer.predict(dialogues[split]) for split in splits}
    finish_exchanges(trainer.accelerator)
    scores = {split: score(prediction) for split, prediction in predictions.items()}
    if not trainer.is_world_process_zero():
        return {"scores": scores}
    calibration = None
    if args.calibrate:
        labeled = {split: prediction.label_ids != IGNORED_LABEL for split, prediction in predictions.items()}
        calibration = calibrate(
            {split: (p.predictions[labeled[split]], p.label_ids[labeled[split]]) for split, p in predictions.items()}
        )
        model.config.temperature = calibration["temperature"]
        before, after = (calibration[splits[-1]][when]["ece"] for when in ("before", "after"))
        cross_fit = calibration["cross_fit"]
        why = "" if cross_fit["helps"] else f"  ({cross_fit['fitted']:.4f} does not help in a cross-fit on validation)"
        logger.info(
            f"  temperature {model.config.temperature:.4f}  {splits[-1]} ECE {after:.4f} (without {before:.4f}){why}"
        )
    summary = save_model(calibration, **scores)
    if args.score_test:
        write_predictions(folder / "test_predictions.jsonl", corpus["test"], predictions["test"].predictions, names)
    # What follows a run is written last: it says that the seed is done.
    history = [record for record in trainer.state.log_history if "train_runtime" not in record]
    write_json(folder / RESULTS, {**summary, "history": history})
    remove_checkpoints(folder)
    return summary


def write_predictions(path: Path, rows: Dataset, logits: np.ndarray, names: list[str]) -> None:
    """One dialogue a line, with gold and predicted labels."""
    with open(path, "w", encoding="utf-8") as file:
        for row, row_logits in zip(rows, logits, strict=True):
            row["labels"] = [names[label] if label >= 0 else None for label in row["labels"]]
            row["predictions"] = [names[i] for i in row_logits[: len(row["labels"])].argmax(-1)]
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def main() -> None:
    corpus_args, encoder_args, args = parse_arguments(
        (CorpusArguments, EncoderArguments, FinetuneArguments), __doc__, finetuning_settings, dropout=DROPOUT
    )
    check_output_dir(args.output_dir, args.overwrite_output_dir, args.resume_from_checkpoint)
    output_dir = Path(args.output_dir)
    if args.seed != TrainingArguments.seed:
        raise ValueError(f"--seed {args.seed}: give the seeds of the runs with --seeds")
    resume = args.resume_from_checkpoint
    folders = [(output_dir / f"seed_{seed}").resolve() for seed in args.seeds]
    if resume and resume != "latest" and Path(resume).resolve().parent not in folders:
        raise ValueError(
            f"--resume_from_checkpoint {resume}: not in {output_dir}/seed_N of a seed of --seeds; give latest, or a "
            "checkpoint-STEP there"
        )
    if args.recipe == "original" and args.world_size > 1:
        raise ValueError(f"--recipe original trains in one process; got {args.world_size}")
    if args.recipe == "original" and args.lr_scheduler_type != "reduce_lr_on_plateau":
        raise ValueError(
            f"--recipe original has --lr_scheduler_type reduce_lr_on_plateau; got {args.lr_scheduler_type.value}. "
            """Leave it out, and change that one with --lr_scheduler_kwargs '{"factor": 0.9, "min_lr": 1e-5}'"""
        )
    for tracker in args.report_to:
        check_tracker(tracker)
    main_process = args.process_index == 0
    start_output(main_process)
    if args.recipe == "original":
        for difference in differences({**vars(corpus_args), **vars(encoder_args), **vars(args)}):
            logger.info(f"--recipe original: {difference}")
    use_cores(args.device)
    keep_freed_memory()
    args.disable_tqdm = not sys.stderr.isatty()
    with args.main_process_first():
        corpus = corpus_args.load()
    check_labels(corpus, label_names(corpus), args)
    fingerprint = {
        **encoder_args.fingerprint(),
        **{f"--{name}": value for name, value in args.fingerprint().items()},
        **{f"the {split} split's digest": dataset_digest(rows) for split, rows in corpus.items()},
    }
    if args.resume_from_checkpoint:
        check_fingerprint(output_dir, fingerprint)

    @cache
    def begin() -> None:
        PartialState().wait_for_everyone()
        if main_process:
            begin_run(output_dir, fingerprint, resuming=bool(args.resume_from_checkpoint))

    tokenizer = encoder_args.build_tokenizer(corpus["train"]["utterances"])
    runs, interruption = [], Interruption()
    scored = "test" if args.score_test else "validation"
    leakage = {"The test split against the training split": find_overlap(corpus["test"], corpus["train"]).figures()}
    for seed in args.seeds:
        start = encoder_args.model or "from scratch"
        logger.info(
            f"{corpus_args.corpus}, seed {seed}, start: {start}, {args.world_size} process(es) of "
            f"{torch.get_num_threads()} thread(s) on {args.device.type}"
        )
        runs.append(run_seed(seed, corpus, tokenizer, corpus_args, encoder_args, args, leakage, interruption, begin))
        logger.info(f"  {scored}  {score_line(numbers(runs[-1]['scores'][scored]))}")
    if not main_process:
        return
    best = max(runs, key=lambda run: run["scores"]["validation"][args.metric_for_best_model])
    with replaced_files(output_dir) as files:
        for path in (output_dir / f"seed_{best['seed']}").iterdir():
            if path.is_file():
                shutil.copy(path, files)
    scores = [numbers(run["scores"][scored]) for run in runs]
    mean = {name: statistics.mean(one[name] for one in scores) for name in scores[0]}
    deviation = {name: statistics.stdev(one[name] for one in scores) if len(scores) > 1 else 0.0 for name in mean}
    settings = {**asdict(corpus_args), **encoder_args.settings(), **args.to_dict()}
    write_json(
        output_dir / "finetune_results.json",
        {
            f"{scored}_mean": mean,
            f"{scored}_standard_deviation": deviation,
            "runs": runs,
            "settings": without_folders(settings),
        },
    )
    over_seeds = {name: f"{value:.4f} ± {deviation[name]:.4f}" for name, value in mean.items()}
    seeds = {"split": scored, "runs": args.seeds, "mean": mean, "deviation": deviation}
    summary = RunSummary.from_dict({**best, "seeds": seeds})
    write_model_card(output_dir, args.hub_model_id or str(output_dir), "erc", summary)
    logger.info(
        f"{scored} over {len(runs)} seed(s): "
        + "  ".join(f"{name} {value}" for name, value in over_seeds.items())
        + f"\nThe checkpoint of the seed that did best on the validation split ({best['seed']}) is in {output_dir}"
    )
    if args.push_to_hub:
        address = push_checkpoint(output_dir, args.hub_model_id, bool(args.hub_private_repo), args.hub_token)
        if address:
            logger.info(f"Pushed to {address}")


def score_line(scores: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in scores.items())


if __name__ == "__main__":
    with one_line_errors():
        main()
