"""Build a corpus, describe it, find leakage, and share it. Without a name, list the corpora."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import datasets

from . import CORPORA, load_corpus
from .building.options import parse_options
from .inspection.description import check_picture, describe
from .inspection.overlap import LEVELS, find_overlap, load_other, without
from .sharing.export import check_export_folder, check_may_push, export_corpus, push_corpus
from .tools.console import Parser, log_handler, one_line_errors, printable, printable_lines

PUSHING = {"export", "push_to_hub", "private", "allow_restricted"}  # the arguments that pushing an earlier export needs


def parse_arguments(arguments: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Parse the arguments of the command line.

    Args:
        arguments: The arguments without the name of the program; None for those of the process.
        prog: The name of the program in help and errors.

    Raises:
        ValueError: An argument is unknown or invalid, or an argument that it needs is missing.
    """
    parser = Parser(prog, description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("name", nargs="?", help="name of a corpus, folder of a dataset, or name of a dataset on the Hub")
    add("--data_dir", help="folder with the published files of the corpus")
    add("--corpus_options", nargs="+", default=[], metavar="NAME=VALUE", help="options of the corpus")
    add("--num_proc", type=int, help="number of processes that build the corpus")
    add("--on_ray", action="store_true", help="build on a Ray cluster; needs the package ray")
    add("--plot", metavar="FILE", help="save labels and lengths as a picture, .png or .svg; needs matplotlib")
    add(
        "--overlap",
        nargs="+",
        default=[],
        metavar="NAME[=DATA_DIR]",
        help="find dialogues and utterances that also appear in these corpora",
    )
    add(
        "--overlap_split",
        default="test",
        metavar="SPLIT",
        help="the split of those corpora to compare with (default: test)",
    )
    add(
        "--drop_overlap",
        nargs="?",
        choices=LEVELS,
        const="dialogue",
        help="drop dialogues that appear there in full; `utterance` also drops those of which half appears there",
    )
    add("--export", metavar="DIR", help="write Parquet files and a dataset card to this new folder")
    add("--push_to_hub", metavar="USER/NAME", help="upload the folder of --export; without a name, an earlier export")
    add("--private", action="store_true", help="upload to a private repository")
    add(
        "--allow_restricted",
        action="store_true",
        help="push a corpus whose license forbids redistribution, to a private repository",
    )
    args = parser.parse_args(arguments)
    if args.drop_overlap and not args.overlap:
        parser.error("--drop_overlap needs --overlap")
    if args.push_to_hub and not args.export:
        parser.error("--push_to_hub needs --export")
    changed = {name for name, value in vars(args).items() if value != parser.get_default(name)}
    if changed and not args.name and not (args.push_to_hub and changed <= PUSHING):
        parser.error("the name of a corpus is missing")
    return args


def main(arguments: Sequence[str] | None = None, prog: str = "python -m data_scripts") -> None:
    """Run the command line: list the corpora, or build, describe, compare, export and push one.

    Args:
        arguments: The arguments without the name of the program; None for those of the process.
        prog: The name of the program in help and errors.

    Raises:
        SystemExit: The push to the Hub failed (status 1), or `--help` was requested (status 0).
    """
    args = parse_arguments(arguments, prog)
    logging.basicConfig(handlers=[log_handler()])
    logging.getLogger(__package__).setLevel(logging.INFO)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    if args.name:
        build(args)
    elif not args.push_to_hub:
        return list_corpora()
    if args.push_to_hub:
        address = push_corpus(args.export, args.push_to_hub, args.private, allow_restricted=args.allow_restricted)
        if address is None:
            sys.exit(1)
        print(f"Pushed to {printable(address)}")


def list_corpora() -> None:
    """Print the description, license and `--data_dir` of every corpus."""
    for name, builder in CORPORA.items():
        about = (sys.modules[builder.__module__].__doc__ or "").partition("\n")[0]
        data_dir = "not needed, the corpus comes in a package" if builder.DATA_DIR is None else builder.DATA_DIR
        print(f"{name}\n  {about}")
        print(f"  License: {builder.LICENSE or 'that of your files'}")
        print(f"  --data_dir: {data_dir or 'the folder with ' + ', '.join(builder.FILES.values())}")


def build(args: argparse.Namespace) -> None:
    """Build a corpus, describe it, compare it with others, and export it, as the arguments say."""
    # Check the last steps before the long build.
    if args.plot:
        check_picture(args.plot)
    if args.export:
        check_export_folder(args.export)
    if args.push_to_hub:
        check_may_push(args.name, args.allow_restricted)
    options = parse_options(args.corpus_options, "--corpus_options")
    corpus = load_corpus(args.name, args.data_dir, num_proc=args.num_proc, on_ray=args.on_ray, **options)
    corpus, notes = compare(corpus, args)
    description = describe(corpus)
    print(printable_lines(str(description)))
    if args.plot:
        description.plot(args.plot, Path(args.name).name)
        print(f"Plot in {printable(args.plot)}")
    if args.export:
        export_corpus(corpus, args.export, args.name, options=options, notes=notes)
        print(f"Exported to {printable(args.export)}")


def compare(corpus: datasets.DatasetDict, args: argparse.Namespace) -> tuple[datasets.DatasetDict, list[str]]:
    """Print the overlap with other corpora.

    Returns:
        The corpus, with --drop_overlap without the dialogues found elsewhere, and notes for the card.
    """
    corpus, notes = datasets.DatasetDict(corpus), []
    for source in args.overlap:
        name, data_dir, others = load_other(source, args.overlap_split, "--overlap", args.num_proc)
        itself = name == args.name and os.path.abspath(data_dir) == os.path.abspath(args.data_dir or "")
        for split, rows in corpus.items():
            if itself and split == args.overlap_split:
                continue
            overlap = find_overlap(rows, others)
            print(printable_lines(f"{split} against {args.overlap_split} of {name}:\n{overlap}\n"))
            if args.drop_overlap:
                corpus[split] = without(rows, overlap, args.drop_overlap)
                notes.append(
                    f"{len(rows) - len(corpus[split]):,} dialogues of {split} dropped because they appear in "
                    f"{args.overlap_split} of {name} (level: {args.drop_overlap})"
                )
    return corpus, notes


if __name__ == "__main__":
    with one_line_errors():
        main()
