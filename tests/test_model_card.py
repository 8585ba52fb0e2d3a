"""What the card and the push promise: the facts of the run and of those before it, metadata that the Hub takes, and a
run that no failing push can cost."""

import json
from dataclasses import dataclass

import pytest
from datasets import Dataset
from hub_metadata import problems
from huggingface_hub import ModelCard

from data_scripts import load_corpus
from data_scripts.sharing.dataset_card import corpus_facts
from modeling_precode import PreCodeConfig, RunSummary, push_checkpoint, write_model_card
from modeling_precode.sharing.language import find_language
from modeling_precode.sharing.local_names import command_line, without_folders
from modeling_precode.sharing.run_summary import hyper_parameters, model_facts


def facts(**changed) -> dict:
    splits = {
        "train": {"dialogues": 1039, "utterances": 9989, "labels": {"joy": 1743}},
        "test": {"dialogues": 280, "utterances": 2610, "labels": {"joy": 402}},
    }
    known = {"licence": "GPL-3.0", "homepage": "https://example.org", "citation": "@article{meld}", "splits": splits}
    return {"may_be_passed_on": True, **known, **changed}


def summary(**changed) -> RunSummary:
    per_label = {"joy": {"precision": 0.25, "f1": 0.5, "support": 402}}
    known = {
        "corpus": "meld",
        "licence": "GPL-3.0",
        "start": "from scratch",
        "seed": 3,
        "selection": "best macro_f1 on the validation split; test scored once",
        "scores": {
            "validation": {"macro_f1": 0.41, "per_label": per_label},
            "test": {"macro_f1": 0.38125, "weighted_f1": 0.6, "per_label": per_label, "confusion_matrix": [[1]]},
        },
        "facts": facts(),
        "settings": {"learning_rate": 0.002, "dropout": 0.5},
        "leakage": {"The test split against the training split": ["1 of 280 dialogues (0.4%) appear there verbatim"]},
        "seeds": {"split": "test", "runs": [1, 3], "mean": {"macro_f1": 0.38}, "deviation": {"macro_f1": 0.0042}},
    }
    return RunSummary(**{**known, **changed})


def card(folder, changed: dict | None = None, task: str = "erc", name: str = "someone/model") -> ModelCard:
    write_model_card(folder, name, task, summary(**(changed or {})))
    written = ModelCard.load(folder / "README.md")
    assert problems((folder / "README.md").read_text(encoding="utf-8")) == []
    return written


@pytest.mark.parametrize(
    "fact",
    [
        "# model\n",
        "**meld** (license: GPL-3.0, https://example.org)",
        "| dialogues | 1,039 | 280 |",
        "| utterances | 9,989 | 2,610 |",
        "| labeled joy | 1,743 | 402 |",
        "* Start: from scratch",
        "* Selection: best macro_f1 on the validation split; test scored once",
        "* Seed: 3",
        "| `learning_rate` | `0.002` |",
        "| macro_f1 | 0.4100 | 0.3812 |",
        "Test split over 2 seed(s) (1, 3), mean and standard deviation:",
        "| macro_f1 | 0.3800 | 0.0042 |",
        "By label, test split:\n\n|  | precision | f1 | support |\n|---|---:|---:|---:|\n| joy | 0.2500 | 0.5000 | 402",
        "The test split against the training split:\n\n* 1 of 280 dialogues (0.4%) appear there verbatim",
        "transformers ",
        'pipeline("conversation-emotion", model="someone/model")',
        "Read that code first: it runs on your machine.",
        "do not show with certainty what a person feels",
        "jiao-etal-2020-exploiting",
        "@article{meld}",
    ],
)
def test_it_tells_the_run_and_how_to_load_it(tmp_path, fact):
    assert fact in card(tmp_path).text


def test_its_metadata_is_what_the_hub_reads(tmp_path):
    data = card(tmp_path).data
    assert (data.license, data.language, data.library_name) == ("gpl-3.0", "en", "precode")
    assert (data.pipeline_tag, data.metrics) == ("text-classification", ["f1"])
    assert data.datasets == ["declare-lab/MELD"]
    assert data.model_name == "model"
    found = {(r.dataset_type, r.dataset_split, r.metric_type, r.metric_name): r.metric_value for r in data.eval_results}
    meld = ("declare-lab/MELD", "test", "f1")
    assert found == {(*meld, "Macro F1"): 0.38125, (*meld, "Weighted F1"): 0.6}


def test_a_corpus_without_an_id_on_the_hub_is_named_in_the_text_only(tmp_path):
    for corpus in ("emorynlp", "opsub", "sample"):
        written = card(tmp_path, {"corpus": corpus})
        assert written.data.datasets is None and f"**{corpus}**" in written.text
        assert {(r.dataset_type, r.dataset_name) for r in written.data.eval_results} == {("custom", corpus)}
    assert card(tmp_path, {"corpus": "someone/dialogues"}).data.datasets == ["someone/dialogues"]


def test_the_headline_of_daily_dialog_is_its_micro_f1_without_neutral(tmp_path):
    scores = {"test": {"weighted_f1": 0.83, "micro_f1_without_no emotion": 0.533}}
    found = card(tmp_path, {"corpus": "dailydialog", "scores": scores}).data.eval_results
    assert [(r.metric_type, r.metric_name, r.metric_value) for r in found] == [
        ("f1", "Weighted F1", 0.83),
        ("f1", "Micro F1 without no emotion", 0.533),
    ]


def test_a_pretrained_encoder_has_a_card_of_its_own(tmp_path):
    scores = {"validation": {"R_11@1": 0.5}, "test": {"R_11@1": 0.4896, "R_11@2": 0.65}}
    written = card(tmp_path, {"scores": scores, "corpus": "opsub", "seeds": None}, "convcom")
    assert written.data.pipeline_tag == "feature-extraction"
    assert [(r.metric_type, r.metric_value) for r in written.data.eval_results] == [("recall", 0.4896)]
    assert "assigns no labels by itself" in written.text
    assert "AutoModel.from_pretrained" in written.text and 'pipeline("conversation-emotion"' not in written.text


def test_what_a_run_began_with_is_told_too(tmp_path):
    leakage = {"The training split against the test split of meld": ["7 of 9 dialogues (77.8%) appear there verbatim"]}
    films = facts(licence="No licence", may_be_passed_on=False, citation="@article{films}", homepage="")
    before = summary(corpus="opsub", facts=films, leakage=leakage, start_summary=None)
    written = card(tmp_path, {"start": "someone/encoder", "start_summary": before})
    assert written.data.base_model == "someone/encoder"
    assert written.data.datasets == ["declare-lab/MELD"]
    # One word would be wrong for what rests on two licenses.
    assert (written.data.license, written.data.license_name) == ("other", "several")
    assert "Started from a checkpoint trained on **opsub** (license: No licence)." in written.text
    assert "may not be redistributed" in written.text
    assert "7 of 9 dialogues (77.8%)" in written.text and "1 of 280 dialogues (0.4%)" in written.text
    assert "@article{films}" in written.text


def test_ones_own_corpus_has_no_name_on_the_hub_and_no_path_in_the_card(tmp_path):
    for corpus in ("custom", str(tmp_path)):
        written = card(tmp_path, {"corpus": corpus, "licence": "licence unknown", "facts": None, "command": ""})
        assert written.data.datasets is None
        assert written.data.license == "unknown"
        assert f"**{tmp_path.name if corpus != 'custom' else 'custom'}** (license: unknown)" in written.text
        assert str(tmp_path) not in written.text


def test_a_card_in_the_middle_of_a_run_has_no_test_scores(tmp_path):
    changed = {"scores": {"validation": {"macro_f1": 0.41}}, "leakage": None, "seeds": None, "settings": None}
    written = card(tmp_path, changed)
    assert written.data.eval_results is None
    assert "| macro_f1 | 0.4100 |" in written.text
    assert "Not examined." in written.text


def test_a_corpus_is_counted_split_by_split():
    corpus = load_corpus("sample")
    counted = corpus_facts(corpus, "sample")
    assert (counted["licence"], counted["may_be_passed_on"]) == ("CC0-1.0", True)
    for split, rows in corpus.items():
        assert counted["splits"][split]["dialogues"] == len(rows)
        assert counted["splits"][split]["utterances"] == sum(map(len, rows["utterances"]))
        joys = sum(labels.count(rows.features["labels"].feature.str2int("joy")) for labels in rows["labels"])
        assert counted["splits"][split]["labels"]["joy"] == joys


@pytest.mark.parametrize(("causal", "said"), [(True, "never changes"), (False, "may change"), (None, "may change")])
def test_it_says_in_which_direction_the_model_reads(tmp_path, causal, said):
    """A summary of before there was a choice says nothing."""
    model = None if causal is None else model_facts(PreCodeConfig(causal=causal))
    for task in ("erc", "convcom"):
        assert f"for an utterance {said} when the dialogue goes on" in card(tmp_path, {"model": model}, task).text


def test_it_says_how_many_speakers_the_model_tells_apart(tmp_path):
    assert (
        "the model distinguishes 8 of them in a conversation"
        in card(tmp_path, {"model": model_facts(PreCodeConfig(max_speakers=8))}).text
    )
    assert "Name the speakers" not in card(tmp_path, {"model": model_facts(PreCodeConfig())}).text


def test_settings_are_those_that_change_a_result():
    @dataclass
    class Base:
        inherited: int = 1

    @dataclass
    class Arguments(Base):
        output_dir: str = "somewhere"
        dropout: float = 0.2
        patience: int | None = None

    assert hyper_parameters({"size": "mid"}, Arguments()) == {"size": "mid", "dropout": 0.2}


def test_the_command_can_be_pasted(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/run_finetune.py", "--data_dir", "my data", "--model=/home/me/start"])
    assert RunSummary().command == "python run_finetune.py --data_dir 'my data' --model=start"


def test_a_token_is_never_written_down(monkeypatch):
    monkeypatch.setattr("sys.argv", ["run.py", "--hub_token", "hf_x", "--hub_token=hf_x", "--seeds", "1"])
    assert RunSummary().command == "python run.py --hub_token ... --hub_token=... --seeds 1"


def test_a_notebook_has_no_command():
    assert command_line(["/home/me/ipykernel_launcher.py"]) == "python ipykernel_launcher.py"
    assert command_line(["-c", "code"]) == command_line([""]) == ""
    assert command_line(["/usr/bin/precode", "predict", "/home/me/a.txt"]) == "precode predict a.txt"


def test_settings_and_command_name_no_folder(tmp_path, monkeypatch):
    (tmp_path / "secret" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert without_folders(
        {
            "data_dir": str(tmp_path / "secret" / "MELD"),
            "model": "secret/deep",
            "output_dir": "secret/not/there/yet",
            "home": "~/secret/start",
            "above": "../secret/start",
            "options": ["text_column=words", f"file={tmp_path}/secret/a.csv", "pattern=secret/*.csv"],
            "kwargs": '{"dir": "/home/secret/logs", "rate": 1}',
            "hub": "someone/encoder",
            "bucket": "s3://bucket/films",
            "ratio": 0.5,
            "ends": "3/4",
        }
    ) == {
        "data_dir": "MELD",
        "model": "deep",
        "output_dir": "yet",
        "home": "start",
        "above": "start",
        "options": ["text_column=words", "file=a.csv", "pattern=*.csv"],
        "kwargs": '{"dir": "logs", "rate": 1}',
        "hub": "someone/encoder",
        "bucket": "s3://bucket/films",
        "ratio": 0.5,
        "ends": "3/4",
    }


def test_a_summary_keeps_its_keys_and_is_read_back_the_same():
    before = summary(corpus="opsub", start_summary=None)
    written = summary(start_summary=before.to_dict(), calibration=None).to_dict()
    assert json.loads(json.dumps(written)) == written
    assert RunSummary.from_dict(written).to_dict() == written
    old = ["corpus", "licence", "start", "seed", "selection", "scores", "calibration", "facts", "settings", "model"]
    old += ["text_encoder", "leakage", "start_summary", "command", "versions"]
    assert set(old) <= set(written)


def test_an_older_or_a_strange_summary_still_makes_a_card(tmp_path):
    """The first checkpoints have neither facts nor language, and a path where they started from."""
    old = {
        "corpus": "meld",
        "licence": "GPL-3.0",
        "start": "/home/me/checkpoints/start",
        "selection": "best macro_f1",
        "scores": {"test": {"macro_f1": 0.5}},
        "calibration": {"temperature": 1.5, "test": dict.fromkeys(("before", "after"), {"ece": 0.1, "nll": 1.0})},
        "command": "python run_finetune.py",
        "versions": {"torch": "2.6"},
        "some_field": "of another version",
        "seed": "a string",
    }
    found = RunSummary.from_dict(old)
    assert (found.start, found.seed, found.versions) == ("start", None, {"torch": "2.6"})
    write_model_card(tmp_path, "someone/model", "erc", found)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert problems(text) == [] and "language: en\n" in text and "temperature of 1.5000" in text
    write_model_card(tmp_path, "someone/model", "erc", RunSummary.from_dict(None))
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert problems(text) == [] and "The checkpoint has no record of its training." in text


def test_a_temperature_that_is_not_used_is_reported(tmp_path):
    figures = {"before": {"ece": 0.125, "nll": 1.5}, "after": {"ece": 0.125, "nll": 1.5}}
    found = {"temperature": 1.0, "cross_fit": {"fitted": 1.75, "helps": False, **figures}, "test": figures}
    text = card(tmp_path, {"calibration": found}).text
    assert "A temperature of 1.7500 was fitted on the validation split and is not used" in text
    assert "| test | 0.1250 | 1.5000 |" in text and "cross_fit" not in text


GERMAN = ["Hast du den Brief schon aufgemacht?", "Nein, meine Hände zittern, ich kann es nicht."]


def rows(utterances: list[str]) -> Dataset:
    return Dataset.from_list([{"utterances": utterances}] * 3)


def test_the_language_is_what_the_user_says_or_a_published_one_or_a_guess_that_says_so(tmp_path):
    pytest.importorskip("py3langid")
    assert find_language("nl", rows(GERMAN), "custom") == {"code": "nl", "is_guess": False}
    assert find_language(None, rows(GERMAN), "meld") == {"code": "en", "is_guess": False}
    assert find_language(None, rows(GERMAN), "opsub", {"language": "fr"}) == {"code": "fr", "is_guess": False}
    assert find_language(None, rows([""]), "custom") is None
    guess = find_language(None, rows(GERMAN), "custom")
    assert guess == {"code": "de", "is_guess": True}
    written = card(tmp_path, {"corpus": "custom", "language": guess})
    assert written.data.language == "de" and "English" not in written.text
    assert "every utterance of conversations in German" in written.text
    assert "languages other than German, are out of scope" in written.text
    assert "`py3langid` guessed the language" in written.text
    said = card(tmp_path, {"corpus": "custom", "language": {"code": "de", "is_guess": False}}, "convcom")
    assert "in German" in said.text and "guess" not in said.text
    unknown = card(tmp_path, {"corpus": "custom"})
    assert unknown.data.language is None and "English" not in unknown.text


def test_a_language_is_a_code():
    with pytest.raises(ValueError, match="--language German: use an ISO 639 code of two or three letters"):
        find_language("German", rows(GERMAN), "custom")


def test_a_push_that_fails_says_how_to_push_later(tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert push_checkpoint(tmp_path, "someone/model") is None
    message = capsys.readouterr().err
    assert f"hf upload someone/model {tmp_path}" in message
    assert "The checkpoint is safe" in message
