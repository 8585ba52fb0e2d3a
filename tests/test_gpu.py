"""What a GPU promises: the numbers of a CPU, steps that do not wait, and scripts that train there in half precision."""

import copy
import json
from pathlib import Path

import pytest
import torch
from corpus_of_topics import texts_of, write_corpus
from test_scripts import run
from text_encoders import write_text_encoder
from transformers import pipeline

from modeling_precode import (
    PreCodeDataCollator,
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
)
from modeling_precode.configuration_precode import GRU_UTTERANCE_ENCODERS, UTTERANCE_ENCODERS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

TASKS = [
    (PreCodeForConversationCompletion, "in_batch_softmax"),
    (PreCodeForConversationCompletion, "sampled_bce"),
    (PreCodeForUtteranceClassification, None),
]
# A text encoder that reads the longest of the dialogues below in several windows.
DIALOGUES = "text encoder of whole dialogues"
TRAIN = "--batch_size 16 --max_steps 12 --eval_steps 6 --mixed_precision bf16 --learning_rate 0.01"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), sizes=(("train", 96), ("validation", 24), ("test", 24)))


@pytest.fixture(scope="module")
def encoder(corpus, tmp_path_factory) -> Path:
    return write_text_encoder(tmp_path_factory.mktemp("encoder") / "model", texts_of(corpus))


@pytest.fixture
def make(tiny_config, encoder):
    """Of a class, utterance encoder and settings, the model on the CPU and the same on the GPU."""

    def make(model_class, kind, **settings):
        torch.manual_seed(0)
        settings = {"class_weights": [0.5, 1.0, 1.0], **settings}
        if kind in ("text_encoder", DIALOGUES):
            settings |= {"utterance_hidden_size": 8, "conversation_hidden_size": 6, "num_labels": 3}
            settings |= {"text_context": "dialogue", "max_window_tokens": 24} if kind == DIALOGUES else {}
            model = model_class.from_utterance_encoder(encoder, **settings)
        else:
            model = model_class(tiny_config(utterance_encoder=kind, **settings))
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # each device draws its own
        return model.train(), copy.deepcopy(model).cuda().train()

    return make


def batch_of(model_class, objective, kind=None) -> dict:
    """Dialogues of 1, 2, 5 and 7 utterances, of one token to nine. For whole dialogues, the first token is a name."""
    torch.manual_seed(1)

    def utterances(count: int) -> list[list[int]]:
        return [torch.randint(4, 17, (1 + int(torch.randint(9, ())),)).tolist() for _ in range(count)]

    rows = [{"input_ids": utterances(count), "speaker_ids": [0] * count} for count in (1, 2, 5, 7)]
    for row in rows:
        if objective == "sampled_bce":
            row["negative_input_ids"] = utterances(10)
        if model_class is PreCodeForUtteranceClassification:
            row["labels"] = [place % 3 for place in range(len(row["input_ids"]))]
        if kind == DIALOGUES:
            row["name_lengths"] = [int(len(ids) > 1) for ids in row["input_ids"]]
    return PreCodeDataCollator(with_layout=True)(rows)


def on_gpu(batch: dict) -> dict:
    return {name: value.to("cuda") for name, value in batch.items()}


@pytest.mark.parametrize(("model_class", "objective"), TASKS)
@pytest.mark.parametrize("kind", [*UTTERANCE_ENCODERS, DIALOGUES])
@pytest.mark.parametrize("causal", [False, True])
def test_loss_logits_and_gradients_are_those_of_a_cpu(make, monkeypatch, model_class, objective, kind, causal):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # which keeps three digits
    settings = {"convcom_objective": objective} if objective else {}
    cpu, gpu = make(model_class, kind, causal=causal, max_speakers=2, **settings)
    batch = batch_of(model_class, objective, kind)
    expected = cpu(**batch)
    expected.loss.backward()
    found = gpu(**on_gpu(batch))
    found.loss.backward()
    torch.testing.assert_close(found.loss.cpu(), expected.loss, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.logits.cpu(), expected.logits, atol=1e-4, rtol=1e-3)
    for (name, one), other in zip(cpu.named_parameters(), gpu.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(
                other.grad.cpu(), one.grad, atol=1e-4, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}"
            )


@pytest.mark.parametrize(("model_class", "objective"), TASKS)
@pytest.mark.parametrize("kind", GRU_UTTERANCE_ENCODERS)
@pytest.mark.parametrize("half", [False, True])
def test_a_training_step_does_not_wait(make, model_class, objective, kind, half):
    _, model = make(model_class, kind, **({"convcom_objective": objective} if objective else {}))
    batch = on_gpu(batch_of(model_class, objective))
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.autocast("cuda", torch.bfloat16, enabled=half):
            loss = model(**batch).loss
        loss.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert loss.isfinite()


@pytest.mark.parametrize("kind", GRU_UTTERANCE_ENCODERS)
def test_gradients_can_be_had_in_evaluation_mode(make, kind):
    _, model = make(PreCodeForUtteranceClassification, kind)
    model.eval()(**on_gpu(batch_of(PreCodeForUtteranceClassification, None))).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)


def test_what_is_computed_again_in_half_precision_is_computed_alike(make):
    _, model = make(PreCodeForUtteranceClassification, "text_encoder")
    model.gradient_checkpointing_enable()
    with torch.autocast("cuda", torch.bfloat16):
        loss = model(**on_gpu(batch_of(PreCodeForUtteranceClassification, None))).loss
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("kind", ["gru2", "text_encoder"])
def test_the_scripts_train_in_half_precision_and_the_pipeline_labels(corpus, encoder, tmp_path, kind):
    """With evaluations, in which negatives are scored under autocast."""
    size = f"--text_encoder {encoder}" if kind == "text_encoder" else "--word_vector_size 16"
    environment = {"ACCELERATE_USE_CPU": "false"}
    pretrained, finetuned = tmp_path / "pretrained", tmp_path / "finetuned"
    data = f"--corpus custom --data_dir {corpus}"
    command = f"run_pretrain.py {data} {size} --hidden_size 16 {TRAIN} --output_dir {pretrained}"
    result = run(*command.split(), **environment)
    assert "on cuda" in result.stdout
    command = f"run_pretrain.py {data} --model {pretrained} {TRAIN} --output_dir {tmp_path / 'longer'}"
    run(*command.split(), **environment)
    command = f"run_finetune.py {data} --model {pretrained} --bf16 --num_train_epochs 8 --learning_rate 0.01"
    result = run(*command.split(), "--output_dir", str(finetuned), **environment)
    assert "on cuda" in result.stdout
    assert json.loads((finetuned / "finetune_results.json").read_text())["test_mean"]["weighted_f1"] > 0.9
    emotions = pipeline("conversation-emotion", model=str(finetuned), device=0)
    assert emotions.model.device.type == "cuda"
    assert [turn["label"] for turn in emotions(["party cake song", "gift friend laugh", "smile prize"])] == ["joy"] * 3
