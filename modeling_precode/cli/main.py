"""The command `precode`, which calls one of its sub-commands."""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from data_scripts.tools.console import one_line_errors

from ..version import __version__


class Command(NamedTuple):
    """A sub-command: its description, and the module whose function `main(arguments, prog)` runs it."""

    help: str
    module: str


COMMANDS = {
    "predict": Command("label every utterance of the dialogues in a file", "modeling_precode.cli.predict_arguments"),
    "serve": Command("label dialogues over HTTP", "modeling_precode.cli.serve"),
    "evaluate": Command("score a model on labeled corpora", "modeling_precode.cli.evaluate"),
    "pretrain": Command("pre-train a model on unlabeled dialogue", "run_pretrain"),
    "finetune": Command("train a model to label utterances", "run_finetune"),
    "corpus": Command("build, describe, compare and share a corpus", "data_scripts.__main__"),
    "export": Command("export a model to ONNX, to run it without torch", "modeling_precode.cli.export"),
    "push": Command("upload a checkpoint to the Hub", "modeling_precode.cli.push"),
    "space": Command("write a web app of a model, for a Space of the Hub", "modeling_precode.cli.space"),
}


def usage() -> str:
    """The help text of the command."""
    lines = [f"  {name:<10} {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: precode COMMAND ...",
            "",
            "Emotion recognition in conversations.",
            "",
            *lines,
            "",
            "precode COMMAND --help shows the arguments of a command. precode --version shows the version.",
        ]
    )


def run(arguments: Sequence[str]) -> None:
    """Run the sub-command that the first argument names."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return
    name, *rest = arguments
    if name == "--version":
        print(f"precode {__version__}")
        return
    if name not in COMMANDS:
        raise ValueError(f"{name}: not a command of precode; known are {', '.join(COMMANDS)}")
    main_of_command: Callable[[list[str], str], None] = importlib.import_module(COMMANDS[name].module).main
    main_of_command(rest, f"precode {name}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command. `arguments` are those of the process by default. Wrong input ends it with a one-line error."""
    with one_line_errors():
        try:
            run(sys.argv[1:] if arguments is None else arguments)
        except BrokenPipeError:
            # The reader closed the pipe. Otherwise Python prints another error when it closes the output.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
