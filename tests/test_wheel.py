"""What a user of the wheel gets: every file of the packages. It installs into an empty environment, outside of the
clone, and labels at once."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What the wheel is built from.
PACKAGES = ("modeling_precode", "data_scripts")
FILES = ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE", "run_finetune.py", "run_pretrain.py")
BUILD = "from setuptools import build_meta; build_meta.build_wheel('..')"
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


def build_wheel(folder: Path) -> Path:
    """Build the wheel in a folder, from a copy of the sources, so that no earlier build is beside it."""
    source = folder / "source"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for name in FILES:
        shutil.copy(ROOT / name, source)
    run([sys.executable, "-c", BUILD], source)
    shutil.rmtree(source)
    [wheel] = folder.glob("precode-*.whl")
    return wheel


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Iterator[Path]:
    """The programs of a new virtual environment with the wheel and what it requires, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = build_wheel(folder)
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


def test_users_of_the_wheel_get_its_types_and_its_data(tmp_path):
    with zipfile.ZipFile(build_wheel(tmp_path)) as wheel:
        names = {Path(name) for name in wheel.namelist()}
    assert {Path(package, "py.typed") for package in PACKAGES} <= names
    sources = {path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()}
    packaged = {name for name in names if name.parts[0] in PACKAGES and name.suffix != ".so"}
    built = {path for path in sources if path.suffix == ".so" or "__pycache__" in path.parts}
    assert packaged == sources - built - {Path("modeling_precode", "kernels.c")}


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
