"""The arguments of `precode predict`. They are parsed before the model code is imported, so that `--help` is fast."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from data_scripts.formats.detection import FORMATS, TEXT_SUFFIXES
from data_scripts.tools.console import Parser

from .model_arguments import MODEL_HELP, add_model_arguments
from .predictions import FILE_WRITERS, WRITERS

# The formats that can contain what these options add.
ADDITIONS = {"explain": ("jsonl", "html"), "known_words": ("jsonl", "csv", "parquet", "xlsx")}


def main(arguments: Sequence[str] | None = None, prog: str = "precode predict") -> None:
    """Run `precode predict`. `arguments` are those of the process by default, and `prog` is the name in messages."""
    args = parse_arguments(arguments, prog)

    from .predict import predict

    predict(args)


def parse_arguments(arguments: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Parse the arguments. Raises a ValueError for invalid ones."""
    parser = Parser(
        prog,
        description="Label every utterance of the dialogues in a file with an emotion, from the whole dialogue.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    kinds = f"{', '.join(TEXT_SUFFIXES)}, each plain or .gz; .parquet; or .xlsx"
    add("file", metavar="FILE", help=f"{kinds}; - for standard input. The format, such as a WhatsApp export, WebVTT or "
        "`Speaker: utterance` lines with a blank line between dialogues, is detected")  # fmt: skip
    add("--model", help=MODEL_HELP)
    add_model_arguments(parser)
    add("--input_format", choices=list(FORMATS), help="the format of the file, if it cannot be detected; txt is plain "
        "text with one utterance per line")  # fmt: skip
    add("--corpus_options", nargs="+", default=[], metavar="NAME=VALUE", help="how to read the file: "
        "text_column=words, dialogue_column=season,episode, rows=dialogue, empty=skip")  # fmt: skip
    add("--max_silence", type=float, metavar="SECONDS", help="start a new dialogue after a longer silence (default: "
        "8 hours in chats with dates; never in recordings)")  # fmt: skip
    add(
        "--output",
        metavar="FILE",
        help="write to this file, not to the terminal: .jsonl, .csv, .parquet, .xlsx or .html",
    )
    add(
        "--format",
        choices=[*sorted(WRITERS), *FILE_WRITERS],
        help="format of the output (default: by the file name; on a terminal, a table)",
    )
    add(
        "--distribution",
        action="store_true",
        help="also write the probability of every label; a web page always has them",
    )
    add("--known_words", action="store_true", help="also write the share of known words of every utterance, from 0 to "
        "1; for .jsonl, .csv, .parquet and .xlsx")  # fmt: skip
    add("--label_map", metavar="MAP", help="write the labels of a smaller set: sentiment, ekman, or a YAML file "
        "of lines `label: counterpart`; probabilities are summed")  # fmt: skip
    add("--explain", action="store_true", help="also write how a probability changes without each other "
        "utterance and each word; for .jsonl and .html, and slow in long dialogues")  # fmt: skip
    add("--resume", action="store_true", help="keep the labels in FILE.part beside the output until it is complete; "
        "after an interruption, the same command continues from them")  # fmt: skip
    add("--live", action="store_true", help="label each line of text when it arrives, with a model that reads forward "
        "only (precode finetune --causal)")  # fmt: skip
    add("--max_batch_tokens", type=int, metavar="N", help="number of tokens per batch")
    return parser.parse_args(arguments)


def check_additions(args: argparse.Namespace) -> None:
    """Raise a ValueError if the output format cannot contain what an option adds."""
    kind = args.format or Path(args.output or "").suffix.lower().removeprefix(".") or "table"
    what = {"explain": "explanations", "known_words": "the share of known words"}
    for option, kinds in ADDITIONS.items():
        is_corpus = option == "known_words" and kind == "parquet" and args.distribution
        if getattr(args, option) and (kind not in kinds or is_corpus):
            known = " or ".join(f".{name}" for name in kinds)
            shown = f"{kind} with --distribution" if is_corpus else kind
            raise ValueError(
                f"--{option}: the format {shown} cannot contain {what[option]}; use --output with a {known} file"
            )
