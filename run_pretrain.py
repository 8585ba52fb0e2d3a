#!/usr/bin/env python
"""Pre-train a Pre-CODE encoder on unlabeled dialogue with Conversation Completion.

python run_pretrain.py --corpus chitchat --output_dir checkpoints/chitchat
accelerate launch -m run_pretrain --corpus opsub --data_dir subtitles.zip --output_dir checkpoints/opsub
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from accelerate.utils import set_seed
from datasets import DatasetDict

from data_scripts.inspection.overlap import find_overlap, load_other
from data_scripts.tools.console import one_line_errors
from modeling_precode import PreCodeForConversationCompletion
from modeling_precode.cli.console import start_output
from modeling_precode.loading.checkpoints import load_config
from modeling_precode.training.arguments import CorpusArguments, EncoderArguments, check_output_dir, check_tracker
from modeling_precode.training.original_recipe import differences, pretraining_settings
from modeling_precode.training.parsing import ScriptParser, parse_arguments, write_config
from modeling_precode.training.pretraining import ConversationCompletionTrainer
from modeling_precode.training.pretraining_arguments import ConversationCompletionArguments
from modeling_precode.training.processes import start_accelerator, use_cores
from modeling_precode.training.progress import log_line
from modeling_precode.training.run_origin import RunOrigin
from modeling_precode.training.starting import build_model, build_tokenizer, load_splits

logger = logging.getLogger("run_pretrain")

DROPOUT = 0.1
# The usual arguments by purpose, for --help; --help-all shows the rest.
GROUPS = {
    "What to read and where to write": ["corpus", "data_dir", "corpus_options", "output_dir", "overwrite_output_dir"],
    "The model": [
        *("model", "size", "utterance_encoder", "text_encoder", "freeze_text_encoder", "text_context", "causal"),
        *("max_speakers", "word_vectors", "text_mode", "dropout"),
    ],
    "Training": [
        *("recipe", "objective", "batch_size", "learning_rate", "lr_scheduler_type", "max_epochs", "max_steps"),
        *("eval_steps", "patience", "seed", "mixed_precision"),
    ],
    "Stopping, resuming, sharing": [
        *("resume_from_checkpoint", "checkpointing_steps", "report_to", "push_to_hub", "hub_model_id"),
    ],
}


def main(arguments: Sequence[str] | None = None, prog: str = "python run_pretrain.py") -> None:
    """Run pre-training.

    Args:
        arguments: The arguments; by default those of the command line.
        prog: The name of the program in help and errors.
    """
    # ---- Arguments
    classes = (CorpusArguments, EncoderArguments, ConversationCompletionArguments)
    parser = ScriptParser(classes, GROUPS, prog, __doc__.replace("python run_pretrain.py", prog))
    corpus_args, encoder_args, args = parse_arguments(parser, pretraining_settings, arguments, dropout=DROPOUT)
    check_arguments(encoder_args, args)

    # ---- Processes
    tracker = None if args.report_to == "none" else args.report_to
    accelerator = start_accelerator(args.mixed_precision, tracker, args.output_dir)
    use_cores(accelerator.device)
    start_output(accelerator.is_main_process)
    if args.recipe == "original":
        for difference in differences({**vars(corpus_args), **vars(encoder_args), **vars(args)}):
            logger.info(f"--recipe original: {difference}")

    # ---- Corpus, tokenizer, model
    set_seed(args.seed)
    with accelerator.main_process_first():
        corpus = load_splits(corpus_args)
        tokenizer = build_tokenizer(encoder_args, corpus["train"])
        # A fine-tuned checkpoint may read names, which would reveal the hidden utterance if it was read alone.
        config = {} if reads_dialogues(encoder_args) else {"speaker_prefix": False}
        model = build_model(encoder_args, PreCodeForConversationCompletion, tokenizer, args.seed, **config)
    leakage = leakage_into_test(corpus, args.check_overlap, corpus_args) if accelerator.is_main_process else {}

    # ---- Train
    trainer = ConversationCompletionTrainer(
        model,
        args,
        train_dataset=corpus["train"],
        eval_dataset=corpus["validation"],
        test_dataset=corpus["test"],
        processing_class=tokenizer,
        accelerator=accelerator,
        origin=RunOrigin.of(corpus_args, encoder_args, leakage),
    )
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)

    # ---- Evaluate: the test split is scored once, with the checkpoint that the validation split chose
    test = trainer.evaluate(corpus["test"], metric_key_prefix="test")
    step = trainer.loop.progress.best["step"]
    logger.info(log_line("test", {"step": step, **{name.removeprefix("test_"): value for name, value in test.items()}}))

    # ---- Save and share
    trainer.end()
    trainer.save_model()
    if accelerator.is_main_process:
        write_config(Path(args.output_dir), corpus_args, encoder_args, args)
        logger.info(f"The best checkpoint is in {args.output_dir}; fine-tune it with --model {args.output_dir}")
    if args.push_to_hub and (address := trainer.push_to_hub()):
        logger.info(f"Pushed to {address}")


def check_arguments(encoder_args: EncoderArguments, args: ConversationCompletionArguments) -> None:
    """Check the arguments together, before anything is read or written."""
    if encoder_args.speaker_prefix and not reads_dialogues(encoder_args):
        raise ValueError(
            "--speaker_prefix: names would reveal the hidden utterance; use this in fine-tuning, or with "
            "--text_context dialogue"
        )
    check_output_dir(args.output_dir, args.overwrite_output_dir, args.resume_from_checkpoint, encoder_args.model)
    check_tracker(args.report_to)


def reads_dialogues(args: EncoderArguments) -> bool:
    """Whether the text encoder of the model reads the dialogue, and not every utterance alone."""
    if args.text_context is None and args.model is not None:
        return load_config(args.model).text_context == "dialogue"
    return args.text_context == "dialogue"


def leakage_into_test(corpus: DatasetDict, others: list[str], args: CorpusArguments) -> dict[str, list[str]]:
    """Find the training dialogues that appear in the test splits of other corpora.

    Args:
        corpus: The corpus of the run.
        others: The other corpora, as NAME=DATA_DIR.
        args: The arguments of the corpus.

    Returns:
        Sentences with figures, by a description of the comparison.
    """
    leakage = {}
    for other in others:
        name, _, test = load_other(other, "test", "--check_overlap", args.num_proc)
        overlap = find_overlap(corpus["train"], test)
        leakage[f"The training split against the test split of {name}"] = overlap.figures()
        logger.info(f"train against test of {name}:\n{overlap}")
    return leakage


if __name__ == "__main__":
    with one_line_errors():
        main()
