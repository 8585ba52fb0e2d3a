from functools import partial
from pathlib import Path

import datasets
import pytest
from films import film

from data_scripts import load_corpus


def pytest_configure(config):
    datasets.disable_progress_bars()


@pytest.fixture
def load(tmp_path):
    """`load_corpus` with a cache of this test's own."""
    return partial(load_corpus, cache_dir=tmp_path / "cache")


@pytest.fixture
def write(tmp_path):
    """Writes files, text or bytes by name, and returns their folder."""

    def write_files(files: dict[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = tmp_path / "corpus" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / "corpus"

    return write_files


@pytest.fixture
def films(write):
    """The folder of six films."""
    return write({f"Film_{number}.srt": film() for number in range(6)})


@pytest.fixture
def counts():
    """Dialogues and utterances of each split."""
    return lambda dataset: {split: (len(rows), sum(map(len, rows["utterances"]))) for split, rows in dataset.items()}
