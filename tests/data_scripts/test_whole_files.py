"""What is written appears whole or not at all, and nothing that somebody else put there is deleted."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_scripts.tools.whole_files import whole_file, whole_folder


def test_a_folder_that_was_filled_in_the_meantime_is_left_alone(tmp_path):
    folder = tmp_path / "export"
    with pytest.raises(OSError, match="not empty"), whole_folder(folder, replace=False) as unfinished:
        (unfinished / "data").write_text("ours")
        folder.mkdir()
        (folder / "notes.txt").write_text("theirs")
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("notes.txt", "theirs")]
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("replace", [True, False])
def test_an_empty_folder_is_filled(tmp_path, replace):
    (tmp_path / "export").mkdir()
    with whole_folder(tmp_path / "export", replace) as unfinished:
        (unfinished / "data").write_text("ours")
    assert (tmp_path / "export" / "data").read_text() == "ours" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("kind", ["link", "broken link", "working folder", "folder that a killed process left"])
def test_an_empty_folder_is_filled_wherever_it_is(tmp_path, monkeypatch, kind):
    target = tmp_path / "target"
    if kind != "broken link":
        target.mkdir()
    (tmp_path / "link").symlink_to(target)
    monkeypatch.chdir(target if kind == "working folder" else tmp_path)
    if kind == "folder that a killed process left":
        (target / ".new-files.partial" / "old").mkdir(parents=True)
    with whole_folder(Path("." if kind == "working folder" else "link"), replace=False) as unfinished:
        (unfinished / "data").mkdir()
        (unfinished / "data" / "rows").write_text("ours")
    assert [str(path.relative_to(tmp_path)) for path in target.rglob("*")] == ["target/data", "target/data/rows"]
    assert (tmp_path / "link" / "data").is_dir() and Path("data" if kind == "working folder" else "link/data").exists()


def test_an_empty_folder_is_empty_again_after_an_error_and_what_appeared_in_it_stays(tmp_path):
    with pytest.raises(RuntimeError), whole_folder(tmp_path, replace=False) as unfinished:
        (unfinished / "data").write_text("ours")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileExistsError, match="not empty"), whole_folder(tmp_path, replace=False) as unfinished:
        (unfinished / "data").write_text("ours")
        (tmp_path / "notes.txt").write_text("theirs")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_with_files_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "notes.txt").write_text("theirs")
    for path, message in ((tmp_path, "the folder is not empty"), (tmp_path / "notes.txt", "is a file")):
        with pytest.raises(FileExistsError, match=f"^{path}: {message}; use a"), whole_folder(path, replace=False):
            pytest.fail("written")


def test_an_error_leaves_the_earlier_file_and_folder(tmp_path):
    for whole, path in ((whole_file, tmp_path / "file"), (whole_folder, tmp_path / "folder")):
        with whole(path) as unfinished:
            (unfinished / "data" if whole is whole_folder else unfinished).write_text("first")
        with pytest.raises(RuntimeError), whole(path) as unfinished:
            (unfinished / "data" if whole is whole_folder else unfinished).write_text("second")
            raise RuntimeError
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "data").read_text() == "first"
    assert len(list(tmp_path.iterdir())) == 2


WRITE = (
    "import sys, time; from pathlib import Path; from data_scripts.tools.whole_files import whole_file\n"
    "with whole_file(Path(sys.argv[1])) as path: path.write_text('half'); print(path, flush=True); time.sleep(60)"
)


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_another_writes_is_not(tmp_path):
    output = tmp_path / "labels.csv"
    others = [tmp_path / name for name in (".labels.csv.partial", ".labels.csv.gz.7.partial", ".labels.csv.7")]
    for path in others:
        path.write_text("of somebody else")
    command = [sys.executable, "-c", WRITE, str(output)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writing,
    ):
        left, unfinished = (process.stdout.readline().strip() for process in (killed, writing))
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert os.path.exists(left)
        with whole_file(output) as path:
            path.write_text("whole")
        assert not os.path.exists(left) and os.path.exists(unfinished)
        writing.kill()
    assert output.read_text() == "whole" and all(path.read_text() == "of somebody else" for path in others)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "x"),
        Exception("No space left on device (os error 28)"),
        OSError("Not enough disk space. Needed: Unknown size"),
    ],
    ids=["a number", "tokenizers", "datasets"],
)
@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_a_full_disk_is_a_one_line_error_that_names_the_file_whatever_library_wrote(tmp_path, whole, error):
    message = f"^{tmp_path}/it could not be written: the disk is full; make room, and run the same command again$"
    with pytest.raises(OSError, match=message), whole(tmp_path / "it"):
        raise error
    assert not list(tmp_path.iterdir())
