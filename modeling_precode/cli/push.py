"""`precode push FOLDER NAME` uploads a checkpoint with its card to the Hub."""

from collections.abc import Sequence
from pathlib import Path

from data_scripts.tools.console import Parser, printable

from ..loading.checkpoints import load_config
from ..sharing.push import push_checkpoint


def main(arguments: Sequence[str] | None = None, prog: str = "precode push") -> None:
    """Run `precode push`. `arguments` are those of the process by default, and `prog` is the name in messages."""
    parser = Parser(prog, description="Upload a checkpoint, with its model card, to the Hub.", allow_abbrev=False)
    parser.add_argument("folder", metavar="FOLDER", help="folder of the checkpoint")
    parser.add_argument("name", metavar="USER/NAME", help="name on the Hub")
    parser.add_argument("--private", action="store_true", help="upload to a private repository")
    args = parser.parse_args(arguments)
    if not Path(args.folder).is_dir():
        raise FileNotFoundError(f"{args.folder}: no such folder; give the folder of a checkpoint")
    load_config(args.folder)  # raises an error if it is not a checkpoint
    address = push_checkpoint(args.folder, args.name, args.private)
    if address is None:
        raise SystemExit(1)
    print(f"Pushed to {printable(address)}")
