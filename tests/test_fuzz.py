"""A short campaign of damaged files: each is read, or refused in a clear error; so is each saved input."""

import pytest

pytest.importorskip("hypothesis")
pytest.importorskip("openpyxl")

import fuzz
from fuzzing import models
from fuzzing.targets import CHECKPOINTS, FILES, outcome, target_of

# An export takes seconds.
SAVED = [
    pytest.param(path.name, marks=[pytest.mark.slow] if target_of(path.name).folder == "onnx" else [])
    for path in sorted(fuzz.SEEDS.iterdir())
]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The folder of the good models, without the exported one."""
    folder = tmp_path_factory.mktemp("good")
    models.write_checkpoints(folder)
    return folder


@pytest.mark.parametrize("target", [*FILES, *CHECKPOINTS], ids=lambda target: target.name)
def test_damaged_files_are_read_or_refused_in_a_clear_error(good, tmp_path, target):
    path = fuzz.place_of(target, good, tmp_path / "trial")
    results = fuzz.try_examples(target, fuzz.strategy_of(target, good), path, number=0, count=15)
    assert results.counts.total() == 15
    assert not [what for what, _ in results.faults.values()]


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_input_is_read_or_refused_in_a_clear_error(good, tmp_path, name):
    if target_of(name).folder == "onnx" and not (good / "onnx").exists():
        models.write_export(good)
    path = fuzz.place_of(target_of(name), good, tmp_path / "trial")
    path.write_bytes((fuzz.SEEDS / name).read_bytes())
    assert outcome(target_of(name), path) in ("read", "refused")
