"""Corpora of dialogues. `load_corpus(name, data_dir)` returns the splits of one, with one dialogue per row.

The names of this package are imported on first use, because `datasets` takes more than a second.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .formats.dialogue_files import read_dialogues
    from .loading.corpora import CORPORA, label_names, load_corpus

__all__ = ["CORPORA", "label_names", "load_corpus", "read_dialogues"]

# The module of each name.
_MODULES = {
    "CORPORA": "loading.corpora",
    "label_names": "loading.corpora",
    "load_corpus": "loading.corpora",
    "read_dialogues": "formats.dialogue_files",
}

if not TYPE_CHECKING:  # with this function, a type checker would accept any name

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
