"""What can be wrong with the folder of an exported model."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path


def changed(name: str, section: str | None = None, **values: object) -> Callable[[Path], None]:
    """A change of some settings in a JSON file of a folder."""

    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (content[section] if section else content).update(values)
        (folder / name).write_text(json.dumps(content))

    return damage


def other_graph(folder: Path) -> None:
    shutil.copy(folder / "utterance_encoder.onnx", folder / "conversation_encoder.onnx")


def settings_without_temperature(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    del settings["onnx"]["temperature"]
    (folder / "config.json").write_text(json.dumps(settings))


def settings_without_tokens(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text("{}")


def shift_ids(path: Path) -> None:
    """Give every word an id that the model does not have."""
    content = json.loads(path.read_text())
    content["added_tokens"] = []
    content["model"]["vocab"] = {word: 10**6 + number for word, number in content["model"]["vocab"].items()}
    path.write_text(json.dumps(content))


def settings_of_a_newer_version(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    settings["onnx"]["format_version"] += 1
    (folder / "config.json").write_text(json.dumps(settings))
