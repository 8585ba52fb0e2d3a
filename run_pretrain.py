#!/usr/bin/env python
"""Pre-train a Pre-CODE encoder on unlabelled dialogue with Conversation Completion.

python run_pretrain.py --corpus chitchat --output_dir checkpoints/chitchat
accelerate launch run_pretrain.py --corpus opsub --data_dir subtitles.zip --output_dir checkpoints/opsub
"""

import logging
import sys
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, set_seed

from data_scripts.inspection.overlap import find_overlap, load_other
from data_scripts.sharing.dataset_card import corpus_facts
from data_scripts.tools.console import one_line_errors
from data_scripts.tools.whole_files import replaced_files, write_json
from modeling_precode import (
    DialoguesWithNegatives,
    PreCodeDataCollator,
    PreCodeForConversationCompletion,
    encode_dialogues,
)
from modeling_precode.configuration_precode import CONVCOM_OBJECTIVES
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
from modeling_precode.training.batches import DialogueBatches, DialogueLoader
from modeling_precode.training.checkpoints import begin_run, find_checkpoint
from modeling_precode.training.encoded_dialogues import EncodedDialogues
from modeling_precode.training.fingerprint import check_fingerprint, dataset_digest, vocabulary_digest
from modeling_precode.training.interruption import Interruption, finish_exchanges
from modeling_precode.training.memory import keep_freed_memory
from modeling_precode.training.negatives import check_enough_dialogues
from modeling_precode.training.optimization import ENDLESS, SCHEDULES, Schedule, parameter_groups
from modeling_precode.training.original_recipe import (
    DialoguesWithDrawnNegatives,
    OriginalBatches,
    OriginalOrder,
    compute_as_original,
    differences,
    pretraining_settings,
)
from modeling_precode.training.pretraining import (
    EVALUATION_NEGATIVES,
    SELECTION_METRIC,
    Evaluation,
    Pretraining,
    log_line,
)

logger = logging.getLogger("run_pretrain")
DROPOUT, WARMUP_STEPS = 0.1, 300


@dataclass
class PretrainArguments:
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

    def fingerprint(self) -> dict:
        """The settings that a resumed run must share with the run that it goes on."""
        free = {"output_dir", "overwrite_output_dir", "check_overlap", "eval_batch_size", "logging_steps", "report_to"}
        free |= {
            "gradient_checkpointing",
            "checkpointing_steps",
            "save_total_limit",
            "resume_from_checkpoint",
            "mixed_precision",
        }
        free |= {name for name in asdict(self) if name.startswith(("push_", "hub_"))}
        if self.lr_scheduler_type in ENDLESS:
            # These may go on for longer than was planned.
            free |= {"max_steps", "max_epochs", "patience"}
        return {name: value for name, value in asdict(self).items() if name not in free}


def encode(examples: dict, tokenizer) -> dict:
    encoded = encode_dialogues(examples, tokenizer)
    if "negatives" in examples:
        negatives = encode_dialogues({"utterances": examples["negatives"]}, tokenizer)["input_ids"]
        if wrong := [len(row) for row in negatives if len(row) != EVALUATION_NEGATIVES]:
            raise ValueError(f"--corpus: a dialogue with {wrong[0]} negatives; each needs {EVALUATION_NEGATIVES}")
        encoded["negative_input_ids"] = negatives
    return encoded


def load_dialogues(corpus, tokenizer, split: str):
    """The dialogues of a split that have a target: three utterances or more."""
    columns = [name for name in corpus[split].column_names if name != "dialogue_id"]
    settings = {"tokenizer": tokenizer}
    encoded = corpus[split].map(encode, batched=True, fn_kwargs=settings, remove_columns=columns, desc="tokenizing")
    dialogues = encoded.filter(lambda ids: [len(d) >= 3 for d in ids], batched=True, input_columns="input_ids")
    if len(dialogues) < len(encoded):
        logger.info(f"{split}: {len(encoded) - len(dialogues)} dialogues of fewer than three utterances left out")
    return dialogues


def main() -> None:
    corpus_args, encoder_args, args = parse_arguments(
        (CorpusArguments, EncoderArguments, PretrainArguments), __doc__, pretraining_settings, dropout=DROPOUT
    )
    if encoder_args.speaker_prefix:
        raise ValueError("--speaker_prefix: names would tell which utterance was hidden; give it to run_finetune.py")
    original = args.recipe == "original"
    output_dir = Path(args.output_dir)
    check_output_dir(args.output_dir, args.overwrite_output_dir, resume=args.resume_from_checkpoint)
    checkpoint = find_checkpoint(args.resume_from_checkpoint, output_dir)
    check_tracker(args.report_to)
    tracker = None if args.report_to == "none" else args.report_to
    accelerator = Accelerator(
        log_with=tracker,
        project_dir=str(output_dir),
        mixed_precision=args.mixed_precision,
        step_scheduler_with_optimizer=False,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(seconds=DDP_TIMEOUT))],
    )
    if accelerator.mixed_precision not in ("no", "bf16"):
        raise ValueError(f"--mixed_precision {accelerator.mixed_precision}: give no or bf16")
    if original and accelerator.num_processes > 1:
        raise ValueError(f"--recipe original trains in one process; got {accelerator.num_processes}")
    use_cores(accelerator.device)
    keep_freed_memory()
    start_output(accelerator.is_main_process)
    if original:
        for difference in differences({**vars(corpus_args), **vars(encoder_args), **vars(args)}):
            logger.info(f"--recipe original: {difference}")
    set_seed(args.seed)

    with accelerator.main_process_first():
        corpus = corpus_args.load()
        leakage = {}
        if accelerator.is_main_process:
            for given in args.check_overlap:
                name, _, test = load_other(given, "test", "--check_overlap", corpus_args.num_proc)
                overlap = find_overlap(corpus["train"], test)
                leakage[f"The training split against the test split of {name}"] = overlap.figures()
                logger.info(f"train against test of {name}:\n{overlap}")
        tokenizer = encoder_args.build_tokenizer(
            row for batch in corpus["train"].iter(1000) for row in batch["utterances"]
        )
        model = encoder_args.build_model(
            PreCodeForConversationCompletion,
            tokenizer,
            args.seed,
            convcom_objective=args.objective,
            speaker_prefix=False,  # of a fine-tuned checkpoint
        )
        check_gradient_checkpointing(model, args.gradient_checkpointing)
        splits = {split: load_dialogues(corpus, tokenizer, split) for split in ("train", "validation", "test")}
        bf16 = accelerator.mixed_precision == "bf16"
        dialogues, vectors = encoder_args.with_vectors(splits, model.to(accelerator.device), bf16)
    for split, rows in splits.items():
        if split == "train":
            drawn = args.num_negatives if args.objective == "sampled_bce" else 0
        else:
            drawn = 0 if "negative_input_ids" in rows.column_names else EVALUATION_NEGATIVES
        check_enough_dialogues(len(rows), drawn, split)
    collator = PreCodeDataCollator(tokenizer.pad_token_id, with_layout=True, vectors=vectors)
    evaluations = {
        split: Evaluation(dialogues[split], args.negatives_seed, args.eval_batch_size, collator, accelerator)
        for split in ("validation", "test")
    }
    train = EncodedDialogues(dialogues["train"])
    num_utterances, num_tokens = train.sizes()
    if original and args.objective == "sampled_bce":
        order = OriginalOrder(len(train), args.seed, num_utterances.tolist(), args.num_negatives)
        batches, train = OriginalBatches(order, args.batch_size), DialoguesWithDrawnNegatives(train)
    else:
        budget = {"batch_size": args.batch_size} if args.batch_tokens is None else {"batch_tokens": args.batch_tokens}
        place = (accelerator.process_index, accelerator.num_processes)
        batches = DialogueBatches(num_tokens, args.seed, **budget, process_index=place[0], num_processes=place[1])
        if args.objective == "sampled_bce":
            train = DialoguesWithNegatives(train, args.num_negatives, args.seed)
    loader = DialogueLoader(train, batches, collate_fn=collator, pin_memory=accelerator.device.type == "cuda")

    steps_an_epoch = -(-len(batches) // args.gradient_accumulation_steps)
    total_steps = min(args.max_epochs * steps_an_epoch, args.max_steps or sys.maxsize)
    if args.warmup_steps is None:
        args.warmup_steps = 0 if args.lr_scheduler_type in ENDLESS else min(WARMUP_STEPS, total_steps // 10)
    settings = {**asdict(corpus_args), **encoder_args.settings(), **asdict(args)}
    fingerprint = {
        **encoder_args.fingerprint(),
        **{f"--{name}": value for name, value in args.fingerprint().items()},
        "--mixed_precision": accelerator.mixed_precision,
        "the vocabulary's digest": vocabulary_digest(tokenizer),
        **{
            f"the {split} split's digest": dataset_digest(rows.remove_columns("dialogue_id"))
            for split, rows in splits.items()
        },
    }
    if args.resume_from_checkpoint:
        check_fingerprint(checkpoint or output_dir, fingerprint)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        begin_run(output_dir, fingerprint, resuming=bool(args.resume_from_checkpoint))
    if original:
        compute_as_original(model)
    if args.gradient_checkpointing:
        # Under its new name, where transformers has one.
        getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
    rates = (args.learning_rate, encoder_args.text_encoder_learning_rate, encoder_args.layer_decay)
    optimizer = torch.optim.Adam(parameter_groups(model, *rates), fused=True)
    model, optimizer = accelerator.prepare(model, optimizer)
    schedule = Schedule(
        args.lr_scheduler_type,
        optimizer.optimizer,
        args.warmup_steps,
        total_steps,
        args.lr_factor,
        args.min_learning_rate,
    )
    if accelerator.process_index:
        # Dropout differs from process to process; the first one is as it would be alone.
        set_seed(args.seed, device_specific=True)
    if tracker:
        flat = {name: value if isinstance(value, int | float | str) else str(value) for name, value in settings.items()}
        accelerator.init_trackers("precode-pretrain", config=flat, init_kwargs={"wandb": {"dir": str(output_dir)}})
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    logger.info(
        f"{corpus_args.corpus}: {', '.join(f'{len(rows):,} {split}' for split, rows in splits.items())} dialogues; "
        f"{len(tokenizer):,} words; {trained:,} trained parameters; {accelerator.num_processes} process(es) of "
        f"{torch.get_num_threads()} thread(s) on {accelerator.device.type}"
    )

    def summary(best_step: int, **scores: dict) -> RunSummary:
        return RunSummary(
            corpus=corpus_args.corpus,
            licence=corpus["train"].info.license or "licence unknown",
            seed=args.seed,
            selection=f"best {SELECTION_METRIC} on the validation split, at step {best_step}; test scored once",
            scores=scores,
            start=encoder_args.model or "from scratch",
            facts=corpus_facts(corpus, corpus_args.corpus),
            settings=hyper_parameters(encoder_args.settings(), args),
            model=model_facts(accelerator.unwrap_model(model).config),
            text_encoder=text_encoder_facts(encoder_args.text_encoder),
            language=find_language(corpus_args.language, corpus["train"], corpus_args.corpus, corpus_args.options()),
            leakage=leakage,
            start_summary=load_config(encoder_args.model).training_summary if encoder_args.model else None,
        )

    training = Pretraining(
        args,
        accelerator,
        model,
        tokenizer,
        optimizer,
        schedule,
        loader,
        num_utterances,
        splits["train"]["dialogue_id"],
        evaluations["validation"],
        total_steps,
        summary,
        fingerprint,
    )
    if checkpoint is not None:
        training.load(checkpoint)
    with Interruption() as interruption:
        training.run(interruption)

    # The test split is looked at once, with the checkpoint that the dev split chose.
    best = training.progress.best
    model = PreCodeForConversationCompletion.from_pretrained(output_dir).to(accelerator.device)
    test = evaluations["test"](model)
    logger.info(log_line("test", {"step": best["step"], **test}))
    finish_exchanges(accelerator)
    accelerator.end_training()
    if not accelerator.is_main_process:
        return
    facts = summary(best["step"], validation={name: best[name] for name in test}, test=test)
    model.config.training_summary = facts.to_dict()
    records = {"history": training.progress.history, "training_log": training.progress.training_log}
    with replaced_files(output_dir) as folder:
        model.config.save_pretrained(folder)
        write_json(
            folder / "pretrain_results.json", {**facts.to_dict(), "settings": without_folders(settings), **records}
        )
        write_model_card(folder, args.hub_model_id or args.output_dir, "convcom", facts)
    logger.info(f"The best checkpoint is in {output_dir}; fine-tune it with run_finetune.py --model {output_dir}")
    if args.push_to_hub and (address := push_checkpoint(output_dir, args.hub_model_id, args.hub_private_repo)):
        logger.info(f"Pushed to {address}")


if __name__ == "__main__":
    with one_line_errors():
        main()
