"""What a push promises: the checkpoint stands on the Hub, without predictions and sub-folders, and the token with it;
one that fails costs nothing, and says what to do.

The Hub is that of `hub_server`, on loopback; the client is the real `huggingface_hub`.
"""

import pytest
from test_scripts import CUSTOM, SMALL, run, write_corpus

from modeling_precode import PreCodeForUtteranceClassification

PUSH = """
import sys
from modeling_precode.model_card import push_checkpoint

address = push_checkpoint(sys.argv[1], "someone/model", token=sys.argv[2])
print(address)
sys.exit(address is None)
"""


@pytest.fixture
def checkpoint(tokenizer, tiny_config, tmp_path):
    PreCodeForUtteranceClassification(tiny_config()).save_pretrained(tmp_path / "my model")
    tokenizer.save_pretrained(tmp_path / "my model")
    return tmp_path / "my model"


def push(hub, folder, token: str = "hf_secret"):
    result = run("-c", PUSH, str(folder), token, check=False, HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="0")
    assert token not in result.stdout + result.stderr
    return result


def test_finetuning_pushes_the_checkpoint_and_nothing_else(hub, tmp_path):
    corpus = write_corpus(tmp_path / "corpus")
    folder = tmp_path / "finetuned"
    result = run(
        *("run_finetune.py", *CUSTOM, str(corpus), "--output_dir", str(folder), *SMALL, "--num_train_epochs", "1"),
        *("--push_to_hub", "--hub_model_id", "someone/model", "--hub_token", "hf_secret", "--hub_private_repo", "true"),
        HF_ENDPOINT=hub.address,
        HF_HUB_OFFLINE="0",
    )
    assert "Pushed to" in result.stdout, result.stderr
    files = hub.files("someone/model")
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md", "modeling_precode.py"} <= set(files)
    assert not [name for name in files if "/" in name or name.endswith((".jsonl", ".bin", ".pt", ".pth"))]
    assert files["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert b'model="someone/model"' in files["README.md"]
    assert hub.repositories["model", "someone/model"].is_private
    # The store of large files is another host, which gets no token.
    assert {request.token for request in hub.requests if "/api/" in request.path} == {"hf_secret"}
    for path in folder.rglob("*"):
        assert not path.is_file() or b"hf_secret" not in path.read_bytes()
    assert "hf_secret" not in result.stdout + result.stderr


FAILURES = {
    "a token that the Hub does not know": ("hf_unknown", None, "401"),
    "a token that may only read": ("hf_reader", None, "403"),
    "someone else's name": ("hf_other", None, "403"),
    "a repository that vanished": ("hf_secret", ("POST", "/preupload/", 404), "404"),
    "another push at the same time": ("hf_secret", ("POST", "/commit/", 409), "409"),
    "too many requests": ("hf_secret", ("POST", "/commit/", 429), "429"),
    "an error of the Hub": ("hf_secret", ("POST", "/commit/", 500), "500"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_push_that_fails_says_why_and_leaves_the_checkpoint_and_the_command_for_later(hub, checkpoint, case):
    token, failure, status = FAILURES[case]
    if failure:
        hub.fail(*failure, times=20)
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    result = push(hub, checkpoint, token)
    assert result.returncode == 1
    message, later = result.stderr.splitlines()[-2:]
    assert message.startswith("The push to the Hub failed (") and status in message
    assert f"hf upload someone/model '{checkpoint}'" in later
    assert {path.name: path.read_bytes() for path in checkpoint.iterdir()} == before
    if ("model", "someone/model") in hub.repositories:
        assert hub.files("someone/model") == {}


def test_what_passes_is_tried_again(hub, checkpoint):
    """The Hub is slow to answer, busy, or gone for a moment; a connection ends in the middle of the weights."""
    hub.fail("POST", "/preupload/", 429, Retry_After="0")
    hub.fail("POST", "/objects/batch", 500)
    hub.cut("PUT", "/store/", after=100)
    result = push(hub, checkpoint)
    assert result.returncode == 0, result.stderr
    assert hub.files("someone/model")["model.safetensors"] == (checkpoint / "model.safetensors").read_bytes()
    assert all(not failure.times for failure in hub.failures)


def test_a_second_push_goes_on_where_the_first_failed(hub, checkpoint):
    hub.fail("POST", "/commit/", 500)
    assert push(hub, checkpoint).returncode == 1
    assert push(hub, checkpoint).returncode == 0
    uploads = [request for request in hub.requests if request.method == "PUT"]
    assert len(uploads) == 1  # the weights had arrived
    assert hub.files("someone/model")["config.json"] == (checkpoint / "config.json").read_bytes()
