"""`precode space MODEL OUT` writes a web app of a model, for a Space of the Hub."""

import shlex
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from data_scripts.tools.console import Parser, printable
from data_scripts.tools.whole_files import check_new_folder

from ..default_model import checkpoint_path
from ..sharing.space import requirement_of, write_space
from .model_arguments import add_model_arguments


def parse_arguments(arguments: Sequence[str] | None, prog: str) -> Namespace:
    """Parse the arguments. Raises a ValueError for invalid ones."""
    parser = Parser(
        prog,
        description="Write a web app that labels a pasted or uploaded conversation, for a Space of the Hub.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="folder of a checkpoint, which is copied into the Space; its name on the Hub; "
        "or default")  # fmt: skip
    add("out", metavar="OUT", help="the folder to write, new or empty")
    add("--title", help="title of the Space (default: by the name of the model)")
    add("--package", metavar="REQUIREMENT", help="how the Space installs this package: precode with its versions, or "
        "git+https://... (default: this version by its name)")  # fmt: skip
    add_model_arguments(parser, with_device=False)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, prog: str = "precode space") -> None:
    """Run `precode space`. `arguments` are those of the process by default, and `prog` is the name in messages."""
    args = parse_arguments(arguments, prog)
    # Wrong arguments raise an error before the model is loaded.
    check_new_folder(args.out)
    requirement = requirement_of(args.package)

    from ..onnx_runtime import is_exported
    from .predict import load_pipeline, model_to_use

    if is_exported(checkpoint_path(args.model)):
        raise ValueError(f"{args.model}: is an exported model; use the checkpoint that it was exported from")
    args.device = "cpu"
    load_pipeline(model_to_use(args), args)
    write_space(args.out, args.model, title=args.title, package=args.package, revision=args.revision)
    out = shlex.quote(str(Path(args.out)))
    print(f"Wrote the Space {printable(args.out)}, which installs {printable(requirement)}")
    print(f'Try it: pip install "precode[space]" && python {out}/app.py')
    print(f"Push it: hf upload you/name {out} --repo-type space")
