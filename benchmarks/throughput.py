"""Measures how fast the model trains and predicts on real dialogues, compared with the schedule of the original.

    python -m benchmarks.throughput
    python -m benchmarks.throughput --corpus opsub --data_dir subtitles.zip \\
        --labeled_corpus meld --labeled_data_dir MELD

The baseline (1.0 x) is the original: one dialogue per step, every utterance padded to 60 tokens, in plain PyTorch
(`benchmarks/plain.py`) and float32. It is compared with the same model in this library, with one dialogue per step and
with `--batch_tokens` tokens per step. Only utterances and tokens of the dialogues are counted, neither padding nor
negatives. The arithmetic is counted as if every word were multiplied each time it occurs and every first step had a
product. It is compared with the product of two large matrices on this machine. All rows take turns for several rounds,
and the best round of each counts, because other processes can only slow a round down.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from benchmarks import plain
from benchmarks.device import peak_megabytes, peak_product, reset_peak, synchronize
from benchmarks.documents import table
from data_scripts import load_corpus
from modeling_precode import (
    SIZES,
    ConversationEmotionPipeline,
    DialoguesWithNegatives,
    PreCodeConfig,
    PreCodeDataCollator,
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    PreCodeTokenizer,
    encode_dialogues,
)
from modeling_precode.training.memory import keep_freed_memory
from modeling_precode.training.original_recipe import original_modules

Dialogues = list[list[list[int]]]
LABELS = 7


@dataclass
class Row:
    """A task with a schedule, and its result."""

    task: str
    schedule: str
    # A function that runs for a number of seconds, and returns utterances, tokens, steps and seconds.
    work: Callable[[float], tuple[int, int, int, float]]
    # A function that returns the floating-point operations for a number of utterances and tokens of dialogues.
    arithmetic: Callable[[int, int], float]
    utterances_per_second: float = 0.0
    tokens_per_second: float = 0.0
    milliseconds_per_step: float = 0.0
    gflops_per_second: float = 0.0
    peak_megabytes: float = 0.0

    def take_turn(self, seconds: float, device: torch.device) -> None:
        reset_peak(device)
        utterances, tokens, steps, spent = self.work(seconds)
        self.peak_megabytes = max(self.peak_megabytes, peak_megabytes(device))
        if utterances / spent > self.utterances_per_second:
            self.utterances_per_second = utterances / spent
            self.tokens_per_second = tokens / spent
            self.milliseconds_per_step = 1000 * spent / steps
            self.gflops_per_second = self.arithmetic(utterances, tokens) / spent / 1e9


def arithmetic(config: PreCodeConfig, training: bool, negatives: float = 0.0, head: int = 0):
    """The operations of the matrix products for utterances and tokens, with a number of negatives per utterance."""
    word, size, states = config.word_vector_size, config.utterance_hidden_size, config.conversation_hidden_size
    # A training step computes each product three times: in the forward pass, and for the gradients of both factors.
    # Frozen word vectors need no gradient.
    times, word_times = (3, 2) if training else (1, 1)

    def count(utterances: int, tokens: int) -> float:
        encoded = 1 + negatives
        a_token = 2 * 3 * size * (word_times * word + times * size)
        an_utterance = encoded * times * 2 * size * size + 2 * times * 3 * states * (size + states) + times * head
        return 2.0 * (encoded * tokens * a_token + utterances * an_utterance)

    return count


class Bench:
    """A model, dialogues, and the steps over them."""

    def __init__(self, args: argparse.Namespace, vocab_size: int):
        self.device, self.dtype = torch.device(args.device), getattr(torch, args.dtype)
        self.args = args
        self.config = {
            "vocab_size": vocab_size,
            "word_vector_size": args.word_vector_size,
            "utterance_hidden_size": args.hidden_size,
            "conversation_hidden_size": args.hidden_size,
            "freeze_word_vectors": True,
            "pooling_length": plain.PADDED_TOKENS,
        }
        self.collate = PreCodeDataCollator(with_layout=self.device.type == "cuda")

    def model(self, model_class: type, **settings):
        torch.manual_seed(0)
        return model_class(PreCodeConfig(**self.config, **settings)).to(self.device)

    def training(self, model, batches: Callable[[], Iterator[list]], loss: Callable, size: Callable, original=False):
        """Run training steps. `loss` and `size` (in utterances and tokens) are functions of a batch."""
        modules = original_modules(model)
        parameters = sum(modules, [])
        if original:  # the original has an optimizer and a clip for each module
            optimizers = [torch.optim.Adam(module, lr=2e-4) for module in modules]
        else:
            optimizers, modules = [torch.optim.Adam(parameters, lr=2e-4, fused=True)], [parameters]

        def step(batch):
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32 and not original):
                value = loss(batch)
            value.backward()
            for module in modules:
                torch.nn.utils.clip_grad_norm_(module, 5.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()

        return self.work(batches(), step, size)

    def work(self, batches: Iterator, step: Callable, size: Callable):
        for _ in range(2):
            step(next(batches))

        def work(seconds: float) -> tuple[int, int, int, float]:
            utterances = tokens = steps = 0
            synchronize(self.device)
            start = time.perf_counter()
            while time.perf_counter() - start < seconds:
                batch = next(batches)
                step(batch)
                counted = size(batch)
                utterances, tokens, steps = utterances + counted[0], tokens + counted[1], steps + 1
            synchronize(self.device)
            return utterances, tokens, steps, time.perf_counter() - start

        return work

    def collated(self, rows: list[dict]) -> dict:
        batch = self.collate(rows)
        return {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}


def size_of(dialogues: Dialogues) -> tuple[int, int]:
    return sum(map(len, dialogues)), sum(len(utterance) for dialogue in dialogues for utterance in dialogue)


def budgets(sizes: list[int], budget: int, shuffle: bool = True) -> Iterator[list[int]]:
    """Yield batches of indices of dialogues with about the given number of tokens, without end."""
    generator = np.random.default_rng(0)
    while True:
        batch, tokens = [], 0
        for index in generator.permutation(len(sizes)) if shuffle else np.argsort(sizes):
            batch.append(int(index))
            tokens += sizes[index]
            if tokens >= budget:
                yield batch
                batch, tokens = [], 0


def pretraining_rows(bench: Bench, dialogues: Dialogues) -> Iterator[Row]:
    drawn = DialoguesWithNegatives([{"input_ids": dialogue} for dialogue in dialogues], 10, seed=0)
    sizes = [size_of([dialogue])[1] for dialogue in dialogues]
    utterances = sum(map(len, dialogues)) / len(dialogues)
    model = bench.model(PreCodeForConversationCompletion, convcom_objective="sampled_bce").train()
    config = model.config
    head = 2 * config.conversation_hidden_size * config.utterance_hidden_size

    def dialogue_sizes(rows: list[dict]) -> tuple[int, int]:
        return size_of([row["input_ids"] for row in rows])

    def library_loss(model):
        return lambda rows: model(**bench.collated(rows)).loss

    def with_negatives(budget: int):
        return lambda: ([drawn[i] for i in batch] for batch in budgets(sizes, budget))

    def plain_loss(rows):
        [row] = rows
        return plain.convcom_loss(model, row["input_ids"], row["negative_input_ids"])

    count = arithmetic(config, training=True, negatives=10 / utterances, head=head)
    task = "pre-training, sampled_bce"
    if bench.device.type == "cpu":
        yield Row(task, "original", bench.training(model, with_negatives(1), plain_loss, dialogue_sizes, True), count)
    for name, budget in bench.args.schedules:
        yield Row(task, name, bench.training(model, with_negatives(budget), library_loss(model), dialogue_sizes), count)
    model = bench.model(PreCodeForConversationCompletion, convcom_objective="in_batch_softmax").train()
    for name, budget in bench.args.schedules[1:]:

        def rows(budget=budget):
            return ([{"input_ids": dialogues[i]} for i in batch] for batch in budgets(sizes, budget))

        work = bench.training(model, rows, library_loss(model), dialogue_sizes)
        yield Row("pre-training, in_batch_softmax", name, work, arithmetic(config, training=True, head=head))


def finetuning_rows(bench: Bench, dialogues: Dialogues) -> Iterator[Row]:
    model = bench.model(PreCodeForUtteranceClassification, num_labels=LABELS).train()
    sizes = [size_of([dialogue])[1] for dialogue in dialogues]
    generator = np.random.default_rng(0)
    labels = [generator.integers(LABELS, size=len(dialogue)).tolist() for dialogue in dialogues]

    def rows(budget: int):
        batches = budgets(sizes, budget)
        return lambda: ([{"input_ids": dialogues[i], "labels": labels[i]} for i in batch] for batch in batches)

    def dialogue_sizes(batch: list[dict]) -> tuple[int, int]:
        return size_of([row["input_ids"] for row in batch])

    def plain_loss(batch):
        [row] = batch
        return cross_entropy(plain.erc_logits(model, row["input_ids"]), torch.tensor(row["labels"]))

    def library_loss(batch):
        return model(**bench.collated(batch)).loss

    count = arithmetic(model.config, training=True, head=classifier_head(model.config))
    if bench.device.type == "cpu":
        yield Row("fine-tuning", "original", bench.training(model, rows(1), plain_loss, dialogue_sizes, True), count)
    for name, budget in bench.args.schedules:
        yield Row("fine-tuning", name, bench.training(model, rows(budget), library_loss, dialogue_sizes), count)


def classifier_head(config: PreCodeConfig) -> int:
    inputs = config.utterance_hidden_size + 2 * config.conversation_hidden_size
    return config.classifier_hidden_size * (inputs + LABELS)


def prediction_rows(bench: Bench, texts: list[list[str]], dialogues: Dialogues, tokenizer) -> Iterator[Row]:
    plain_model = bench.model(PreCodeForUtteranceClassification, num_labels=LABELS).eval()
    model = bench.model(PreCodeForUtteranceClassification, num_labels=LABELS).to(bench.dtype).eval()
    sizes = [size_of([dialogue])[1] for dialogue in dialogues]
    emotions = ConversationEmotionPipeline(model=model, tokenizer=tokenizer, device=bench.device)
    window = 4096

    def batches(budget: int, window: int = window):
        """Batch dialogues of similar size together, from a few thousand at a time, as the pipeline does."""
        while True:
            for start in range(0, len(dialogues), window):
                part = sizes[start : start + window]
                for batch in budgets(part, budget, shuffle=False) if budget > 1 else ([i] for i in range(len(part))):
                    yield [dialogues[start + i] for i in batch]
                    if batch[-1] == int(np.argmax(part)):
                        break

    @torch.no_grad()
    def plain_logits(batch: Dialogues):
        return plain.erc_logits(plain_model, batch[0]).softmax(-1).tolist()

    @torch.no_grad()
    def library_logits(batch: Dialogues):
        rows = bench.collated([{"input_ids": dialogue} for dialogue in batch])
        return model(**rows).logits.float().softmax(-1).tolist()

    def from_text():
        while True:
            yield from range(0, len(texts), window)

    def text_size(start: int) -> tuple[int, int]:
        return size_of(dialogues[start : start + window])

    count = arithmetic(model.config, training=False, head=classifier_head(model.config))
    if bench.device.type == "cpu":
        yield Row("prediction", "original", bench.work(batches(1), plain_logits, size_of), count)
    for name, budget in bench.args.schedules:
        yield Row("prediction", name, bench.work(batches(budget), library_logits, size_of), count)
    work = bench.work(from_text(), lambda start: emotions(texts[start : start + window]), text_size)
    yield Row("prediction", "pipeline, from raw text", work, count)


def table_of(rows: list[Row], peak: float) -> str:
    header = ["task", "schedule", "utterances/s", "tokens/s", "ms per step", "GFLOP/s", "of peak", "peak MB", "speed"]
    lines = []
    one: dict[str, float] = {}
    for row in rows:
        reference = one.setdefault(row.task.split(",")[0], row.utterances_per_second)
        rates = [f"{row.utterances_per_second:,.0f}", f"{row.tokens_per_second:,.0f}"]
        speed = [f"{row.milliseconds_per_step:,.1f}", f"{row.gflops_per_second:,.0f}"]
        shares = [f"{row.gflops_per_second / peak:.0%}", f"{row.peak_megabytes:,.0f}"]
        cells = [row.task, row.schedule, *rates, *speed, *shares]
        lines.append([*cells, f"{row.utterances_per_second / reference:.1f} x"])
    return table(header, lines)


def encoded_corpus(name: str, data_dir: str | None, limit: int) -> list[list[str]]:
    rows = load_corpus(name, data_dir)["train"]
    return [row for row in rows.select(range(min(limit, len(rows))))["utterances"] if len(row) >= 3]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="chitchat", help="the corpus for pre-training and prediction")
    parser.add_argument("--data_dir")
    parser.add_argument("--labeled_corpus", default="sample", help="the corpus for fine-tuning")
    parser.add_argument("--labeled_data_dir")
    parser.add_argument("--tasks", nargs="+", default=["pretrain", "finetune", "predict"])
    parser.add_argument("--hidden_size", type=int, default=SIZES["mid"])
    parser.add_argument("--word_vector_size", type=int, default=300)
    parser.add_argument("--batch_tokens", type=int, default=8192)
    parser.add_argument("--dialogues", type=int, default=20_000, help="the maximum number of dialogues to read")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--threads", type=int, help="threads of PyTorch (default: the number of cores)")
    parser.add_argument("--seconds", type=float, default=5, help="the duration of a turn in seconds")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--json", type=Path, help="also write the figures to this JSON file")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    keep_freed_memory()
    args.schedules = [("one dialogue per step", 1), (f"{args.batch_tokens:,} tokens per step", args.batch_tokens)]

    texts = encoded_corpus(args.corpus, args.data_dir, args.dialogues)
    labeled = encoded_corpus(args.labeled_corpus, args.labeled_data_dir, args.dialogues)
    tokenizer = PreCodeTokenizer.train([*texts, *labeled])
    dialogues, labeled_ids = (
        encode_dialogues({"utterances": part}, tokenizer)["input_ids"] for part in (texts, labeled)
    )
    bench = Bench(args, len(tokenizer))
    rows: list[Row] = []
    if "pretrain" in args.tasks:
        rows += pretraining_rows(bench, dialogues)
    if "finetune" in args.tasks:
        rows += finetuning_rows(bench, labeled_ids)
    if "predict" in args.tasks:
        rows += prediction_rows(bench, texts, dialogues, tokenizer)
    peaks = []
    for _ in range(args.rounds):
        peaks.append(peak_product(bench.device, bench.dtype))
        for row in rows:
            row.take_turn(args.seconds, bench.device)
    peak = max(peaks)
    machine = torch.cuda.get_device_name() if bench.device.type == "cuda" else f"{platform.machine()} CPU"
    utterances, tokens = size_of(dialogues)
    print(
        f"{args.corpus}: {len(dialogues):,} dialogues, {utterances / len(dialogues):.1f} utterances each, "
        f"{tokens / utterances:.1f} tokens each; hidden size {args.hidden_size}, {args.dtype}; {machine}, "
        f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}; matrix products reach {peak:,.0f} GFLOP/s\n\n"
        + table_of(rows, peak)
    )
    if args.json:
        figures = [{k: v for k, v in asdict(row).items() if not callable(v)} for row in rows]
        facts = {"arguments": {k: str(v) for k, v in vars(args).items()}, "machine": machine, "peak_gflops": peak}
        args.json.write_text(json.dumps({**facts, "rows": figures}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
