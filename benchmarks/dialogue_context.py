#!/usr/bin/env python
"""Compares what a trained text encoder reads: every utterance alone, or the dialogue as one sequence.

    python benchmarks/dialogue_context.py --text_encoder all-mpnet-base-v2 --corpus meld --data_dir MELD
    python benchmarks/dialogue_context.py --write docs/results/text-encoder.md   # trains nothing

In both cases an utterance is `Speaker: text`, its vector is the mean of the states of its own text, and the
conversation encoder of Pre-CODE reads the vectors. The scores are of the validation split: of the epoch with the best
weighted F1. Every run appends a line to the results, and is not repeated. An interrupted run starts again.
"""

import argparse
import statistics
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from datasets import Dataset
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase, get_scheduler, set_seed

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.documents import insert  # noqa: E402
from benchmarks.evidence.results import Results, key_of  # noqa: E402
from benchmarks.evidence.tables import spread  # noqa: E402
from data_scripts import label_names, load_corpus  # noqa: E402
from modeling_precode import ERCScores, PreCodeForUtteranceClassification  # noqa: E402
from modeling_precode.batching import chunks  # noqa: E402
from modeling_precode.dialogue_windows import dialogue_windows  # noqa: E402
from modeling_precode.training.optimization import parameter_groups  # noqa: E402

CONTEXTS = ("utterance", "dialogue")
CHUNK_TOKENS = 2048


class Sequence(NamedTuple):
    """What the encoder reads at once, and the utterances whose vectors are taken from it."""

    tokens: list[int]
    spans: list[tuple[int, int, int]]
    """The number of the utterance in its dialogue, and the places of its text: from, to."""


def sequences_of(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase, context: str, window: int) -> list[Sequence]:
    """The sequences of a dialogue. Those of a long dialogue are the windows of [`dialogue_windows`]."""
    utterances = [
        _tokens_of(name, text, tokenizer) for name, text in zip(row["speakers"], row["utterances"], strict=True)
    ]
    if context == "utterance":
        return [_sequence(utterances, number, number + 1, [number], tokenizer) for number in range(len(utterances))]
    spans, window_of = dialogue_windows(np.array([len(name) + len(text) for name, text in utterances]), window)
    return [
        _sequence(utterances, start, end, np.flatnonzero(window_of == number).tolist(), tokenizer)
        for number, (start, end) in enumerate(spans.tolist())
    ]


def _tokens_of(name: str | None, text: str, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    prefix, words = tokenizer([f"{name}:" if name else "", text], add_special_tokens=False)["input_ids"]
    return prefix[:16], words[:100] or [tokenizer.unk_token_id]


def _sequence(
    utterances: list[tuple[list[int], list[int]]], start: int, end: int, owned: list[int], tokenizer: Any
) -> Sequence:
    tokens, spans = [tokenizer.cls_token_id], []
    for number in range(start, end):
        name, text = utterances[number]
        if number in owned:
            spans.append((number, len(tokens) + len(name), len(tokens) + len(name) + len(text)))
        tokens += [*name, *text, tokenizer.sep_token_id]
    return Sequence(tokens, spans)


def pooled(encoder: torch.nn.Module, dialogues: list[dict[str, Any]], padding: int) -> tuple[Tensor, Tensor]:
    """The vectors (D, U, h) of the utterances of some dialogues, and their mask (D, U)."""
    mask = torch.zeros(len(dialogues), max(len(row["labels"]) for row in dialogues), dtype=torch.long)
    items = [(d, sequence) for d, row in enumerate(dialogues) for sequence in row["sequences"]]
    items.sort(key=lambda item: len(item[1].tokens), reverse=True)
    places, vectors = [], []
    for rows in chunks(np.array([len(sequence.tokens) for _, sequence in items]), CHUNK_TOKENS):
        chunk = items[rows]
        ids = torch.full((len(chunk), len(chunk[0][1].tokens)), padding)
        attention = torch.zeros_like(ids)
        for row, (_, sequence) in enumerate(chunk):
            ids[row, : len(sequence.tokens)] = torch.tensor(sequence.tokens)
            attention[row, : len(sequence.tokens)] = 1
        states = encoder(input_ids=ids, attention_mask=attention).last_hidden_state.float()
        for row, (d, sequence) in enumerate(chunk):
            for number, start, end in sequence.spans:
                vectors.append(states[row, start:end].mean(0))
                places.append(d * mask.shape[1] + number)
    stacked = torch.stack(vectors)
    flat = stacked.new_zeros(mask.numel(), stacked.shape[1]).index_copy(0, torch.tensor(places), stacked)
    mask.view(-1)[places] = 1
    return flat.view(*mask.shape, -1), mask


def logits_and_labels(model: Any, rows: list[dict[str, Any]], padding: int) -> tuple[Tensor, Tensor]:
    """The logits (N, C) of all utterances of some dialogues, and their labels (N,), -1 without one."""
    with torch.autocast("cpu", torch.bfloat16):
        vectors, mask = pooled(model.precode.utterance_encoder.encoder, rows, padding)
    logits = model(utterance_embeds=vectors, attention_mask=mask).logits
    return logits[mask.bool()], torch.tensor([label for row in rows for label in row["labels"]])


def train(args: argparse.Namespace, corpus: Any, tokenizer: Any, context: str, seed: int) -> dict[str, Any]:
    """Train a model, and return the scores of its best epoch on the validation split."""
    set_seed(seed)
    names = label_names(corpus)
    model = PreCodeForUtteranceClassification.from_utterance_encoder(
        str(args.text_encoder), text_pooling="mean", id2label=dict(enumerate(names)), dropout=0.5
    )
    splits = {split: _prepare(corpus[split], tokenizer, context, args.window) for split in ("train", "validation")}
    groups = parameter_groups(model, args.learning_rate, args.text_encoder_learning_rate, args.layer_decay)
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    steps = args.epochs * -(-len(splits["train"]) // args.batch_size)
    schedule = get_scheduler("linear", optimizer, steps // 10, steps)
    order = torch.Generator().manual_seed(seed)
    epochs, start = [], time.process_time()
    for epoch in range(args.epochs):
        model.train()
        permutation = torch.randperm(len(splits["train"]), generator=order).tolist()
        for first in range(0, len(permutation), args.batch_size):
            batch = [splits["train"][i] for i in permutation[first : first + args.batch_size]]
            logits, labels = logits_and_labels(model, batch, tokenizer.pad_token_id)
            F.cross_entropy(logits, labels, ignore_index=-1).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        scores = evaluate(model, splits["validation"], tokenizer.pad_token_id, names)
        epochs.append({name: scores[name] for name in ("weighted_f1", "macro_f1", "accuracy")})
        print(f"{context}, seed {seed}, epoch {epoch + 1}: {epochs[-1]}", flush=True)
    return {"epochs": epochs, "core_seconds": time.process_time() - start}


def _prepare(split: Dataset, tokenizer: Any, context: str, window: int) -> list[dict[str, Any]]:
    rows = [dict(row) for row in split]
    for row in rows:
        row["speakers"] = row.get("speakers") or [None] * len(row["utterances"])
        row["sequences"] = sequences_of(row, tokenizer, context, window)
    return rows


@torch.inference_mode()
def evaluate(model: Any, rows: list[dict[str, Any]], padding: int, names: list[str]) -> dict[str, Any]:
    model.eval()
    metric = ERCScores()
    for first in range(0, len(rows), 16):
        logits, labels = logits_and_labels(model, rows[first : first + 16], padding)
        metric.add_batch(predictions=logits.argmax(-1), references=labels)
    return metric.compute(label_names=names)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--text_encoder", type=Path, help="the folder of a text encoder of transformers")
    add("--corpus", default="meld")
    add("--data_dir", type=Path, help="the folder of the corpus")
    add("--contexts", nargs="+", choices=CONTEXTS, default=CONTEXTS)
    add("--seeds", nargs="+", type=int, default=[1, 2, 3])
    add("--epochs", type=int, default=3)
    add("--batch_size", type=int, default=8, help="dialogues per step")
    add("--learning_rate", type=float, default=1e-3, help="of everything above the text encoder")
    add("--text_encoder_learning_rate", type=float, default=5e-5, help="of the last layer of the text encoder")
    add("--layer_decay", type=float, default=0.9)
    add("--window", type=int, default=384, help="tokens of a sequence at most")
    add("--results", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    add("--write", type=Path, metavar="DOCUMENT", help="insert the table into this document")
    return parser.parse_args()


SETTINGS = ("corpus", "epochs", "batch_size", "learning_rate", "text_encoder_learning_rate", "layer_decay", "window")


def table_of(results: Results) -> str:
    """One row per setting: the mean and the standard deviation of the best epochs of its seeds, in percent."""
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for line in results.lines.values():
        settings = (line["settings"][name] for name in SETTINGS[1:])
        groups.setdefault((line["settings"]["corpus"], line["encoder"], *settings, line["context"]), []).append(line)
    rows = [
        "| corpus | encoder | epochs | learning rate | context | seeds | weighted F1 | macro F1 | core minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (corpus, encoder, epochs, _, _, rate, _, _, context), lines in sorted(groups.items()):
        best = [max(line["epochs"], key=lambda scores: scores["weighted_f1"]) for line in lines]
        cells = [spread([one[name] for one in best]) for name in ("weighted_f1", "macro_f1")]
        minutes = [line["core_seconds"] / 60 for line in lines if "core_seconds" in line]
        rows.append(
            f"| {corpus} | {encoder} | {epochs} | {rate:g} | {context} | {len(lines)} | {cells[0]} | {cells[1]} | "
            f"{f'{statistics.mean(minutes):.0f}' if minutes else '–'} |"
        )
    return "\n".join(rows)


def main() -> None:
    args = parse_arguments()
    results = Results(args.results)
    if args.text_encoder is not None:
        tokenizer = AutoTokenizer.from_pretrained(args.text_encoder)
        corpus = load_corpus(args.corpus, data_dir=args.data_dir)
        settings = {name: getattr(args, name) for name in SETTINGS}
        for seed, context in product(args.seeds, args.contexts):
            key = key_of("dialogue context", args.text_encoder.name, settings, context)
            if results.get(key, seed) is None:
                line = train(args, corpus, tokenizer, context, seed)
                results.add(
                    {"key": key, "seed": seed, "encoder": args.text_encoder.name, "context": context}
                    | {"settings": settings, **line}
                )
    print(table_of(results))
    if args.write:
        insert(args.write, "dialogue-context", table_of(results))


if __name__ == "__main__":
    main()
