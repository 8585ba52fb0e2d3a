"""What a causal model promises: nothing that is said later changes a label, and a dialogue can be labeled while it
goes on, at the same cost an utterance, with the numbers of the whole dialogue."""

import json
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_modeling import batch, dialogues, negatives
from test_scripts import ROOT
from torch.utils.flop_counter import FlopCounterMode
from transformers import pipeline

from modeling_precode import (
    ConversationEmotionPipeline,
    PreCodeConfig,
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    PreCodeModel,
)
from modeling_precode.cli.main import main
from modeling_precode.configuration_precode import GRU_UTTERANCE_ENCODERS
from modeling_precode.loading.checkpoints import load_config

TURNS = [("Ann", "I am so happy!"), ("Bo", "About what?"), "The weather ...", {"speaker": "Ann", "text": ""}]
UTTERANCE = st.lists(st.integers(2, 16), min_size=1, max_size=5)
DIALOGUE = st.lists(UTTERANCE, min_size=1, max_size=6)


def causal(model_class=PreCodeForUtteranceClassification, **settings_):
    torch.manual_seed(0)
    sizes = {"vocab_size": 17, "word_vector_size": 12, "utterance_hidden_size": 8, "conversation_hidden_size": 6}
    return model_class(PreCodeConfig(**{**sizes, "num_labels": 3, "causal": True, **settings_})).eval()


@pytest.fixture
def emotions(save_distinct, tmp_path) -> ConversationEmotionPipeline:
    return pipeline("conversation-emotion", model=str(save_distinct(tmp_path / "model", causal=True)))


@settings(max_examples=40, deadline=None)
@given(before=DIALOGUE, after=DIALOGUE, other=DIALOGUE)
def test_what_is_said_later_changes_no_label(before, after, other):
    model = causal()
    alone = model(**batch([before])).logits[0]
    for later in (after, other):
        logits = model(**batch([[*before, *later]])).logits[0]
        torch.testing.assert_close(logits[: len(before)], alone, rtol=0, atol=1e-6)


def test_with_both_directions_it_does_change_them():
    model = causal(causal=False)
    before, after = dialogues([3, 2])
    difference = model(**batch([[*before, *after]])).logits[0, :3] - model(**batch([before])).logits[0]
    assert difference.abs().max() > 1e-3


@settings(max_examples=25, deadline=None)
@given(dialogue=DIALOGUE, kind=st.sampled_from(GRU_UTTERANCE_ENCODERS), pooling_length=st.sampled_from([None, 60]))
def test_a_stream_gives_the_logits_of_the_whole_dialogue(dialogue, kind, pooling_length):
    model = causal(utterance_encoder=kind, pooling_length=pooling_length)
    stream = model.stream()
    streamed = torch.stack([stream(utterance) for utterance in dialogue])
    torch.testing.assert_close(streamed, model(**batch([dialogue])).logits[0], rtol=0, atol=1e-6)
    assert not streamed.requires_grad


def test_the_thousandth_utterance_costs_what_the_second_did():
    stream, costs = causal().stream(), []
    for _ in range(1000):
        with FlopCounterMode(display=False) as counter:
            stream([3, 4, 5])
        costs.append(counter.get_total_flops())
    assert costs[1] > 0
    assert costs[-1] == costs[1]


def test_streams_do_not_mix_and_a_new_one_remembers_nothing():
    model = causal()
    first, second = model.stream(), model.stream()
    alone = first([3, 4])
    first([5])
    assert torch.equal(second([3, 4]), alone)
    assert not torch.equal(first([3, 4]), alone)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "the state of a stream needs the key `state`; got no keys"),
        ({"state": torch.zeros(1, 7)}, r"has the shape \(1, 6\); got the shape \(1, 7\) of another model"),
    ],
)
def test_a_state_of_another_model_is_refused(emotions, wrong, message):
    with pytest.raises(ValueError, match=message):
        causal().stream().load_state_dict(wrong)
    with pytest.raises(ValueError, match="needs `state` and `speakers`; got "):
        emotions.stream().load_state_dict(wrong)
    with pytest.raises(ValueError, match="needs the key `state`; got no keys"):
        emotions.stream().load_state_dict({"speakers": ["Ann"]})
    with pytest.raises(ValueError, match="with `text_context` 'utterance' reads no `name_length`"):
        causal().stream()([3, 4], name_length=1)


def test_a_stream_has_the_options_of_its_pipeline(save_distinct, tmp_path):
    folder = save_distinct(tmp_path / "model", causal=True)
    names = {label: "good" if number else "bad" for number, label in enumerate(load_config(str(folder)).label_names)}
    emotions = pipeline("conversation-emotion", str(folder), label_map=names, distribution=True, known_words=True)
    found = [emotions.stream()("I am so happy!"), emotions("I am so happy!")[0]]
    assert set(found[0]["distribution"]) == {"good", "bad"} and "known_words" in found[0]
    assert found[0]["label"] == found[1]["label"] and found[0].keys() == found[1].keys()
    assert "distribution" not in emotions.stream(distribution=False)("I am so happy!")
    with pytest.raises(ValueError, match="`distribution` and `top_k` both define the result"):
        pipeline("conversation-emotion", str(folder), top_k=2).stream(distribution=True)


def test_candidates_are_scored_from_the_state_before_the_target():
    model = causal(PreCodeForConversationCompletion)
    rows = dialogues([5, 3])
    output = model(**batch(rows), **negatives(rows))
    encoded = model.precode(**batch(rows))
    assert encoded.last_hidden_state.shape == (2, 5, 6)
    contexts = torch.tanh(model.context_projection(encoded.last_hidden_state))
    expected = (contexts[:, :-1] * encoded.utterance_vectors[:, 1:]).sum(-1)
    torch.testing.assert_close(output.logits[0, 1:4, 0], expected[0, :3])
    torch.testing.assert_close(output.logits[1, 1, 0], expected[1, 0])
    # The same targets as with both directions, so that metrics compare.
    scored = (output.logits > torch.finfo(torch.float32).min).all(-1)
    assert scored.tolist() == [[False, True, True, True, False], [False, True, False, False, False]]
    output.loss.backward()


def test_a_checkpoint_says_its_direction_itself(tmp_path):
    model = causal(PreCodeForConversationCompletion)
    model.save_pretrained(tmp_path)
    loaded = PreCodeForUtteranceClassification.from_pretrained(tmp_path, num_labels=3)
    assert loaded.config.causal and loaded.stream()([3, 4]).shape == (3,)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["format_version"] == 2
    # One from before there was a direction reads both ways.
    causal(PreCodeModel, causal=False).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["causal"]
    (tmp_path / "config.json").write_text(json.dumps({**config, "format_version": 1}))
    rows = dialogues([3])
    old = PreCodeModel.from_pretrained(tmp_path)
    assert not old.config.causal
    assert torch.equal(old(**batch(rows))[0], causal(PreCodeModel, causal=False)(**batch(rows))[0])


def test_a_model_of_both_directions_says_what_to_do():
    with pytest.raises(
        ValueError, match="`causal=False`.*Pass the whole dialogue to the model, or train a model with .*--causal"
    ):
        causal(causal=False).stream()


@pytest.mark.parametrize("wrong", [[], [[3, 4]]])
def test_a_stream_takes_one_utterance(wrong):
    with pytest.raises(ValueError, match="token ids of one utterance, at least one; got the shape"):
        causal().stream()(wrong)


def test_the_pipelines_stream_gives_what_the_whole_dialogue_gives(emotions):
    live = emotions.stream(distribution=True)
    for turn, whole in zip([live(turn) for turn in TURNS], emotions(TURNS, distribution=True), strict=True):
        assert turn.keys() == whole.keys()
        assert turn.pop("score") == pytest.approx(whole.pop("score"), abs=1e-6)
        assert turn.pop("distribution") == pytest.approx(whole.pop("distribution"), abs=1e-6)
        assert turn == whole
    assert "distribution" not in emotions.stream()("So?")
    with pytest.raises(ValueError, match="got the utterance 3 \\(int\\)"):
        live(3)


def test_lines_are_labeled_as_they_come_in_a_real_process(emotions, tmp_path):
    """Every answer is read before the next line is written."""
    command = [sys.executable, "-m", "modeling_precode.cli.main", "predict", "-", "--live"]
    process = subprocess.Popen(
        [*command, "--model", str(tmp_path / "model")],
        **{"cwd": ROOT, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1},
    )
    answers = []
    for line in ["Ann: I am so happy!", "Bo: About what?"] * 2:
        process.stdin.write(line + "\n")
        answers.append(process.stdout.readline())
        if len(answers) == 2:
            process.stdin.write("\n")
    process.stdin.close()
    assert process.stdout.read() == "" and process.wait(timeout=60) == 0
    assert answers[:2] == answers[2:]  # the blank line began a new dialogue
    for answer, whole in zip(answers, emotions(["I am so happy!", "About what?"]), strict=False):
        assert answer.split()[:2] == [whole["label"], f"{whole['score']:.0%}"]
    assert answers[0].endswith("%  Ann  I am so happy!\n")


def test_a_file_of_lines_can_be_read_live_too(emotions, tmp_path, capsys):
    (tmp_path / "dialogue.txt").write_text("So?\n\n\nAnn: So?\n", encoding="utf-8")
    main(["predict", str(tmp_path / "dialogue.txt"), "--live", "--distribution", "--model", str(tmp_path / "model")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == lines[3] and len(lines) == 4
