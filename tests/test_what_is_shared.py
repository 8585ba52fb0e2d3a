"""What leaves the machine, or is saved to be shared, names no folder, user or host of it, and no file has a token."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from corpus_of_topics import texts_of, write_corpus
from hub_server import HubServer
from test_push import PUSH_FROM_PYTHON
from text_encoders import write_text_encoder

from modeling_precode.sharing.push import NOT_PUSHED

pytest.importorskip("tensorboard")

ROOT = Path(__file__).resolve().parents[1]
MARK, USER, HOST, TOKEN = "marked-folder", "marked-user", "marked-host", "hf_secret"
COMMON = f"--corpus custom --data_dir {MARK}/corpus --report_to tensorboard --push_to_hub --hub_model_id"
COMMANDS = {
    "pretrain": f"{ROOT}/run_pretrain.py {COMMON} someone/start --text_encoder {MARK}/encoder --hidden_size 8 "
    "--max_steps 1 --batch_size 12 --output_dir {here}/start --check_overlap custom={here}/corpus",
    "finetune": f"{ROOT}/run_finetune.py {COMMON} someone/model --model {{here}}/start --num_train_epochs 1 "
    f"--hub_token {TOKEN} --output_dir {MARK}/finetuned",
    "evaluate": f"-m modeling_precode.cli.main evaluate --model {MARK}/finetuned --corpus custom={{here}}/corpus "
    f"--label_map {MARK}/labels.yaml --output {MARK}/scores.json",
    "predict": f"-m modeling_precode.cli.main predict {{here}}/chat.txt --model {{here}}/finetuned "
    f"--output {MARK}/chat.html",
}


def as_somebody_else(command: list[str]) -> list[str]:
    """The command on a host of another name, where this process may give it one."""
    rename = ["unshare", "--uts", "sh", "-c", f'hostname {HOST} && exec "$@"', "sh"]
    if shutil.which("unshare") and not subprocess.run([*rename, "true"], capture_output=True).returncode:
        return [*rename, *command]
    return command


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The folder and the Hub after a corpus, a start and a text encoder in a marked folder were trained on, and what
    the commands printed."""
    folder, hub = tmp_path_factory.mktemp("shared"), HubServer()
    hub.tokens[TOKEN] = ("someone", "write")
    here = folder / MARK
    corpus = write_corpus(here / "corpus", sizes=(("train", 30), ("validation", 12), ("test", 12)))
    write_text_encoder(here / "encoder", texts_of(corpus), "bert")
    (here / "chat.txt").write_text("Ann: party cake\nBen: late queue\n")
    (here / "labels.yaml").write_text("joy: joy\nanger: anger\nneutral: neutral\n")
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true", "HF_ENDPOINT": hub.address}
    settings |= {"HF_HUB_OFFLINE": "0", "HF_TOKEN": TOKEN, "USER": USER, "LOGNAME": USER, "HOME": f"/home/{USER}"}
    printed = ""
    commands = [command.format(here=here).split() for command in COMMANDS.values()]
    for command in [*commands, ["-c", PUSH_FROM_PYTHON, str(here / "finetuned")]]:
        command = as_somebody_else([sys.executable, *command])
        result = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0 and "failed" not in result.stderr, result.stdout + result.stderr
        printed += result.stdout + result.stderr
    yield here, hub, printed
    hub.stop()


def names_of_the_machine(folder: Path) -> list[bytes]:
    return [name.encode() for name in (MARK, USER, HOST, str(folder.parent))]


def test_no_file_on_the_hub_names_the_machine(shared):
    folder, hub, _ = shared
    pushed = {name: hub.files(f"someone/{name}") for name in ("start", "model", "pipeline", "encoder")}
    assert {"finetune_results.json", "results.json"} <= set(pushed["model"])
    assert "pretrain_results.json" in pushed["start"]
    for repository, files in pushed.items():
        assert {"config.json", "README.md"} <= set(files)
        for path, data in files.items():
            for name in names_of_the_machine(folder):
                assert name not in data, f"{repository}/{path}"
    for request in hub.requests:
        assert not [name for name in names_of_the_machine(folder) if name in request.body], request.path
    assert b"--data_dir corpus" in pushed["model"]["README.md"]
    assert json.loads(pushed["model"]["config.json"])["training_summary"]["start"] == "start"


def test_no_file_that_is_saved_to_be_shared_names_the_machine(shared):
    """All but what stays, as a push leaves it out: what repeats a run, what resumes it, and predictions."""
    folder, _, _ = shared
    saved = [folder / "scores.json", folder / "chat.html"]
    for output in (folder / "start", folder / "finetuned", folder / "finetuned" / "seed_1"):
        saved += [path for path in output.iterdir() if path.is_file()]
    saved = [path for path in saved if not any(path.match(pattern) for pattern in NOT_PUSHED[1:])]
    assert len(saved) > 40
    for path in saved:
        assert not [name for name in names_of_the_machine(folder) if name in path.read_bytes()], path


def test_a_tracker_gets_no_folder_and_no_user(shared):
    folder, _, _ = shared
    logs = list(folder.rglob("events.out.tfevents.*"))
    assert {path.relative_to(folder).parts[0] for path in logs} == {"start", "finetuned"}
    for path in logs:
        content = path.read_bytes()
        assert b"num_train_epochs" in content or b"max_steps" in content or path.stat().st_size < 10_000
        for name in names_of_the_machine(folder):
            assert name not in content, path


def test_a_token_is_in_no_file_and_no_log(shared):
    folder, hub, printed = shared
    assert TOKEN in {request.token for request in hub.requests}
    assert TOKEN not in printed
    for path in folder.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    for name in ("start", "model"):
        assert not [path for path, data in hub.files(f"someone/{name}").items() if TOKEN.encode() in data]
