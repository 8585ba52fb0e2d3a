"""What `precode space` promises: a folder that can be pushed as it is, whole or not at all, and an app that labels what
a visitor pastes or uploads."""

import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
from huggingface_hub import SpaceCard
from test_stranger import ROOT, run_python

from modeling_precode import RunSummary, write_model_card
from modeling_precode.cli.main import main as precode
from modeling_precode.sharing import space
from modeling_precode.version import __version__

TEXT = "Ana: I am so happy!\nBen: About <b>what</b>?"


def test_a_space_of_a_folder_has_a_copy_of_the_model_and_its_license(checkpoint, tmp_path, capsys):
    summary = RunSummary(corpus="calls", licence="CC-BY-4.0", start="", command="")
    write_model_card(checkpoint, "emotions", "erc", summary)
    for name in ("predictions.jsonl", "optimizer.pt", ".hidden"):
        (checkpoint / name).write_text("private")
    (checkpoint / "seed_1").mkdir()
    precode(["space", str(checkpoint), str(tmp_path / "space"), "--title", 'Calls: "A"'])
    assert "hf upload you/name" in capsys.readouterr().out
    files = {str(path.relative_to(tmp_path / "space")) for path in (tmp_path / "space").rglob("*") if path.is_file()}
    assert {"app.py", "requirements.txt", "README.md", "model/model.safetensors", "model/tokenizer.json"} <= files
    assert not [name for name in files if name.endswith((".jsonl", ".pt", ".hidden"))]
    card = SpaceCard.load(tmp_path / "space" / "README.md")
    assert (card.data.title, card.data.sdk, card.data.app_file) == ('Calls: "A"', "gradio", "app.py")
    assert (card.data.license, card.data.sdk_version) == ("cc-by-4.0", space.GRADIO)
    app = (tmp_path / "space" / "app.py").read_text(encoding="utf-8")
    compile(app, "app.py", "exec")
    assert str(tmp_path) not in app + card.content
    requirements = (tmp_path / "space" / "requirements.txt").read_text(encoding="utf-8").split()
    assert requirements == [space.requirement_of(None), space.GRADIO_REQUIREMENT]
    assert requirements[0].startswith(f"precode>={__version__},<")


def test_a_space_of_a_model_on_the_hub_names_it(hub, checkpoint, tmp_path):
    write_model_card(checkpoint, "someone/model", "erc", RunSummary(corpus="calls", licence="MIT", command=""))
    hub.add("someone/model", checkpoint)
    code = "import sys\nfrom modeling_precode.cli.main import main\nmain(sys.argv[1:])"
    settings = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    run_python(sys.executable, code, "space", "someone/model", str(tmp_path / "space"), **settings)
    card = SpaceCard.load(tmp_path / "space" / "README.md")
    assert (card.data.models, card.data.license) == (["someone/model"], "mit")
    assert 'MODEL = "someone/model"' in (tmp_path / "space" / "app.py").read_text(encoding="utf-8")
    assert not (tmp_path / "space" / "model").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--package", "/home/me/precode"], "such as git[+]https"),
        (["--package", "precode>=1\ntorch"], "such as git[+]https"),
        (["--package", "other"], "such as git[+]https"),
    ],
)
def test_a_package_that_only_this_machine_has_is_refused(checkpoint, tmp_path, arguments, reason):
    with pytest.raises(SystemExit, match=reason):
        precode(["space", str(checkpoint), str(tmp_path / "space"), *arguments])
    assert not (tmp_path / "space").exists()


def test_the_package_may_come_from_an_address():
    address = "git+https://example.org/you/precode@v2#egg=precode"
    assert space.requirement_of(address) == f"precode @ {address}"
    assert space.requirement_of("precode[onnx]==0.1.*") == "precode[onnx]==0.1.*"


def test_nothing_is_written_over_or_by_halves(checkpoint, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    with pytest.raises(SystemExit, match="mine: the folder is not empty; use another folder"):
        precode(["space", str(checkpoint), str(tmp_path / "mine")])
    assert (tmp_path / "mine" / "notes").read_text() == "mine"
    monkeypatch.setattr(space, "LARGEST_MODEL", 1000)
    with pytest.raises(SystemExit, match="too large to be copied.*precode push"):
        precode(["space", str(checkpoint), str(tmp_path / "space")])
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "utterance_encoder.onnx").touch()
    with pytest.raises(SystemExit, match="exported: is an exported model; use the checkpoint that it was"):
        precode(["space", str(tmp_path / "exported"), str(tmp_path / "space")])
    shutil.rmtree(tmp_path / "exported")
    (checkpoint / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(SystemExit):
        precode(["space", str(checkpoint), str(tmp_path / "space")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["emotions", "mine"]


@pytest.fixture
def app(checkpoint, tmp_path):
    """The address of the app of a Space, which runs as a process of its own, and its log."""
    pytest.importorskip("gradio", reason="needs gradio: pip install '.[space]'")
    precode(["space", str(checkpoint), str(tmp_path / "space")])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_ANALYTICS_ENABLED": "False"}
    settings |= {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "GRADIO_TEMP_DIR": str(tmp_path / "uploads")}
    log = tmp_path / "log"
    with open(log, "w") as output:
        command = [sys.executable, str(tmp_path / "space" / "app.py")]
        process = subprocess.Popen(command, cwd="/", env={**os.environ, **settings}, stdout=output, stderr=output)
    deadline = time.monotonic() + 240
    while "Running on" not in log.read_text():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)
    yield f"http://127.0.0.1:{port}", log
    process.terminate()
    process.wait(timeout=30)


@pytest.mark.slow
def test_the_app_labels_what_a_visitor_pastes_or_uploads(app, tmp_path):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    address, log = app
    client = Client(address, verbose=False, analytics_enabled=False, download_files=False)
    page, table, labels = client.predict(TEXT, None, api_name="/emotions")
    assert [turn["text"] for turn in labels[0]] == ["I am so happy!", "About <b>what</b>?"]
    assert table["headers"] == ["Dialogue", "Speaker", "Utterance", "Emotion", "Probability"]
    assert [row[1:4] for row in table["data"]] == [[t["speaker"], t["text"], t["label"]] for t in labels[0]]
    # The page is that of `precode predict`, quoted once for the frame.
    assert page.startswith("<iframe") and 'sandbox="allow-scripts"' in page and "&lt;!DOCTYPE html&gt;" in page
    assert "About &amp;lt;b&amp;gt;what" in page and "<b>" not in page

    captions = tmp_path / "call.vtt"
    captions.write_text("WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ana>We are so angry!\n")
    page, _, labels = client.predict("", handle_file(captions), api_name="/emotions")
    assert labels == [[{**labels[0][0], "speaker": "Ana", "text": "We are so angry!"}]] and "call.vtt" in page

    archive = tmp_path / "secret.zip"
    archive.write_bytes(b"PK\x03\x04" + b"\0" * 30)
    for text, file, reason in (("  ", None, "Paste a conversation"), ("", handle_file(archive), "secret.zip")):
        with pytest.raises(AppError, match=reason) as refused:
            client.predict(text, file, api_name="/emotions")
        assert str(tmp_path) not in str(refused.value)
    with pytest.raises(AppError, match="At most 2,000 utterances.*got 2,001"):
        client.predict("\n".join(["Hi."] * 2001), None, api_name="/emotions")
    assert client.predict(TEXT, None, api_name="/emotions")[2][0][0]["text"] == "I am so happy!"
    assert "happy" not in log.read_text() and "Traceback" not in log.read_text()
