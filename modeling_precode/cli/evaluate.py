"""`precode evaluate --model M --corpus NAME=DATA_DIR ...`: scores of a finished model, without training anything."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import datasets

from data_scripts import load_corpus
from data_scripts.building.label_maps import LABEL_MAPS, LabelMap
from data_scripts.building.options import corpus_names, parse_corpus, parse_options
from data_scripts.inspection.description import check_picture
from data_scripts.tools.console import Parser, printable, printable_lines
from data_scripts.tools.whole_files import write_json

from ..sharing.local_names import without_folders
from .model_arguments import MODEL_HELP, add_model_arguments
from .predict import load_pipeline, model_to_use

DESCRIPTION = """Score a model on the labeled dialogues of one or more corpora, without training. Two baselines are
scored too: always the most frequent label of the training split, and labels drawn by their frequency there."""


def parse_arguments(arguments: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Parse the arguments. Raises a ValueError for invalid ones."""
    parser = Parser(prog, description=DESCRIPTION, allow_abbrev=False)
    add = parser.add_argument
    add("--model", help=MODEL_HELP)
    add_model_arguments(parser)
    add("--corpus", nargs="+", required=True, metavar="NAME[=DATA_DIR]", help="name of a corpus and the folder of "
        "its published files, the folder of a dataset, or the name of a dataset on the Hub")  # fmt: skip
    add("--data_dir", help="the published files, for a single corpus")
    add(
        "--corpus_options",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="options of the corpus, for a single corpus",
    )
    add("--label_map", help=f"map the labels of corpora and model to one set: {', '.join(LABEL_MAPS)}, or a YAML file "
        "of lines `label: counterpart`")  # fmt: skip
    add("--split", choices=("test", "validation", "train"), default="test", help="the split to score (default: test)")
    add("--excluded_label", help="label that a micro F1 excludes (default: the neutral label, if there is one)")
    add("--output", metavar="FILE", help="also write all scores to this file, as JSON")
    add("--plot", metavar="FILE", help="also save confusion matrices and reliability diagrams as a picture, .png or "
        ".svg; needs matplotlib")  # fmt: skip
    add("--num_proc", type=int, metavar="N", help="number of processes that build a corpus")
    add("--max_batch_tokens", type=int, metavar="N", help="number of tokens per batch")
    args = parser.parse_args(arguments)
    if len(args.corpus) > 1 and (args.data_dir or args.corpus_options):
        option = "--data_dir" if args.data_dir else "--corpus_options"
        parser.error(f"{option} with {len(args.corpus)} corpora: give NAME=DATA_DIR for each, and no options")
    return args


def main(arguments: Sequence[str] | None = None, prog: str = "precode evaluate") -> None:
    """Run `precode evaluate`. `arguments` are those of the process by default, and `prog` is the name in messages."""
    args = parse_arguments(arguments, prog)
    # Errors of the last steps are raised before anything is read.
    if args.plot:
        check_picture(args.plot)
    if args.output and not Path(args.output).absolute().parent.is_dir():
        raise FileNotFoundError(f"--output {args.output}: the folder does not exist; create it first")
    label_map = args.label_map and LabelMap.load(args.label_map)
    checkpoint = model_to_use(args)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    corpora = list(read_corpora(args))

    from ..evaluation.score_report import plot_scores, score_report
    from ..evaluation.scoring import score_split

    emotions = load_pipeline(checkpoint, args)
    options = {name: getattr(args, name) for name in ("split", "excluded_label", "max_batch_tokens")}
    splits = [
        score_split(emotions, corpus[args.split], corpus.get("train"), corpus=name, label_map=label_map, **options)
        for name, corpus in corpora
    ]
    print(printable_lines(score_report(splits)))
    if args.output:
        origin = without_folders({"model": str(checkpoint), "label_map": args.label_map})
        write_json(Path(args.output), {**origin, "corpora": [split.to_dict() for split in splits]})
        print(f"\nEvery score is in {printable(args.output)}")
    if args.plot:
        plot_scores(splits, args.plot, Path(checkpoint).name)
        print(f"\nPlot in {printable(args.plot)}")


def read_corpora(args: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    """Yield the name and the splits of each corpus."""
    options = parse_options(args.corpus_options, "--corpus_options")
    for shown, given in zip(corpus_names(args.corpus), args.corpus, strict=True):
        name, data_dir = parse_corpus(given)
        if data_dir and args.data_dir:
            raise ValueError(f"--corpus {given} and --data_dir {args.data_dir}: leave one of the folders out")
        corpus = load_corpus(name, data_dir or args.data_dir, num_proc=args.num_proc, **options)
        if args.split not in corpus:
            raise ValueError(f"--corpus {given}: no split {args.split}; found {', '.join(corpus)}")
        yield shown, corpus
