"""The command line and the configuration file of a script, parsed into dataclasses of arguments."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

import yaml
from transformers import HfArgumentParser, TrainingArguments

from data_scripts.tools.whole_files import whole_file

from .checkpoints import CONFIG_FILE

# Arguments that are not in that file: how a run was started, and a token.
NOT_IN_CONFIG = {"resume_from_checkpoint", "overwrite_output_dir", "hub_token", "disable_tqdm", "local_rank"}


class ScriptParser(HfArgumentParser):
    """A parser of dataclasses of arguments. `--help` shows the usual arguments in groups, `--help-all` shows all.

    Args:
        classes: Dataclasses of arguments.
        groups: The names of the arguments of each group, by its title, in the order of the help.
        prog: The name of the program in the help.
        description: The description of the program in the help.
    """

    def __init__(self, classes: tuple[Any, ...], groups: Mapping[str, Sequence[str]], prog: str, description: str):
        # With the default formatter, argparse adds a second default to every help text.
        super().__init__(
            classes,
            prog=prog,
            description=description,
            allow_abbrev=False,
            add_help=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.groups = groups
        self.without_effect = {
            name for kind in classes if hasattr(kind, "names_without_effect") for name in kind.names_without_effect()
        }
        self.add_argument("--config", metavar="FILE", help="Arguments from a YAML or JSON file; the command line wins.")
        self.add_argument("-h", "--help", action="store_true", help="Show the usual arguments.")
        self.add_argument("--help-all", action="store_true", help="Show all arguments.")

    def option_names(self) -> list[str]:
        """The names of all options that have an effect, such as `--corpus`."""
        actions = (action for action in self._actions if action.dest not in self.without_effect)
        return [option for action in actions for option in action.option_strings]

    def error(self, message: str) -> NoReturn:
        """Raise a ValueError with the message."""
        raise ValueError(f"{message}; see {self.prog} --help")

    def format_help(self, all_arguments: bool = False) -> str:
        """The help text with the usual arguments, or with all."""
        by_name = {action.dest: action for action in self._actions if not action.option_strings[0].startswith("--no_")}
        shown = {title: [by_name.pop(name) for name in names] for title, names in self.groups.items()}
        shown["This help"] = [by_name.pop(name) for name in ("config", "help", "help_all")]
        if all_arguments:
            title = "All other arguments"
            if any(issubclass(kind, TrainingArguments) for kind in self.dataclass_types):
                title += ", as in transformers.TrainingArguments unless their help says otherwise"
            shown[title] = [by_name[name] for name in sorted(by_name.keys() - self.without_effect)]
        formatter = argparse.RawDescriptionHelpFormatter(self.prog, max_help_position=34, width=110)
        formatter.add_usage("%(prog)s [--config FILE] [--NAME VALUE ...]", [], [])
        formatter.add_text(self.description)
        for title, actions in shown.items():
            formatter.start_section(title)
            formatter.add_arguments([_plain(action) for action in actions])
            formatter.end_section()
        return formatter.format_help()


def _plain(action: argparse.Action) -> argparse.Action:
    """An action for the help: with one name, its choices in the text, and its default unless the text has it."""
    # The texts of transformers already have "%%".
    text = " ".join((action.help or "").split()).replace("%%", "%").replace("%", "%%")
    if action.choices:
        text += f" One of {', '.join(map(str, action.choices))}."
    default = action.default.value if isinstance(action.default, Enum) else action.default
    has_no_default = (
        default is None or isinstance(default, bool) or default in ([], argparse.SUPPRESS) or "default" in text
    )
    if not has_no_default:
        text += f" (default: {' '.join(map(str, default)) if isinstance(default, list) else default})"
    if default is True:
        text += f" (default: true; --no_{action.dest} or false turns it off)"
    flag = action.nargs == 0 or action.nargs == "?"
    values = "VALUE ..." if action.nargs in ("+", "*") else action.metavar or "VALUE"
    shown = [option for option in action.option_strings if "-" not in option[2:] or len(action.option_strings) == 1]
    return argparse.Action(
        shown or action.option_strings[:1], action.dest, nargs=0 if flag else None, metavar=values, help=text
    )


def parse_arguments(
    parser: ScriptParser,
    original: Callable[[str, str | None], dict[str, Any]],
    arguments: Sequence[str] | None = None,
    **defaults: Any,
) -> tuple[Any, ...]:
    """Parse the command line, and a configuration file if there is one, into one object per class.

    Args:
        parser: The parser, with the classes.
        original: Returns the settings of `--recipe original` for a corpus and a checkpoint, which are the defaults of a
            run with this recipe. An argument that is a dictionary is merged with them.
        arguments: The arguments; by default those of the command line.
        defaults: Defaults that replace those of the classes.

    Raises:
        ValueError: An argument, or a name or value in the configuration file, is invalid.
        SystemExit: The help was shown.
    """
    options, _ = parser.parse_known_args(arguments)
    if options.help or options.help_all:
        print(parser.format_help(options.help_all), end="")
        raise SystemExit(0)
    command = list(sys.argv[1:] if arguments is None else arguments)
    # `--seed` and `--seeds` are two names of one setting: one on the command line replaces the other elsewhere.
    names = {token.partition("=")[0] for token in command}
    replaced = {other for name, other in (("--seed", "seeds"), ("--seeds", "seed")) if name in names}
    tokens = [*_from_config(options.config, parser, replaced), *command]
    namespace, unknown = parser.parse_known_args(tokens)
    if unknown:
        name = unknown[0].partition("=")[0]
        close = get_close_matches(name, parser.option_names(), 1)
        parser.error(f"{name}: unknown argument" + (f"; {close[0]}?" if close else ""))
    if namespace.recipe == "original" and namespace.text_encoder:
        raise ValueError(
            f"--text_encoder {namespace.text_encoder}: --recipe original has no text encoder; leave one of them out"
        )
    # The original does not have settings for several corpora.
    corpus = namespace.corpus if isinstance(namespace.corpus, str) else ", ".join(namespace.corpus)
    settings = original(corpus, namespace.model) if namespace.recipe == "original" else {}
    settings = {name: value for name, value in settings.items() if name not in replaced}
    parser.set_defaults(**{**defaults, **settings})
    *parsed, _ = parser.parse_args_into_dataclasses(tokens)
    for holder in (holder for holder in parsed if hasattr(holder, "requested")):
        holder.requested = {name.removeprefix("--") for name in names if name.startswith("--")}
    for name in (name for name, value in settings.items() if isinstance(value, dict)):
        [holder] = [holder for holder in parsed if hasattr(holder, name)]
        setattr(holder, name, {**settings[name], **(getattr(holder, name) or {})})
    return tuple(parsed)


def _from_config(path: str | None, parser: ScriptParser, replaced: set[str]) -> list[str]:
    """The arguments in a configuration file, except those replaced, in the form of a command line."""
    if path is None:
        return []
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise type(error)(f"--config {path}: {error.strerror}; give a YAML or JSON file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"--config {path}: neither YAML nor JSON: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(f"--config {path}: contains a {type(content).__name__}; write one `name: value` per line")
    known = {action.dest for action in parser._actions} - {"config", "help", "help_all"}
    tokens = []
    for name, value in content.items():
        if name not in known:
            close = get_close_matches(str(name), known, 1)
            raise ValueError(f"--config {path}: unknown argument {name!r}" + (f"; {close[0]}?" if close else ""))
        if name == "corpus_options" and isinstance(value, dict):
            value = [f"{option}={json.dumps(setting)}" for option, setting in value.items()]
        if name in replaced or value is None or value == []:
            continue
        values = value if isinstance(value, list) else [value]
        texts = [str(one).lower() if isinstance(one, bool) else _text(one) for one in values]
        # `--name=value` allows a value that begins with a dash.
        tokens += [f"--{name}={texts[0]}"] if len(texts) == 1 else [f"--{name}", *texts]
    return tokens


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)


def write_config(folder: Path, *parsed: Any) -> None:
    """Write the arguments of a run into `run.yaml`, so that `--config run.yaml` repeats the run.

    They are the arguments that this library declares, and others that differ from their defaults. A default that
    depends on other arguments is left out, so that it follows them if the command line changes them, and so is what a
    checkpoint or tokenizer determines.

    Args:
        folder: The folder for the file.
        parsed: Objects from [`parse_arguments`].
    """
    content: dict[str, Any] = {}
    for holder in parsed:
        derived = getattr(holder, "derived", ())
        names = [option.name for option in fields(holder) if option.name not in derived]
        for name in getattr(holder, "saved_names", names):
            value = getattr(holder, name, None)
            if name not in NOT_IN_CONFIG and value is not None:
                content[name] = value.value if isinstance(value, Enum) else value
    with whole_file(folder / CONFIG_FILE) as path:
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
