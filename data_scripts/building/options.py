"""Options as a command line has them: `name=value`, and a corpus with its folder, `name=data_dir`."""

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any


def parse_options(options: Iterable[str], argument: str, as_text: Collection[str] = ()) -> dict[str, Any]:
    """`["max_silence=4", "labels=[\\"a\\"]"]` -> a dictionary; a value is read as JSON where it is JSON.

    `argument` is named in the message where an option is no `name=value`; values of `as_text` are kept as they are.
    """
    parsed = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise ValueError(f"{argument} takes name=value; got {option!r}")
        try:
            parsed[name] = value if name in as_text else json.loads(value)
        except json.JSONDecodeError:
            parsed[name] = value
    return parsed


def parse_corpus(corpus: str) -> tuple[str, str | None]:
    """`"meld=MELD"` -> the name of a corpus and its `data_dir`; `"sample"` has none."""
    name, _, data_dir = corpus.partition("=")
    return name, data_dir or None


def corpus_names(corpora: Sequence[str]) -> list[str]:
    """The names of `["meld=MELD", "custom=a", "custom=b"]` for people: `["meld", "custom a", "custom b"]`. Of a folder,
    only its own name is shown.

    Raises:
        ValueError: Two corpora are called the same.
    """
    sources = [parse_corpus(corpus) for corpus in corpora]
    plain = [Path(name).name if Path(name).is_dir() else name for name, _ in sources]
    names = [
        name if plain.count(name) == 1 or data_dir is None else f"{name} {Path(data_dir).name}"
        for name, (_, data_dir) in zip(plain, sources, strict=True)
    ]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two corpora are called {twice[0]}; got {', '.join(corpora)}; leave one, or rename a folder")
    return names
