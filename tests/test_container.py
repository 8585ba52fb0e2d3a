"""What the Dockerfile promises: its steps, run one by one in a folder and an environment of their own, start a service
that answers, as a user other than root."""

import json
import os
import shutil
import subprocess
import time
import urllib.request
import venv
from fnmatch import fnmatch
from pathlib import Path

import pytest

from modeling_precode.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
IGNORED = ["__pycache__", "*.so"]


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, without comments."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def last(name: str) -> str:
    return [rest for found, rest in instructions() if found == name][-1]


def test_what_is_copied_is_in_the_repository_and_not_ignored():
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [source for name, rest in instructions() if name == "COPY" for source in rest.split()[:-1]]
    assert copied and sorted(copied) == sorted(allowed)
    assert all((ROOT / source).exists() for source in copied)


def test_the_service_is_not_root_and_is_checked():
    assert last("USER").split(":")[0] not in ("0", "root")
    assert "/healthz" in last("HEALTHCHECK") and json.loads(last("CMD"))[:2] == ["precode", "serve"]


class Container:
    """A folder in place of the file system of a container, with a Python of its own."""

    def __init__(self, folder: Path):
        self.folder, self.workdir = folder / "root", folder / "root"
        venv.create(folder / "venv", with_pip=True)
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self.environment = {**kept, "PATH": f"{folder / 'venv' / 'bin'}:{os.environ['PATH']}"}

    def step(self, name: str, rest: str) -> None:
        if name == "WORKDIR":
            self.workdir = self.folder / rest.lstrip("/")
            self.workdir.mkdir(parents=True)
        elif name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                self.copy(ROOT / source, self.workdir / target)
        elif name == "RUN":
            self.run(["sh", "-ec", rest])
        elif name == "ENV":
            self.environment |= dict(pair.split("=", 1) for pair in rest.split())

    def copy(self, source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*IGNORED))
        else:
            assert not any(fnmatch(source.name, pattern) for pattern in IGNORED)
            shutil.copy(source, target)

    def run(self, command: list[str]) -> str:
        result = subprocess.run(
            command, cwd=self.workdir, env=self.environment, capture_output=True, text=True, timeout=1800
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout


@pytest.mark.slow
def test_the_steps_of_the_dockerfile_start_a_service_that_answers(tmp_path):
    if "serve" not in COMMANDS:
        pytest.skip("needs the command precode serve")
    container = Container(tmp_path)
    for name, rest in instructions():
        container.step(name, rest)
    with open(tmp_path / "log", "w") as log:
        service = subprocess.Popen(
            json.loads(last("CMD")), cwd=container.workdir, env=container.environment, stdout=log, stderr=log
        )
    check = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    try:
        deadline = time.monotonic() + 120
        while subprocess.run(check, env=container.environment, capture_output=True).returncode:
            assert service.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(1)
        body = json.dumps({"inputs": ["I got the job!", "You did? That's wonderful!"]}).encode()
        request = urllib.request.Request(
            "http://127.0.0.1:8000/v1/emotions", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            assert "joy" in response.read().decode()
    finally:
        service.terminate()
        service.wait(timeout=60)
    assert subprocess.run(check, env=container.environment, capture_output=True).returncode
    shutil.rmtree(tmp_path)  # gigabytes
