"""What the examples promise: they run as they stand, and are as short as they say."""

import ast

import pytest
import torch
from test_scripts import ROOT, run

from data_scripts import load_corpus
from modeling_precode import PreCodeConfig, PreCodeForConversationCompletion, PreCodeTokenizer

EXAMPLE = ROOT / "examples" / "finetune_with_trainer.py"
BOTH_TRAINERS = ROOT / "examples" / "pretrain_and_finetune.py"


@pytest.fixture
def pretrained(tmp_path):
    torch.manual_seed(0)
    tokenizer = PreCodeTokenizer.train(load_corpus("sample")["train"]["utterances"])
    config = PreCodeConfig(
        vocab_size=len(tokenizer), word_vector_size=16, utterance_hidden_size=16, conversation_hidden_size=16, dropout=0
    )
    PreCodeForConversationCompletion(config).save_pretrained(tmp_path / "pretrained")
    tokenizer.save_pretrained(tmp_path / "pretrained")
    return tmp_path / "pretrained"


def test_a_notebook_fine_tunes_with_trainer_and_what_it_saves_labels_from_the_command_line(pretrained, tmp_path):
    printed = run(str(EXAMPLE), str(pretrained), str(tmp_path / "output")).stdout
    losses = [
        ast.literal_eval(line[line.index("{") :])["eval_loss"] for line in printed.splitlines() if "eval_l" in line
    ]
    assert float(losses[-1]) < 1.9  # of seven labels drawn by chance: ln 7 = 1.95
    assert float(losses[-2]) < float(losses[0])
    said = [line for line in printed.splitlines() if line.startswith(("Ana ", "Ben "))]
    assert len(said) == 2 and said[1].startswith("Ben What? Are you serious? ")
    (tmp_path / "dialogue.txt").write_text("Ana: Ben, you got in!\nBen: What? Are you serious?\n")
    table = run(
        *("-m", "modeling_precode.cli.main", "predict", str(tmp_path / "dialogue.txt")),
        *("--model", str(tmp_path / "output"), "--device", "cpu"),
    ).stdout
    for line, row in zip(said, table.splitlines()[1:], strict=True):
        label, share = line.split()[-2:]
        assert row.split()[:2] == [label, share]


def test_the_notebook_has_fewer_than_twenty_lines_of_code():
    tree = ast.parse(EXAMPLE.read_text(encoding="utf-8"))
    code = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)][1:]
    assert sum(node.end_lineno - node.lineno + 1 for node in code) < 20


def test_both_trainers_are_shown_in_a_few_lines_and_label_a_dialogue(tmp_path):
    printed = run(str(BOTH_TRAINERS), str(tmp_path), "4", "2").stdout
    assert "'text': 'What? Are you serious?'" in printed and "eval_weighted_f1" in printed
    assert (tmp_path / "pretrained" / "README.md").is_file() and (tmp_path / "finetuned" / "README.md").is_file()
    code = BOTH_TRAINERS.read_text(encoding="utf-8")
    cells = [cell for cell in code.split("\n\n# ") if "trainer.train()" in cell]
    assert len(cells) == 2 and all(len(cell.splitlines()) <= 15 for cell in cells)
