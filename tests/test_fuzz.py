"""A short campaign of damaged files: each is read, or refused in a clear error; so is each seed."""

import shutil

import pytest

pytest.importorskip("openpyxl")

import fuzz


def test_damaged_files_are_read_or_refused_in_a_clear_error():
    trials, faults = fuzz.campaign(minutes=1 / 30, seed=0, save=False)
    assert trials and not faults


@pytest.mark.parametrize("seed", sorted(path.name for path in fuzz.SEEDS.iterdir()))
def test_a_seed_is_read_or_refused_in_a_clear_error(tmp_path, seed):
    fuzz.write_seeds(tmp_path / "checkpoint")
    path = fuzz.place_of(tmp_path, seed, tmp_path / "checkpoint", "seed")
    shutil.copy(fuzz.SEEDS / seed, path)
    assert fuzz.fault(path) is None
