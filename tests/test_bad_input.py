"""What both scripts say of bad input: one line with the cause, before anything is written."""

import csv
import re
import runpy
import sys
from pathlib import Path

import pytest
from corpus_of_topics import write_corpus
from datasets import DatasetDict
from test_scripts import CUSTOM, ROOT, run
from transformers import BertConfig

import run_pretrain
from data_scripts import load_corpus


def saved_dataset(folder: Path) -> Path:
    DatasetDict({"train": load_corpus("sample")["train"]}).save_to_disk(folder)
    return folder


def bert_folder(folder: Path) -> Path:
    BertConfig(vocab_size=5, hidden_size=4, num_hidden_layers=1, num_attention_heads=1).save_pretrained(folder)
    return folder


def vector_file(path: Path) -> Path:
    path.write_text("party 1 2 3\ncake 1 2 3\n", encoding="utf-8")
    return path


def csv_file(path: Path, header: list[str]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *(["1", "Ann", "hello", "joy"] for _ in range(4))])
    return path


def broken_corpus(folder: Path, line: str | bytes, split: str = "train") -> Path:
    write_corpus(folder)
    path = folder / f"{split}.jsonl"
    path.write_bytes((line if isinstance(line, bytes) else line.encode()) + b"\n" + path.read_bytes())
    return folder


def broken_table(folder: Path) -> Path:
    folder.mkdir()
    (folder / "train.parquet").write_bytes(b"no table")
    return folder


BAD_INPUT = {
    "a missing file": (
        lambda tmp: ["run_pretrain.py", *CUSTOM, str(tmp / "nowhere")],
        ["nowhere", "no such file"],
    ),
    "a wrong column": (
        lambda tmp: ["run_finetune.py", *CUSTOM, str(csv_file(tmp / "a.csv", ["dialogue_id", "speaker", "said", "x"]))],
        ["a.csv:1", "missing column text", "said"],
    ),
    "an unknown label": (
        lambda tmp: [
            "run_finetune.py",
            *CUSTOM,
            str(broken_corpus(tmp / "c", '{"utterances": ["so"], "labels": ["glee"]}', "test")),
        ],
        ["test.jsonl:1", "'glee'", "anger, joy, neutral"],
    ),
    "an empty dialogue": (
        lambda tmp: ["run_pretrain.py", *CUSTOM, str(broken_corpus(tmp / "c", '{"utterances": []}'))],
        ["train.jsonl:1", "without utterances", "remove"],
    ),
    "a label count that differs": (
        lambda tmp: [
            "run_finetune.py",
            *CUSTOM,
            str(broken_corpus(tmp / "c", '{"utterances": ["a", "b"], "labels": ["joy"]}')),
        ],
        ["train.jsonl:1", "2 utterances but 1 labels"],
    ),
    "an unreadable encoding": (
        lambda tmp: ["run_pretrain.py", *CUSTOM, str(broken_corpus(tmp / "c", b'{"utterances": ["\xe9"]}'))],
        ["train.jsonl", "not UTF-8", "0xe9 at offset 17", "save it as UTF-8"],
    ),
    "no JSON": (
        lambda tmp: ["run_pretrain.py", *CUSTOM, str(broken_corpus(tmp / "c", "hello"))],
        ["train.jsonl:1", "not JSON", "'hello"],
    ),
    "word vectors of another size": (
        lambda tmp: [
            *("run_pretrain.py", *CUSTOM, str(write_corpus(tmp / "c")), "--word_vector_size", "100"),
            *("--word_vectors", str(vector_file(tmp / "v.txt"))),
        ],
        ["v.txt", "3", "100", "--word_vector_size 3"],
    ),
    "a checkpoint of another kind": (
        lambda tmp: ["run_finetune.py", "--model", str(bert_folder(tmp / "bert"))],
        ["bert", "has the model type 'bert'", "'precode'"],
    ),
    "a checkpoint that is not there": (
        lambda tmp: ["run_finetune.py", "--model", str(tmp / "nothing")],
        ["nothing", "no such folder", "save_pretrained"],
    ),
    "an unknown corpus": (
        lambda tmp: ["run_pretrain.py", "--corpus", "mled"],
        ["'mled'", "meld"],
    ),
    "a corpus without labels": (
        lambda tmp: ["run_finetune.py", *CUSTOM, str(write_corpus(tmp / "c", labels=False))],
        ["has no labels"],
    ),
    "an unknown metric": (
        lambda tmp: ["run_finetune.py", "--metric_for_best_model", "f1"],
        ["--metric_for_best_model f1", "macro_f1"],
    ),
    "an unknown option of the corpus": (
        lambda tmp: ["run_pretrain.py", "--corpus", "chitchat", "--corpus_options", "silence=3"],
        ["silence", "max_utterances"],
    ),
    "dropout out of range": (
        lambda tmp: ["run_pretrain.py", *CUSTOM, str(write_corpus(tmp / "c")), "--dropout", "1.5"],
        ["`dropout`", "less than 1; got 1.5"],
    ),
    "a word for a number": (
        lambda tmp: ["run_pretrain.py", "--corpus", "chitchat", "--corpus_options", "max_utterances=long"],
        ["max_utterances must be of type int; got 'long'"],
    ),
    "a size for a model that has one": (
        lambda tmp: ["run_finetune.py", "--model", str(tmp / "m"), "--size", "large"],
        ["--size is for a model from scratch", "--model"],
    ),
    "no split to choose on": (
        lambda tmp: ["run_pretrain.py", "--corpus", str(saved_dataset(tmp / "d"))],
        ["no split validation, test", "train"],
    ),
    "a schedule of another recipe": (
        lambda tmp: ["run_finetune.py", "--recipe", "original", "--lr_scheduler_type", "cosine"],
        ["--lr_scheduler_type reduce_lr_on_plateau; got cosine", '--lr_scheduler_kwargs \'{"factor": 0.9'],
    ),
    "a factor that raises": (
        lambda tmp: ["run_pretrain.py", "--lr_factor", "1.5"],
        ["--lr_factor must be more than 0 and less than 1; got 1.5"],
    ),
    "a learning rate below zero": (
        lambda tmp: ["run_pretrain.py", "--learning_rate", "-1"],
        ["--learning_rate must be more than 0; got -1.0"],
    ),
    "no learning rate": (
        lambda tmp: ["run_finetune.py", "--learning_rate", "0"],
        ["--learning_rate must be more than 0; got 0.0"],
    ),
    "gradient checkpointing of a GRU": (
        lambda tmp: ["run_pretrain.py", *CUSTOM, str(write_corpus(tmp / "c")), "--gradient_checkpointing", "true"],
        ["--gradient_checkpointing: this is for a trained text encoder"],
    ),
    "gradient checkpointing of a GRU in fine-tuning": (
        lambda tmp: ["run_finetune.py", *CUSTOM, str(write_corpus(tmp / "c")), "--gradient_checkpointing", "true"],
        ["--gradient_checkpointing: this is for a trained text encoder"],
    ),
    "an argument of Trainer that does nothing": (
        lambda tmp: ["run_finetune.py", "--dataloader_drop_last", "true"],
        ["--dataloader_drop_last True: this does not work here; leave it out"],
    ),
    "the last checkpoint in place of the best": (
        lambda tmp: ["run_finetune.py", "--load_best_model_at_end", "false"],
        ["--load_best_model_at_end False: this does not work here"],
    ),
    "evaluations without a checkpoint": (
        lambda tmp: [
            *("run_finetune.py", "--eval_strategy", "steps", "--eval_steps", "5"),
            *("--save_strategy", "steps", "--save_steps", "10"),
        ],
        ["--save_steps 10: not every evaluation would have a checkpoint; give 5"],
    ),
    "weights that smoothing forgets": (
        lambda tmp: ["run_finetune.py", "--class_weight_rate", "0.5", "--label_smoothing_factor", "0.1"],
        ["--label_smoothing_factor cannot be used with --class_weight_rate"],
    ),
    "an argument cut short": (
        lambda tmp: ["run_finetune.py", "--hub_tok", "hf_x"],
        ["--hub_tok"],
    ),
    "the original with a text encoder": (
        lambda tmp: ["run_finetune.py", "--recipe", "original", "--text_encoder", "bert"],
        ["--text_encoder bert: --recipe original has no text encoder"],
    ),
    "a count of words for a vocabulary that is there": (
        lambda tmp: ["run_pretrain.py", *CUSTOM, str(write_corpus(tmp / "c")), "--tokenizer", "t", "--min_count", "3"],
        ["--min_count is for a new vocabulary", "--tokenizer"],
    ),
    "a broken table": (
        lambda tmp: ["run_pretrain.py", "--corpus", str(broken_table(tmp / "tables"))],
        ["tables", "cannot read a file"],
    ),
    "too few dialogues": (
        lambda tmp: [
            "run_pretrain.py",
            *CUSTOM,
            str(write_corpus(tmp / "c", sizes=(("train", 20), ("validation", 4), ("test", 20)))),
        ],
        ["split validation: 10 negatives", "at least 11 dialogues of three utterances or more; got 4"],
    ),
}


@pytest.mark.usefixtures("no_state_of_another_test")
@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_ends_with_one_line_and_leaves_nothing(case, tmp_path, monkeypatch):
    make_command, expected = BAD_INPUT[case]
    script, *arguments = make_command(tmp_path)
    output = tmp_path / "output"
    monkeypatch.setattr(sys, "argv", [script, *arguments, "--output_dir", str(output)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert re.fullmatch("error: .*", end.value.code)
    for part in expected:
        assert part in end.value.code
    assert not output.exists()


@pytest.mark.parametrize("script", ["run_pretrain.py", "run_finetune.py"])
def test_an_output_folder_in_use_is_left_alone(script, tmp_path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    result = run(script, "--output_dir", str(tmp_path), check=False)
    assert result.returncode != 0
    assert result.stderr.splitlines()[-1] == (
        f"error: --output_dir {tmp_path}: not empty; give another folder, or --overwrite_output_dir"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_missing_tracker_stops_the_run_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr("modeling_precode.training.arguments.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="--report_to wandb: not installed; pip install wandb"):
        run_pretrain.main(["--report_to", "wandb", "--output_dir", str(tmp_path / "output")])
    assert not (tmp_path / "output").exists()
