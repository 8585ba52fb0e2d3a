"""Parses options of a command line: `name=value`, and a corpus with its folder, `name=data_dir`."""

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any


def parse_options(options: Iterable[str], argument: str, as_text: Collection[str] = ()) -> dict[str, Any]:
    """Convert options such as `["max_silence=4", "labels=[\\"a\\"]"]` to a dictionary.

    A value that is valid JSON is parsed, except for the options in `as_text`. `argument` is the name of the argument in
    error messages.
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
    """Split `"meld=MELD"` into the name of a corpus and its `data_dir`; `"sample"` has no `data_dir`."""
    name, _, data_dir = corpus.partition("=")
    return name, data_dir or None


def corpus_names(corpora: Sequence[str]) -> list[str]:
    """The display names of corpora: `["meld", "custom a", "custom b"]` for `["meld=MELD", "custom=a", "custom=b"]`.

    Of a folder, only the last part of the path is used.

    Raises:
        ValueError: Two corpora have the same name.
    """
    sources = [parse_corpus(corpus) for corpus in corpora]
    plain = [Path(name).name if Path(name).is_dir() else name for name, _ in sources]
    names = [
        name if plain.count(name) == 1 or data_dir is None else f"{name} {Path(data_dir).name}"
        for name, (_, data_dir) in zip(plain, sources, strict=True)
    ]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ValueError(
            f"two corpora have the name {repeated[0]}; got {', '.join(corpora)}; drop one, or rename a folder"
        )
    return names
