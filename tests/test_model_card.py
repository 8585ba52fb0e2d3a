"""What the card and the push promise: the facts of the run, and a run that no failing push can cost."""

import yaml

from modeling_precode.model_card import push_checkpoint, run_summary, write_model_card


def summary() -> dict:
    return run_summary(
        corpus="meld",
        licence="GPL-3.0",
        seed=3,
        selection="best macro_f1 on the validation split; test scored once",
        scores={"validation": {"macro_f1": 0.41}, "test": {"macro_f1": 0.38125, "per_label": {"joy": {"f1": 0.5}}}},
    )


def test_it_tells_the_run_and_how_to_load_it(tmp_path):
    write_model_card(tmp_path, "someone/model", "erc", summary())
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    _, header, body = text.split("---\n", 2)
    assert yaml.safe_load(header)["pipeline_tag"] == "text-classification"
    for fact in (
        "Corpus: meld (GPL-3.0)",
        "Selection: best macro_f1 on the validation split; test scored once",
        "| test | macro_f1 | 0.3812 |",
        "transformers ",
        'pipeline("conversation-emotion", model="someone/model")',
        "jiao-etal-2020-exploiting",
    ):
        assert fact in body


def test_the_command_can_be_pasted(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/run_finetune.py", "--data_dir", "my data"])
    assert run_summary()["command"] == "python run_finetune.py --data_dir 'my data'"


def test_a_token_is_never_written_down(monkeypatch):
    monkeypatch.setattr("sys.argv", ["run.py", "--hub_token", "hf_x", "--hub_token=hf_x", "--seeds", "1"])
    assert run_summary()["command"] == "python run.py --hub_token ... --hub_token=... --seeds 1"


def test_a_push_that_fails_says_how_to_push_later(tmp_path, capsys, monkeypatch):
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert push_checkpoint(tmp_path, "someone/model") is None
    message = capsys.readouterr().err
    assert f"hf upload someone/model {tmp_path}" in message
    assert "The checkpoint is safe" in message
