"""Runs on several corpora with one classification head per corpus: one training, and a result for each corpus."""

from pathlib import Path
from typing import Any

from data_scripts.building.options import corpus_names

# The settings of a run that say which corpus its result is of.
OF_CORPUS = ("corpus", "data_dir")


def sources(settings: dict[str, Any], data_dir: Path) -> list[str]:
    """The values of `--corpus` for the settings of a run."""
    return [
        f"{one['corpus']}={data_dir / one['data_dir']}" if "data_dir" in one else one["corpus"]
        for one in settings["multi_task"].values()
    ]


def head_of(settings: dict[str, Any]) -> str:
    """The name that the script gives to the corpus of a result."""
    own = {name: settings[name] for name in OF_CORPUS if name in settings}
    return corpus_names(sources(settings, Path()))[[*settings["multi_task"].values()].index(own)]


def of_all_corpora(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that the results of one training share."""
    return {name: value for name, value in settings.items() if name not in OF_CORPUS}
