"""`precode export MODEL OUT` exports a model to ONNX, to run it without torch."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from data_scripts.tools.console import Parser, printable
from data_scripts.tools.whole_files import check_new_folder

from ..conversion import ALLOWED_LOSS
from ..default_model import checkpoint_path
from .model_arguments import add_model_arguments

DEFAULT_CORPUS, CHECKED_SPLIT = "openerc", "validation"


def parse_arguments(arguments: Sequence[str] | None, prog: str) -> Namespace:
    """Parse the arguments. Raises a ValueError for invalid ones."""
    parser = Parser(
        prog,
        description="Export a model that labels utterances to ONNX, to run it without torch.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="folder of a checkpoint, its name on the Hub, or default")
    add("out", metavar="OUT", help="the folder to write, new or empty")
    add("--quantize", choices=["int8"], help="store weights and multiply in 8 bits: smaller, faster and less exact")
    add("--check", metavar="CORPUS", default=DEFAULT_CORPUS, help="the corpus on whose validation split the export is "
        f"compared with the model (default: {DEFAULT_CORPUS})")  # fmt: skip
    add("--data_dir", help="the published files of that corpus")
    add("--allow_loss", type=float, metavar="POINTS", default=ALLOWED_LOSS, help="the weighted F1 that quantization "
        "may lose on the corpus, in points (default: %(default)s)")  # fmt: skip
    add_model_arguments(parser, with_device=False)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, prog: str = "precode export") -> None:
    """Run `precode export`. `arguments` are those of the process by default, and `prog` is the name in messages."""
    args = parse_arguments(arguments, prog)
    check_new_folder(args.out)  # before the model and the corpus are loaded
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise ValueError(f'precode export needs the package {error.name}: pip install "precode[export]"') from None

    from data_scripts import load_corpus

    from ..conversion.onnx_export import export_onnx
    from ..onnx_runtime import is_exported
    from .predict import load_pipeline, model_to_use

    if is_exported(checkpoint_path(args.model)):
        raise ValueError(f"{args.model}: is already an exported model; use the checkpoint that it was exported from")
    args.device = "cpu"
    emotions = load_pipeline(model_to_use(args), args)
    emotions.model.float()
    corpus = load_corpus(args.check, args.data_dir)
    if CHECKED_SPLIT not in corpus:
        raise ValueError(f"--check {args.check}: no split {CHECKED_SPLIT}; found {', '.join(corpus)}")
    comparison = export_onnx(
        emotions,
        args.out,
        corpus[CHECKED_SPLIT],
        corpus=args.check,
        quantization=args.quantize,
        allowed_loss=args.allow_loss,
        revision=args.revision,
    )
    size = sum(path.stat().st_size for path in Path(args.out).iterdir()) / 1e6
    print(f"Exported to {printable(args.out)}, {size:,.1f} MB")
    print(f"Same label as the model: {100 * comparison.agreement:.2f} % of {comparison.utterances:,} utterances")
    if comparison.original_f1 is not None and comparison.exported_f1 is not None:
        scores = f"{100 * comparison.original_f1:.2f} -> {100 * comparison.exported_f1:.2f}"
        print(f"Weighted F1 on {printable(args.check)}: {scores}")
