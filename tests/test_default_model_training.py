"""The command that trains the model of the package: killed at each step, it continues, and its result labels."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from text_encoders import write_text_encoder
from transformers import pipeline

from benchmarks.default_model.__main__ import default_card
from data_scripts import load_corpus
from modeling_precode.training.checkpoints import MANIFEST

ROOT = Path(__file__).resolve().parents[1]
# The same steps with few chats and few optimizer steps, and without touching the model of the package.
SMALL = """
import sys
from pathlib import Path
import benchmarks.default_model.__main__ as command
command.FOLDER, command.CHATS, command.PART, command.STUDENT_LAYERS = Path(sys.argv[1]), 3, 1, [1]
command.TRAINING = command.TRAINING.replace("steps 100", "steps 2") + " --max_steps 4"
command.main(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("encoders") / "tiny encoder"
    write_text_encoder(folder, [text for row in load_corpus("sample")["train"] for text in row["utterances"]])
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# tiny-encoder\n")
    return folder


def start(encoder: Path, folder: Path) -> subprocess.Popen:
    (folder / "package").mkdir(parents=True, exist_ok=True)
    options = ["--teacher_encoder", encoder, "--student_encoder", encoder, "--output_dir", folder / "steps"]
    command = [sys.executable, "-c", SMALL, folder / "package", *options]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def kill_when(process: subprocess.Popen, folder: Path, pattern: str) -> None:
    """Kill the command with its processes once a file matches the pattern."""
    deadline = time.monotonic() + 240
    while not any(folder.glob(pattern)):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_the_training_of_the_default_model_continues_after_a_kill_at_each_step(encoder, tmp_path):
    steps = tmp_path / "steps"
    kill_when(start(encoder, tmp_path), steps, f"teacher/seed_1/checkpoint-2/{MANIFEST}")
    kill_when(start(encoder, tmp_path), steps, "chats/train-00000.parquet")
    labeled = (steps / "chats" / "train-00000.parquet").stat().st_mtime_ns
    taught = (steps / "teacher" / "seed_1" / "model.safetensors").stat().st_mtime_ns
    kill_when(start(encoder, tmp_path), steps, f"student/seed_1/checkpoint-2/{MANIFEST}")
    process = start(encoder, tmp_path)
    log, _ = process.communicate(timeout=300)
    assert process.returncode == 0, log
    assert log.count("seed 1 is finished") == 1
    assert re.search(r"steps/student/seed_1/checkpoint-[24], after step [24] of 4", log)
    assert (steps / "chats" / "train-00000.parquet").stat().st_mtime_ns == labeled
    assert (steps / "teacher" / "seed_1" / "model.safetensors").stat().st_mtime_ns == taught

    package = tmp_path / "package"
    assert {path.name for path in package.iterdir()} == {
        *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    }
    config = json.loads((package / "config.json").read_text())
    assert config["text_config"]["num_hidden_layers"] == 1
    assert [turn["label"] for turn in pipeline("conversation-emotion", model=str(package))(["Hi.", "Hello!"])]
    assert "**tiny-encoder** (license: mit)" in (package / "README.md").read_text()


def test_the_card_of_the_default_model_shows_no_call_that_needs_a_name():
    card = """---
license: other
license_name: several
---

# student

With the package `precode`:

```python
emotions = pipeline("conversation-emotion", model="student")
```

Without the package, the model loads with the code in the checkpoint.

```python
emotions = pipeline("conversation-emotion", model="student", trust_remote_code=True)
```

## Scores
"""
    made = default_card(card)
    assert made.startswith("---\nlicense: apache-2.0\n---\n\n# The model that comes with the package\n")
    assert made.endswith('\n\n```python\nemotions = pipeline("conversation-emotion")\n```\n\n## Scores\n')
