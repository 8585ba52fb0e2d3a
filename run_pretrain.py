#!/usr/bin/env python
"""Pre-train a Pre-CODE encoder on unlabelled dialogue with Conversation Completion.

python run_pretrain.py --corpus chitchat --output_dir checkpoints/chitchat
accelerate launch run_pretrain.py --corpus opsub --data_dir subtitles.zip --output_dir checkpoints/opsub
"""

import json
import logging
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from data_scripts import load_corpus
from data_scripts.dataset_card import corpus_facts
from data_scripts.overlap import find_overlap, load_other
from modeling_precode import (
    ConvComRecall,
    DialoguesWithNegatives,
    PreCodeDataCollator,
    PreCodeForConversationCompletion,
    encode_dialogues,
)
from modeling_precode.arguments import (
    RECIPES,
    CorpusArguments,
    EncoderArguments,
    argument,
    check_output_dir,
    check_splits,
    check_tracker,
    load_config,
    one_line_errors,
    parse_arguments,
    start_output,
)
from modeling_precode.configuration_precode import CONVCOM_OBJECTIVES
from modeling_precode.model_card import hyper_parameters, push_checkpoint, run_summary, write_model_card
from modeling_precode.original_recipe import (
    DialoguesWithDrawnNegatives,
    OriginalOrder,
    original_modules,
    pretraining_settings,
    shorten_word_vectors,
)

logger = logging.getLogger("run_pretrain")
SELECTION_METRIC = "R_11@1"
EVALUATION_NEGATIVES = 10


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
    check_overlap: list[str] = argument("Print what of train stands in the test split of these, as NAME=DATA_DIR.", [])
    negatives_seed: int = argument("Seed of the evaluation's negatives.", 0)
    seed: int = argument("Seed of weights, order, dropout and training negatives.", 1)
    batch_size: int = argument("Dialogues a step and process.", 32)
    eval_batch_size: int = argument("Dialogues a step and process in evaluation.", 64)
    learning_rate: float = argument("Adam's learning rate.", 1e-3)
    max_grad_norm: float = argument("The gradient's norm is clipped to this.", 5.0)
    max_epochs: int = argument("Epochs at most.", 20)
    max_steps: int | None = argument("Steps at most.")
    eval_steps: int | None = argument("Evaluate every so many steps (default: after every epoch).")
    logging_steps: int = argument("Log the loss, learning rate and gradient norm every so many steps.", 100)
    lr_factor: float = argument("The learning rate is multiplied by this when the dev metric does not improve.", 0.75)
    min_learning_rate: float = argument("Not below this.", 2e-5)
    patience: int = argument("Stop after this many evaluations without improvement.", 3)
    report_to: str = argument("A tracker: tensorboard, trackio, wandb or none.", "none")
    push_to_hub: bool = argument("Upload the best checkpoint at the end.", False)
    hub_model_id: str | None = argument("Its name on the Hub (default: the output folder's name).")
    hub_private_repo: bool = argument("Upload to a private repository.", False)

    def __post_init__(self):
        steps = ("max_steps", "eval_steps", "logging_steps")
        for name in ("batch_size", "eval_batch_size", "max_epochs", "num_negatives", "patience", *steps):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name} must be at least 1; got {value}")
        if self.max_grad_norm <= 0:
            raise ValueError(f"--max_grad_norm must be more than 0; got {self.max_grad_norm}")
        if self.objective == "in_batch_softmax" and self.batch_size == 1:
            raise ValueError("--batch_size 1: in_batch_softmax takes its candidates from the batch's other dialogues")


class Evaluation:
    """Recall on one split, with the corpus's negatives or those that `negatives_seed` draws, the same in every run."""

    def __init__(self, dialogues, args: PretrainArguments, collator: PreCodeDataCollator, accelerator: Accelerator):
        dataset = dialogues
        if "negative_input_ids" not in dialogues.column_names:
            dataset = DialoguesWithNegatives(dialogues, EVALUATION_NEGATIVES, args.negatives_seed)
        self.loader = accelerator.prepare(DataLoader(dataset, args.eval_batch_size, collate_fn=collator))
        self.accelerator = accelerator
        self.metric = ConvComRecall()

    @torch.no_grad()
    def __call__(self, model) -> dict[str, float]:
        model.eval()
        for batch in progress(self.loader, "evaluating", self.accelerator):
            logits = model(**batch).logits.float()
            has_utterance = batch["attention_mask"].any(-1)
            # Whole numbers: padding would turn booleans into them on one process and not on another.
            is_target = torch.zeros_like(has_utterance, dtype=torch.long)
            is_target[:, 1:-1] = has_utterance[:, 2:]
            logits, is_target = self.accelerator.gather_for_metrics(
                tuple(self.accelerator.pad_across_processes(tensor, dim=1) for tensor in (logits, is_target))
            )
            scored = logits[is_target.bool()].cpu()
            self.metric.add_batch(predictions=scored.numpy(), references=[0] * len(scored))
        model.train()
        return self.metric.compute()


def progress(iterable, description: str, accelerator: Accelerator, **kwargs):
    quiet = not accelerator.is_main_process or not sys.stderr.isatty()
    return tqdm(iterable, desc=description, disable=quiet, leave=False, dynamic_ncols=True, **kwargs)


def batches(loader, dialogues, max_epochs: int):
    """The training batches of all epochs, with the number of the epoch, and new negatives in each."""
    for epoch in range(max_epochs):
        if isinstance(dialogues, DialoguesWithNegatives):
            dialogues.redraw(epoch)
        for batch in loader:
            yield epoch, batch


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
    columns = corpus[split].column_names
    encoded = corpus[split].map(
        encode, batched=True, fn_kwargs={"tokenizer": tokenizer}, remove_columns=columns, desc="tokenizing"
    )
    dialogues = encoded.filter(lambda ids: [len(d) >= 3 for d in ids], batched=True, input_columns="input_ids")
    if len(dialogues) < len(encoded):
        logger.info(f"{split}: {len(encoded) - len(dialogues)} dialogues of fewer than three utterances left out")
    return dialogues


def main() -> None:
    corpus_args, encoder_args, args = parse_arguments(
        (CorpusArguments, EncoderArguments, PretrainArguments), __doc__, pretraining_settings
    )
    original = args.recipe == "original"
    check_output_dir(args.output_dir, args.overwrite_output_dir)
    check_tracker(args.report_to)
    output_dir = Path(args.output_dir)
    tracker = None if args.report_to == "none" else args.report_to
    accelerator = Accelerator(log_with=tracker, project_dir=str(output_dir))
    if original and accelerator.num_processes > 1:
        raise ValueError(f"--recipe original trains in one process; got {accelerator.num_processes}")
    start_output(accelerator.is_main_process)
    set_seed(args.seed)

    with accelerator.main_process_first():
        options = corpus_args.options()
        corpus = load_corpus(corpus_args.corpus, corpus_args.data_dir, num_proc=corpus_args.num_proc, **options)
        check_splits(corpus)
        leakage = {}
        if accelerator.is_main_process:
            for given in args.check_overlap:
                name, _, test = load_other(given, "test", "--check_overlap", corpus_args.num_proc)
                overlap = find_overlap(corpus["train"], test)
                leakage[f"The training split against the test split of {name}"] = overlap.figures()
                logger.info(f"train against test of {name}:\n{overlap}")
        model, tokenizer = encoder_args.build(
            PreCodeForConversationCompletion,
            (row for batch in corpus["train"].iter(1000) for row in batch["utterances"]),
            args.seed,
            convcom_objective=args.objective,
        )
        splits = {split: load_dialogues(corpus, tokenizer, split) for split in ("train", "validation", "test")}
    collator = PreCodeDataCollator(tokenizer.pad_token_id)
    evaluations = {split: Evaluation(splits[split], args, collator, accelerator) for split in ("validation", "test")}
    train_dialogues, order = splits["train"].select_columns("input_ids"), None
    if args.objective == "sampled_bce":
        if original:
            sizes = [len(dialogue) for dialogue in train_dialogues["input_ids"]]
            order = OriginalOrder(len(sizes), args.seed, sizes, args.num_negatives)
            train_dialogues = DialoguesWithDrawnNegatives(train_dialogues)
        else:
            train_dialogues = DialoguesWithNegatives(train_dialogues, args.num_negatives, args.seed)
    loader = DataLoader(train_dialogues, args.batch_size, shuffle=order is None, sampler=order, collate_fn=collator)
    if original:
        shorten_word_vectors(model)
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=args.learning_rate)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=args.lr_factor, patience=0, threshold=0, min_lr=args.min_learning_rate
    )
    scheduler.best = 0.0  # a recall of 0 is no improvement

    settings = {**asdict(corpus_args), **asdict(encoder_args), **asdict(args)}
    if tracker:
        flat = {name: value if isinstance(value, int | float | str) else str(value) for name, value in settings.items()}
        accelerator.init_trackers("precode-pretrain", config=flat)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    logger.info(
        f"{corpus_args.corpus}: {', '.join(f'{len(rows):,} {split}' for split, rows in splits.items())} dialogues; "
        f"{len(tokenizer):,} words; {trained:,} trained parameters; {accelerator.num_processes} process(es) of "
        f"{torch.get_num_threads()} thread(s) on {accelerator.device.type}"
    )

    total_steps = min(args.max_epochs * len(loader), args.max_steps or sys.maxsize)
    eval_steps = min(args.eval_steps or len(loader), total_steps)
    clipped = original_modules(model) if original else [list(model.parameters())]
    history: list[dict] = []
    training_log: list[dict] = []
    best: dict = {}
    losses: list[torch.Tensor] = []
    step = utterances = bad_evaluations = 0
    evaluation_seconds = 0.0
    start = time.perf_counter()
    bar = progress(None, "pre-training", accelerator, total=total_steps)
    for epoch, batch in batches(loader, train_dialogues, args.max_epochs):
        loss = model(**batch).loss
        accelerator.backward(loss)
        norms = [accelerator.clip_grad_norm_(parameters, args.max_grad_norm) for parameters in clipped]
        optimizer.step()
        step += 1
        losses.append(loss.detach())
        utterances += int(batch["attention_mask"].any(-1).sum())
        if step % args.logging_steps == 0:
            recent = torch.stack(losses[-args.logging_steps :]).mean()
            record = {
                "step": step,
                "loss": float(accelerator.reduce(recent, "mean")),
                "learning_rate": optimizer.param_groups[0]["lr"],
                "gradient_norm": float(torch.stack(norms).norm()),
            }
            training_log.append(record)
            accelerator.log({f"train/{name}": value for name, value in record.items() if name != "step"}, step=step)
        optimizer.zero_grad()
        bar.update()
        if step % eval_steps and step < total_steps:
            continue

        evaluation_start = time.perf_counter()
        all_utterances = int(accelerator.reduce(torch.tensor(utterances, device=loss.device)))
        record = {
            "step": step,
            "epoch": epoch + 1,
            "utterances": all_utterances,
            "utterances_per_second": all_utterances / (evaluation_start - start - evaluation_seconds),
            "learning_rate": optimizer.param_groups[0]["lr"],
            "loss": float(accelerator.reduce(torch.stack(losses).mean(), "mean")),
            **evaluations["validation"](model),
        }
        evaluation_seconds += time.perf_counter() - evaluation_start
        record["seconds"] = time.perf_counter() - start
        losses.clear()
        history.append(record)
        accelerator.log(record, step=step)
        logger.info(log_line("validation", record))
        scheduler.step(record[SELECTION_METRIC])
        improved = record[SELECTION_METRIC] > best.get(SELECTION_METRIC, 0)
        bad_evaluations = 0 if improved else bad_evaluations + 1
        if improved or not best:
            best = record
            if accelerator.is_main_process:
                accelerator.unwrap_model(model).save_pretrained(output_dir)
                tokenizer.save_pretrained(output_dir)
        if step == total_steps or bad_evaluations == args.patience:
            break
    bar.close()

    # The test split is looked at once, with the checkpoint that the dev split chose.
    accelerator.wait_for_everyone()
    model = PreCodeForConversationCompletion.from_pretrained(output_dir).to(accelerator.device)
    test = evaluations["test"](model)
    logger.info(log_line("test", {"step": best["step"], **test}))
    accelerator.end_training()
    if not accelerator.is_main_process:
        return
    summary = run_summary(
        corpus=corpus_args.corpus,
        licence=corpus["train"].info.license or "licence unknown",
        seed=args.seed,
        selection=f"best {SELECTION_METRIC} on the validation split, at step {best['step']}; test scored once",
        scores={"validation": {name: best[name] for name in test}, "test": test},
        start=encoder_args.model or "from scratch",
        facts=corpus_facts(corpus, corpus_args.corpus),
        settings=hyper_parameters(encoder_args, args),
        leakage=leakage,
        start_summary=load_config(encoder_args.model).training_summary if encoder_args.model else None,
    )
    model.config.training_summary = summary
    model.config.save_pretrained(output_dir)
    results = {**summary, "settings": settings, "history": history, "training_log": training_log}
    (output_dir / "pretrain_results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    write_model_card(output_dir, args.hub_model_id or args.output_dir, "convcom", summary)
    logger.info(f"The best checkpoint is in {output_dir}; fine-tune it with run_finetune.py --model {output_dir}")
    if args.push_to_hub and (address := push_checkpoint(output_dir, args.hub_model_id, args.hub_private_repo)):
        logger.info(f"Pushed to {address}")


def log_line(split: str, record: dict) -> str:
    parts = [f"step {record['step']:,}", split]
    if "loss" in record:
        parts += [f"loss {record['loss']:.4f}", f"lr {record['learning_rate']:.2e}", f"{record['seconds']:.0f} s"]
        parts += [f"{record['utterances_per_second']:,.0f} utterances/s"]
    parts += [f"{name} {value:.4f}" for name, value in record.items() if name.startswith("R_")]
    return "  ".join(parts)


if __name__ == "__main__":
    with one_line_errors():
        main()
