from functools import partial
from pathlib import Path

import datasets
import pytest

from data_scripts import load_corpus

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"


def pytest_configure(config):
    datasets.disable_progress_bars()


@pytest.fixture
def shared_data() -> Path:
    """The folder of real corpora beside the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real corpora: {SHARED_DATA} is not there")
    return SHARED_DATA


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
def counts():
    """Dialogues and utterances of each split."""
    return lambda dataset: {split: (len(rows), sum(map(len, rows["utterances"]))) for split, rows in dataset.items()}
