"""Measures the peak memory of `precode predict` on a long table, and its speed compared with the pipeline alone.

    python -m benchmarks.long_table --rows 1000000
    python -m benchmarks.long_table --rows 1000000 --order time --output_format xlsx

The script generates the table: one message of invented words per row, in dialogues of ten messages, with further
columns that the command copies. In the order `time`, the rows of a hundred dialogues alternate. In the order `mixed`,
all rows are shuffled. Without `--model`, the checkpoint has random weights, which take as much time as trained ones.

Each measurement runs in a separate process. The pipeline alone labels dialogues that are already in memory. The time of
the command for a table of one row is its start, and is subtracted. The ratio of wall-clock times needs a quiet machine.
The ratio of processor times is about the same on a busy one.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

COLUMNS = ["message", "sent", "channel", "dialogue_id", "speaker", "text"]
WORDS, MEAN_LENGTH, MOST_ALONE = 20_000, 9, 100_000
SYLLABLES = ["ba", "de", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu"]


def word(number: int) -> str:
    return "".join(SYLLABLES[int(digit)] for digit in str(number))


def texts(count: int) -> Iterator[str]:
    """Yield messages. The frequencies of the words are distributed as in a language."""
    random = np.random.default_rng(0)
    words = [word(number) for number in range(WORDS)]
    for _ in range(count):
        length = 1 + random.poisson(MEAN_LENGTH - 1)
        yield " ".join(words[i] for i in (WORDS ** random.random(length) - 1).astype(int))


def dialogue_numbers(rows: int, order: str) -> np.ndarray:
    """(rows,) the number of the dialogue of each row."""
    random = np.random.default_rng(1)
    numbers = np.arange(rows) // 10
    if order == "time":
        for start in range(0, rows, 1000):
            random.shuffle(numbers[start : start + 1000])
    elif order == "mixed":
        random.shuffle(numbers)
    return numbers


def write_table(path: Path, rows: int, order: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row, (dialogue, text) in enumerate(zip(dialogue_numbers(rows, order).tolist(), texts(rows), strict=True)):
            sent = f"2024-01-01T{row // 3600 % 24:02}:{row // 60 % 60:02}:{row % 60:02}"
            writer.writerow([row, sent, f"channel {dialogue % 7}", f"d{dialogue}", f"user {row % 3}", text])


def write_checkpoint(folder: Path, size: str) -> None:
    from modeling_precode import SIZES, PreCodeConfig, PreCodeForUtteranceClassification, PreCodeTokenizer

    tokenizer = PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", *map(word, range(WORDS))])
    labels = ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
    config = PreCodeConfig(
        vocab_size=len(tokenizer),
        id2label=dict(enumerate(labels)),
        utterance_hidden_size=SIZES[size],
        conversation_hidden_size=SIZES[size],
    )
    PreCodeForUtteranceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


class Cost(NamedTuple):
    """The wall-clock time and the processor time in seconds, and the peak resident memory in megabytes."""

    seconds: float
    processor_seconds: float
    megabytes: float = 0.0


def pipeline_alone(model: str, rows: int) -> Cost:
    """Measure the pipeline on dialogues in memory, without its start."""
    from transformers import pipeline

    from modeling_precode.default_model import checkpoint_path

    emotions = pipeline("conversation-emotion", model=checkpoint_path(model))
    turns = [{"speaker": f"user {row % 3}", "text": text} for row, text in enumerate(texts(rows))]
    dialogues = [turns[start : start + 10] for start in range(0, rows, 10)]
    emotions(dialogues[:20])
    start, processor_start = time.perf_counter(), time.process_time()
    for _ in emotions(iter(dialogues)):
        pass
    return Cost(time.perf_counter() - start, time.process_time() - processor_start)


def command(model: str, table: Path, output: Path, *options: str) -> Cost:
    """Measure `precode predict`, from its start to its end."""
    arguments = ["predict", str(table), "--model", model, "--output", str(output), *options]
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "modeling_precode.cli.main", *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"precode {' '.join(arguments)} failed; got exit status {status}; see its last line")
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, kilobytes / 1024)


def report(args: argparse.Namespace, own: Cost, own_rows: int, start: Cost, whole: Cost) -> None:
    print(f"{args.rows:,} rows in the order {args.order}, to {args.output_format}")
    print(f"peak memory        {whole.megabytes:,.0f} MB; {start.megabytes:,.0f} MB on a table of one row")
    for name, field in (("by the clock", "seconds"), ("by processor time", "processor_seconds")):
        alone = own_rows / getattr(own, field)
        speed = args.rows / (getattr(whole, field) - getattr(start, field))
        begin = getattr(start, field)
        print(
            f"{name:<18} {speed:,.0f} utterances/s, after a start of {begin:.1f} s; the pipeline alone {alone:,.0f}; "
            f"ratio {speed / alone:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--order", choices=["dialogue", "time", "mixed"], default="dialogue")
    parser.add_argument(
        "--model", help="folder of a checkpoint, or default (without it: random weights of the size --size)"
    )
    parser.add_argument("--size", choices=["small", "mid", "large"], default="small")
    parser.add_argument("--output_format", choices=["csv", "jsonl", "parquet", "xlsx"], default="csv")
    parser.add_argument("--resume", action="store_true", help="also keep the labels beside the output")
    parser.add_argument(
        "--alone", action="store_true", help="measure the pipeline alone in this process, and print JSON"
    )
    args = parser.parse_args()
    if args.alone:
        print(json.dumps(pipeline_alone(args.model, args.rows)))
        return
    with tempfile.TemporaryDirectory() as folder:
        model, table, one = args.model or str(Path(folder, "model")), Path(folder, "in.csv"), Path(folder, "one.csv")
        if not args.model:
            write_checkpoint(Path(model), args.size)
        write_table(table, args.rows, args.order)
        write_table(one, 1, args.order)
        own_rows = min(args.rows, MOST_ALONE)
        alone = [sys.executable, "-m", "benchmarks.long_table", "--alone", "--model", model, "--rows", str(own_rows)]
        last = subprocess.run(alone, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]
        output, options = Path(folder, f"out.{args.output_format}"), ["--resume"] if args.resume else []
        start = command(model, one, output, *options)
        report(args, Cost(*json.loads(last)), own_rows, start, command(model, table, output, *options))


if __name__ == "__main__":
    main()
