"""What the two trainers promise to a user of Python: they train, resume, predict, save and share as the scripts do."""

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from corpus_of_topics import write_corpus
from safetensors.torch import load_file
from transformers import TrainerCallback, pipeline, set_seed

from data_scripts import load_corpus
from modeling_precode import (
    ConversationCompletionArguments,
    ConversationCompletionTrainer,
    PreCodeConfig,
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    PreCodeTokenizer,
    UtteranceClassificationArguments,
    UtteranceClassificationTrainer,
    label_settings,
    save_best_seed,
    train_seed,
)
from modeling_precode.training import checkpoints
from modeling_precode.training import finetuning as finetuning_module
from modeling_precode.training.checkpoints import remove_old_checkpoints, whole_checkpoint

pytestmark = pytest.mark.usefixtures("no_state_of_another_test")

SIZES = {"word_vector_size": 8, "utterance_hidden_size": 8, "conversation_hidden_size": 8, "dropout": 0.1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), sizes=(("train", 40), ("validation", 16), ("test", 16)))


@pytest.fixture
def corpus(folder):
    return load_corpus("custom", folder)


@pytest.fixture
def tokenizer(corpus):
    return PreCodeTokenizer.train(corpus["train"]["utterances"])


@pytest.fixture
def pretraining(corpus, tokenizer, tmp_path):
    def build(callbacks=None, **settings) -> ConversationCompletionTrainer:
        set_seed(1)
        model = PreCodeForConversationCompletion(PreCodeConfig(vocab_size=len(tokenizer), **SIZES))
        given = {"output_dir": str(tmp_path / "pretrained"), "max_steps": 6, "batch_size": 8, "eval_steps": 3}
        args = ConversationCompletionArguments(**{**given, **settings})
        splits = (corpus["train"], corpus["validation"])
        return ConversationCompletionTrainer(model, args, *splits, tokenizer, corpus["test"], callbacks=callbacks)

    return build


@pytest.fixture
def finetuning(corpus, tokenizer, tmp_path):
    def build(callbacks=None, **settings) -> UtteranceClassificationTrainer:
        set_seed(1)
        config = PreCodeConfig(vocab_size=len(tokenizer), **SIZES, **label_settings(corpus))
        given = {"output_dir": str(tmp_path / "finetuned"), "num_train_epochs": 3, "learning_rate": 0.02}
        args = UtteranceClassificationArguments(**{**given, **settings})
        model, splits = PreCodeForUtteranceClassification(config), (corpus["train"], corpus["validation"])
        return UtteranceClassificationTrainer(model, args, *splits, tokenizer, corpus["test"], callbacks=callbacks)

    return build


class Recorder(TrainerCallback):
    def __init__(self, stop_at: int | None = None):
        self.events, self.stop_at = [], stop_at

    def on_step_end(self, args, state, control, **kwargs):
        self.events.append(("step", state.global_step))
        control.should_training_stop = state.global_step == self.stop_at

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        self.events.append(("evaluation", round(metrics["eval_R_11@1"], 4)))

    def on_save(self, args, state, control, **kwargs):
        self.events.append(("checkpoint", state.global_step))


def test_pretraining_trains_evaluates_predicts_and_saves(pretraining, corpus, tmp_path):
    trainer = pretraining(logging_steps=2)
    result = trainer.train()
    assert result.global_step == 6 and result.training_loss > 0
    scores, truth, metrics = trainer.predict(corpus["test"])
    assert scores.shape == (sum(len(row) - 2 for row in corpus["test"]["utterances"]), 11) and not truth.any()
    assert metrics["test_R_11@1"] == pytest.approx((scores[:, 1:].max(-1) < scores[:, 0]).mean(), abs=1e-9)
    assert trainer.evaluate().keys() == {f"eval_R_{n}@{k}" for n in (5, 11) for k in (1, 2)}
    trainer.save_model()
    results = json.loads((tmp_path / "pretrained" / "pretrain_results.json").read_text())
    assert results["scores"].keys() == {"validation", "test"} and results["settings"]["max_steps"] == 6
    assert "R_11@1" in (tmp_path / "pretrained" / "README.md").read_text()
    loaded = PreCodeForConversationCompletion.from_pretrained(tmp_path / "pretrained")
    assert all(torch.equal(value, trainer.model.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_pretraining_tells_callbacks_and_lets_them_stop_it(pretraining):
    recorder = Recorder(stop_at=4)
    trainer = pretraining([recorder])
    assert trainer.train().global_step == 4
    kinds = [kind for kind, _ in recorder.events]
    assert kinds.count("step") == 4 and kinds.count("evaluation") == 1 and ("checkpoint", 3) in recorder.events


def test_pretraining_that_is_stopped_before_its_first_evaluation_is_evaluated_and_saved(pretraining, tmp_path):
    recorder = Recorder(stop_at=2)
    assert pretraining([recorder]).train().global_step == 2
    assert [kind for kind, _ in recorder.events].count("evaluation") == 1
    assert (tmp_path / "pretrained" / "model.safetensors").is_file()


def test_pretraining_resumes_from_python(pretraining, tmp_path):
    pretraining(output_dir=str(tmp_path / "whole")).train()
    pretraining([Recorder(stop_at=3)], output_dir=str(tmp_path / "stopped")).train()
    again = pretraining(output_dir=str(tmp_path / "stopped"))
    again.train(resume_from_checkpoint=True)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    with pytest.raises(ValueError, match="is from another run: --learning_rate is 0.5 and was 0.002"):
        pretraining(output_dir=str(tmp_path / "stopped"), learning_rate=0.5).train(resume_from_checkpoint=True)


def test_finetuning_is_not_resumed_with_another_tokenizer_initial_model_or_seed(finetuning, tokenizer, tmp_path):
    first = finetuning(num_train_epochs=1)
    first.train()
    first.save_model(str(tmp_path / "other"))
    other_words = finetuning(num_train_epochs=1)
    words = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    other_words.processing_class = PreCodeTokenizer.from_vocabulary([*words[:-1], "unseen"])
    with pytest.raises(ValueError, match="is from another run: the vocabulary's digest is"):
        other_words.train(resume_from_checkpoint=True)
    other_start = finetuning(num_train_epochs=1)
    other_start.model.name_or_path = str(tmp_path / "other")
    with pytest.raises(ValueError, match="is from another run: the start's digest is"):
        other_start.train(resume_from_checkpoint=True)
    other_seed = finetuning(num_train_epochs=1, seed=2)
    with pytest.raises(ValueError, match="is from another run: --seed is 2 and was 1"):
        other_seed.train(resume_from_checkpoint=True)
    fingerprint = tmp_path / "finetuned" / ".run" / "fingerprint.json"
    of_an_earlier_version = {
        name: value
        for name, value in json.loads(fingerprint.read_text()).items()
        if name not in ("the vocabulary's digest", "the start's digest", "--seed")
    }
    for other in (other_start, other_seed):
        fingerprint.write_text(json.dumps(of_an_earlier_version))
        other.train(resume_from_checkpoint=True)


def test_finetuning_from_python_pushes_every_new_best_checkpoint(finetuning, monkeypatch):
    pushed = []
    monkeypatch.setattr(finetuning_module, "push_checkpoint", lambda folder, name, *args: pushed.append(name))
    trainer = finetuning(num_train_epochs=1, push_to_hub=True, hub_strategy="best", hub_model_id="someone/model")
    trainer.train()
    assert pushed == ["someone/model"]
    with pytest.raises(TypeError, match="commit_message"):
        trainer.push_to_hub(commit_message="Better")


def test_finetuning_trains_calibrates_predicts_and_saves(finetuning, corpus, tmp_path):
    trainer = finetuning()
    trainer.train()
    prediction = trainer.predict(corpus["test"])
    labeled = prediction.label_ids != -100
    accuracy = (prediction.predictions.argmax(-1) == prediction.label_ids)[labeled].mean()
    assert prediction.metrics["test_accuracy"] == pytest.approx(accuracy)
    found = trainer.calibrate()
    assert trainer.model.config.temperature == found["temperature"]
    trainer.save_model()
    card = (tmp_path / "finetuned" / "README.md").read_text()
    assert f"{trainer.scores['test']['weighted_f1']:.4f}" in card
    emotions = pipeline("conversation-emotion", model=str(tmp_path / "finetuned"))
    assert emotions(["cake and dance and song"])[0]["label"] in ("anger", "joy", "neutral")


def test_finetuning_takes_other_dialogues_of_the_same_form(finetuning, corpus):
    trainer = finetuning(num_train_epochs=1)
    trainer.train()
    few = corpus["test"].select(range(4))
    logits = trainer.predict(few).predictions
    whole = trainer.predict(corpus["test"]).predictions
    for row, others, texts in zip(logits, whole, few["utterances"], strict=False):
        np.testing.assert_allclose(row[: len(texts)], others[: len(texts)], atol=1e-5)


def test_a_callback_ends_finetuning_for_good(finetuning, tmp_path):
    class Stop(TrainerCallback):
        def on_epoch_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.epoch >= 1

    finetuning([Stop()], output_dir=str(tmp_path / "stopped"), num_train_epochs=3).train()
    saved = json.loads(next((tmp_path / "stopped").glob("checkpoint-*/training.json")).read_text())
    assert saved["finished"]


def test_finetuning_is_not_resumed_from_a_checkpoint_outside_its_output_folder(finetuning, tmp_path):
    finetuning(output_dir=str(tmp_path / "first"), num_train_epochs=1).train()
    [checkpoint] = (tmp_path / "first").glob("checkpoint-*")
    second = finetuning(output_dir=str(tmp_path / "second"), num_train_epochs=1)
    with pytest.raises(ValueError, match=f"{checkpoint}: not in {tmp_path}/second, the output folder, .*; give latest"):
        second.train(resume_from_checkpoint=str(checkpoint))


def test_several_seeds_are_trained_from_python_and_the_best_is_kept(corpus, tokenizer, tmp_path):
    def build_trainer(args: UtteranceClassificationArguments) -> UtteranceClassificationTrainer:
        set_seed(args.seed)
        config = PreCodeConfig(vocab_size=len(tokenizer), **SIZES, **label_settings(corpus))
        splits = (corpus["train"], corpus["validation"], tokenizer, corpus["test"])
        return UtteranceClassificationTrainer(PreCodeForUtteranceClassification(config), args, *splits)

    args = UtteranceClassificationArguments(output_dir=str(tmp_path / "seeds"), seeds=[3, 5], num_train_epochs=2)
    message = save_best_seed([train_seed(seed, args, build_trainer) for seed in args.seeds], args)
    results = json.loads((tmp_path / "seeds" / "finetune_results.json").read_text())
    found = {run["seed"]: run["scores"] for run in results["runs"]}
    mean = np.mean([scores["test"]["weighted_f1"] for scores in found.values()])
    assert found.keys() == {3, 5} and results["test_mean"]["weighted_f1"] == pytest.approx(mean)
    best = max(found, key=lambda seed: found[seed]["validation"]["weighted_f1"])
    assert f"({best})" in message and results["settings"]["seeds"] == [3, 5]
    weights = [(tmp_path / "seeds" / place / "model.safetensors").read_bytes() for place in (f"seed_{best}", ".")]
    assert weights[0] == weights[1]


def test_columns_of_any_type_are_in_the_predictions_and_a_finished_seed_is_not_scored_on_test_unasked(
    corpus, tokenizer, tmp_path
):
    corpus["test"] = corpus["test"].add_column("said", [datetime(2026, 5, 1)] * len(corpus["test"]))
    corpus["test"] = corpus["test"].add_column("audio", [b"RIFF"] * len(corpus["test"]))

    def run(**settings):
        args = UtteranceClassificationArguments(output_dir=str(tmp_path / "run"), num_train_epochs=1, **settings)

        def build_trainer(args: UtteranceClassificationArguments) -> UtteranceClassificationTrainer:
            config = PreCodeConfig(vocab_size=len(tokenizer), **SIZES, **label_settings(corpus))
            splits = (corpus["train"], corpus["validation"], tokenizer, corpus["test"])
            return UtteranceClassificationTrainer(PreCodeForUtteranceClassification(config), args, *splits)

        return [train_seed(seed, args, build_trainer) for seed in args.seeds]

    run()
    line = json.loads((tmp_path / "run" / "seed_1" / "test_predictions.jsonl").read_text().splitlines()[0])
    assert (line["said"], line["audio"]) == ("2026-05-01T00:00:00", "RIFF")
    [trial] = run(seeds=[2], score_test=False)
    assert trial["scores"].keys() == {"validation"}
    with pytest.raises(ValueError, match="seed 2 is finished without a score of the test split; .*seed_2"):
        run(seeds=[2], resume_from_checkpoint="latest")
    assert run(seeds=[2], resume_from_checkpoint="latest", score_test=False) == [trial]


def test_labels_that_the_model_does_not_have_are_refused(corpus, tokenizer, tmp_path):
    model = PreCodeForUtteranceClassification(PreCodeConfig(vocab_size=len(tokenizer), **SIZES, num_labels=3))
    args = UtteranceClassificationArguments(output_dir=str(tmp_path))
    with pytest.raises(
        ValueError, match=r"the model has the labels LABEL_0, .* load the model with \*\*label_settings"
    ):
        UtteranceClassificationTrainer(model, args, corpus["train"], corpus["validation"], tokenizer)


def test_a_dialogue_with_too_many_labels_is_refused_before_training(corpus, tokenizer, tmp_path):
    config = PreCodeConfig(vocab_size=len(tokenizer), **SIZES, **label_settings(corpus))
    rows = corpus["validation"]
    wrong = rows.map(lambda row: {"labels": [*row["labels"], 0]}, features=rows.features)
    args = UtteranceClassificationArguments(output_dir=str(tmp_path))
    model = PreCodeForUtteranceClassification(config)
    with pytest.raises(ValueError, match="--corpus, split validation: the lists of dialogue '.*' differ in length"):
        UtteranceClassificationTrainer(model, args, corpus["train"], wrong, tokenizer)


@pytest.mark.parametrize(("limit", "left"), [(None, 5), (1, 1), (3, 3), (4, 4), (9, 5)])
def test_as_many_checkpoints_are_kept_as_asked(tmp_path, limit, left):
    for step in range(1, 6):
        with whole_checkpoint(tmp_path / f"checkpoint-{step}") as staging:
            (staging / "file").write_text("x")
    remove_old_checkpoints(tmp_path, limit, 5)
    assert [step for step, _ in checkpoints.checkpoints(tmp_path)] == list(range(6 - left, 6))


def test_an_error_that_is_not_about_the_disk_is_told_as_it_is(tmp_path):
    with pytest.raises(RuntimeError, match="CUDA out of memory"), whole_checkpoint(tmp_path / "checkpoint-1"):
        raise RuntimeError("CUDA out of memory")
    folder = tmp_path / "checkpoint-1"
    with pytest.raises(OSError, match="Permission denied.*Once this is fixed") as error, whole_checkpoint(folder):
        raise PermissionError(13, "Permission denied")
    assert "Make room" not in str(error.value)
    assert not list(tmp_path.iterdir())
