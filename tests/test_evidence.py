"""The harness of the experiments, run as a person runs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from corpus_of_topics import write_corpus

from benchmarks.documents import replace_between
from benchmarks.evidence.checkpoints import Checkpoint
from benchmarks.evidence.ensembles import add_ensembles
from benchmarks.evidence.experiments import Experiments
from benchmarks.evidence.report import sections
from benchmarks.evidence.results import Results
from benchmarks.evidence.runner import Runner
from benchmarks.evidence.tables import ensemble_table, zero_shot_table
from benchmarks.evidence.views import utterances_alone
from modeling_precode import PreCodeForConversationCompletion, PreCodeForUtteranceClassification
from modeling_precode.cli.main import main as precode

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"hidden_size": 16, "word_vector_size": 16, "min_count": 1}
EXPERIMENTS = {
    "corpora": {"custom": {"corpus": "custom", "data_dir": "topics"}, "meld": {"corpus": "meld", "data_dir": "meld"}},
    "pretraining": {
        "settings": {"corpus": "custom", **SMALL, "eval_steps": 2},
        "runs": {
            "tiny": {"max_steps": 4},
            "longer": {"model": "tiny", **dict.fromkeys(SMALL), "max_steps": 2},
        },
    },
    "finetuning": {
        "settings": {"num_train_epochs": 1, "metric_for_best_model": "weighted_f1"},
        "corpora": {"custom": {"learning_rate": 0.01}},
    },
    "studies": {
        "transfer": {
            "corpora": ["custom", "meld"],
            "seeds": [1, 2],
            "variants": {"without context": {**SMALL, "history": 0}, "pre-trained": {"model": "longer"}},
            "compare": [["pre-trained", "without context"]],
            "ensembles": ["pre-trained"],
        }
    },
}


def evidence(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.evidence", *arguments]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_experiments_are_run_once_and_told_in_tables_and_plots(tmp_path):
    (tmp_path / "data").mkdir()
    write_corpus(tmp_path / "data" / "topics")
    experiments, results = tmp_path / "experiments.yaml", tmp_path / "results.jsonl"
    experiments.write_text(yaml.safe_dump(EXPERIMENTS, sort_keys=False))
    document = tmp_path / "RESULTS.md"
    document.write_text("<!-- transfer -->\nold\n<!-- /transfer -->\n![](plots/transfer.svg)\nmine\n")
    common = ("--experiments", str(experiments), "--results", str(results), "--output_dir", str(tmp_path / "out"))
    # Of pre-training, what the study starts from, and what that starts from.
    output = evidence(*common, "--data_dir", str(tmp_path / "data"), "--pretraining")
    assert "meld: skipped" in output and output.count("$ ") == 4
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    kinds = ["history" in line for line in lines], [line.get("baseline") for line in lines]
    assert sum(kinds[0]) == 2 and {"majority", "bag of words", "bag-of-words completion"} <= set(kinds[1])
    [comparison] = [line for line in lines if "comparison" in line]
    [ensemble] = [line for line in lines if "ensemble" in line]
    assert ensemble["ensemble"] == comparison["comparison"][0] and ensemble["seeds"] == [1, 2]
    runs = {line["key"]: [] for line in lines if line["seed"] and "history" not in line}
    for line in lines:
        if line["key"] in runs:
            runs[line["key"]].append(line["scores"]["test"]["macro_f1"])
    ours, theirs = (np.mean(runs[key]) for key in comparison["comparison"])
    assert comparison["scores"]["macro_f1"]["difference"] == pytest.approx(ours - theirs, abs=2e-6)

    before = results.read_bytes()
    assert "$ " not in evidence(*common, "--data_dir", str(tmp_path / "data")) and results.read_bytes() == before
    evidence(*common, "--write", str(document))
    written = document.read_text()
    assert "old" not in written and written.endswith("mine\n") and "| custom | pre-trained | " in written
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["transfer.svg"]
    document.write_text("![](plots/completion.svg)")
    evidence(*common, "--write", str(document))
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"completion.svg", "transfer.svg"}
    document.write_text("![](plots/transfer_epochs.svg)")
    evidence(*common, "--write", str(document))
    assert (tmp_path / "plots" / "transfer_epochs.svg").is_file()


def test_the_default_of_an_axis_is_the_run_without_it(tmp_path):
    study = EXPERIMENTS["studies"]["transfer"]
    over = {"train_fraction": [0.5, 1.0], "default": 1.0}
    path = tmp_path / "experiments.yaml"
    studies = {"a": study, "b": {**study, "over": over}}
    path.write_text(yaml.safe_dump({**EXPERIMENTS, "studies": studies}, sort_keys=False))
    plain, parts = Experiments.read(path).studies
    assert parts.axis == "train_fraction"
    half, whole = (parts.runs["custom", "pre-trained", value] for value in (0.5, 1.0))
    assert whole == plain.runs["custom", "pre-trained", None]
    assert half.settings == {**whole.settings, "train_fraction": 0.5}


TWO_CORPORA = {
    **EXPERIMENTS,
    "corpora": {**EXPERIMENTS["corpora"], "others": {"corpus": "custom", "data_dir": "others"}},
    "pretraining": {"settings": {"corpus": "custom"}, "runs": {"tiny": {"max_steps": 1}}},
    "studies": {
        "multi-task": {
            "corpora": ["custom", "others"],
            "seeds": [1, 2],
            "variants": {"alone": SMALL, "together": {**SMALL, "multi_task": ["custom", "others"]}},
        }
    },
}


def test_a_training_on_several_corpora_is_run_once_and_has_a_result_for_each(tmp_path):
    path = tmp_path / "experiments.yaml"
    path.write_text(yaml.safe_dump(TWO_CORPORA, sort_keys=False))
    [study] = Experiments.read(path).studies
    runner = Runner(tmp_path, tmp_path / "out", Results(tmp_path / "results.jsonl"), 2)
    one, other = (study.runs[corpus, "together", None] for corpus in ("custom", "others"))
    assert one.key != other.key and runner.folder(one) == runner.folder(other)
    assert runner.folder(one) != runner.folder(study.runs["custom", "alone", None])
    assert not runner.is_possible(one)
    write_corpus(tmp_path / "topics")
    assert not runner.is_possible(one), "the other corpus is missing"
    write_corpus(tmp_path / "others")
    assert runner.is_possible(one)
    arguments = runner.arguments(one, {"seeds": [1]})
    start = arguments.index("--corpus")
    assert arguments[start + 1 : start + 3] == [f"custom={tmp_path}/topics", f"custom={tmp_path}/others"]
    assert "--data_dir" not in arguments and arguments[arguments.index("--multi_task") + 1] == "True"
    assert sorted(arguments) == sorted(runner.arguments(other, {"seeds": [1]}))
    assert runner.predictions(other)[1] == runner.folder(one) / "seed_2" / "custom-others" / "test_predictions.jsonl"
    study = {**TWO_CORPORA["studies"]["multi-task"], "corpora": ["meld"]}
    path.write_text(yaml.safe_dump({**TWO_CORPORA, "studies": {"multi-task": study}}, sort_keys=False))
    with pytest.raises(ValueError, match="multi_task: give meld and other corpora without corpus_options; got custom"):
        Experiments.read(path)


@pytest.mark.slow
def test_the_results_of_a_training_on_several_corpora_are_those_of_their_heads(tmp_path):
    path = tmp_path / "experiments.yaml"
    study = {**TWO_CORPORA["studies"]["multi-task"], "compare": [["together", "alone"]]}
    path.write_text(yaml.safe_dump({**TWO_CORPORA, "studies": {"multi-task": study}}, sort_keys=False))
    for name in ("topics", "others"):
        write_corpus(tmp_path / "data" / name, sizes=(("train", 40), ("validation", 10), ("test", 10)))
    common = ("--experiments", str(path), "--results", str(tmp_path / "results.jsonl"), "--pretraining")
    output = evidence(*common, "--data_dir", str(tmp_path / "data"), "--output_dir", str(tmp_path / "out"))
    assert output.count("$ ") == 3
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert sum("comparison" in line for line in lines) == 2
    together = [line for line in lines if "multi_task" in line.get("settings", {})]
    assert len(together) == 4
    for line in together:
        [results] = (tmp_path / "out" / "runs").glob(f"custom-others-*/seed_{line['seed']}/results.json")
        found = json.loads(results.read_text())["scores"]["test"]["corpora"][f"custom {line['settings']['data_dir']}"]
        assert line["scores"]["test"]["weighted_f1"] == pytest.approx(found["weighted_f1"], abs=1e-6)


def test_an_utterance_alone_keeps_the_history_that_is_asked_for():
    rows = {"dialogue_id": ["7"], "utterances": [["a", "b", "c"]], "speakers": [[]], "labels": [[0, -1, 2]]}
    alone = utterances_alone(rows, 1)
    assert alone["utterances"] == [["a"], ["c | b"]] and alone["labels"] == [[0], [2]]
    assert alone["dialogue_id"] == ["7#0", "7#2"]
    assert utterances_alone(rows, 0)["utterances"] == [["a"], ["c"]]
    assert utterances_alone({**rows, "speakers": [["A", "B", "A"]]}, 2, named=True)["utterances"] == [
        ["a"],
        ["c | B: b | A: a"],
    ]


ZERO_SHOT = {
    **EXPERIMENTS,
    "corpora": {
        "topics": {"corpus": "custom", "data_dir": "topics"},
        "others": {"corpus": "custom", "data_dir": "others"},
        "friends": {"corpus": "friends", "data_dir": "friends"},
        "sample": {"corpus": "sample"},
    },
    "pretraining": {"settings": {"corpus": "topics"}, "runs": {"tiny": {"max_steps": 4}}},
    "checkpoints": {"default": "absent"},
    "zero_shot": {
        "zero-shot": {
            "split": "validation",
            "corpora": ["topics", "others", "friends"],
            "label_map": "ekman",
            "bag_of_words": "sample",
            "metric": "macro_f1",
        }
    },
    "studies": {
        "from the default": {"corpora": ["topics"], "seeds": [1], "variants": {"default": {"model": "default"}}}
    },
}


@pytest.fixture
def data(tmp_path) -> Path:
    for name in ("topics", "others"):
        write_corpus(tmp_path / "data" / name, sizes=(("train", 10), ("validation", 12), ("test", 4)))
    return tmp_path / "data"


@pytest.fixture
def read_experiments(tmp_path):
    """A function: changes to `ZERO_SHOT`, and the arguments of `Experiments.read` -> the experiments."""

    def read(changes: dict | None = None, **arguments) -> Experiments:
        path = tmp_path / "experiments.yaml"
        path.write_text(yaml.safe_dump({**ZERO_SHOT, **(changes or {})}, sort_keys=False))
        return Experiments.read(path, **arguments)

    return read


def test_models_are_scored_on_corpora_that_they_never_saw_as_the_command_scores_them(
    checkpoint, data, read_experiments, tmp_path, capsys
):
    [study] = read_experiments(checkpoints={"default": str(checkpoint)}).zero_shot
    results = Results(tmp_path / "results.jsonl")
    study.run(data, results)
    assert f"friends: skipped because {data / 'friends'} is missing" in capsys.readouterr().out
    rows = [row.strip("| ").split(" | ") for row in zero_shot_table(study, results).splitlines()]
    assert rows[0] == ["topics", "others", "mean macro F1"]
    assert [row[0] for row in rows[2:]] == ["majority", "bag of words, sample", "default"]

    written = tmp_path / "scores.json"
    arguments = f"evaluate --model {checkpoint} --corpus custom={data / 'topics'} --label_map ekman --split validation"
    precode([*arguments.split(), "--output", str(written)])
    [expected] = json.loads(written.read_text())["corpora"]
    names = ("weighted_f1", "macro_f1", "accuracy")
    majority, model = (
        " / ".join(f"{100 * scores[name]:.1f}" for name in names)
        for scores in (expected["baselines"]["majority"], expected["scores"])
    )
    assert (rows[2][1], rows[4][1]) == (majority, model)
    assert rows[4][-1] == f"{np.mean([float(cell.split(' / ')[1]) for cell in rows[4][1:3]]):.1f}"

    before = results.path.read_bytes()
    study.run(data, Results(results.path))
    assert results.path.read_bytes() == before


def test_a_finished_model_that_is_absent_is_left_out_and_what_starts_from_it_too(
    data, read_experiments, tmp_path, capsys
):
    experiments = read_experiments()
    [study] = experiments.zero_shot
    results = Results(tmp_path / "results.jsonl")
    study.run(data, results)
    table = zero_shot_table(study, results)
    assert "majority" in table and "bag of words, sample" in table and "default" not in table
    runner = Runner(data, tmp_path / "out", results, 1)
    assert not any(runner.is_possible(run) for study in experiments.studies for run in study.runs.values())
    assert "checkpoint default: skipped; absent: no such folder" in capsys.readouterr().out


def test_another_model_under_the_same_name_has_other_results(checkpoint, read_experiments):
    def keys() -> set[str]:
        experiments = read_experiments(checkpoints={"default": str(checkpoint)})
        [run] = experiments.studies[0].runs.values()
        return {run.key, experiments.zero_shot[0].key("default", "topics")}

    before = keys()
    (checkpoint / "README.md").write_text("Another card.")
    assert keys() == before
    model = PreCodeForUtteranceClassification.from_pretrained(checkpoint)
    with torch.no_grad():
        model.classifier.output.bias += 1
    model.save_pretrained(checkpoint)
    assert not keys() & before


def test_a_study_trains_from_a_finished_model(checkpoint, data, read_experiments, tmp_path):
    [study] = read_experiments(checkpoints={"default": str(checkpoint)}).studies
    [run] = study.runs.values()
    runner = Runner(data, tmp_path / "out", Results(tmp_path / "results.jsonl"), 1)
    assert runner.is_possible(run)
    arguments = runner.arguments(run, {"seeds": [1]})
    assert arguments[arguments.index("--model") + 1] == str(checkpoint)


def test_an_ensemble_has_the_mean_of_the_probabilities_of_its_seeds(checkpoint, data, read_experiments, tmp_path):
    study = {"corpora": ["topics"], "seeds": [1, 2], "variants": {"default": {"model": "default"}}}
    with pytest.raises(ValueError, match="defaults is not defined; known: default"):
        read_experiments({"studies": {"one": {**study, "ensembles": ["defaults"]}}})
    alone = {**study, "variants": {"alone": {"history": 0}}, "ensembles": ["alone"]}
    with pytest.raises(ValueError, match="study one: an ensemble reads whole dialogues; leave alone out"):
        read_experiments({"studies": {"one": alone}})
    changes = {"studies": {"one": {**study, "ensembles": ["default"]}}}
    experiments = read_experiments(changes, checkpoints={"default": str(checkpoint)})
    runner = Runner(data, tmp_path / "out", Results(tmp_path / "results.jsonl"), 1)
    [run] = experiments.studies[0].runs.values()
    # Alone, each predicts one label. The mean predicts the third, which is the second one of both.
    for seed, biases in ((1, [10.0, 0.0, 9.9]), (2, [0.0, 10.0, 9.9])):
        model = PreCodeForUtteranceClassification.from_pretrained(checkpoint)
        with torch.no_grad():
            model.classifier.output.weight.zero_()
            model.classifier.output.bias.copy_(torch.tensor(biases))
        shutil.copytree(checkpoint, runner.folder(run) / f"seed_{seed}")
        model.save_pretrained(runner.folder(run) / f"seed_{seed}")
        score = {"weighted_f1": 0.0, "macro_f1": 0.0}
        runner.results.add({"key": run.key, "seed": seed, "scores": {"validation": score, "test": score}})
    add_ensembles(experiments.studies, runner)
    [line] = [line for line in runner.results.lines.values() if "ensemble" in line]
    third = model.config.label_names[2]
    found = line["scores"]["test"]["per_label"]
    assert found[third]["recall"] == 1 and all(found[label]["f1"] == 0 for label in found if label != third)
    before = runner.results.path.read_bytes()
    add_ensembles(experiments.studies, runner)
    assert runner.results.path.read_bytes() == before
    table = ensemble_table(experiments.studies[0], runner.results, experiments.metrics)
    assert f"| topics | default | 2 | {100 * line['scores']['validation']['weighted_f1']:.1f} | " in table


def test_a_mean_is_of_all_corpora_or_there_is_none(checkpoint, data, read_experiments, tmp_path):
    results = Results(tmp_path / "results.jsonl")
    read_experiments().zero_shot[0].run(data, results)
    (data / "others").rename(data / "gone")
    [study] = read_experiments(checkpoints={"default": str(checkpoint)}).zero_shot
    study.run(data, results)
    *_, majority, _, default = zero_shot_table(study, results).splitlines()
    assert default.endswith("| – | – |") and not majority.endswith("| – |")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpora": ["topics", "mled"]}, "mled is not defined; known: topics, others, friends, sample"),
        ({"bag_of_words": "topics"}, "bag_of_words learns from a corpus that comes with the package; got topics"),
        ({"splits": "test"}, "study zero-shot: give bag_of_words, corpora, label_map, metric, split; got .*splits"),
    ],
)
def test_a_study_that_cannot_be_scored_is_refused(changes, message, read_experiments):
    with pytest.raises(ValueError, match=message):
        read_experiments({"zero_shot": {"zero-shot": {**ZERO_SHOT["zero_shot"]["zero-shot"], **changes}}})


def test_a_checkpoint_and_a_pretraining_of_one_name_are_refused(read_experiments):
    with pytest.raises(ValueError, match="tiny: a checkpoint and a pre-training run have the same name"):
        read_experiments(checkpoints={"tiny": "a"})


def test_a_model_that_labels_nothing_is_not_scored(tiny_config, tmp_path):
    PreCodeForConversationCompletion(tiny_config()).save_pretrained(tmp_path / "pretrained")
    with pytest.raises(ValueError, match="which labels nothing; fine-tune it first"):
        _ = Checkpoint("pretrained", str(tmp_path / "pretrained")).emotions


@pytest.mark.parametrize("name", ["experiments.yaml", "quick.yaml"])
def test_the_experiments_of_the_repository_can_be_read_and_score_the_default_model(name):
    experiments = Experiments.read(ROOT / "benchmarks" / "evidence" / name)
    assert {one.name for study in experiments.zero_shot for one in study.checkpoints} == {"default"}
    assert all(run.seeds for run in experiments.runs())


def test_the_tables_in_the_documents_are_those_of_the_results():
    experiments = Experiments.read(ROOT / "benchmarks/evidence/experiments.yaml", {})
    tables = sections(experiments, Results(ROOT / "benchmarks/evidence/results.jsonl"))
    assert {"zero-shot, summary", "transfer, summary"} <= tables.keys()
    documents = [ROOT / "README.md", ROOT / "RESULTS.md", *(ROOT / "docs/results").glob("*.md")]
    found = set()
    for document in documents:
        text = written = document.read_text(encoding="utf-8")
        for name, table in tables.items():
            found |= {name} if f"<!-- {name} -->" in text else set()
            written = replace_between(written, name, table)
        assert written == text, document
    assert {"zero-shot, summary", "transfer, summary", "completion", "text encoder"} <= found
