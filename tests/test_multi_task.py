"""Multi-task fine-tuning: one encoder, a head for the labels of each corpus, and a checkpoint for each head."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from corpus_of_topics import texts_of, write_corpus, write_two_corpora
from safetensors.torch import load_file
from test_resume import signalled_at
from test_scripts import ROOT, TORCHRUN
from test_scripts import run as run_process
from text_encoders import write_text_encoder
from transformers import pipeline, set_seed

import run_finetune
from data_scripts import load_corpus
from data_scripts.building.mixing import mix_corpora
from modeling_precode import (
    PreCodeConfig,
    PreCodeForUtteranceClassification,
    PreCodeTokenizer,
    UtteranceClassificationArguments,
    UtteranceClassificationTrainer,
    focused_class_weights,
    label_settings,
    save_best_seed,
    train_seed,
)
from modeling_precode.cli.evaluate import main as evaluate
from modeling_precode.evaluation.metrics import score_values
from modeling_precode.training.checkpoints import begin_run, newest_checkpoint
from modeling_precode.training.multi_task import CorpusHeads

LABELS = {"large": ["anger", "joy", "neutral"], "small": ["angry", "happiness", "neutral"]}
SMALL = "--hidden_size 8 --word_vector_size 8 --num_train_epochs 2 --learning_rate 0.02"

pytestmark = pytest.mark.usefixtures("no_state_of_another_test")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    return write_two_corpora(tmp_path_factory.mktemp("corpora"), {"joy": "happiness", "anger": "angry"})


def command(folders: list[Path], output: Path, *arguments: str) -> list[str]:
    corpora = [f"custom={folder}" for folder in folders]
    return ["--corpus", *corpora, "--multi_task", *SMALL.split(), "--output_dir", str(output), *arguments]


@pytest.fixture(scope="module")
def run(folders, tmp_path_factory) -> Path:
    """The output folder of a run with two seeds."""
    AcceleratorState._reset_state(reset_partial_state=True)
    folder = tmp_path_factory.mktemp("runs") / "run"
    run_finetune.main(command(folders, folder, "--seeds", "1", "2"))
    return folder


@pytest.fixture(scope="module")
def mixed(folders):
    return mix_corpora({f"custom {one.name}": load_corpus("custom", one) for one in folders}, separate_labels=True)[0]


@pytest.fixture
def build(mixed, tmp_path):
    """A function: settings -> the arguments of a run of two seeds, and what builds the trainer of a seed."""

    def build_run(**settings):
        tokenizer = PreCodeTokenizer.train(mixed["train"]["utterances"], 2)
        common = {"output_dir": str(tmp_path / "python"), "num_train_epochs": 2, "learning_rate": 0.02}
        args = UtteranceClassificationArguments(**{**common, "multi_task": True, **settings})

        def build_trainer(args: UtteranceClassificationArguments) -> UtteranceClassificationTrainer:
            set_seed(args.seed)
            sizes = {"word_vector_size": 8, "utterance_hidden_size": 8, "conversation_hidden_size": 8, "dropout": 0.5}
            model = PreCodeForUtteranceClassification(
                PreCodeConfig(vocab_size=len(tokenizer), **sizes, **label_settings(mixed))
            )
            splits = (mixed["train"], mixed["validation"], tokenizer, mixed["test"])
            return UtteranceClassificationTrainer(model, args, *splits)

        return args, build_trainer

    return build_run


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def same_weights(one: Path, other: Path) -> bool:
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_every_corpus_gets_an_ordinary_checkpoint_with_its_labels_and_scores(run, folders, tmp_path):
    results = json.loads((run / "finetune_results.json").read_text())
    best = max(results["runs"], key=lambda one: one["scores"]["validation"]["weighted_f1"])
    assert not (run / "model.safetensors").exists()
    for folder in folders:
        name, checkpoint = f"custom {folder.name}", run / f"custom-{folder.name}"
        assert same_weights(checkpoint, run / f"seed_{best['seed']}" / f"custom-{folder.name}")
        emotions = pipeline("conversation-emotion", model=str(checkpoint))
        assert emotions.model.config.label_names == LABELS[folder.name]
        assert emotions.model.config.temperature == best["calibration"][name]["temperature"]
        rows = rows_of(checkpoint / "test_predictions.jsonl")
        corpus = load_corpus("custom", folder)["test"]
        assert [row["utterances"] for row in rows] == corpus["utterances"]
        assert [row["predictions"] for row in rows] == [[turn["label"] for turn in turns] for turns in emotions(corpus)]
        evaluate(
            ["--model", str(checkpoint), "--corpus", f"custom={folder}", "--output", str(tmp_path / "scores.json")]
        )
        [scores] = json.loads((tmp_path / "scores.json").read_text())["corpora"]
        expected = best["scores"]["test"]["corpora"][name]
        assert scores["scores"]["macro_f1"] == expected["macro_f1"]
        assert scores["scores"]["confusion_matrix"] == expected["confusion_matrix"]


def test_the_encoder_of_several_corpora_may_be_a_text_encoder_that_reads_whole_dialogues(folders, tmp_path):
    texts = [text for folder in folders for text in texts_of(folder)]
    encoder, output = write_text_encoder(tmp_path / "encoder", texts), tmp_path / "run"
    corpora = [f"custom={folder}" for folder in folders]
    settings = "--multi_task --hidden_size 8 --text_context dialogue --speaker_prefix --num_train_epochs 1"
    run_finetune.main(
        ["--corpus", *corpora, "--text_encoder", str(encoder), *settings.split(), "--output_dir", str(output)]
    )
    for name, labels in LABELS.items():
        emotions = pipeline("conversation-emotion", model=str(output / f"custom-{name}"))
        assert emotions.model.config.text_context == "dialogue" and emotions.model.config.label_names == labels
        lines = (output / f"custom-{name}" / "test_predictions.jsonl").read_text().splitlines()
        for row in map(json.loads, lines):
            turns = emotions(list(zip(row["speakers"], row["utterances"], strict=True)))
            assert [turn["label"] for turn in turns] == row["predictions"]


def test_scores_are_means_over_the_corpora_and_the_card_names_all_of_them(run, folders):
    results = json.loads((run / "finetune_results.json").read_text())
    for scores in (one["scores"]["validation"] for one in results["runs"]):
        for metric, value in score_values(scores).items():
            assert value == pytest.approx(np.mean([one[metric] for one in scores["corpora"].values()]))
    for folder in folders:
        card = " ".join((run / f"custom-{folder.name}" / "README.md").read_text().split())
        mean = np.mean([one["scores"]["test"]["corpora"][f"custom {folder.name}"]["UWA"] for one in results["runs"]])
        assert "Trained on **custom large, custom small**" in card
        assert f"This checkpoint has the head for **custom {folder.name}**" in card
        assert f"| UWA | {mean:.4f} |" in card and str(folder.parent) not in card
        assert "The training split of custom small against the validation and test splits of all corpora" in card


def test_python_gives_the_checkpoints_of_the_script(run, build):
    args, build_trainer = build(seeds=[2])
    message = save_best_seed([train_seed(2, args, build_trainer)], args)
    for name in ("custom-large", "custom-small"):
        assert same_weights(run / "seed_2" / name, Path(args.output_dir) / name)
    assert message.count("custom small") == 1 and message.endswith(f"{args.output_dir}/custom-small")


def test_the_checkpoint_of_a_corpus_predicts_as_the_whole_model(build, mixed, tmp_path):
    args, build_trainer = build(num_train_epochs=1, class_weight_rate=0.5)
    trainer = build_trainer(args)
    trainer.train()
    prediction = trainer.predict(mixed["test"])
    trainer.save_model(str(tmp_path / "saved"))
    counted = Counter(label for labels in mixed["train"]["labels"] for label in labels)
    card = (tmp_path / "saved" / "custom-large" / "README.md").read_text()
    assert "Trained on **custom large, custom small**" in card
    for corpus, classes in trainer.heads.ranges.items():
        model = PreCodeForUtteranceClassification.from_pretrained(tmp_path / "saved" / corpus.replace(" ", "-"))
        counts = [count for label, count in sorted(counted.items()) if classes.start <= label < classes.stop]
        assert model.config.class_weights == pytest.approx(focused_class_weights(counts, range(3), 0.5))
        own = np.flatnonzero(np.array(mixed["test"]["corpus_name"]) == corpus)
        batch = trainer.data_collator([trainer.encoded["test"][int(row)] for row in own])
        assert batch.pop("class_mask").sum(-1).tolist() == [3] * len(own)
        has_label = batch["labels"] != -100
        batch["labels"][has_label] -= classes.start
        with torch.no_grad():
            output = model(**batch)
        whole = torch.from_numpy(prediction.predictions[own][:, : has_label.shape[1]])[has_label]
        torch.testing.assert_close(output.logits[has_label], whole[:, classes])
        others = np.delete(whole.numpy(), np.r_[classes], axis=1)
        assert (others == torch.finfo(torch.float32).min).all()


@pytest.mark.parametrize("soft", [False, True])
def test_the_loss_of_a_dialogue_is_that_of_its_head_alone(tiny_config, soft):
    torch.manual_seed(0)
    labels = [f"a: {name}" for name in "xyz"] + [f"b: {name}" for name in "uv"]
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    weights = [0.5, 0.2, 0.3, 0.4, 0.6]
    model = PreCodeForUtteranceClassification(tiny_config(**names, class_weights=weights, dropout=0.0))
    ids = torch.randint(2, 10, (2, 3, 4))
    gold = torch.tensor([[3, 4, -100], [4, 4, 3]])
    targets = torch.zeros(2, 3, 5)
    targets[0, 0, 3:] = torch.tensor([0.3, 0.7])
    heads = CorpusHeads(labels)
    batch = {"soft_targets": targets} if soft else {}
    whole = model(ids, labels=gold, class_mask=heads.mask(["b", "b"]), **batch)
    whole.loss.backward()
    gradients = [parameter.grad for parameter in model.classifier.output.parameters()]
    assert all(torch.isfinite(one).all() and not one[:3].any() and one[3:].any() for one in gradients)
    model.classifier.output.weight = torch.nn.Parameter(model.classifier.output.weight[3:])
    model.classifier.output.bias = torch.nn.Parameter(model.classifier.output.bias[3:])
    model.config.class_weights = weights[3:]
    own = {"soft_targets": targets[..., 3:]} if soft else {}
    alone = model(ids, labels=torch.where(gold < 0, gold, gold - 3), **own)
    torch.testing.assert_close(whole.loss, alone.loss)
    with pytest.raises(ValueError, match=r"`class_mask` must have the shape .* here \(2, 2\); got \(2, 5\)"):
        model(ids, class_mask=heads.mask(["a", "b"]))


def test_a_run_that_is_repeated_stopped_and_resumed_ends_as_one_that_was_not_stopped(run, tmp_path, monkeypatch):
    again = ["--config", str(run / "run.yaml"), "--seeds", "2", "--output_dir", str(tmp_path / "again")]
    with monkeypatch.context() as context, pytest.raises(SystemExit):
        signalled_at(context, UtteranceClassificationTrainer, "training_step", 10)
        run_finetune.main(again)
    assert newest_checkpoint(tmp_path / "again" / "seed_2").name == "checkpoint-10"
    run_finetune.main([*again, "--resume_from_checkpoint", "latest"])
    for name in ("custom-large", "custom-small"):
        assert same_weights(run / "seed_2" / name, tmp_path / "again" / name)
    results = [json.loads((folder / "seed_2" / "results.json").read_text()) for folder in (run, tmp_path / "again")]
    assert results[0]["scores"] == results[1]["scores"]


def test_a_run_that_is_overwritten_leaves_none_of_its_checkpoints(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / "other").mkdir()
    (folder / "custom-large" / "notes.txt").write_text("mine")
    begin_run(folder, {}, resuming=False, overwrite=True)
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.name not in ("lock", ".run")}
    assert left == {".run/fingerprint.json", "other", "custom-large", "custom-large/notes.txt", "seed_1", "seed_2"}


@pytest.mark.slow
def test_two_processes_give_the_losses_and_scores_of_one(folders, tmp_path):
    batches = {"one": "8", "two": "4"}
    commands = {
        name: command(folders, tmp_path / name, "--dropout", "0", "--per_device_train_batch_size", size)
        for name, size in batches.items()
    }
    run_finetune.main(commands["one"])
    assert "2 process(es)" in run_process(*TORCHRUN, str(ROOT / "run_finetune.py"), *commands["two"]).stdout
    one, two = (json.loads((tmp_path / name / "seed_1" / "results.json").read_text()) for name in batches)
    assert one["scores"] == two["scores"]
    losses = [[record["loss"] for record in run["history"] if "loss" in record] for run in (one, two)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_distributions_of_labels_and_a_corpus_for_training_only_are_kept_apart(folders):
    large, small = (load_corpus("custom", folder) for folder in folders)
    shares = [[[0.5, 0.25, 0.25]] * len(row) for row in small["train"]["labels"]]
    soft = small["train"].add_column("label_distributions", shares)
    corpora = {"large": large, "small": type(small)({"train": soft})}
    mixed, _ = mix_corpora(corpora, separate_labels=True)
    assert label_settings(mixed)["id2label"][4] == "small: happiness"
    assert {*mixed["validation"]["corpus_name"]} == {"large"}
    for row in mixed["train"]:
        own = range(3) if row["corpus_name"] == "large" else range(3, 6)
        assert all(label in own for label in row["labels"])
        expected = [] if row["corpus_name"] == "large" else [0, 0, 0, 0.5, 0.25, 0.25]
        assert row["label_distributions"] == [expected] * len(row["labels"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--corpus sample", "--multi_task: there is one corpus, sample; leave this out, or give several with --corpus"),
        (
            "--corpus sample openerc --label_map ekman",
            "--multi_task cannot be used with --label_map ekman, which gives",
        ),
        ("--corpus sample openerc --recipe original", "--multi_task cannot be used with --recipe original"),
        (
            "--corpus sample openerc --label_smoothing_factor 0.1",
            "--label_smoothing_factor cannot be used with --multi",
        ),
        ("--corpus sample openerc --push_to_hub", "--push_to_hub cannot be used with --multi_task, which saves"),
        ("--corpus sample openerc --model x --do_predict", "--do_eval and --do_predict without --do_train cannot be"),
    ],
)
def test_what_makes_no_sense_with_several_heads_is_refused(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        run_finetune.main([*arguments.split(), "--multi_task", "--output_dir", str(tmp_path / "run")])
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_python_refuses_corpora_that_do_not_fit_the_setting(build, folders, tmp_path):
    args, build_trainer = build(multi_task=False)
    with pytest.raises(ValueError, match="the corpora have separate labels; set multi_task, or mix them without"):
        build_trainer(args)
    args, build_trainer = build(metric_for_best_model="micro_f1_without_joy", excluded_label="joy")
    with pytest.raises(ValueError, match=r"excluded_label has 'joy': give distinct names .*'angry', 'happiness'"):
        build_trainer(args)
    args, build_trainer = build()
    trainer = build_trainer(args)
    with pytest.raises(ValueError, match="the column corpus_name is missing"):
        trainer.predict(load_corpus("custom", folders[0])["test"])
    with pytest.raises(ValueError, match="has a checkpoint for each corpus; push each one"):
        trainer.push_checkpoint()
    with pytest.raises(ValueError, match="corpus a: b: its name has ': '"):
        mix_corpora({"a: b": load_corpus("custom", folders[0])}, separate_labels=True)
    with pytest.raises(ValueError, match="the folder a-b for corpus a b has another use"):
        CorpusHeads(["a b: x", "a/b: x"])
    with pytest.raises(ValueError, match="must follow one another"):
        CorpusHeads(["a: x", "b: x", "a: y"])
    write_corpus(tmp_path / "seed_1", sizes=(("train", 4),))
    with pytest.raises(ValueError, match="the folder seed_1 for corpus seed_1 has another use"):
        CorpusHeads(["seed_1: x"])
