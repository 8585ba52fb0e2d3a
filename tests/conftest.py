"""What the tests share: no network but a Hub on loopback, one thread, a cache of their own, and a tiny tokenizer and
model."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Settings of a person that would change results.
os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
os.environ.pop("HF_DATASETS_CACHE", None)
os.environ.pop("HF_HUB_CACHE", None)
os.environ.pop("HF_TOKEN", None)
os.environ.pop("PRECODE_API_KEY", None)
os.environ["HF_HUB_OFFLINE"] = "1"
# Each of the processes that run tests side by side has its own, and none has a person's.
os.environ["HF_HOME"] = CACHE = tempfile.mkdtemp(prefix="precode-tests-")
# Two processes of two threads each on two cores spend their time waiting for one another.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
# Large files then go over plain HTTP, which the Hub of the tests speaks.
os.environ["HF_HUB_DISABLE_XET"] = "1"

import pytest
import torch
from accelerate.state import AcceleratorState
from hub_server import HubServer
from original_files import Original
from tiny import LABELS, WORDS

from modeling_precode import PreCodeConfig, PreCodeForUtteranceClassification, PreCodeTokenizer


def pytest_configure(config):
    """Hide GPUs: what is the same bit for bit is so on a CPU. `pytest tests/test_gpu.py` is for the rest."""
    arguments = config.workerinput["mainargv"] if hasattr(config, "workerinput") else sys.argv
    if not any("test_gpu" in argument for argument in arguments):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_make_parametrize_id(val):
    """Name compressed data without its time, because the processes of pytest-xdist must name a test alike."""
    return "gzip" if isinstance(val, bytes) and val.startswith(b"\x1f\x8b") else None


def pytest_unconfigure():
    shutil.rmtree(CACHE, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def no_state_of_another_test() -> Iterator[None]:
    """For tests that call a script's `main` in this process: Accelerate keeps its state in a class."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def beside_the_repository(name: str) -> Path:
    folder = Path(__file__).resolve().parents[2] / name
    if not folder.is_dir():
        pytest.skip(f"needs ../{name}")
    return folder


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of what was recorded from the original implementation."""
    return beside_the_repository("shared/fixtures/original_a")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora and word vectors."""
    return beside_the_repository("shared/data")


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """The folder of inputs that people bring."""
    return beside_the_repository("shared/cases")


@pytest.fixture
def tokenizer() -> PreCodeTokenizer:
    return PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", *WORDS])


@pytest.fixture
def tiny_config():
    """A function: settings -> a small configuration with three labels."""

    def make(**settings) -> PreCodeConfig:
        defaults = {
            "vocab_size": 2 + len(WORDS),
            "word_vector_size": 12,
            "utterance_hidden_size": 8,
            "conversation_hidden_size": 6,
            "classifier_hidden_size": 5,
            "id2label": dict(enumerate(LABELS)),
            "label2id": {label: i for i, label in enumerate(LABELS)},
        }
        return PreCodeConfig(**{**defaults, **settings})

    return make


@pytest.fixture
def save_distinct(tokenizer, tiny_config):
    """A function: a folder and settings -> the folder of a tiny model whose labels differ, and its tokenizer."""

    def save(folder: Path, **settings) -> Path:
        torch.manual_seed(0)
        model = PreCodeForUtteranceClassification(tiny_config(**settings))
        torch.nn.init.normal_(model.classifier.output.weight, std=3)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def checkpoint(tokenizer, tiny_config, tmp_path) -> Path:
    """The folder of a tiny model for emotions, with random weights, and its tokenizer."""
    torch.manual_seed(0)
    PreCodeForUtteranceClassification(tiny_config()).save_pretrained(tmp_path / "emotions")
    tokenizer.save_pretrained(tmp_path / "emotions")
    return tmp_path / "emotions"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A Hub where someone has a token to write, and one to read."""
    server = HubServer()
    server.tokens |= {
        "hf_secret": ("someone", "write"),
        "hf_reader": ("someone", "read"),
        "hf_other": ("other", "write"),
    }
    yield server
    server.stop()


@pytest.fixture
def original(tmp_path) -> Original:
    return Original(tmp_path)


@pytest.fixture
def output(tmp_path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "made" / "checkpoint"
