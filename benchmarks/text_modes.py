"""Measures how fast the pipeline labels raw text in the text mode `unicode`, compared with `clean`.

    OMP_NUM_THREADS=1 python -m benchmarks.text_modes
    OMP_NUM_THREADS=1 python -m benchmarks.text_modes --corpus meld --data_dir MELD --default

The vocabulary of each mode comes from the training split, and so does the text: whole dialogues of it. The weights are
random, which costs as much as trained ones. The modes take turns. In each turn, the caches of the tokenizer are empty
at first. Speeds are by processor time, which depends little on what else runs; the ratio is the median of those of all
turns. `--default` also measures the model that comes with the package, by the clock too.
"""

import argparse
import copy
import time
from statistics import median

import torch
from transformers import pipeline

from benchmarks.documents import table, table_row
from data_scripts import load_corpus
from modeling_precode import (
    SIZES,
    ConversationEmotionPipeline,
    PreCodeConfig,
    PreCodeForUtteranceClassification,
    PreCodeTokenizer,
)
from modeling_precode.training.memory import keep_freed_memory

MODES = ("clean", "unicode")
LABELS = ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
# Each mode labels this many dialogues before the clock starts.
WARM_UP = 20


def first_dialogues(dialogues: list[list[str]], utterances: int) -> list[list[str]]:
    """The first dialogues, until they have this many utterances."""
    chosen: list[list[str]] = []
    while utterances > 0 and len(chosen) < len(dialogues):
        chosen.append(dialogues[len(chosen)])
        utterances -= len(chosen[-1])
    return chosen


def random_model(tokenizer: PreCodeTokenizer, size: str) -> PreCodeForUtteranceClassification:
    torch.manual_seed(0)
    config = PreCodeConfig(
        vocab_size=len(tokenizer),
        id2label=dict(enumerate(LABELS)),
        utterance_hidden_size=SIZES[size],
        conversation_hidden_size=SIZES[size],
    )
    return PreCodeForUtteranceClassification(config).eval()


def processor_seconds(
    model: PreCodeForUtteranceClassification, tokenizer: PreCodeTokenizer, texts: list[list[str]]
) -> float:
    emotions = ConversationEmotionPipeline(model=model, tokenizer=copy.deepcopy(tokenizer), device="cpu")
    start = time.process_time()
    emotions(texts)
    return time.process_time() - start


def compare(tokenizers: dict[str, PreCodeTokenizer], size: str, texts: list[list[str]], turns: int) -> str:
    """The row of a size: utterances per second in both modes, and the ratio."""
    models = {mode: random_model(tokenizer, size) for mode, tokenizer in tokenizers.items()}
    seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
    for mode in MODES:
        processor_seconds(models[mode], tokenizers[mode], texts[:WARM_UP])
    for _ in range(turns):
        for mode in MODES:
            seconds[mode].append(processor_seconds(models[mode], tokenizers[mode], texts))
    utterances = sum(map(len, texts))
    clean, unicode = (f"{utterances / median(seconds[mode]):,.0f}" for mode in MODES)
    ratio = median(clean / unicode for clean, unicode in zip(*seconds.values(), strict=True))
    return table_row([size, clean, unicode, f"{ratio:.2f}"])


def default_model(texts: list[list[str]], turns: int) -> str:
    """The speeds of the model that comes with the package, in its best turn."""
    emotions = pipeline("conversation-emotion", device="cpu")
    emotions(texts[:WARM_UP])
    utterances, clock, processor = sum(map(len, texts)), [], []
    for _ in range(turns):
        start, processor_start = time.perf_counter(), time.process_time()
        emotions(texts)
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - processor_start)
    return (
        f"the default model, {torch.get_num_threads()} thread(s): {utterances / min(clock):,.0f} utterances/s by the "
        f"clock, {utterances / min(processor):,.0f} by processor time"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="sample")
    parser.add_argument("--data_dir")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=["small", "mid"])
    parser.add_argument("--utterances", type=int, default=10_000, help="the number of utterances in a turn, at most")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--default", action="store_true", help="the speed of the default model, too")
    args = parser.parse_args()
    keep_freed_memory()
    dialogues = list(load_corpus(args.corpus, args.data_dir)["train"]["utterances"])
    texts = first_dialogues(dialogues, args.utterances)
    tokenizers = {mode: PreCodeTokenizer.train(dialogues, text_mode=mode) for mode in MODES}
    print(f"{args.corpus}: {sum(map(len, texts)):,} utterances in {len(texts):,} dialogues\n")
    print(table(["size", "`clean`, utterances/s", "`unicode`, utterances/s", "ratio"]))
    for size in args.sizes:
        print(compare(tokenizers, size, texts, args.turns), flush=True)
    if args.default:
        print(f"\n{default_model(texts, args.turns)}")


if __name__ == "__main__":
    main()
