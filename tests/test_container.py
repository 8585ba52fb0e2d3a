"""What the Dockerfile promises: its steps, run one by one in a folder and an environment of their own for each stage,
start a service that answers, without torch and as a user other than root."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
import venv
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools.config.setupcfg import read_configuration

ROOT = Path(__file__).resolve().parents[1]
IGNORED = ["__pycache__", "*.so"]
WITHOUT = {"torch", "transformers", "datasets", "accelerate", "evaluate"}


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, without comments."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def last(name: str) -> str:
    return [rest for found, rest in instructions() if found == name][-1]


def installed_in_the_image() -> set[str]:
    """The packages that the last stage installs by name."""
    last_stage = (ROOT / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2].replace("\\\n", " ")
    [command] = re.findall(r"^RUN pip install (.*--constraint constraints.txt.*)$", last_stage, re.M)
    return {canonicalize_name(name) for name in command.partition("constraints.txt")[2].split()}


def named(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def test_what_is_copied_is_in_the_repository_and_not_ignored():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    copied = {source for sources in copies for source in sources}
    assert copied and copied == allowed
    assert all((ROOT / source).exists() for source in copied)


def test_the_service_is_not_root_and_is_checked():
    assert last("USER").split(":")[0] not in ("0", "root")
    assert "/healthz" in last("HEALTHCHECK") and json.loads(last("CMD"))[:2] == ["precode", "serve"]


def test_the_image_has_the_extras_of_the_service_and_no_torch():
    options = read_configuration(ROOT / "setup.cfg")["options"]
    extras = {name: named(options["extras_require"][name]) for name in ("onnx", "serve", "excel", "opsub")}
    packages = installed_in_the_image()
    assert packages >= extras["onnx"] | extras["serve"] | extras["excel"]
    assert packages <= set.union(named(options["install_requires"]), *extras.values()) - WITHOUT


class Stage:
    """A folder in place of the file system of a stage, with a Python of its own."""

    def __init__(self, folder: Path, earlier: dict[str, "Stage"]):
        self.folder, self.workdir, self.earlier = folder / "root", folder / "root", earlier
        venv.create(folder / "venv", with_pip=True)
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self.environment = {**kept, "PATH": f"{folder / 'venv' / 'bin'}:{os.environ['PATH']}"}

    def step(self, name: str, rest: str) -> None:
        if name == "WORKDIR":
            self.workdir = self.folder / rest.lstrip("/")
            self.workdir.mkdir(parents=True)
        elif name == "COPY" and rest.startswith("--from="):
            stage, source, target = rest.removeprefix("--from=").split()
            self.copy(self.earlier[stage].folder / source.lstrip("/"), self.workdir / target)
        elif name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                assert not any(fnmatch(Path(source).name, pattern) for pattern in IGNORED)
                self.copy(ROOT / source, self.workdir / target)
        elif name == "RUN":
            self.run(["sh", "-ec", rest])
        elif name == "ENV":
            self.environment |= dict(pair.split("=", 1) for pair in rest.split())

    def copy(self, source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*IGNORED))
        else:
            shutil.copy(source, target)

    def run(self, command: list[str]) -> str:
        result = subprocess.run(
            command, cwd=self.workdir, env=self.environment, capture_output=True, text=True, timeout=1800
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout


def build(folder: Path) -> Stage:
    """The last stage, after all steps of the Dockerfile."""
    stages: dict[str, Stage] = {}
    stage = None
    for name, rest in instructions():
        if name == "FROM":
            title = rest.rpartition(" AS ")[2] if " AS " in rest else "last"
            stage = stages[title] = Stage(folder / title, dict(stages))
        elif stage:
            stage.step(name, rest)
    return stages["last"]


@pytest.mark.slow
def test_the_steps_of_the_dockerfile_start_a_service_that_answers_without_torch(tmp_path):
    image = build(tmp_path)
    found = f"import importlib.util; print([name for name in {sorted(WITHOUT)} if importlib.util.find_spec(name)])"
    assert image.run(["python", "-c", found]).strip() == "[]"
    with open(tmp_path / "log", "w") as log:
        service = subprocess.Popen(
            json.loads(last("CMD")), cwd=image.workdir, env=image.environment, stdout=log, stderr=log
        )
    check = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    try:
        deadline = time.monotonic() + 120
        while subprocess.run(check, env=image.environment, capture_output=True).returncode:
            assert service.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(1)
        body = json.dumps({"inputs": ["I got the job!", "You did? That's wonderful!"]}).encode()
        for path, expected in (("/v1/emotions", '"label":"joy"'), ("/v1/page", "<!DOCTYPE html>")):
            url = f"http://127.0.0.1:8000{path}"
            request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=60) as response:
                assert expected in response.read().decode()
    finally:
        service.terminate()
        service.wait(timeout=60)
    assert subprocess.run(check, env=image.environment, capture_output=True).returncode
    shutil.rmtree(tmp_path)  # gigabytes
