"""Two runs in one output folder: the second one is refused, and the first one is not touched."""

import subprocess
import sys
from pathlib import Path

import pytest
from corpus_of_topics import write_corpus

import run_finetune
import run_pretrain
from modeling_precode.training import run_lock

pytestmark = pytest.mark.usefixtures("no_state_of_another_test")

HOLD = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); input()"


@pytest.mark.parametrize("options", ["--resume_from_checkpoint latest", "--overwrite_output_dir"])
@pytest.mark.parametrize("script", [run_pretrain, run_finetune])
def test_a_second_run_in_an_output_folder_is_refused_and_the_first_keeps_its_files(
    tmp_path, monkeypatch, script, options
):
    corpus = write_corpus(tmp_path / "corpus", sizes=(("train", 24), ("validation", 24), ("test", 24)))
    output = tmp_path / "run"
    files = [output / name for name in ("checkpoint-4/model.safetensors", "results.json", ".run/.file.partial")]
    for path in (*files, output / run_lock.LOCK):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("first")
    arguments = f"--corpus custom --data_dir {corpus} --hidden_size 4 --word_vector_size 4 --output_dir {output}"
    command = [sys.executable, "-c", HOLD, str(output / run_lock.LOCK)]
    monkeypatch.setattr(run_lock, "TIMEOUT_SECONDS", 0)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout.readline() == b"held\n"
        if "resume" in options:
            (output / run_lock.RUN_FOLDER / "fingerprint.json").write_text("{}")
        with pytest.raises(OSError, match=f"{output}: another run writes to this folder; wait until it ends, or give"):
            script.main([*arguments.split(), *options.split()])
        first.communicate(b"\n")
    assert all(path.read_text() == "first" for path in files)


def test_a_run_that_ended_as_it_started_is_resumed(tmp_path):
    for folder in (run_lock.RUN_FOLDER, "seed_1"):
        Path(tmp_path, folder).mkdir()
    run_pretrain.check_output_dir(str(tmp_path), overwrite=False, resume="latest")
