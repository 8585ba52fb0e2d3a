#!/usr/bin/env python
"""Fine-tune Pre-CODE, or train it from scratch, to label every utterance of a dialogue with an emotion.

python run_finetune.py --model checkpoints/pretrained --corpus sample --output_dir checkpoints/finetuned
python run_finetune.py --corpus meld --data_dir MELD --word_vectors glove.txt --seeds 1 2 3 --output_dir runs/meld

The arguments of transformers.TrainingArguments that work here are in --help-all.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch
from accelerate import PartialState
from datasets import DatasetDict
from filelock import FileLock
from transformers import PreTrainedTokenizerBase, SchedulerType, set_seed

from data_scripts.inspection.overlap import find_overlap
from data_scripts.tools.console import one_line_errors
from data_scripts.tools.whole_files import write_json
from modeling_precode.cli.console import start_output
from modeling_precode.sharing.push import push_checkpoint
from modeling_precode.training.arguments import CorpusArguments, EncoderArguments, check_output_dir, check_tracker
from modeling_precode.training.checkpoints import begin_run, resume_choice
from modeling_precode.training.finetuning import UtteranceClassificationTrainer
from modeling_precode.training.finetuning_arguments import UtteranceClassificationArguments
from modeling_precode.training.finetuning_corpus import check_labels
from modeling_precode.training.fingerprint import check_fingerprint
from modeling_precode.training.interruption import Interruption
from modeling_precode.training.original_recipe import differences, finetuning_settings
from modeling_precode.training.parsing import ScriptParser, parse_arguments, write_config
from modeling_precode.training.processes import join_cpu_processes, use_cores
from modeling_precode.training.run_lock import lock_run
from modeling_precode.training.run_origin import RunOrigin
from modeling_precode.training.seeds import save_best_seed, score_lines, train_seed
from modeling_precode.training.starting import build_classifier, build_tokenizer, load_corpora

logger = logging.getLogger("run_finetune")

DROPOUT = 0.5
# The usual arguments by purpose, for --help; --help-all shows the rest.
GROUPS = {
    "What to read and where to write": [
        *("corpus", "data_dir", "corpus_options", "label_map", "multi_task", "corpus_weights"),
        *("output_dir", "overwrite_output_dir"),
    ],
    "The model": [
        *("model", "size", "text_encoder", "freeze_text_encoder", "text_context", "speaker_prefix", "causal"),
        *("max_speakers", "word_vectors", "text_mode", "dropout"),
    ],
    "Training": [
        *("recipe", "seeds", "learning_rate", "num_train_epochs", "per_device_train_batch_size", "class_weight_rate"),
        *("soft_labels", "patience", "bf16", "do_train"),
    ],
    "Choosing and scoring": [
        *("metric_for_best_model", "focused_labels", "excluded_label", "score_test", "calibrate", "do_eval"),
        "do_predict",
    ],
    "Stopping, resuming, sharing": [
        *("resume_from_checkpoint", "checkpointing_steps", "report_to", "push_to_hub", "hub_model_id"),
    ],
}


def main(arguments: Sequence[str] | None = None, prog: str = "python run_finetune.py") -> None:
    """Run fine-tuning.

    Args:
        arguments: The arguments; by default those of the command line.
        prog: The name of the program in help and errors.
    """
    # ---- Arguments and processes
    join_cpu_processes()
    classes = (CorpusArguments, EncoderArguments, UtteranceClassificationArguments)
    parser = ScriptParser(classes, GROUPS, prog, __doc__.replace("python run_finetune.py", prog))
    corpus_args, encoder_args, args = parse_arguments(parser, finetuning_settings, arguments, dropout=DROPOUT)
    check_arguments(corpus_args, encoder_args, args)
    main_process = args.process_index == 0
    start_output(main_process)
    if args.recipe == "original":
        for difference in differences({**vars(corpus_args), **vars(encoder_args), **vars(args)}):
            logger.info(f"--recipe original: {difference}")
    use_cores(args.device)
    args.disable_tqdm = not sys.stderr.isatty()

    # ---- Corpus and tokenizer
    with args.main_process_first():
        corpus, overlap = load_corpora(corpus_args, args.multi_task)
    check_labels(corpus, args)
    leakage = {"The test split against the training split": find_overlap(corpus["test"], corpus["train"]).figures()}
    leakage |= overlap
    origin = RunOrigin.of(corpus_args, encoder_args, leakage)
    tokenizer = build_tokenizer(encoder_args, corpus["train"])
    build_trainer = trainer_builder(corpus, tokenizer, encoder_args, origin, args)
    if args.only_scores:
        score_checkpoint(build_trainer(args), args)
        if main_process:
            write_config(Path(args.output_dir), corpus_args, encoder_args, args)
        return

    # ---- Train: choose the checkpoint of every seed on validation, score it once on test
    runs, scored = [], "test" if args.scores_test else "validation"
    for seed in args.seeds:
        logger.info(
            f"{corpus_args.name}, seed {seed}, start: {encoder_args.model or 'from scratch'}, {args.world_size} "
            f"process(es) of {torch.get_num_threads()} thread(s) on {args.device.type}"
        )
        runs.append(train_seed(seed, args, build_trainer))
        logger.info(f"  {score_lines(scored, runs[-1]['scores'][scored])}")

    # ---- Save and share
    if main_process:
        settings = {**asdict(corpus_args), **encoder_args.settings(), **args.to_dict()}
        logger.info(save_best_seed(runs, args, settings))
        write_config(Path(args.output_dir), corpus_args, encoder_args, args)
        private, token = bool(args.hub_private_repo), args.hub_token
        if args.push_to_hub and (address := push_checkpoint(args.output_dir, args.hub_model_id, private, token)):
            logger.info(f"Pushed to {address}")


def check_arguments(
    corpus_args: CorpusArguments, encoder_args: EncoderArguments, args: UtteranceClassificationArguments
) -> None:
    """Check the arguments together, before anything is read or written."""
    start = None if args.only_scores else encoder_args.model
    check_output_dir(args.output_dir, args.overwrite_output_dir, args.resume_from_checkpoint, start)
    resume = args.resume_from_checkpoint = resume_choice(args.resume_from_checkpoint)
    output_dir = Path(args.output_dir)
    folders = [(output_dir / f"seed_{seed}").resolve() for seed in args.seeds]
    if resume and resume != "latest" and Path(resume).resolve().parent not in folders:
        raise ValueError(
            f"--resume_from_checkpoint {resume}: not in {output_dir}/seed_N of a seed of --seeds; give latest, or a "
            "folder checkpoint-STEP there"
        )
    if args.only_scores and encoder_args.model is None:
        raise ValueError("--do_eval and --do_predict without --do_train score a checkpoint: give one with --model")
    if args.only_scores and args.push_to_hub:
        raise ValueError(
            "--push_to_hub is for a run that trains; leave it out, and push the checkpoint with precode push "
            f"{encoder_args.model}"
        )
    if args.recipe == "original" and args.world_size > 1:
        raise ValueError(f"--recipe original trains in one process; got {args.world_size} processes")
    if args.recipe == "original" and args.lr_scheduler_type != "reduce_lr_on_plateau":
        scheduler = SchedulerType(args.lr_scheduler_type).value
        raise ValueError(
            f"--recipe original has --lr_scheduler_type reduce_lr_on_plateau; got {scheduler}. "
            """Leave it out, and change that one with --lr_scheduler_kwargs '{"factor": 0.9, "min_lr": 1e-5}'"""
        )
    if args.multi_task and not corpus_args.has_several:
        raise ValueError(
            f"--multi_task: there is one corpus, {corpus_args.name}; leave this out, or give several with --corpus"
        )
    if args.multi_task and corpus_args.label_map is not None:
        raise ValueError(
            f"--multi_task cannot be used with --label_map {corpus_args.label_map}, which gives all corpora the same "
            "labels; leave one of them out"
        )
    for tracker in args.report_to:
        check_tracker(tracker)


def trainer_builder(
    corpus: DatasetDict,
    tokenizer: PreTrainedTokenizerBase,
    encoder_args: EncoderArguments,
    origin: RunOrigin,
    args: UtteranceClassificationArguments,
) -> Callable[[UtteranceClassificationArguments], UtteranceClassificationTrainer]:
    """A function that builds the trainer of a seed from its settings. Its first call writes the run's fingerprint."""
    interruption = Interruption()
    fingerprint = origin.run_fingerprint(args, corpus, tokenizer)

    @cache  # which keeps the lock, as long as this builder exists
    def lock() -> FileLock | None:
        return lock_run(Path(args.output_dir), PartialState())

    if args.resume_from_checkpoint:
        lock()
        check_fingerprint(Path(args.output_dir), fingerprint)

    @cache
    def begin() -> None:
        PartialState().wait_for_everyone()
        if lock() is not None:
            resuming = bool(args.resume_from_checkpoint)
            begin_run(Path(args.output_dir), fingerprint, resuming, args.overwrite_output_dir)

    def build(args_of_seed: UtteranceClassificationArguments) -> UtteranceClassificationTrainer:
        seed = args_of_seed.seed
        assert seed is not None
        set_seed(seed)
        model = build_classifier(encoder_args, tokenizer, seed, corpus, keep_head=args.only_scores)
        trainer = UtteranceClassificationTrainer(
            model,
            args_of_seed,
            train_dataset=corpus["train"],
            eval_dataset=corpus["validation"],
            test_dataset=corpus["test"],
            processing_class=tokenizer,
            origin=origin,
            interruption=interruption,
        )
        if not args.only_scores:
            begin()
        return trainer

    return build


def score_checkpoint(trainer: UtteranceClassificationTrainer, args: UtteranceClassificationArguments) -> None:
    """Score a checkpoint on validation and test, as the flags say, without training."""
    splits = {"validation": args.do_eval, "test": args.scores_test}
    for split in (split for split, is_scored in splits.items() if is_scored):
        trainer.predict(trainer.corpus[split], metric_key_prefix=split)
        logger.info(score_lines(split, trainer.scores[split]))
    if trainer.is_world_process_zero():
        Path(args.output_dir).mkdir(parents=True, exist_ok=True)
        write_json(Path(args.output_dir) / "scores.json", trainer.scores)
        logger.info(f"Every score is in {args.output_dir}/scores.json")


if __name__ == "__main__":
    with one_line_errors():
        main()
