"""What is promised to one who loads what a stranger made: no code of it runs unless the user says so."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from data_scripts.formats.limits import Limits
from data_scripts.opsub import OpSubConfig
from modeling_precode import PreCodeForUtteranceClassification

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def checkpoint(tiny_config, tmp_path) -> Path:
    PreCodeForUtteranceClassification(tiny_config()).save_pretrained(tmp_path / "emotions")
    return tmp_path / "emotions"


def nodes() -> Iterator[tuple[Path, ast.AST]]:
    """Every part of every source file that is no test."""
    folders = ("modeling_precode", "data_scripts", "examples", "benchmarks")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py")] + list(ROOT.glob("run_*.py"))
    assert len(sources) > 30
    return ((path, node) for path in sources for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def test_weights_in_a_pickle_are_refused(checkpoint, tmp_path):
    trap = tmp_path / "ran"
    model = PreCodeForUtteranceClassification.from_pretrained(checkpoint)
    (checkpoint / "model.safetensors").unlink()

    class Trap:
        def __reduce__(self):
            return (Path.touch, (trap,))

    torch.save({**model.state_dict(), "trap": Trap()}, checkpoint / "pytorch_model.bin")
    with pytest.raises(OSError, match="emotions: no model.safetensors; weights are read from safetensors only"):
        PreCodeForUtteranceClassification.from_pretrained(checkpoint)
    with pytest.raises(ValueError, match="use_safetensors=False: weights are read from safetensors only"):
        PreCodeForUtteranceClassification.from_pretrained(checkpoint, use_safetensors=False)
    assert not trap.exists()


def test_nothing_here_trusts_a_checkpoints_code_for_a_user():
    for path, node in nodes():
        # The handler of an endpoint is code of the checkpoint itself. Whoever deploys it runs the checkpoint's code.
        if path.parent.name == "endpoint_template":
            continue
        assert not (isinstance(node, ast.keyword) and node.arg == "trust_remote_code"), path
        assert not (isinstance(node, ast.Constant) and node.value == "trust_remote_code"), path


def test_nothing_here_reads_a_pickle_but_the_restricted_reader():
    for path, node in nodes():
        if path.name == "restricted_pickle.py":
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            assert not names & {"pickle", "dill", "cloudpickle", "joblib", "shelve"}, path
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "np.load", "numpy.load"):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert given.get("weights_only") == "True" or ast.unparse(node.func) != "torch.load", path
            assert given.get("allow_pickle", "False") == "False", path


def test_the_document_states_the_limits_of_the_readers():
    rows = [line.split("|") for line in (ROOT / "docs/security.md").read_text(encoding="utf-8").splitlines()]
    stated = {row[2].strip(" `"): [value.strip() for value in row[3:5]] for row in rows if len(row) == 6}
    for field in fields(Limits):
        for value, limits in zip(stated[field.name], (Limits(), OpSubConfig()), strict=True):
            number, unit = re.match(r"([\d,]+) ?(GiB|MiB)?", value).groups()
            factor = {"GiB": 1 << 30, "MiB": 1 << 20, None: 1}[unit]
            assert int(number.replace(",", "")) * factor == getattr(limits, field.name), field.name
