"""What a person who reads is promised: no name, label, text or path can steer a terminal; programs get the text as it
is."""

import csv
import json
import logging
import sys

import pytest
from pyarrow import parquet

from data_scripts.building.dialogues import Dialogue, Utterance
from data_scripts.inspection.description import aligned_table, markdown_table
from data_scripts.tools.console import log_handler, one_line_errors, printable
from modeling_precode.cli.excerpts import excerpts
from modeling_precode.cli.page import page
from modeling_precode.cli.predictions import as_json_lines, as_table
from modeling_precode.cli.rows import as_csv, write_parquet
from modeling_precode.sharing.model_card import model_card
from modeling_precode.sharing.run_summary import RunSummary

TRAP, SHOWN = "a\x1b]0;trap\x07\x9b2J", r"a\x1b]0;trap\x07\x9b2J"


@pytest.fixture
def labeled() -> list[tuple[Dialogue, list[dict]]]:
    turn = {"speaker": TRAP, "text": TRAP, "label": TRAP, "score": 0.9, "distribution": {TRAP: 0.9, "joy": 0.1}}
    return [(Dialogue(TRAP, [Utterance(TRAP, TRAP)]), [turn])]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (TRAP, SHOWN),
        ("abc\u202egpj.exe", r"abc\u202egpj.exe"),
        ("one\ntwo\tthree\r", "one two three "),
        ("\ud800", r"\ud800"),
        ("Zoë 你好 \U0001f469\u200d\U0001f469 \u200eנו", "Zoë 你好 \U0001f469\u200d\U0001f469 \u200eנו"),
    ],
)
def test_control_characters_are_escaped_and_what_people_write_is_kept(text, shown):
    assert printable(text) == shown


def test_an_error_is_escaped():
    with pytest.raises(SystemExit, match=r"^error: no file a\\x1b\]0;trap\\x07\\x9b2J$"), one_line_errors():
        raise FileNotFoundError(f"no file {TRAP}")


def test_a_log_is_escaped_line_by_line(capsys):
    logger = logging.Logger("a log")
    logger.addHandler(log_handler(sys.stdout))
    logger.warning("read %s\nand more", TRAP)
    assert capsys.readouterr().out == f"read {SHOWN}\nand more\n"


def test_tables_are_escaped_and_stay_aligned():
    assert aligned_table([["", "F1"], [TRAP, "1"]]).splitlines()[1] == f"{SHOWN}   1"
    assert f"| {SHOWN} |" in markdown_table([["label"], [TRAP]])


def test_a_table_and_a_page_of_predictions_are_escaped(labeled):
    table = "".join(as_table(labeled, [TRAP, "joy"], TRAP, TRAP))
    # The id, the label twice, and the text; of the speaker, the beginning.
    assert table.count(SHOWN) == 4
    document = "".join(page(TRAP, TRAP, [TRAP, "joy"], excerpts(labeled)))
    assert document.count(SHOWN) > 5
    for text in (table, document):
        assert not set("\x1b\x07\x9b") & set(text)


def test_a_card_is_escaped():
    scores = {"test": {"accuracy": 0.5, "per_label": {TRAP: {"f1": 0.5}}}}
    card = str(model_card("someone/model", "erc", RunSummary(corpus=TRAP, command=TRAP, scores=scores)))
    assert SHOWN in card and not set("\x1b\x07\x9b") & set(card)


def test_what_programs_read_keeps_the_text(labeled, tmp_path):
    row = json.loads("".join(as_json_lines(labeled, [TRAP, "joy"], "", "")))
    assert (row["speakers"], row["utterances"], row["predictions"]) == ([TRAP], [TRAP], [TRAP])
    [row] = csv.DictReader("".join(as_csv(labeled, [TRAP, "joy"], "", "")).splitlines())
    assert (row["speaker"], row["text"], row["prediction"]) == (TRAP, TRAP, TRAP)
    write_parquet(tmp_path / "a.parquet", labeled, [TRAP, "joy"])
    [row] = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert (row["speaker"], row["text"], row["prediction"]) == (TRAP, TRAP, TRAP)
