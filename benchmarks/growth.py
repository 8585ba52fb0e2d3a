"""Measures the time and the memory of one epoch of pre-training, for corpora and models of several sizes.

    python -m benchmarks.growth --corpus opsub --data_dir subtitles.zip

Dialogues are drawn at random until they have the given number of utterances. A corpus that is too small is repeated.
Every line of the table comes from a separate process. The memory is the maximum of its anonymous resident memory during
training, without the pages of the corpus file, which the system keeps in memory while there is room.
"""

import argparse
import json
import subprocess
import sys
import time
from itertools import chain, islice

import numpy as np
import torch
from torch.utils.data import Subset

from benchmarks.documents import table, table_row
from benchmarks.memory import megabytes
from data_scripts import load_corpus
from modeling_precode import (
    PreCodeConfig,
    PreCodeDataCollator,
    PreCodeForConversationCompletion,
    PreCodeTokenizer,
    encode_dialogues,
)
from modeling_precode.training.batches import DialogueBatches, DialogueLoader
from modeling_precode.training.encoded_dialogues import EncodedDialogues
from modeling_precode.training.memory import keep_freed_memory

WARM_UP = 5


def one_pass(args: argparse.Namespace, utterances: int, size: int) -> dict[str, float]:
    keep_freed_memory()
    corpus = load_corpus(args.corpus, args.data_dir)["train"]
    tokenizer = PreCodeTokenizer.train(row for batch in corpus.iter(1000) for row in batch["utterances"])
    encoded = corpus.map(
        encode_dialogues, batched=True, fn_kwargs={"tokenizer": tokenizer}, remove_columns=corpus.column_names
    )
    dialogues = EncodedDialogues(encoded)
    counts, tokens = dialogues.sizes()
    order = np.random.default_rng(0).permutation(len(counts))
    repeated = np.tile(order, -(-utterances // int(counts.sum())))
    picked = repeated[: np.searchsorted(counts[repeated].cumsum(), utterances) + 1]
    batches = DialogueBatches(tokens[picked], seed=0, batch_tokens=args.batch_tokens)
    loader = DialogueLoader(Subset(dialogues, picked), batches, collate_fn=PreCodeDataCollator())
    config = PreCodeConfig(
        vocab_size=len(tokenizer), utterance_hidden_size=size, conversation_hidden_size=size, freeze_word_vectors=True
    )
    torch.manual_seed(0)
    model = PreCodeForConversationCompletion(config).train()
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=1e-3, fused=True)
    # The first steps allocate memory, regardless of the length of the epoch, and are not timed.
    warm_up = list(islice(loader, WARM_UP))
    memory, start = 0.0, 0.0
    for step, batch in enumerate(chain(warm_up, loader)):
        if step == WARM_UP:
            start = time.perf_counter()
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()
        memory = max(memory, megabytes("RssAnon"))
    trained = int(counts[picked].sum())
    return {"utterances": trained, "seconds": time.perf_counter() - start, "megabytes": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="chitchat")
    parser.add_argument("--data_dir")
    parser.add_argument("--utterances", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--hidden_sizes", type=int, nargs="+", default=[150, 300, 450])
    parser.add_argument("--batch_tokens", type=int, default=8192)
    parser.add_argument("--one", action="store_true", help="compute one line in this process, as JSON")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one_pass(args, args.utterances[0], args.hidden_sizes[0])))
        return
    print(table(["hidden size", "utterances", "seconds", "utterances/s", "against the smallest", "MB"]))
    for size in args.hidden_sizes:
        slowest = None
        for utterances in args.utterances:
            command = [sys.executable, "-m", "benchmarks.growth", "--one", "--corpus", args.corpus]
            command += ["--utterances", str(utterances), "--hidden_sizes", str(size)]
            command += ["--batch_tokens", str(args.batch_tokens)]
            command += ["--data_dir", args.data_dir] if args.data_dir else []
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
            line = json.loads(done.stdout.splitlines()[-1])
            each = line["seconds"] / line["utterances"]
            slowest = slowest or each
            cells = [str(size), f"{line['utterances']:,}", f"{line['seconds']:.1f}", f"{1 / each:,.0f}"]
            print(table_row([*cells, f"{each / slowest:.2f}", f"{line['megabytes']:,.0f}"]), flush=True)


if __name__ == "__main__":
    main()
