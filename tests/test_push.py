"""What a push promises: the checkpoint stands on the Hub, without predictions and sub-folders, and the token with it;
one that fails costs nothing, and says what to do.

The Hub is that of `hub_server`, on loopback; the client is the real `huggingface_hub`.
"""

import json
import re

import pytest
from huggingface_hub import ModelCard
from test_scripts import CUSTOM, SMALL, run, write_corpus

from modeling_precode import PreCodeForUtteranceClassification, RunSummary, write_model_card
from modeling_precode.sharing.endpoint import FILES
from modeling_precode.sharing.push import name_card

PUSH = """
import json, sys
from modeling_precode.sharing.push import push_checkpoint

for name, token in json.loads(sys.argv[2]):
    print(name, push_checkpoint(sys.argv[1], name, token=token), file=sys.stderr)
"""

LABELS = ["anger", "joy", "neutral"]


@pytest.fixture
def checkpoint(tokenizer, tiny_config, tmp_path):
    PreCodeForUtteranceClassification(tiny_config()).save_pretrained(tmp_path / "my model")
    tokenizer.save_pretrained(tmp_path / "my model")
    return tmp_path / "my model"


def push(hub, folder, *names: tuple[str, str]) -> str:
    """What is said of pushes, each with a name and a token, one after another."""
    result = run("-c", PUSH, str(folder), json.dumps(names), HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="0")
    assert not any(token in result.stdout + result.stderr for _, token in names)
    return result.stderr


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
    # The Hub took the card's metadata, which says what the run says.
    assert "/api/validate-yaml" in [request.path for request in hub.requests]
    scores = json.loads((folder / "results.json").read_text(encoding="utf-8"))["scores"]["test"]
    results = {
        result.metric_name: result.metric_value for result in ModelCard.load(folder / "README.md").data.eval_results
    }
    assert results == {
        "Accuracy": scores["accuracy"],
        "Weighted F1": scores["weighted_f1"],
        "Macro F1": scores["macro_f1"],
    }
    assert hub.repositories["model", "someone/model"].is_private
    # The store of large files is another host, which gets no token; a new cache first asks what needs none.
    asked = [request for request in hub.requests if "/api/" in request.path and "agent-harnesses" not in request.path]
    assert {request.token for request in asked} == {"hf_secret"}
    for path in folder.rglob("*"):
        assert not path.is_file() or b"hf_secret" not in path.read_bytes()
    assert "hf_secret" not in result.stdout + result.stderr


def test_a_card_on_the_hub_does_not_say_where_the_checkpoint_lay(hub, checkpoint):
    write_model_card(checkpoint, str(checkpoint), "erc", RunSummary(corpus="custom", command=""))
    card = (checkpoint / "README.md").read_text(encoding="utf-8")
    assert card.count('model="my model"') == 2 and "\n# my model\n" in card and str(checkpoint.parent) not in card
    push(hub, checkpoint, ("someone/model", "hf_secret"))
    card = hub.files("someone/model")["README.md"].decode()
    assert card.count('model="someone/model"') == 2 and "\n# model\n" in card
    assert str(checkpoint.parent) not in card and "my model" not in card


def test_a_card_that_was_written_by_hand_stays_as_it_is(tmp_path):
    card = tmp_path / "README.md"
    text = '# Mine\n\nSentenceTransformer(model="sentence-transformers/all-MiniLM-L6-v2")\n\n## Use\n\nAsk me.\n'
    text += '\n## Others\n\n    pipeline("conversation-emotion", model="someone/else")\n'
    card.write_text(text, encoding="utf-8")
    name_card(card, "someone/model")
    assert card.read_text(encoding="utf-8") == text


def test_what_a_killed_push_left_is_neither_pushed_nor_kept(hub, checkpoint):
    write_model_card(checkpoint, str(checkpoint), "erc", RunSummary(corpus="custom", command=""))
    for name in ("README.md", "handler.py", "other.json"):
        (checkpoint / f".{name}.partial").write_text("half")
    push(hub, checkpoint, ("someone/model", "hf_secret"))
    assert not [name for name in hub.files("someone/model") if name.endswith(".partial")]
    assert [path.name for path in checkpoint.glob(".*.partial")] == [".other.json.partial"]


def test_a_push_that_fails_leaves_a_card_that_the_command_for_later_may_upload(hub, checkpoint):
    """The first versions wrote where the checkpoint lay into its card."""
    write_model_card(checkpoint, "name", "erc", RunSummary(corpus="custom", command=""))
    card = checkpoint / "README.md"
    card.write_text(card.read_text(encoding="utf-8").replace('"name"', f'"{checkpoint}"'), encoding="utf-8")
    push(hub, checkpoint, ("someone/model", "hf_unknown"))
    assert card.read_text(encoding="utf-8").count('model="someone/model"') == 2
    assert str(checkpoint.parent) not in card.read_text(encoding="utf-8")


PUSH_FROM_PYTHON = """
import sys
from transformers import AutoModel, AutoModelForSequenceClassification, pipeline

import modeling_precode

emotions = pipeline("conversation-emotion", model=sys.argv[1])
emotions.push_to_hub("someone/pipeline", token="hf_secret", private=True)
emotions.model.push_to_hub("someone/model", token="hf_secret", revision="v2", commit_message="Better", tags=["calls"])
emotions.tokenizer.push_to_hub("someone/model", token="hf_secret")
# The summary is not of an encoder, nor of a model with other labels.
other = AutoModelForSequenceClassification.from_pretrained(sys.argv[1], num_labels=2, ignore_mismatched_sizes=True)
other.push_to_hub("someone/other", token="hf_secret")
AutoModel.from_pretrained(sys.argv[1]).push_to_hub("someone/encoder", token="hf_secret", create_pr=False)
"""


def test_a_pipeline_and_a_model_push_the_card_of_their_run(hub, checkpoint):
    labels = {label: {"f1": 0.5, "support": 4} for label in LABELS}
    scores = {"test": {"weighted_f1": 0.625, "per_label": labels}}
    summary = RunSummary(corpus="meld", licence="GPL-3.0", seed=3, selection="best", scores=scores, command="")
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    config["training_summary"] = {**summary.to_dict(), "start": f"{checkpoint.parent}/start"}
    (checkpoint / "config.json").write_text(json.dumps(config), encoding="utf-8")
    run("-c", PUSH_FROM_PYTHON, str(checkpoint), HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="0")
    pushed = {name: hub.files(f"someone/{name}") for name in ("pipeline", "encoder", "other")}
    pushed["model"] = hub.files("someone/model", "v2")
    for name, files in pushed.items():
        card = ModelCard(files["README.md"].decode())
        assert f'"someone/{name}"' in card.text and f"\n# {name}\n" in card.text
        if name in ("pipeline", "model"):
            assert "| weighted_f1 | 0.6250 |" in card.text and "* Seed: 3" in card.text and "| joy |" in card.text
            assert [(r.metric_name, r.metric_value) for r in card.data.eval_results] == [("Weighted F1", 0.625)]
            assert "Trained and scored on **meld**" in card.text
        else:
            assert "Started from a checkpoint trained on **meld**" in card.text and card.data.eval_results is None
            assert "The checkpoint has no record of its training." in card.text and "0.6250" not in card.text
        assert {"config.json", "model.safetensors", "modeling_precode.py"} <= set(files)
        assert not any(str(checkpoint.parent).encode() in data for data in files.values())
    assert ModelCard(pushed["pipeline"]["README.md"].decode()).data.pipeline_tag == "text-classification"
    assert ModelCard(pushed["encoder"]["README.md"].decode()).data.pipeline_tag == "feature-extraction"
    assert "calls" in ModelCard(pushed["model"]["README.md"].decode()).data.tags
    assert "tokenizer.json" in pushed["pipeline"] and "tokenizer.json" in hub.files("someone/model")
    assert hub.repositories["model", "someone/pipeline"].is_private


def test_a_model_without_a_record_of_its_run_pushes_a_card_all_the_same_but_keeps_one_that_is_there(hub, checkpoint):
    write_model_card(checkpoint, "someone/there", "erc", RunSummary(corpus="calls"))
    hub.add("someone/there", checkpoint)
    (checkpoint / "README.md").unlink()
    script = PUSH_FROM_PYTHON.partition("emotions.push")[0] + "".join(
        f'emotions.push_to_hub("someone/{name}", token="hf_secret")\n' for name in ("new", "there")
    )
    run("-c", script, str(checkpoint), HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="0")
    new = hub.files("someone/new")["README.md"].decode()
    assert 'model="someone/new"' in new and "The checkpoint has no record of its training." in new
    assert b"**calls**" in hub.files("someone/there")["README.md"]


def test_a_push_that_fails_says_what_to_do_and_leaves_the_checkpoint_and_the_command_for_later(hub, checkpoint):
    expected = {
        ("someone/unknown", "hf_unknown"): "401 Unauthorized.*hf auth login",
        ("someone/read-only", "hf_reader"): "403 Forbidden.*a token with write access to someone/read-only",
        ("someone/not-mine", "hf_other"): "403 Forbidden.*a token with write access to someone/not-mine",
        ("someone/vanished", "hf_secret"): "404 Not Found.*check the name",
        ("someone/conflict", "hf_secret"): "409 Conflict.*push again",
        ("someone/busy", "hf_secret"): "429 Too Many Requests.*wait",
        ("someone/broken", "hf_secret"): "500 Internal Server Error.*try again later",
        ("someone/cut", "hf_secret"): "Server disconnected",
    }
    hub.fail("POST", "vanished/preupload/", 404)
    for name, status in (("conflict", 409), ("busy", 429), ("broken", 500)):
        hub.fail("POST", f"{name}/commit/", status)
    hub.cut("POST", "cut/commit/", after=100)
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    said = push(hub, checkpoint, *expected)
    failures = said.split("The push to the Hub failed ")[1:]
    for ((name, _), words), failure in zip(expected.items(), failures, strict=True):
        reason, later, outcome = failure.splitlines()[:3]
        assert re.search(words, reason), failure
        assert later.startswith(f"The checkpoint is safe in {checkpoint}; push it later with: hf upload {name} ")
        assert f"'{checkpoint}'" in later
        assert outcome == f"{name} None"
    after = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    # The command for later uploads the files of an endpoint, too.
    assert after == before | {name: after[name] for name in FILES}
    assert all(hub.files(name) == {} for _, name in hub.repositories)

    # The weights had arrived: what failed goes on from there.
    uploads = sum(request.method == "PUT" for request in hub.requests)
    assert "http" in push(hub, checkpoint, ("someone/broken", "hf_secret")).split("someone/broken ")[-1]
    assert sum(request.method == "PUT" for request in hub.requests) == uploads
    assert hub.files("someone/broken")["config.json"] == (checkpoint / "config.json").read_bytes()


def test_what_is_to_be_private_goes_nowhere_else(hub, checkpoint):
    """A repository that was there stays as public as it was, and the command for later asks for a private one."""
    hub.add("someone/public", checkpoint)
    files = hub.files("someone/public")
    (checkpoint / "more.txt").write_text("more", encoding="utf-8")
    script = PUSH.replace("token=token", "private=True, token=token")
    names = json.dumps([("someone/public", "hf_secret"), ("someone/private", "hf_secret")])
    said = run("-c", script, str(checkpoint), names, HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="0").stderr
    assert "someone/public is public; make it private, or use another name" in said
    assert re.search("push it later with: hf upload someone/public .* --private$", said, re.MULTILINE)
    assert hub.files("someone/public") == files
    assert hub.repositories["model", "someone/private"].is_private and "more.txt" in hub.files("someone/private")


def test_what_passes_is_tried_again(hub, checkpoint):
    """The Hub is busy, or broken for a moment; a connection ends in the middle of the weights."""
    hub.fail("POST", "/preupload/", 429, **{"Retry-After": "0"})
    hub.fail("POST", "/objects/batch", 500)
    hub.cut("PUT", "/store/", after=100)
    push(hub, checkpoint, ("someone/model", "hf_secret"))
    assert hub.files("someone/model")["model.safetensors"] == (checkpoint / "model.safetensors").read_bytes()
    assert all(not failure.times for failure in hub.failures)
