"""What `precode predict` promises: any form of dialogue in, a table, JSON Lines, CSV or a page out, whole or not at
all, and a word about what is wrong."""

import csv
import io
import json
import subprocess
import sys
from configparser import ConfigParser
from importlib.metadata import EntryPoint
from pathlib import Path

import huggingface_hub
import pytest
from hub_repositories import StoredFile
from pyarrow import parquet
from test_scripts import ROOT, run

from data_scripts import load_corpus
from modeling_precode import PreCodeForConversationCompletion
from modeling_precode.cli.main import main
from modeling_precode.cli.predictions import as_line

TEXT = "Ann: I am so happy!\nBo: About what?\n\nThe weather ...\n"


@pytest.fixture
def checkpoint(save_distinct, tmp_path) -> Path:
    return save_distinct(tmp_path / "model")


@pytest.fixture
def predict(checkpoint, tmp_path, capsys):
    """A function: arguments -> what the command prints."""

    def run(*arguments: str) -> str:
        main(["predict", "--model", str(checkpoint), *map(str, arguments)])
        return capsys.readouterr().out

    return run


@pytest.fixture
def dialogue(tmp_path) -> Path:
    path = tmp_path / "dialogue.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_text_file_becomes_a_table(predict, dialogue):
    lines = predict(dialogue).splitlines()
    assert lines[0] == "Dialogue 1"
    words = lines[1].split()
    assert words[0] in ("anger", "joy", "neutral") and words[1].endswith("%")
    assert lines[1].endswith("Ann  I am so happy!") and lines[2].endswith("Bo   About what?")
    assert lines[4] == "Dialogue 2" and lines[5].endswith("  The weather ...")
    shares = predict(dialogue, "--distribution").splitlines()[2].split()
    assert sorted(shares[::2]) == ["anger", "joy", "neutral"]


def test_a_table_cannot_steer_the_terminal(predict, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("Ann: so \033]0;trap\007 \033[2J happy\n")
    assert "\033" not in predict(path) and "happy" in predict(path)
    turn = {"text": "so", "label": "joy\033[2J", "score": 0.9, "distribution": {"joy\033[2J": 0.9}}
    assert "\033" not in as_line(turn, ["joy\033[2J"])


def test_a_table_is_folded_on_a_terminal_alone(predict, tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("A person of quality: " + "so happy " * 30 + "\n")
    plain = predict(path)
    assert len(plain.splitlines()) == 2
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "30")
    assert len(predict(path).splitlines()) > 5
    predict(path, "--format", "table", "--output", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == plain


def test_all_formats_in_give_the_same_predictions(predict, dialogue, tmp_path):
    expected = json.loads(predict(dialogue, "--format", "jsonl").splitlines()[0])
    assert expected["utterances"] == ["I am so happy!", "About what?"]
    assert expected["speakers"] == ["Ann", "Bo"]
    given = {"dialogue_id": "1", "utterances": expected["utterances"], "speakers": ["Ann", "Bo"]}
    rows = "1,Ann,I am so happy!,joy\n1,Bo,About what?,\n"
    for name, content in {
        "a.jsonl": json.dumps({**given, "labels": ["joy", None]}),
        "a.csv": "dialogue_id,speaker,text,label\n" + rows,
        "b.csv": "call,who,words,label\n" + rows,
    }.items():
        (tmp_path / name).write_text(content + "\n")
    columns = ["--corpus_options", "dialogue_column=call", "speaker_column=who", "text_column=words"]
    for arguments in (["a.jsonl"], ["a.csv"], ["b.csv", *columns]):
        found = json.loads(predict(tmp_path / arguments[0], *arguments[1:], "--format", "jsonl"))
        assert found.pop("labels") == ["joy", None]
        assert found == {**expected, "scores": pytest.approx(expected["scores"], abs=1e-6)}


def test_csv_has_an_utterance_a_row_and_a_column_a_label(predict, dialogue):
    rows = list(csv.DictReader(io.StringIO(predict(dialogue, "--format", "csv", "--distribution"))))
    assert [row["text"] for row in rows] == ["I am so happy!", "About what?", "The weather ..."]
    assert [row["dialogue_id"] for row in rows] == ["1", "1", "2"]
    for row in rows:
        shares = {name: float(row[f"probability of {name}"]) for name in ("anger", "joy", "neutral")}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert row["prediction"] == max(shares, key=shares.__getitem__)
        assert float(row["score"]) == pytest.approx(max(shares.values()))
    assert "probability of joy" not in predict(dialogue, "--format", "csv")


CHAT = (
    "30/04/23, 17:33 - Messages and calls are end-to-end encrypted. Tap to learn more.\n"
    "30/04/23, 17:33 - Ana: I am so happy!\n30/04/23, 17:37 - Ben Lee: About what?\n"
    "30/04/23, 17:43 - Ana: <Media omitted>\n"
)


def test_a_chat_is_labeled_without_what_nobody_said_and_that_is_said(predict, tmp_path, caplog):
    caplog.set_level("INFO")
    (tmp_path / "chat.txt").write_text(CHAT)
    rows = list(csv.DictReader(io.StringIO(predict(tmp_path / "chat.txt", "--format", "csv"))))
    assert [(row["speaker"], row["text"], row["start"]) for row in rows] == [
        ("Ana", "I am so happy!", "2023-04-30T17:33:00"),
        ("Ben Lee", "About what?", "2023-04-30T17:37:00"),
    ]
    assert caplog.messages[0] == "chat.txt: detected format: WhatsApp export"
    assert caplog.messages[-1].endswith("2 utterances, 2 speakers; left out: 1 system line, 1 omitted media")
    table = predict(tmp_path / "chat.txt").splitlines()
    assert table[1].endswith("2023-04-30 17:33  Ana      I am so happy!")
    [row] = map(json.loads, predict(tmp_path / "chat.txt", "--format", "jsonl").splitlines())
    assert row["starts"] == ["2023-04-30T17:33:00", "2023-04-30T17:37:00"]
    assert len(predict(tmp_path / "chat.txt", "--max_silence", "60").split("Dialogue")) == 3


TABLE = (
    "place,call,words,who,label,score\nhome,a,so happy,Ann,joy,1\nwork,b,so sad,Bo,,2\nhome,a,about what?,,anger,3\n"
)
TABLE_OPTIONS = ["--corpus_options", "dialogue_column=call", "text_column=words", "speaker_column=who"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_comes_out_with_its_columns_in_its_order(predict, tmp_path, kind):
    (tmp_path / "in.csv").write_text(TABLE)
    output = tmp_path / f"out.{kind}"
    predict(tmp_path / "in.csv", *TABLE_OPTIONS, *(["--distribution"] if kind == "csv" else []), "--output", output)
    rows = list(csv.DictReader(output.open())) if kind == "csv" else parquet.read_table(output).to_pylist()
    assert [(row["dialogue_id"], row["text"], row["speaker"], row["place"]) for row in rows] == [
        ("a", "so happy", "Ann", "home"),
        ("b", "so sad", "Bo", "work"),
        ("a", "about what?", "", "home"),
    ]
    assert [row["label"] for row in rows] == ["joy", "", "anger"]
    for row in rows if kind == "csv" else ():
        assert float(row["score"]) == max(float(row[f"probability of {name}"]) for name in ("anger", "joy", "neutral"))
    assert list(rows[0])[:5] == ["dialogue_id", "speaker", "text", "label", "place"]


def test_parquet_with_distributions_is_a_corpus_that_fine_tuning_reads(predict, tmp_path):
    (tmp_path / "in.csv").write_text(TABLE)
    predict(tmp_path / "in.csv", *TABLE_OPTIONS, "--distribution", "--output", tmp_path / "train.parquet")
    rows = load_corpus(str(tmp_path))["train"]
    assert [row["utterances"] for row in rows] == [["so happy", "about what?"], ["so sad"]]
    for row in rows:
        assert row["labels"] == [distribution.index(max(distribution)) for distribution in row["label_distributions"]]


def test_json_lines_keep_the_other_columns_of_rows_and_of_dialogues(predict, tmp_path):
    (tmp_path / "in.csv").write_text(TABLE)
    first, second = map(json.loads, predict(tmp_path / "in.csv", *TABLE_OPTIONS, "--format", "jsonl").splitlines())
    assert (first["dialogue_id"], first["place"], second["place"]) == ("a", ["home", "home"], ["work"])
    line = {"dialogue_id": "d", "utterances": ["so"], "topic": {"a": 1}, "starts": [1.5], "ends": [None]}
    (tmp_path / "in.jsonl").write_text(json.dumps(line) + "\n")
    found = json.loads(predict(tmp_path / "in.jsonl", "--format", "jsonl"))
    assert (found["topic"], found["starts"]) == ({"a": 1}, [1.5])
    [row] = csv.DictReader(io.StringIO(predict(tmp_path / "in.jsonl", "--format", "csv")))
    assert (json.loads(row["topic"]), row["start"]) == ({"a": 1}, "1.5")


def test_rows_of_a_large_table_come_out_in_its_order(predict, tmp_path):
    rows = "".join(f"{number % 7},so {number}\n" for number in range(700))
    (tmp_path / "in.csv").write_text("dialogue_id,text\n" + rows)
    found = csv.DictReader(io.StringIO(predict(tmp_path / "in.csv", "--format", "csv")))
    assert [row["text"] for row in found] == [f"so {number}" for number in range(700)]


def test_a_column_may_be_called_by_a_number(predict, tmp_path):
    (tmp_path / "in.csv").write_text("0,1\na,so happy\n")
    arguments = ["--corpus_options", "dialogue_column=0", "text_column=1"]
    assert "so happy" in predict(tmp_path / "in.csv", *arguments)


def test_csv_holds_every_text(predict, tmp_path):
    texts = ["so\rhappy", 'a "sun", so', "so\nhappy", "1"]
    (tmp_path / "a.jsonl").write_text(json.dumps({"utterances": texts}) + "\n")
    predict(tmp_path / "a.jsonl", "--output", tmp_path / "a.csv")
    again = predict(tmp_path / "a.csv", "--format", "jsonl")
    assert [text.replace("\r", "\n") for text in texts] == [
        text.replace("\r", "\n") for text in json.loads(again)["utterances"]
    ]


def test_predictions_are_a_corpus_again(predict, dialogue, tmp_path):
    predict(dialogue, "--output", tmp_path / "out.jsonl")
    again = predict(tmp_path / "out.jsonl", "--format", "jsonl")
    assert again == (tmp_path / "out.jsonl").read_text()


def test_the_command_is_installed_under_its_name():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    [(name, target)] = [line.split(" = ") for line in setup["options.entry_points"]["console_scripts"].split("\n")[1:]]
    assert name == "precode"
    assert EntryPoint(name, target, "console_scripts").load() is main


def test_standard_input_is_read_in_a_real_process(checkpoint, tmp_path):
    command = [sys.executable, "-m", "modeling_precode.cli.main", "predict", "-", "--model", str(checkpoint)]

    def run(arguments: list[str], text: str) -> subprocess.CompletedProcess:
        return subprocess.run([*command, *arguments], input=text, cwd=ROOT, capture_output=True, text=True, timeout=120)

    result = run([], CHAT)
    assert result.returncode == 0, result.stderr
    assert "Ben Lee  About what?" in result.stdout and "17:33 -" not in result.stdout
    assert "/dev/stdin: WhatsApp export, 1 dialogue, 2 utterances" in result.stderr
    line = json.dumps({"utterances": ["so happy"]})
    result = run(["--input_format", "jsonl", "--output", str(tmp_path / "out.csv")], line + "\nno json\n")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: /dev/stdin:2: not JSON; got 'no json'")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]  # nothing half written


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.html"])
def test_an_output_is_whole_or_as_it_was(predict, dialogue, tmp_path, name):
    output = tmp_path / name
    predict(dialogue, "--output", output)
    before = output.read_bytes()
    assert b"I am so happy!" in before
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"utterances": ["so"]}\n' * 1500 + "no json\n")
    with pytest.raises(SystemExit, match="broken.jsonl:1501: not JSON"):
        predict(broken, "--output", output)
    assert output.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.txt"], "nowhere.txt: no such file; check the path"),
        (["dialogue.txt", "--output", "out.doc"], "--output out.doc: unknown file extension; known are .jsonl, .csv"),
        (["dialogue.txt", "--output", "no/out.csv"], "--output no/out.csv: is a folder, or its folder does not"),
        (
            ["dialogue.txt", "--corpus_options", "txt_column=a"],
            "--corpus_options txt_column: unknown; known are max_unfolded, ",
        ),
        (["dialogue.txt", "--corpus_options", "text_column"], "--corpus_options takes name=value; got 'text_column'"),
        (["x.csv", "--corpus_options", "text_column=1"], "x.csv:1: missing column 1; got dialogue_id, text; rename"),
        (["x.csv", "--corpus_options", "rows=all"], "option rows must be dialogue or one; got 'all'"),
        (["x.csv", "--max_silence", "0"], "max_silence must be a number of seconds above 0; got 0.0; or use inf"),
        (["x.csv", "--format", "parquet"], "--format parquet: cannot be printed; give the name of a file with"),
        (["model"], "model: is a folder; give a file"),
        (["model/config.json", "--output", "model/config.json", "--format", "csv"], "is also the input file"),
        (["model/README"], "no such file"),
        (["dialogue.txt", "--input_format", "csv"], "dialogue.txt:1: missing column dialogue_id, text"),
        (["dialogue.txt", "--max_batch_tokens", "0"], "max_batch_tokens must be at least 1; got 0"),
        (["dialogue.txt", "--live"], "after the one that it labels. Pass the whole dialogue to the model"),
        (["dialogue.txt", "--live", "--output", "o.csv"], "--output cannot be used with --live, which prints a"),
        (
            ["dialogue.txt", "--corpus_options", "text_column=a"],
            "dialogue.txt: text_column is for another kind of file; got 'a'",
        ),
        (["dialogue.txt", "--device", "gpu"], "--device gpu: "),
        (["dialogue.txt", "--frmat", "csv"], "unrecognized arguments: --frmat csv; see precode"),
        ([], "the following arguments are required: FILE; see precode predict --help"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(predict, dialogue, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("dialogue_id,text\n1,so happy\n")
    with pytest.raises(SystemExit) as stopped:
        predict(*arguments)
    assert message in str(stopped.value) and "\n" not in str(stopped.value)


def test_a_checkpoint_that_labels_nothing_is_refused(tokenizer, tiny_config, dialogue, tmp_path):
    PreCodeForConversationCompletion(tiny_config()).save_pretrained(tmp_path / "pretrained")
    tokenizer.save_pretrained(tmp_path / "pretrained")
    with pytest.raises(SystemExit, match="PreCodeForConversationCompletion, which labels nothing; fine-tune it first"):
        main(["predict", str(dialogue), "--model", str(tmp_path / "pretrained")])


def test_a_folder_that_is_not_there_is_named_and_a_revision_is_for_the_hub(dialogue, checkpoint, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SystemExit, match="^error: checkpoints/nothing: no such folder, and not loaded from the Hub: "):
        main(["predict", str(dialogue), "--model", "checkpoints/nothing"])
    for model in (str(checkpoint), "default"):
        with pytest.raises(SystemExit, match=f"--revision v1: {model} is not on the Hub; leave it out"):
            main(["predict", str(dialogue), "--model", model, "--revision", "v1"])


def test_a_folder_with_the_name_of_the_default_model_does_not_replace_it(dialogue, tmp_path, monkeypatch, capsys):
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "utterance_encoder.onnx").touch()
    monkeypatch.chdir(tmp_path)
    main(["predict", str(dialogue), "--model", "default"])
    assert "joy" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"\./default: no exported model, because there is no conversation_"):
        main(["predict", str(dialogue), "--model", "./default"])


def test_a_model_on_the_hub_labels_by_its_name_and_revision_and_its_token_stays_secret(
    hub, checkpoint, dialogue, predict, tmp_path
):
    hub.add("someone/emotions", checkpoint, is_private=True)
    repository = hub.repositories["model", "someone/emotions"]
    repository.tags["v1"] = repository.at("main")
    repository.commit("main", {"summary": "broken"}, {"config.json": StoredFile(b"{}", is_large=False)}, [])
    settings = {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path), "HF_TOKEN": "hf_secret"}

    def on_the_hub(*arguments: str, **changed: str) -> subprocess.CompletedProcess:
        command = ("-m", "modeling_precode.cli.main", "predict", str(dialogue), "--model", *arguments)
        result = run(*command, check=False, **{**settings, **changed})
        assert "hf_secret" not in result.stdout + result.stderr and "Traceback" not in result.stderr
        return result

    result = on_the_hub("someone/emotions", "--revision", "v1", "--output", str(tmp_path / "page.html"))
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "by <b>someone/emotions</b>" in page and "hf_secret" not in page
    assert on_the_hub("someone/emotions", "--revision", "v1", HF_HUB_OFFLINE="1").stdout == predict(dialogue)
    result = on_the_hub("someone/emotions", "--revision", "v2")
    assert result.returncode == 1
    assert "v2" in result.stderr.splitlines()[-1] and result.stderr.splitlines()[-1].startswith("error: ")
