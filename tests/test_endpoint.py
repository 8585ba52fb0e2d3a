"""What a pushed checkpoint promises as an Inference Endpoint: its handler answers as the pipeline does, in an
environment without this package, and says what is wrong with a request."""

import json
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from clean_environment import make_environment
from test_stranger import DIALOGUE, ROOT, probabilities, run_python

from modeling_precode import (
    ConversationEmotionPipeline,
    PreCodeForUtteranceClassification,
    PreCodeModel,
    PreCodeTokenizer,
)
from modeling_precode.sharing.endpoint import FILES, TEMPLATE

PUSH = """
import sys
from modeling_precode import push_checkpoint

print(push_checkpoint(sys.argv[1], "someone/it"))
"""
# As the toolkit of the endpoints does: the module is loaded from its file, and called with the body of a request.
TOOLKIT = """
import importlib.util, json, sys
from pathlib import Path

assert importlib.util.find_spec("modeling_precode") is None
specification = importlib.util.spec_from_file_location("handler", Path(sys.argv[1], "handler.py"))
handler = importlib.util.module_from_spec(specification)
sys.modules["handler"] = handler
specification.loader.exec_module(handler)
answer = handler.EndpointHandler(sys.argv[1])
print(json.dumps([answer(body) for body in json.loads(sys.argv[2])]))
"""


@pytest.fixture
def push(hub, tmp_path):
    """A function: the folder of a checkpoint -> its files on the Hub after a push."""

    def push(folder: Path) -> dict[str, bytes]:
        settings = {"HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_secret", "HF_HOME": str(tmp_path / "home")}
        printed = run_python(sys.executable, PUSH, str(folder), PYTHONPATH=str(ROOT), **settings)
        assert "/commit/" in printed
        return hub.files("someone/it")

    return push


def test_the_handler_of_a_pushed_checkpoint_answers_as_the_pipeline_does(checkpoint, push, tmp_path):
    local = ConversationEmotionPipeline(
        PreCodeForUtteranceClassification.from_pretrained(checkpoint), PreCodeTokenizer.from_pretrained(checkpoint)
    )
    assert not any((checkpoint / name).exists() for name in FILES)
    (tmp_path / "repository").mkdir()
    for name, data in push(checkpoint).items():
        (tmp_path / "repository" / name).write_bytes(data)
    named = [{"speaker": "Ana", "text": text} for text in DIALOGUE]
    requests = [
        {"inputs": DIALOGUE, "parameters": {"distribution": True}},
        {"inputs": [DIALOGUE, named]},
        {"inputs": [], "parameters": None},
        {"inputs": 3},
        {"inputs": DIALOGUE, "parameters": {"top_k": 0}},
        {"inputs": DIALOGUE, "parameters": {"distribution": "false"}},
        {"inputs": DIALOGUE, "parameters": {"temperature": 2}},
        {"inputs": DIALOGUE, "parameters": [1]},
        {"input": DIALOGUE},
        {"inputs": DIALOGUE, "options": {}},
        DIALOGUE,
    ]
    python = make_environment(tmp_path / "venv", "torch", "transformers")
    printed = run_python(python, TOOLKIT, str(tmp_path / "repository"), json.dumps(requests), HF_HUB_OFFLINE="1")
    answers = json.loads(printed.splitlines()[-1])
    assert probabilities(answers[0]) == pytest.approx(probabilities(local(DIALOGUE, distribution=True)), abs=1e-6)
    labels = [turn["label"] for turn in local(DIALOGUE)]
    assert [[turn["label"] for turn in dialogue] for dialogue in answers[1]] == [labels, labels]
    assert {turn["speaker"] for turn in answers[1][1]} == {"Ana"}
    assert answers[2] == []
    for answer, reason in zip(
        answers[3:],
        (
            "got 3",
            "top_k must be at least 1",
            "distribution must be True or False; got 'false'",
            "temperature",
            "must be an object",
            "got the keys input",
            "options",
            "got",
        ),
        strict=True,
    ):
        assert list(answer) == ["error"] and reason in answer["error"]


def test_a_handler_of_ones_own_is_kept_and_an_encoder_gets_none(checkpoint, push, tiny_config, tmp_path):
    (checkpoint / "handler.py").write_text("# mine\n")
    files = push(checkpoint)
    assert files["handler.py"] == b"# mine\n" and "requirements.txt" in files
    PreCodeModel(tiny_config()).save_pretrained(tmp_path / "encoder")
    push(tmp_path / "encoder")
    assert not any((tmp_path / "encoder" / name).exists() for name in FILES)
    # Without the code of the model, as in an exported model, the handler could not load it.
    for name in ("configuration_precode.py", *FILES):
        (checkpoint / name).unlink()
    push(checkpoint)
    assert not any((checkpoint / name).exists() for name in FILES)


def test_the_requirements_of_an_endpoint_are_those_of_the_package():
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    lines = (TEMPLATE / "requirements.txt").read_text(encoding="utf-8").split()
    assert set(lines) <= set(settings["options"]["install_requires"].split())
    assert any(line.startswith("transformers") for line in lines)
