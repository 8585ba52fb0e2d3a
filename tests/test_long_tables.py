"""What `precode predict` promises of the tables that companies have: Excel out, and a long file that is labeled as it
is read and resumed where it was interrupted."""

import csv
import datetime
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_predict import TABLE, TABLE_OPTIONS, checkpoint, predict  # noqa: F401
from test_scripts import ROOT

from data_scripts.tools import progress
from modeling_precode.cli import workbook
from modeling_precode.cli.kept_labels import kept_labels
from modeling_precode.cli.rows import in_order


def sheet_of(path: Path) -> list[list]:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(path)
    [sheet] = book.worksheets
    return [[(cell.value, cell.data_type) for cell in row] for row in sheet.iter_rows()]


def values_of(path: Path) -> list[list]:
    return [[value for value, _ in row] for row in sheet_of(path)]


def test_a_workbook_has_the_columns_and_the_order_of_the_table(predict, tmp_path):  # noqa: F811
    (tmp_path / "in.csv").write_text(TABLE)
    for kind in ("csv", "xlsx"):
        predict(tmp_path / "in.csv", *TABLE_OPTIONS, "--distribution", "--output", tmp_path / f"out.{kind}")
    header, *rows = values_of(tmp_path / "out.xlsx")
    expected_header, *expected = csv.reader((tmp_path / "out.csv").open())
    assert header == expected_header
    assert [["" if value is None else str(value) for value in row] for row in rows] == expected
    assert isinstance(rows[0][header.index("score")], float)


def test_a_workbook_in_is_a_workbook_out(predict, tmp_path):  # noqa: F811
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["dialogue_id", "text", "ticket", "when"], ["a", "so happy", 7, datetime.datetime(2023, 4, 30)]):
        book.active.append(row)
    book.save(tmp_path / "in.xlsx")
    predict(tmp_path / "in.xlsx", "--output", tmp_path / "out.xlsx")
    _, row = values_of(tmp_path / "out.xlsx")
    assert row[:6] == ["a", None, "so happy", None, 7, "2023-04-30T00:00:00"]
    again = predict(tmp_path / "out.xlsx", "--format", "csv")
    assert "so happy" in again and "2023-04-30T00:00:00" in again


def test_every_text_and_number_is_in_a_workbook_what_it_was(predict, tmp_path, caplog):  # noqa: F811
    caplog.set_level(logging.INFO)
    texts = ["=1+1", "=HYPERLINK(A1)", "#N/A", "#REF!", "+1", "12", " so ", "so\nhappy", "😀", "", "a\x0bb\uffffc"]
    line = {"utterances": texts, "number": 2**60 + 1, "flag": True, "list": [1, "=a"], "=column": 0.1}
    (tmp_path / "in.jsonl").write_text(json.dumps(line) + "\n")
    predict(tmp_path / "in.jsonl", "--output", tmp_path / "out.xlsx")
    header, *rows = sheet_of(tmp_path / "out.xlsx")
    names = [value for value, _ in header]
    assert not {"f", "e"} & {kind for row in [header, *rows] for _, kind in row}
    found = [row[names.index("text")][0] or "" for row in rows]
    assert found == [*texts[:-1], "a\ufffdb\ufffdc"]
    assert {name: rows[0][names.index(name)][0] for name in ("number", "flag", "list", "=column")} == {
        "number": str(2**60 + 1),
        "flag": True,
        "list": '[1, "=a"]',
        "=column": 0.1,
    }
    assert any(message.startswith("1 texts have control characters") for message in caplog.messages)


def test_what_a_workbook_has_no_room_for_is_said_and_nothing_is_left(predict, tmp_path, monkeypatch):  # noqa: F811
    (tmp_path / "in.csv").write_text("dialogue_id,text\n" + "a,so happy\n" * 5)
    (tmp_path / "in.jsonl").write_text(json.dumps({"dialogue_id": "d", "utterances": ["so"] * 5}) + "\n")
    (tmp_path / "long.jsonl").write_text(json.dumps({"dialogue_id": "d", "utterances": ["so " * 11_000]}) + "\n")
    with pytest.raises(SystemExit, match="dialogue d, column text: an Excel cell holds 32,767 characters; got 33,000"):
        predict(tmp_path / "long.jsonl", "--output", tmp_path / "out.xlsx")
    line = {"dialogue_id": "d", "utterances": ["so"], "words": ["so"] * 6_000}
    (tmp_path / "list.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(SystemExit, match="dialogue d, column words: an Excel cell holds 32,767 characters; got 36,000"):
        predict(tmp_path / "list.jsonl", "--output", tmp_path / "out.xlsx")
    monkeypatch.setattr(workbook, "MOST_ROWS", 5)
    for name in ("in.csv", "in.jsonl"):
        with pytest.raises(SystemExit, match="an Excel sheet holds 4 rows below its header; got 5 or more; write .csv"):
            predict(tmp_path / name, "--output", tmp_path / "out.xlsx")
    assert not list(tmp_path.glob("*out.xlsx*"))
    # Of a table that is known before the model is loaded.
    with pytest.raises(SystemExit, match="an Excel sheet holds 4 rows"):
        predict(tmp_path / "in.csv", "--output", tmp_path / "out.xlsx", "--device", "cpu", "--revision", "nowhere")
    with pytest.raises(SystemExit, match="--format xlsx: cannot be printed; give the name"):
        predict(tmp_path / "in.csv", "--format", "xlsx")


def test_without_openpyxl_the_error_says_what_to_install(predict, tmp_path, monkeypatch):  # noqa: F811
    (tmp_path / "in.csv").write_text(TABLE)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(SystemExit, match="out.xlsx: writing an Excel workbook needs openpyxl; pip install openpyxl"):
        predict(tmp_path / "in.csv", "--output", tmp_path / "out.xlsx")


def test_rows_that_wait_for_their_turn_are_not_in_memory():
    count = 20_000
    text = "so happy " * 200
    order = [*range(0, count, 2), *range(1, count, 2)]
    rows = in_order((number, {"number": number, "text": text + str(number), "score": 0.1}) for number in order)
    import tracemalloc

    tracemalloc.start()
    for number, row in enumerate(rows):
        assert row == {"number": number, "text": text + str(number), "score": 0.1}
    assert number == count - 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_a_line_every_minute_says_how_long_the_rest_takes(predict, tmp_path, monkeypatch, caplog):  # noqa: F811
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(progress, "SECONDS_PER_LINE", 0)
    rows = "".join(f"{number // 2},so happy\n" for number in range(40))
    (tmp_path / "in.csv").write_text("dialogue_id,text\n" + rows)
    predict(tmp_path / "in.csv", "--output", tmp_path / "out.csv")
    assert "labeling: 38 of 40 utterances, about 0 min left" in caplog.messages
    (tmp_path / "in.csv").write_text("text\n" + "so happy\n" * 40)
    predict(tmp_path / "in.csv", "--output", tmp_path / "out.csv", "--corpus_options", "rows=dialogue")
    assert "labeling: 10 of 40 utterances, about 0 min left" in caplog.messages
    (tmp_path / "in.txt").write_text("Ann: so happy\nBo: so?\n")
    predict(tmp_path / "in.txt", "--output", tmp_path / "out.csv")
    assert "labeling: 2 utterances" in caplog.messages


DIALOGUES = 6000


@pytest.fixture(scope="module")
def long_table(tmp_path_factory) -> Path:
    """A table whose dialogues are apart, in more than one part for the model."""
    path = tmp_path_factory.mktemp("long") / "in.csv"
    words = ["so", "happy", "angry", "the", "weather", "what", "you"]
    rows = (
        f"d{number % DIALOGUES},{'Ann' if number % 3 else ''},{' '.join(words[: number % 7 + 1])} {number},{number}\n"
        for number in range(2 * DIALOGUES)
    )
    path.write_text("dialogue_id,speaker,text,ticket\n" + "".join(rows))
    return path


def kill_when_kept(model: Path, path: Path, output: Path, lines: int) -> Path:
    """Kills the command when so many lines of labels are kept; returns the file that keeps them."""
    part = output.with_name(f"{output.name}.part")
    arguments = ["--model", str(model), str(path), "--output", str(output), "--resume"]
    command = [sys.executable, "-m", "modeling_precode.cli.main", "predict", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if part.exists() and part.read_bytes().count(b"\n") > lines:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors.decode()
    return part


def test_a_labeling_that_was_killed_continues_to_the_same_file(predict, checkpoint, long_table, tmp_path, caplog):  # noqa: F811
    caplog.set_level(logging.INFO)
    predict(long_table, "--output", tmp_path / "whole.csv")
    output = tmp_path / "out.csv"
    part = kill_when_kept(checkpoint, long_table, output, lines=2)
    assert not output.exists()
    with part.open("ab") as file:
        file.write(b'[[{"label": "joy", "sc')  # as one that is killed while it writes
    predict(long_table, "--output", output, "--resume")
    [message] = [message for message in caplog.messages if message.startswith("continuing after ")]
    assert int(message.split()[2].replace(",", "")) >= 2000
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"model", "out.csv", "whole.csv"}


@pytest.fixture
def kept(predict, tmp_path) -> Path:  # noqa: F811
    """The labels of a file that the output, a workbook, could not hold."""
    turns = [{"utterances": ["so happy", "what ?"], "speakers": ["Ann", ""]}] * 1200
    turns.append({"utterances": ["so " * 11_000]})
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(dialogue) + "\n" for dialogue in turns))
    with pytest.raises(SystemExit, match="an Excel cell holds 32,767 characters"):
        predict(tmp_path / "in.jsonl", "--output", tmp_path / "out.xlsx", "--resume")
    return (tmp_path / "out.xlsx.part").rename(tmp_path / "out.jsonl.part")


def test_kept_labels_are_those_of_any_output(predict, kept, tmp_path, caplog):  # noqa: F811
    caplog.set_level(logging.INFO)
    predict(tmp_path / "in.jsonl", "--output", tmp_path / "whole.jsonl")
    predict(tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl", "--resume")
    assert any(message.startswith("continuing after 2,401 utterances") for message in caplog.messages)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert not kept.exists()


def test_labels_of_another_input_model_or_option_are_refused(predict, checkpoint, kept, tmp_path):  # noqa: F811
    path, output, before = tmp_path / "in.jsonl", tmp_path / "out.jsonl", kept.read_bytes()

    def refused(*arguments: str) -> str:
        with pytest.raises(SystemExit, match="out.jsonl.part has the labels of another run: ") as stopped:
            predict(path, "--output", output, "--resume", *arguments)
        assert kept.read_bytes() == before and not output.exists()
        return str(stopped.value)

    assert "--max_batch_tokens is 100 and was None. Use the earlier value, or delete" in refused(
        "--max_batch_tokens", "100"
    )
    assert "--distribution is True and was False" in refused("--distribution")
    assert "the option empty is 'skip' and was ''" in refused("--corpus_options", "empty=skip")
    content = path.read_bytes()
    path.write_bytes(content + b'{"utterances": ["so"]}\n')
    message = refused()
    assert "the digest of FILE is" in message and "the model" not in message
    path.write_bytes(content)
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    message = refused()
    assert "the digest of the model is" in message and "of FILE" not in message


def test_damaged_labels_are_named(predict, kept, tmp_path):  # noqa: F811
    first, *lines = kept.read_bytes().splitlines(keepends=True)
    kept.write_bytes(b"".join([first, b"no json\n", *lines]))
    with pytest.raises(SystemExit, match="out.jsonl.part:2: damaged; got b'no json.*; delete the file to start again"):
        predict(tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl", "--resume")


def test_an_error_keeps_the_labels_and_another_process_is_refused(predict, tmp_path):  # noqa: F811
    path, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text('{"utterances": ["so"]}\n' * 2500 + "no json\n")
    with pytest.raises(SystemExit, match="in.jsonl:2501: not JSON"):
        predict(path, "--output", output, "--resume")
    assert {entry.name for entry in tmp_path.iterdir()} == {"model", "in.jsonl", "out.jsonl.part"}
    (tmp_path / "out.jsonl.part").unlink()
    path.write_text('{"utterances": ["so"]}\n')
    with kept_labels(output, {}), pytest.raises(SystemExit, match="--resume: another process writes .*out.jsonl.part"):
        predict(path, "--output", output, "--resume")
    predict(path, "--output", output, "--resume")
    assert len(output.read_text().splitlines()) == 1
    with pytest.raises(SystemExit, match="--resume keeps labels beside the output file; give its name"):
        predict(path, "--resume")
