"""Compares lengths of the silence at which films are cut into dialogues, by pre-training on each cut.

    python -m benchmarks.cutting --data_dir DATA

`DATA` contains `subtitles_srt.zip`, `glove.6B.100d.subset.txt.gz` and the folders `dailydialog`, `emorynlp` and `meld`.
For each cut, a model is trained for one epoch. It is then scored on Conversation Completion on the validation splits of
the three corpora, which it has never seen and which are the same for all cuts. Results that are already in the output
folder are not computed again.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from benchmarks.documents import table
from data_scripts import load_corpus
from modeling_precode import (
    ConvComRecall,
    DialoguesWithNegatives,
    PreCodeDataCollator,
    PreCodeForConversationCompletion,
    PreCodeTokenizer,
    encode_dialogues,
)

CORPORA = ("dailydialog", "emorynlp", "meld")
PRETRAIN = (
    "run_pretrain.py --corpus opsub --data_dir {data}/subtitles_srt.zip --corpus_options max_silence={silence} "
    "--word_vectors {data}/glove.6B.100d.subset.txt.gz --size small --dropout 0.2 --learning_rate 3e-3 --max_epochs 1 "
    "--batch_size 32 --lr_scheduler_type plateau --num_proc 2 --output_dir {output}"
)


@torch.no_grad()
def recall(checkpoint: Path, corpus: str, data_dir: Path) -> float:
    """R_11@1 on the dialogues of a validation split."""
    model = PreCodeForConversationCompletion.from_pretrained(checkpoint).eval()
    tokenizer = PreCodeTokenizer.from_pretrained(checkpoint)
    rows = load_corpus(corpus, data_dir)["validation"]
    encoded = encode_dialogues({"utterances": rows["utterances"]}, tokenizer)["input_ids"]
    dialogues = [{"input_ids": dialogue} for dialogue in encoded if len(dialogue) >= 3]
    metric = ConvComRecall()
    for batch in DataLoader(DialoguesWithNegatives(dialogues, 10, seed=0), 64, collate_fn=PreCodeDataCollator()):
        logits = model(**batch).logits
        scored = logits[:, 1:-1][batch["attention_mask"].any(-1)[:, 2:]]
        metric.add_batch(predictions=scored.numpy(), references=[0] * len(scored))
    return metric.compute()["R_11@1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--output_dir", type=Path, default=Path("checkpoints/cutting"))
    parser.add_argument("--silences", type=float, nargs="+", default=[2, 5, 10])
    args = parser.parse_args()
    rows = []
    for silence in args.silences:
        folder = args.output_dir / f"silence_{silence:g}"
        if not (folder / "pretrain_results.json").is_file():
            command = PRETRAIN.format(data=args.data_dir.resolve(), silence=silence, output=folder.resolve())
            subprocess.run([sys.executable, *shlex.split(command)], check=True)
        results = json.loads((folder / "pretrain_results.json").read_text(encoding="utf-8"))
        scores = [recall(folder, corpus, args.data_dir / corpus) for corpus in CORPORA]
        rows.append([f"{silence:g} s", f"{results['history'][-1]['utterances']:,}", *(f"{s:.4f}" for s in scores)])
    print(table(["silence", "utterances read", *CORPORA], rows))


if __name__ == "__main__":
    main()
