"""Measure an epoch of fine-tuning with a text encoder, against `transformers.Trainer` on the same utterances.

    OMP_NUM_THREADS=1 python -m benchmarks.text_encoder_epoch --corpus meld --data_dir MELD --text_encoder FOLDER

Trains on a random share of the training split, each way in turn, and reports seconds of processor time for a whole
epoch. The reference classifies each utterance by itself, padded to the longest one of its batch, as transformers' own
examples do. The rates of this library include its conversation encoder.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from benchmarks.documents import table
from benchmarks.evidence.baselines import labeled_texts
from data_scripts import label_names, load_corpus
from modeling_precode import PreCodeDataCollator, PreCodeForUtteranceClassification, encode_dialogues

REFERENCE = "transformers.Trainer, padded"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--text_encoder", type=Path, required=True, help="the folder of a text encoder of transformers")
    add("--corpus", default="meld")
    add("--data_dir", type=Path, help="the folder of the corpus")
    add("--contexts", nargs="+", choices=["utterance", "dialogue"], default=["utterance", "dialogue"])
    add("--share", type=float, default=0.1, help="of the training split")
    add("--batch_size", type=int, default=8, help="dialogues per step")
    add("--reference_batch_size", type=int, default=32, help="utterances per step of the reference")
    add("--rounds", type=int, default=3, help="how often each way is measured; the fastest time counts")
    return parser.parse_args()


def training_seconds(model: Any, rows: Any, collator: Any, batch_size: int) -> float:
    """The processor time of one pass over some rows."""
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder,
            num_train_epochs=1,
            per_device_train_batch_size=batch_size,
            learning_rate=5e-5,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = Trainer(model, args, collator, rows)
        start = time.process_time()
        trainer.train()
        return time.process_time() - start


def our_seconds(args: argparse.Namespace, rows: Dataset, names: list[str], context: str) -> float:
    tokenizer = AutoTokenizer.from_pretrained(args.text_encoder)
    labels = {"id2label": dict(enumerate(names)), "text_pooling": "mean", "text_context": context}
    model = PreCodeForUtteranceClassification.from_utterance_encoder(str(args.text_encoder), **labels)
    reading = {"tokenizer": tokenizer, "max_utterance_tokens": model.max_utterance_tokens, "text_context": context}
    encoded = rows.map(encode_dialogues, batched=True, fn_kwargs=reading)
    return training_seconds(model, encoded, PreCodeDataCollator(tokenizer.pad_token_id), args.batch_size)


def reference_seconds(args: argparse.Namespace, rows: Dataset, names: list[str]) -> float:
    tokenizer = AutoTokenizer.from_pretrained(args.text_encoder)
    model = AutoModelForSequenceClassification.from_pretrained(args.text_encoder, num_labels=len(names))
    texts, labels = labeled_texts(rows)
    encoded = tokenizer(texts, truncation=True)
    utterances = Dataset.from_dict({**encoded, "labels": labels})
    return training_seconds(model, utterances, DataCollatorWithPadding(tokenizer), args.reference_batch_size)


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(1)
    corpus = load_corpus(args.corpus, data_dir=args.data_dir)
    names, everything = label_names(corpus), corpus["train"]
    rows = everything.shuffle(seed=1).select(range(max(int(args.share * len(everything)), args.batch_size)))
    scale = sum(map(len, everything["utterances"])) / sum(map(len, rows["utterances"]))
    ways = {REFERENCE: lambda: reference_seconds(args, rows, names)}
    for context in args.contexts:
        ways[f"this library, {context} context"] = lambda context=context: our_seconds(args, rows, names, context)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name, measure in ways.items():
            set_seed(1)
            seconds[name].append(scale * measure())
            print(f"{name}: {seconds[name][-1]:.0f} s", flush=True)
    best = {name: min(found) for name, found in seconds.items()}
    cells = [[name, f"{value:,.0f}", f"{best[REFERENCE] / value:.2f}"] for name, value in best.items()]
    print(table([args.text_encoder.name, "core seconds per epoch", "against the reference"], cells))


if __name__ == "__main__":
    main()
