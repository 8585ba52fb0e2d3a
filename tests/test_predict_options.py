"""What `precode predict` promises of options together: explanations and label maps, live and after an interruption."""

import errno
import json
import logging
import os
from pathlib import Path

import pandas
import pytest
from test_predict import checkpoint, predict  # noqa: F401

from modeling_precode import PreCodeForUtteranceClassification, batching
from modeling_precode.cli.main import main
from modeling_precode.pipeline_precode import ConversationEmotionPipeline

SENTIMENT = {"anger": "negative", "joy": "positive", "neutral": "neutral"}
LINES = ["Ann: I am so happy!", "Bo: About what?", "", "Ann: The weather."]


@pytest.fixture
def causal(save_distinct, tmp_path) -> Path:
    return save_distinct(tmp_path / "causal", causal=True)


@pytest.fixture
def live(causal, tmp_path, capsys):
    """A function: arguments -> the lines that the command prints for `LINES`."""
    (tmp_path / "lines.txt").write_text("\n".join(LINES) + "\n")

    def run(*arguments: str) -> list[str]:
        main(["predict", "--model", str(causal), str(tmp_path / "lines.txt"), "--live", *map(str, arguments)])
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def interrupted(predict, tmp_path, monkeypatch):  # noqa: F811
    """A function: arguments -> labels the file `in.jsonl` until the disk is full, and keeps the labels so far."""
    dialogues = [{"utterances": ["so happy", "what ? " * i], "speakers": ["Ann", "Bo"]} for i in range(1, 6)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(dialogue) + "\n" for dialogue in dialogues))
    # Two dialogues go through the model together, and are kept together.
    monkeypatch.setattr(batching, "WINDOW", 2)

    def run(*arguments: str) -> None:
        calls = iter(range(2))

        def fsync(descriptor: int) -> None:
            if next(calls, None) is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch, pytest.raises((SystemExit, OSError)):
            patch.setattr(os, "fsync", fsync)
            predict(tmp_path / "in.jsonl", "--resume", *arguments)

    return run


def test_live_labels_are_those_of_a_label_map(live, causal, tokenizer):
    model = PreCodeForUtteranceClassification.from_pretrained(causal)
    emotions = ConversationEmotionPipeline(model=model, tokenizer=tokenizer)
    dialogues = [[("Ann", "I am so happy!"), ("Bo", "About what?")], [("Ann", "The weather.")]]
    expected = [turn for turns in emotions(dialogues, label_map=SENTIMENT, distribution=True) for turn in turns]
    found = live("--label_map", "sentiment")
    assert [line.split()[:2] for line in found] == [[turn["label"], f"{turn['score']:.0%}"] for turn in expected]
    shares = live("--label_map", "sentiment", "--distribution")[1::2]
    for line, turn in zip(shares, expected, strict=True):
        words = line.split()
        assert dict(zip(words[::2], words[1::2], strict=True)) == {
            label: f"{share:.0%}" for label, share in turn["distribution"].items()
        }


def test_a_map_for_live_labels_is_read_and_checked_before_the_first_line(live, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("anger: bad\njoy: good\n")
    with pytest.raises(SystemExit, match=r"own.yaml.*neutral"):
        live("--label_map", own)
    own.write_text("anger: bad\njoy: good\nneutral: good\n")
    assert {line.split()[0] for line in live("--label_map", own)} <= {"bad", "good"}


@pytest.mark.parametrize("option", ["explain", "known_words", "resume"])
def test_what_needs_the_whole_dialogue_or_a_file_is_refused_with_live(live, option):
    with pytest.raises(
        SystemExit, match=f"--{option} cannot be used with --live, which prints a line for each line of text; leave one"
    ):
        live(f"--{option}", "--label_map", "sentiment")


@pytest.mark.parametrize("kind", ["jsonl", "html"])
def test_explanations_of_mapped_labels_continue_to_the_same_file(interrupted, predict, tmp_path, caplog, kind):  # noqa: F811
    caplog.set_level(logging.INFO)
    options = ["--explain", "--label_map", "sentiment", "--distribution"]
    predict(tmp_path / "in.jsonl", *options, "--output", tmp_path / f"whole.{kind}")
    output = tmp_path / f"out.{kind}"
    interrupted(*options, "--output", output)
    assert not output.exists()
    predict(tmp_path / "in.jsonl", *options, "--output", output, "--resume")
    assert "continuing after 8 utterances, whose labels are in" in caplog.text
    assert output.read_bytes() == (tmp_path / f"whole.{kind}").read_bytes()
    assert b"negative" in output.read_bytes()


def test_labels_that_were_mapped_or_explained_in_another_way_are_refused(interrupted, predict, tmp_path):  # noqa: F811
    output = tmp_path / "out.jsonl"
    own = tmp_path / "own.yaml"
    own.write_text("anger: negative\njoy: positive\nneutral: neutral\n")
    interrupted("--explain", "--label_map", "sentiment", "--output", output)
    for arguments, message in [
        (["--explain"], "--label_map is None and was {'anger': 'negative'"),
        (["--label_map", "sentiment"], "--explain is False and was True"),
        (["--explain", "--label_map", "ekman"], "--label_map is {'anger': 'anger'"),
    ]:
        with pytest.raises(SystemExit, match="out.jsonl.part has the labels of another run: ") as stopped:
            predict(tmp_path / "in.jsonl", "--output", output, "--resume", *arguments)
        assert message in str(stopped.value)
    # Another file with the same map gives the same labels.
    predict(tmp_path / "in.jsonl", "--output", output, "--resume", "--explain", "--label_map", own)
    assert len(output.read_text().splitlines()) == 5


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_the_share_of_known_words_is_a_column_of_the_output(predict, tmp_path, kind):  # noqa: F811
    (tmp_path / "in.txt").write_text("Ann: so happy\nBo: xyzzy happy\n")
    predict(tmp_path / "in.txt", "--known_words", "--output", tmp_path / f"out.{kind}")
    if kind == "jsonl":
        shares = json.loads((tmp_path / "out.jsonl").read_text())["known_words"]
    else:
        read = pandas.read_csv if kind == "csv" else pandas.read_parquet
        shares = list(read(tmp_path / f"out.{kind}")["known_words"])
    assert shares == [1.0, 0.5]


@pytest.mark.parametrize("options", [["--output", "out.html"], [], ["--output", "out.parquet", "--distribution"]])
def test_an_output_that_cannot_contain_the_share_of_known_words_is_named(predict, tmp_path, options):  # noqa: F811
    (tmp_path / "in.txt").write_text("Ann: so happy\n")
    options = [str(tmp_path / option) if option.startswith("out") else option for option in options]
    with pytest.raises(SystemExit, match=r"--known_words: the format .* cannot contain the share of known words; use"):
        predict(tmp_path / "in.txt", "--known_words", *options)


def test_what_an_earlier_run_predicted_is_not_kept_beside_new_predictions(predict, tmp_path):  # noqa: F811
    (tmp_path / "in.txt").write_text("Ann: so happy\n")
    for kind, names in (
        ("jsonl", {"distributions", "known_words"}),
        ("csv", {"probability of joy", "known_words"}),
    ):
        first, second = tmp_path / f"first.{kind}", tmp_path / f"second.{kind}"
        predict(tmp_path / "in.txt", "--known_words", "--distribution", "--output", first)
        predict(first, "--output", second)
        read = [json.loads(path.read_text()) if kind == "jsonl" else pandas.read_csv(path) for path in (first, second)]
        assert names <= set(read[0]) and not names & set(read[1]) and len(set(read[1])) > 4
    # Without predictions, such a column is the user's.
    (tmp_path / "own.csv").write_text("dialogue_id,text,known_words\n1,so happy,mine\n")
    predict(tmp_path / "own.csv", "--output", tmp_path / "out.csv")
    assert list(pandas.read_csv(tmp_path / "out.csv")["known_words"]) == ["mine"]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_column_with_the_name_of_an_output_is_kept_under_another(predict, tmp_path, kind):  # noqa: F811
    score = "scores" if kind == "jsonl" else "score"
    (tmp_path / "own.csv").write_text(f"call,translation,text,{score}\n1,so happy,tan feliz,5\n")
    options = ["--corpus_options", "dialogue_column=call", "text_column=translation"]
    predict(tmp_path / "own.csv", *options, "--output", tmp_path / f"out.{kind}")
    if kind == "jsonl":
        [line] = (tmp_path / "out.jsonl").read_text().splitlines()
        assert json.loads(line).items() >= {"scores (input)": ["5"], "text": ["tan feliz"]}.items()
    else:
        [row] = (pandas.read_csv if kind == "csv" else pandas.read_parquet)(tmp_path / f"out.{kind}").to_dict("records")
        assert str(row["score (input)"]) == "5" and 0 < row["score"] <= 1
        assert (row["text"], row["text (input)"]) == ("so happy", "tan feliz")
