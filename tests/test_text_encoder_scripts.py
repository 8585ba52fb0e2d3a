"""What the scripts, the command line and the Hub promise of a model over a text encoder: the same as of any other."""

import json
import logging
import shutil
import sys
from pathlib import Path

import datasets
import pytest
import torch
from corpus_of_topics import texts_of, write_corpus
from huggingface_hub.errors import StrictDataclassError
from safetensors.torch import load_file
from test_resume import assert_same_weights, losses, results, signalled_at
from test_scripts import TORCHRUN, run
from test_stranger import STRANGER, clean_python, run_python  # noqa: F401
from text_encoders import write_text_encoder
from transformers import pipeline

import run_finetune
import run_pretrain
from modeling_precode.cli.main import main
from modeling_precode.loading.checkpoints import load_config, load_tokenizer
from modeling_precode.training.finetuning import UtteranceClassificationTrainer
from modeling_precode.training.pretraining_loop import PretrainingLoop

TINY = "--corpus custom --learning_rate 0.01"
NEW = "--text_encoder {encoder} --hidden_size 8 --dropout 0.1"
TEXT_ENCODER = "--text_encoder_learning_rate 1e-3 --layer_decay 0.5 --gradient_checkpointing"
TRAINED = f"{NEW} {TEXT_ENCODER}"
FROZEN = f"{NEW} --freeze_text_encoder --text_pooling max_mean --vector_type float16 --max_speakers 2"
PRETRAIN = "--batch_size 12 --eval_steps 6 --max_steps 12 --checkpointing_steps 4 --logging_steps 1"
README = "---\nlicense: mit\n---\n\n# tiny-encoder\n"

pytestmark = pytest.mark.usefixtures("no_state_of_another_test")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), sizes=(("train", 72), ("validation", 24), ("test", 24)))


@pytest.fixture(scope="module")
def encoder(corpus, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("encoder") / "model"
    write_text_encoder(folder, texts_of(corpus), "roberta", pad_token_id=1)
    (folder / "README.md").write_text(README)
    return folder


@pytest.fixture
def train(monkeypatch, corpus, encoder, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))

    def run(script, output: Path, arguments: str) -> Path:
        command = f"{TINY} --data_dir {corpus} --output_dir {output} {arguments.format(encoder=encoder)}"
        monkeypatch.setattr(sys, "argv", [script.__file__, *command.split()])
        script.main()
        return output

    return run


@pytest.fixture
def train_and_resume(train, monkeypatch):
    steps = {run_pretrain: (PretrainingLoop, "update"), run_finetune: (UtteranceClassificationTrainer, "training_step")}

    def run(script, output: Path, arguments: str, step: int) -> Path:
        """Train until a signal arrives at a step, and then to the end."""
        with monkeypatch.context() as context, pytest.raises(SystemExit):
            signalled_at(context, *steps[script], step)
            train(script, output, arguments)
        return train(script, output, f"{arguments} --resume_from_checkpoint latest")

    return run


def encoder_weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    inside = "precode.utterance_encoder.encoder."
    weights = load_file(checkpoint / "model.safetensors")
    return {name.removeprefix(inside): value for name, value in weights.items() if name.startswith(inside)}


def assert_predicts_as_written(folder: Path, rounding: float):
    """The pipeline gives the labels of the run; of two labels within the rounding of the vectors, either is right."""
    rows = [json.loads(line) for line in (folder / "test_predictions.jsonl").read_text().splitlines()]
    dialogues = [list(zip(row["speakers"], row["utterances"], strict=True)) for row in rows]
    emotions = pipeline("conversation-emotion", model=str(folder))
    for row, turns in zip(rows, emotions(dialogues, distribution=True), strict=True):
        for predicted, turn in zip(row["predictions"], turns, strict=True):
            assert turn["distribution"][predicted] >= turn["score"] - rounding


@pytest.mark.parametrize("settings", [TRAINED, FROZEN], ids=["trained", "frozen"])
def test_pretraining_and_finetuning_go_on_where_they_stopped(train, train_and_resume, encoder, tmp_path, settings):
    settings = f"{PRETRAIN} --lr_scheduler_type constant {settings}"
    whole = train(run_pretrain, tmp_path / "whole", settings)
    stopped = train_and_resume(run_pretrain, tmp_path / "stopped", settings, 7)
    assert_same_weights(whole, stopped)
    assert losses(whole) == losses(stopped) and losses(whole)[-1] < losses(whole)[0]
    assert {record["learning_rate"] for record in results(whole)["training_log"]} == {0.01}
    before, after = load_file(encoder / "model.safetensors"), encoder_weights(whole)
    frozen = "--freeze" in settings
    assert before.keys() >= after.keys() and len(after) > 20
    assert all(torch.equal(before[name], after[name]) == frozen for name in after)
    with pytest.raises(ValueError, match="--text_pooling is 'cls' and was"):
        train(run_pretrain, stopped, f"{settings} --text_pooling cls --resume_from_checkpoint latest")
    card = (whole / "README.md").read_text()
    assert "The text encoder **tiny-encoder** (license: mit) reads" in card
    assert "text_encoder_learning_rate" in card or frozen

    settings = f"--model {whole} --num_train_epochs 2 --checkpointing_steps 3 --speaker_prefix"
    first = train(run_finetune, tmp_path / "finetuned", settings)
    again = train_and_resume(run_finetune, tmp_path / "again", settings, 14)
    assert_same_weights(first, again)
    assert results(first)["test_mean"] == results(again)["test_mean"]
    assert "**tiny-encoder** (license: mit)" in (first / "README.md").read_text()
    card = (first / "README.md").read_text()
    assert "Name the speakers: the model reads the name before every utterance" in card
    trained = "frozen" if frozen else "trained with the rest"
    assert f"The encoder was {trained}; its states over the tokens are pooled by" in card
    assert not any(other in card for other in ("The tokenizer ignores", "gru2", "min_count"))
    after = encoder_weights(first)
    assert all(torch.equal(encoder_weights(whole)[name], after[name]) == frozen for name in after)


DIALOGUES = "--text_context dialogue --max_window_tokens 24 --speaker_prefix --num_train_epochs 1"


@pytest.mark.parametrize(
    "settings", [pytest.param(TRAINED, id="trained"), pytest.param(FROZEN, id="frozen", marks=pytest.mark.slow)]
)
def test_finetuning_on_whole_dialogues_goes_on_where_it_stopped(train, train_and_resume, tmp_path, settings):
    settings = f"{settings} {DIALOGUES} --checkpointing_steps 2"
    first = train(run_finetune, tmp_path / "finetuned", settings)
    again = train_and_resume(run_finetune, tmp_path / "again", settings, 4)
    assert_same_weights(first, again)
    assert results(first)["test_mean"] == results(again)["test_mean"]
    assert "the text encoder reads an utterance together with the others" in (first / "README.md").read_text()
    assert load_config(str(first)).text_context == "dialogue"
    # Scored by the pipeline, which reads the text, a checkpoint does what the run wrote of it.
    assert_predicts_as_written(first, rounding=1e-3 if "float16" in settings else 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["in_batch_softmax", "sampled_bce --num_negatives 3"])
def test_pretraining_on_whole_dialogues_goes_on_where_it_stopped(train, train_and_resume, tmp_path, objective):
    start = train(run_pretrain, tmp_path / "start", f"{NEW} {PRETRAIN} --max_steps 1")
    settings = f"--model {start} {PRETRAIN} {TEXT_ENCODER} --text_context dialogue --max_window_tokens 24"
    settings = f"{settings} --speaker_prefix --objective {objective}"
    whole = train(run_pretrain, tmp_path / "whole", settings)
    stopped = train_and_resume(run_pretrain, tmp_path / "stopped", settings, 8)
    assert_same_weights(whole, stopped)
    assert losses(whole) == losses(stopped) and losses(whole)[-1] < losses(whole)[0]
    assert results(whole)["scores"]["test"] == results(stopped)["scores"]["test"]
    before, after = load_file(start / "model.safetensors"), load_file(whole / "model.safetensors")
    assert not any(torch.equal(before[name], after[name]) for name in after)
    finetuned = train(run_finetune, tmp_path / "finetuned", f"--model {whole} --num_train_epochs 1")
    config = load_config(str(finetuned))
    assert (config.text_context, config.max_window_tokens, config.speaker_prefix) == ("dialogue", 24, True)
    with pytest.raises(ValueError, match="--recipe original: the original has no masked utterances"):
        train(run_pretrain, tmp_path / "again", f"--model {whole} --recipe original")


def test_a_pretrained_checkpoint_is_finetuned_on_whole_dialogues_and_pretrained_further(train, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    start = train(run_pretrain, tmp_path / "start", f"{NEW} {PRETRAIN}")
    folder = train(run_finetune, tmp_path / "finetuned", f"--model {start} {DIALOGUES}")
    assert load_config(str(folder)).text_context == "dialogue"
    again = load_config(str(train(run_pretrain, tmp_path / "further", f"--model {folder} {PRETRAIN} --max_steps 1")))
    assert (again.text_context, again.max_window_tokens, again.speaker_prefix) == ("dialogue", 24, True)
    with pytest.raises(ValueError, match="--max_window_tokens 24: this is for --text_context dialogue; leave it out"):
        train(run_finetune, tmp_path / "again", f"--model {start} --max_window_tokens 24")
    settings = f"--model {start} {DIALOGUES} --conversation_encoder none"
    alone = train(run_finetune, tmp_path / "alone", settings)
    assert f"{start}: the conversation encoder is left out, and the head is new" in caplog.text
    card = (alone / "README.md").read_text()
    assert "in windows of at most 24 tokens. No other part of the model reads the context.\n\nName the speakers" in card
    assert not any("conversation_encoder.gru" in name for name in load_file(alone / "model.safetensors"))
    train(run_pretrain, tmp_path / "alone_further", f"--model {alone} {PRETRAIN} --max_steps 1")
    assert load_config(str(tmp_path / "alone_further")).conversation_encoder == "none"


@pytest.mark.slow
def test_the_recipe_of_the_original_starts_from_a_text_encoder(train, tmp_path, monkeypatch):
    """Though it trains word vectors, which there are none of; and its lowest learning rate is below every rate."""
    schedulers = []
    create = UtteranceClassificationTrainer.create_scheduler
    monkeypatch.setattr(
        UtteranceClassificationTrainer,
        "create_scheduler",
        lambda *args, **named: schedulers.append(create(*args, **named)) or schedulers[-1],
    )
    start = train(run_finetune, tmp_path / "start", f"{FROZEN} --num_train_epochs 1")
    recipe = f"--recipe original --model {start} --num_train_epochs 1"
    folder = train(run_finetune, tmp_path / "frozen", recipe)
    before, after = encoder_weights(start), encoder_weights(folder)
    assert all(torch.equal(before[name], after[name]) for name in after)
    assert results(folder)["settings"]["recipe"] == "original"
    train(run_finetune, tmp_path / "trained", f"{recipe} --freeze_text_encoder false --layer_decay 0.5")
    rates, lowest = schedulers[-1]._last_lr, schedulers[-1].min_lrs
    assert len(set(rates)) > 2 and all(low < rate for low, rate in zip(lowest, rates, strict=True))


def test_a_run_on_vectors_is_one_on_text(train, tmp_path):
    """Scored by the pipeline, which reads the text, a checkpoint does what the run wrote of it."""
    folder = train(run_finetune, tmp_path / "frozen", f"{FROZEN} --speaker_prefix --num_train_epochs 2")
    assert_predicts_as_written(folder, rounding=1e-3)
    assert load_tokenizer(str(folder)).model_max_length == 60


def test_the_command_line_reads_speakers_as_the_training_did(train, tmp_path, capsys):
    folder = train(run_finetune, tmp_path / "trained", f"{TRAINED} --speaker_prefix --num_train_epochs 1")
    capsys.readouterr()
    scores = []
    for text in ("A: party cake\nB: so late\n", "party cake\nso late\n"):
        (tmp_path / "dialogue.txt").write_text(text)
        main(["predict", str(tmp_path / "dialogue.txt"), "--model", str(folder), "--format", "jsonl"])
        scores.append(json.loads(capsys.readouterr().out)["scores"])
    emotions = pipeline("conversation-emotion", model=str(folder))
    prefixed = emotions(["A: party cake", "B: so late"])
    assert scores[0] == pytest.approx([turn["score"] for turn in prefixed], abs=1e-6)
    assert scores[1] == pytest.approx([turn["score"] for turn in emotions(["party cake", "so late"])], abs=1e-6)
    assert scores[0] != pytest.approx(scores[1], abs=1e-4)


@pytest.mark.slow
def test_a_stranger_loads_it_from_the_hub(train, hub, clean_python, tmp_path):  # noqa: F811
    folder = train(run_finetune, tmp_path / "trained", f"{TRAINED} --num_train_epochs 1")
    settings = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_secret"}
    push = f"""
from huggingface_hub import HfApi
from modeling_precode.sharing.push import push_checkpoint

assert push_checkpoint({str(folder)!r}, "someone/emotions")
HfApi().create_tag("someone/emotions", tag="v1")
"""
    run_python(sys.executable, push, PYTHONPATH=str(Path(__file__).resolve().parents[1]), **settings)
    dialogue = ["party cake", "so late"]
    # The tokenizer is one of transformers.
    stranger = STRANGER.replace("for kind in loaded)", "for kind in loaded[:-1])")
    printed = run_python(clean_python, stranger, "someone/emotions", json.dumps(dialogue), **settings)
    found = json.loads(printed.splitlines()[-1])
    assert found["classes"][:2] == ["PreCodeConfig", "PreCodeModel"]
    expected = pipeline("conversation-emotion", model=str(folder))(dialogue)
    assert [turn["score"] for turn in found["results"][0]] == pytest.approx(
        [turn["score"] for turn in expected], abs=1e-6
    )


MASKED = f"{TRAINED} --text_context dialogue --speaker_prefix"


@pytest.fixture
def calm(encoder, tmp_path) -> Path:
    """The encoder without dropout, because that of two processes is not that of one."""
    folder = Path(shutil.copytree(encoder, tmp_path / "calm"))
    config = json.loads((folder / "config.json").read_text())
    calm_config = {**config, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(calm_config))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("settings", [TRAINED, FROZEN, MASKED])
def test_two_processes_learn_what_one_does(corpus, calm, tmp_path, settings):
    """Without unused parameters, and with one file of vectors for both."""
    arguments = f"{TINY} {settings} --dropout 0 --data_dir {corpus} --batch_size 12 --max_steps 4 --eval_steps 2"
    weights = []
    for launcher, output in (([], tmp_path / "one"), (TORCHRUN, tmp_path / "two")):
        command = f"{arguments} --output_dir {output}".format(encoder=calm).split()
        printed = run(
            *launcher, "run_pretrain.py", *command, HF_DATASETS_CACHE=str(output.with_suffix(".cache"))
        ).stdout
        weights.append(load_file(output / "model.safetensors"))
    assert "2 process(es)" in printed
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, atol=2e-4, rtol=1e-3)
    vectors = list((tmp_path / "two.cache" / "precode_utterance_vectors").glob("*.float16"))
    assert len(vectors) == ("--freeze" in settings)


@pytest.mark.slow
def test_two_processes_learn_of_whole_dialogues_what_one_does(corpus, calm, tmp_path):
    arguments = f"{TINY} {TRAINED} {DIALOGUES} --dropout 0 --data_dir {corpus}"
    weights = []
    for launcher, output, batch_size in (([], tmp_path / "one", 12), (TORCHRUN, tmp_path / "two", 6)):
        command = f"{arguments} --output_dir {output} --per_device_train_batch_size {batch_size}".format(encoder=calm)
        run(*launcher, "run_finetune.py", *command.split(), HF_DATASETS_CACHE=str(output.with_suffix(".cache")))
        weights.append(load_file(output / "model.safetensors"))
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, atol=2e-4, rtol=1e-3)


BAD = {
    "--text_encoder {encoder} --min_count 3": "--min_count cannot be used with --text_encoder",
    "--text_encoder {encoder} --max_utterance_tokens 300": "reads at most 128; give a smaller",
    "--text_encoder {encoder} --layer_decay 2": "--layer_decay must be more than 0 and at most 1; got 2.0",
    "--text_encoder {encoder} --vector_type float16": "--vector_type float16: this is for a frozen text encoder",
    "--layer_decay 0.9": "--layer_decay 0.9: this is for a trained text encoder",
    "--freeze_text_encoder": "--freeze_text_encoder True: this is for a text encoder; give one with --text_e",
    "--text_encoder nowhere/at/all": "nowhere/at/all",
    "--text_encoder {encoder} --text_context dialogue --freeze_text_encoder": "other utterances are masked in every ep",
    "--text_context dialogue": "--text_context dialogue: this is for a text encoder; give one with --text_encoder",
    "--text_encoder {encoder} --speaker_prefix": "--speaker_prefix: names would reveal the hidden utterance",
    "--text_encoder {encoder} --freeze_text_encoder --gradient_checkpointing": "this is for a trained text encoder",
}


def test_longer_utterances_than_the_encoder_reads_are_refused_if_its_tokenizer_states_no_limit(
    train, encoder, tmp_path
):
    unlimited = shutil.copytree(encoder, tmp_path / "unlimited")
    settings = json.loads((unlimited / "tokenizer_config.json").read_text())
    del settings["model_max_length"]
    (unlimited / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(
        ValueError, match="--max_utterance_tokens 600: the model reads at most 510 at once; give a small"
    ):
        train(run_pretrain, tmp_path / "output", f"--text_encoder {unlimited} --max_utterance_tokens 600")


@pytest.mark.parametrize("arguments", BAD)
def test_a_wrong_argument_is_named_before_anything_is_written(train, tmp_path, arguments):
    with pytest.raises((ValueError, OSError, StrictDataclassError), match=BAD[arguments]):
        train(run_pretrain, tmp_path / "output", arguments)
    assert not (tmp_path / "output").exists()


def test_what_is_for_a_text_encoder_is_refused_for_a_checkpoint_over_words(train, tmp_path):
    words = train(run_pretrain, tmp_path / "words", "--hidden_size 8 --max_steps 1 --eval_steps 1 --batch_size 12")
    for argument in ("freeze_text_encoder", "speaker_prefix"):
        with pytest.raises(StrictDataclassError, match=f"`{argument}` is for `utterance_encoder` 'text_encoder'"):
            train(run_finetune, tmp_path / "output", f"--model {words} --{argument}")
    assert not (tmp_path / "output").exists()


def test_pretraining_goes_on_from_a_model_of_speakers_without_their_names(train, tmp_path):
    """The name before the hidden utterance would tell which it is."""
    folder = train(run_finetune, tmp_path / "named", f"{NEW} --speaker_prefix --num_train_epochs 1")
    assert load_config(str(folder)).speaker_prefix
    again = train(run_pretrain, tmp_path / "again", f"--model {folder} {PRETRAIN}")
    assert not load_config(str(again)).speaker_prefix
