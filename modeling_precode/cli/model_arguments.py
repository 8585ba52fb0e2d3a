"""Command-line arguments that the commands with a model share."""

from argparse import ArgumentParser

MODEL_HELP = "folder of a checkpoint, or its name on the Hub (default: the model that comes with the package)"


def add_model_arguments(parser: ArgumentParser, with_device: bool = True) -> None:
    """Add the arguments that say how a model is loaded.

    Args:
        parser: The parser of a command.
        with_device: Whether the command can use another device than the CPU.
    """
    parser.add_argument("--revision", help="a branch, tag or commit of a model on the Hub")
    if with_device:
        parser.add_argument("--device", help="device: cpu, cuda, cuda:1, mps (default: the first accelerator)")
