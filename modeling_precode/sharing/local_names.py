"""Names that are safe to publish: paths without their folders, and a command without folders and tokens."""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# An absolute path, or a path in a home folder, within a longer text such as JSON. A URL does not match.
_PATH_IN_TEXT = re.compile(r"(?<![\w.:/~-])(?:~[\w.-]*)?/(?:[^/\s'\",;]+/)*([^/\s'\",;]+)")


def local_name(name: str) -> str:
    """The last part of the path of a local folder or file. A name on the Hub does not change."""
    return _own_name(name) if _is_local(name) or os.path.exists(name) else name


def without_folders(value: Any) -> Any:
    """Replace every local path by its last part, in strings, lists and dictionaries of settings or arguments.

    A string is a path if it is absolute, starts with `~`, contains `..` or exists, or if its first part is a folder
    that exists. In `NAME=PATH` the path is replaced, and so are absolute paths within a longer text.
    """
    if isinstance(value, dict):
        return {name: without_folders(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(without_folders(item) for item in value)
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str):
        return value
    if option := re.fullmatch(r"([\w.-]+=)(.*)", value, re.DOTALL):
        return option[1] + without_folders(option[2])
    if _is_local(value) or os.path.exists(value) or (os.sep in value and os.path.isdir(value.split(os.sep)[0])):
        return _own_name(value)
    return _PATH_IN_TEXT.sub(r"\1", value)


def command_line(arguments: Sequence[str] | None = None) -> str:
    """The command of this process in a form that can be published: without folders and tokens.

    Args:
        arguments: The program and its arguments; `sys.argv` by default.

    Returns:
        The command, or an empty string in a notebook or an interactive session, where there is no useful command.
    """
    program, *rest = sys.argv if arguments is None else arguments
    if not Path(program).name or program.startswith("-") or hasattr(sys, "ps1") or "ipykernel" in sys.modules:
        return ""
    python = ["python"] if program.endswith(".py") else []
    return " ".join([*python, Path(program).name, *map(shlex.quote, _public_arguments(rest))])


def _public_arguments(arguments: Sequence[str]) -> list[str]:
    public = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        name, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
        if (name or before).startswith("--") and (name or before).endswith("token"):
            value = "..." if equals or not name else ""
        public.append(f"{name}{equals}{without_folders(value)}")
    return public


def _is_local(name: str) -> bool:
    return os.path.isabs(name) or name.startswith(("~", "file:")) or ".." in Path(name).parts


def _own_name(path: str) -> str:
    return Path(path).name or path
