"""The model that comes with the package labels at once, is free of conditions, and is a start for training."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import pipeline

from data_scripts import load_corpus
from modeling_precode.cli.main import main
from modeling_precode.default_model import DEFAULT, FOLDER, checkpoint_path
from modeling_precode.evaluation.scoring import score_split

DIALOGUE = "Ana: I got the job!\nBen: That's wonderful, I'm so happy for you!\nAna: What is the time?\n"
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def emotions():
    return pipeline("conversation-emotion")


def test_a_file_is_labeled_without_a_model_in_any_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("chat.txt").write_text(DIALOGUE)
    main(["predict", "chat.txt", "--format", "jsonl"])
    [dialogue] = map(json.loads, capsys.readouterr().out.splitlines())
    assert dialogue["predictions"] == ["joy", "joy", "neutral"]


def test_the_pipeline_without_a_model_is_the_same(emotions):
    turns = [tuple(line.split(": ", 1)) for line in DIALOGUE.splitlines()]
    assert emotions(turns) == pipeline("conversation-emotion", model=checkpoint_path(DEFAULT))(turns)


def test_its_weights_are_small_on_disk_and_exact_in_use(emotions):
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) <= 48e6
    assert emotions.model.dtype == torch.float32


def test_it_labels_better_than_always_the_most_frequent_label(emotions):
    sample = load_corpus("sample")
    scores = score_split(emotions, sample["test"], sample["train"], corpus="sample")
    assert scores.scores["macro_f1"] > 0.5 > 2 * scores.baselines["majority"]["macro_f1"]


def test_a_folder_called_default_has_to_be_named_as_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("default").mkdir()
    Path("chat.txt").write_text(DIALOGUE)
    main(["predict", "chat.txt", "--model", "default"])
    with pytest.raises(SystemExit, match=r"\./default: no config.json in this folder"):
        main(["predict", "chat.txt", "--model", "./default"])


def test_its_card_states_the_license_of_every_part_it_learned_from():
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    parts = dict(
        line.strip("| ").split(" | ")[::2] for line in card.splitlines() if line.endswith((" 2.0 |", " 1.0 |", "MIT |"))
    )
    assert parts.keys() == {"OpenERC", "Chit-Chat", "all-MiniLM-L6-v2", "all-mpnet-base-v2"}
    assert set(parts.values()) <= {"CC0 1.0", "MIT", "Apache 2.0"}
    assert "license: unknown" not in card


def test_its_card_states_what_it_was_never_tested_on_and_its_temperature(emotions):
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    untested = card.partition("## What it was never tested on\n")[2].partition("\n#")[0]
    assert "It was never tested on" in untested
    assert emotions.model.config.temperature != 1
    assert f"divided by a temperature of {emotions.model.config.temperature:.4f}" in card


def test_what_is_saved_from_its_pipeline_names_no_folder_of_this_machine(emotions, tmp_path):
    emotions.save_pretrained(tmp_path)
    assert str(FOLDER) not in (tmp_path / "config.json").read_text(encoding="utf-8")


@pytest.mark.usefixtures("no_state_of_another_test")
def test_fine_tuning_starts_from_it(tmp_path):
    rows = [{"utterances": ["I won!", "So what?"], "speakers": ["A", "B"], "labels": ["glad", "bored"]}] * 4
    for split in ("train", "validation", "test"):
        text = "".join(json.dumps(row | {"dialogue_id": f"{split}-{i}"}) + "\n" for i, row in enumerate(rows))
        (tmp_path / f"{split}.jsonl").write_text(text)
    output = tmp_path / "run"
    command = "run_finetune.py --model default --corpus custom --max_steps 1 --data_dir"
    subprocess.run([sys.executable, *command.split(), tmp_path, "--output_dir", output], cwd=ROOT, check=True)
    assert json.loads((output / "results.json").read_text())["start"] == "default"
    config = json.loads((output / "config.json").read_text())
    assert sorted(config["label2id"]) == ["bored", "glad"]
    assert (
        config["text_config"]["num_hidden_layers"]
        == json.loads((FOLDER / "config.json").read_text())["text_config"]["num_hidden_layers"]
    )
