"""What a user of the wheel gets: it installs into an empty environment, outside of the clone, and labels at once."""

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What the wheel is built from. A copy, so that no earlier build is beside it.
SOURCES = ("modeling_precode", "data_scripts", "setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE")
SCRIPTS = ("run_finetune.py", "run_pretrain.py")
EMOTIONS = {"anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"}
DIALOGUE = """Ana: Give it here. Oh my god. Ben, you got in! I'm so happy for you!
Ben: Thank you! This is the best day of my life.
"""
PIPELINE = """
import json, pathlib, sys
from transformers import pipeline
import modeling_precode

assert pathlib.Path(modeling_precode.__file__).is_relative_to(sys.prefix)
emotions = pipeline("conversation-emotion")
print(json.dumps([turn["label"] for turn in emotions(json.loads(sys.argv[1]))]))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Iterator[Path]:
    """The programs of a new virtual environment with the wheel and what it requires, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in (*SOURCES, *SCRIPTS):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    for built in [*source.rglob("__pycache__"), *source.rglob("*.so")]:
        shutil.rmtree(built) if built.is_dir() else built.unlink()
    build = "from setuptools import build_meta; build_meta.build_wheel('..')"
    run([sys.executable, "-c", build], source)
    shutil.rmtree(source)
    [wheel] = folder.glob("precode-*.whl")
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"
    pip = [programs / "python", "-m", "pip", "install", "--disable-pip-version-check", "--no-cache-dir"]
    run([*pip, "--constraint", ROOT / "constraints.txt", wheel], folder)
    yield programs
    shutil.rmtree(folder)  # gigabytes


def run(command: list, folder: Path, **settings: str) -> str:
    """What a program prints, which sees nothing of the clone."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    result = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**environment, **settings},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_the_wheel_labels_a_dialogue_without_a_model_of_ones_own(environment, tmp_path):
    dialogue = tmp_path / "dialogue.txt"
    dialogue.write_text(DIALOGUE, encoding="utf-8")
    nothing = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    printed = run([environment / "precode", "predict", dialogue, "--format", "jsonl"], tmp_path, **nothing)
    labels = [label for line in printed.splitlines() for label in json.loads(line)["predictions"]]
    assert labels == ["joy", "joy"]

    utterances = [line.partition(": ")[2] for line in DIALOGUE.splitlines()]
    printed = run([environment / "python", "-c", PIPELINE, json.dumps(utterances)], tmp_path, **nothing)
    assert set(json.loads(printed.splitlines()[-1])) <= EMOTIONS
    shown = run([environment / "precode", "predict", dialogue], tmp_path, **nothing)
    assert "joy" in shown and "Ben  Thank you!" in shown
