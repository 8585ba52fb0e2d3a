"""The command `precode`: `precode predict FILE` labels every utterance of the dialogues in a file."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TextIO

from data_scripts.building.dialogues import Dialogue
from data_scripts.building.options import parse_options
from data_scripts.formats.dialogue_files import TEXT_READERS, Columns, read_dialogues, speaker_and_text
from data_scripts.formats.reading import read_lines
from data_scripts.tools.console import Parser, one_line_errors
from data_scripts.tools.whole_files import whole_file

from ..training.starting import load_config
from .predictions import WRITERS, as_line, as_table

QUICKSTART = "checkpoints/quickstart/finetuned"
STANDARD_INPUT = "/dev/stdin"
INPUT_FORMATS = sorted(suffix[1:] for suffix in TEXT_READERS)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("precode", description="Emotion recognition in conversations.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    predict = commands.add_parser(
        "predict",
        help="label every utterance of the dialogues in a file",
        description="Label every utterance of the dialogues in a file with an emotion, from the whole dialogue.",
        allow_abbrev=False,
    )
    add = predict.add_argument
    kinds = f"{', '.join(TEXT_READERS)}, plain or .gz, or .parquet"
    add("file", metavar="FILE", help=f"{kinds}; - for standard input. Text is `Speaker: utterance` lines, with a "
        "blank line between dialogues")  # fmt: skip
    add("--model", help=f"a checkpoint's folder, or its name on the Hub (default: {QUICKSTART})")
    add("--revision", help="a branch, tag or commit of a model on the Hub")
    add("--input_format", choices=INPUT_FORMATS, help="of standard input, or of a file whose name does not say it")
    add("--columns", nargs="+", default=[], metavar="NAME=VALUE", help="other names of columns: text_column=words")
    add("--output", metavar="FILE", help="write here instead of to the terminal: .jsonl, .csv or .html")
    add("--format", choices=sorted(WRITERS), help="of the output (default: as its name says; on a terminal, a table)")
    add("--distribution", action="store_true", help="also give the probability of every label; a page has them always")
    add("--live", action="store_true", help="label each line of text as it comes, with a model that reads forward "
        "only (run_finetune.py --causal)")  # fmt: skip
    add("--max_batch_tokens", type=int, metavar="N", help="tokens that go through the model at once")
    add("--device", help="where to compute: cpu, cuda, cuda:1, mps (default: the first accelerator)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    with one_line_errors():
        try:
            predict(parse_arguments(arguments))
        except BrokenPipeError:
            # Whoever reads has enough; Python would complain once more when it closes the output.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt:
            sys.exit(130)


def predict(args: argparse.Namespace) -> None:
    # What cannot work out in the end is said before the model is loaded.
    kind = output_format(args)
    path = file_to_read(args)
    dialogues = None if args.live else read(args, path)
    check_device(args.device)
    checkpoint = model_to_use(args)

    from transformers import pipeline
    from transformers.utils import logging

    from ..pipeline_precode import TASK

    logging.disable_progress_bar()
    emotions = pipeline(TASK, model=checkpoint, revision=args.revision, device=args.device)
    labels = list(emotions.model.config.id2label.values())
    if dialogues is None:
        for line in label_live(emotions, path, labels, args.distribution):
            print(line, end="", flush=True)
        return
    # The pipeline reads ahead; what it has read but not labelled waits here.
    waiting: list[Dialogue] = []
    results = emotions(
        turns_of(dialogues, waiting),
        distribution=args.distribution or kind == "html",
        max_batch_tokens=args.max_batch_tokens,
    )
    labelled = ((waiting.pop(0), turns) for turns in results)
    name = "standard input" if args.file == "-" else Path(args.file).name
    # A page is for others, too: they need not know where a folder lies here.
    model = Path(checkpoint).resolve().name if Path(checkpoint).is_dir() else checkpoint
    on_terminal = kind == "table" and not args.output and sys.stdout.isatty()
    write = partial(as_table, is_terminal=True) if on_terminal else WRITERS[kind]
    with opened(args.output) as file:
        for part in write(labelled, labels, name, model):
            file.write(part)
            if not args.output:
                file.flush()


def file_to_read(args: argparse.Namespace) -> Path:
    path = Path(STANDARD_INPUT if args.file == "-" else args.file)
    if not path.exists():
        raise FileNotFoundError(f"{args.file}: no such file; give one with dialogues, or - for standard input")
    if path.is_dir():
        raise IsADirectoryError(f"{args.file}: a folder; give a file")
    for option in ("output", "format", "input_format", "columns", "max_batch_tokens"):
        if args.live and getattr(args, option):
            raise ValueError(f"--{option} with --live: it reads text and prints a line at once; leave one of them out")
    return path


def check_device(device: str | None) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"--device {device}: {reason}; give cpu, cuda, cuda:1 or mps, as there is") from None


def label_live(emotions, path: Path, labels: list[str], distribution: bool) -> Iterator[str]:
    """A line `Speaker: utterance` or `utterance` in, a line of the table out; a blank one begins a new dialogue."""
    stream = emotions.stream(distribution)
    for line in map(str.strip, read_lines(path)):
        if line:
            speaker, text = speaker_and_text(line)
            yield as_line(stream({"speaker": speaker or None, "text": text}), labels, is_terminal=sys.stdout.isatty())
        else:
            stream = emotions.stream(distribution)


def read(args: argparse.Namespace, path: Path) -> Iterator[Dialogue]:
    """The dialogues of the file, the first of them read, so that what is wrong with the file is known at once."""
    options = parse_options(args.columns, "--columns")
    known = [field.name for field in fields(Columns)]
    if unknown := [name for name in options if name not in known]:
        raise ValueError(f"--columns {unknown[0]}: unknown; known are {', '.join(known)}")
    kind = args.input_format or ("txt" if args.file == "-" else None)
    dialogues = read_dialogues(path, Columns(**options), kind and f".{kind}")
    first = next(dialogues)

    def all_of_them() -> Iterator[Dialogue]:
        yield first
        yield from dialogues

    return all_of_them()


def turns_of(dialogues: Iterator[Dialogue], waiting: list[Dialogue]) -> Iterator[list[dict]]:
    for dialogue in dialogues:
        waiting.append(dialogue)
        yield [{"speaker": turn.speaker or None, "text": turn.text} for turn in dialogue.utterances]


def model_to_use(args: argparse.Namespace) -> str:
    """The checkpoint that was asked for, or that of the quick start, if it can label."""
    checkpoint = args.model or QUICKSTART
    if not args.model and not Path(QUICKSTART).is_dir():
        raise FileNotFoundError(
            f"no --model, and none in {QUICKSTART}: make one with `make quickstart`, or give --model, a checkpoint's "
            "folder or its name on the Hub"
        )
    config = load_config(checkpoint, args.revision)
    heads = config.architectures or []
    if "PreCodeForUtteranceClassification" not in heads:
        raise ValueError(
            f"{checkpoint}: a checkpoint with the head {', '.join(heads) or 'of none'}, which labels nothing; "
            f"fine-tune it first: run_finetune.py --model {checkpoint}"
        )
    return checkpoint


def output_format(args: argparse.Namespace) -> str:
    if not args.output:
        return args.format or "table"
    path = Path(args.output)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"--output {args.output}: no folder for such a file; give the path of a file")
    if path.exists() and args.file != "-" and Path(args.file).exists() and path.samefile(args.file):
        raise ValueError(f"--output {args.output}: the file that is read; give another name")
    kind = args.format or path.suffix.lower().removeprefix(".")
    if kind not in WRITERS:
        known = ", ".join(f".{name}" for name in WRITERS if name != "table")
        raise ValueError(f"--output {args.output}: its name says no format; known are {known}; or give --format")
    return kind


@contextmanager
def opened(output: str | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears under its name when all of it is written."""
    if not output:
        yield sys.stdout
        return
    with whole_file(Path(output)) as unfinished, open(unfinished, "w", encoding="utf-8", newline="") as file:
        yield file


if __name__ == "__main__":
    main()
