"""What a model with speakers promises: names mean nothing, who speaks when does, and without speakers it is the model
that it would be without them."""

import json
import random
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from test_modeling import batch, dialogues, negatives
from test_scripts import PRETRAIN, read, run_here
from test_stranger import run_python
from transformers import pipeline

from modeling_precode import (
    ConversationEmotionPipeline,
    PreCodeConfig,
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    PreCodeTokenizer,
    encode_dialogues,
)

TEXTS = ["I am so happy!", "About what?", "The weather ...", "So?", "We are angry!"]


def model_of(model_class=PreCodeForUtteranceClassification, max_speakers=3, **settings_):
    """A model whose speakers have learned something."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 17, "word_vector_size": 12, "utterance_hidden_size": 8, "conversation_hidden_size": 6}
    model = model_class(PreCodeConfig(**{**sizes, "num_labels": 3, "max_speakers": max_speakers, **settings_})).eval()
    if max_speakers:
        torch.nn.init.normal_(model.precode.conversation_encoder.speaker_embedding.weight[1:].detach())
    return model


@pytest.fixture
def emotions(tokenizer, tiny_config, tmp_path) -> ConversationEmotionPipeline:
    torch.manual_seed(0)
    model = PreCodeForUtteranceClassification(tiny_config(causal=True, max_speakers=3))
    with torch.no_grad():
        model.precode.conversation_encoder.speaker_embedding.weight[1:].normal_(std=2)
        model.classifier.output.weight.normal_(std=3)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return pipeline("conversation-emotion", model=str(tmp_path / "model"))


def ids_of(*dialogues_of_names: list[str | None] | None, tokenizer) -> list[list[int]]:
    rows = {"utterances": [["so"] * len(names or ["", ""]) for names in dialogues_of_names]}
    return encode_dialogues({**rows, "speakers": list(dialogues_of_names)}, tokenizer)["speaker_ids"]


def test_speakers_count_in_the_order_in_which_they_first_speak(tokenizer):
    names = ["Ann", "Bo", "Ann", "", "Cy", " Bo ", None, "  "]
    assert ids_of(names, ["Bo"], tokenizer=tokenizer) == [[1, 2, 1, 0, 3, 2, 0, 0], [1]]
    # As a table of pandas has nobody.
    missing = ["Ann", float("nan"), "Bo", pd.NA, pd.NaT, np.float32("nan"), "Ann"]
    assert ids_of(missing, tokenizer=tokenizer) == [[1, 0, 2, 0, 0, 0, 1]]
    # Several who speak at once are one joined name, and a corpus may name nobody.
    assert ids_of(["Ann, Bo", "Ann"], [], None, tokenizer=tokenizer) == [[1, 2], [0, 0], [0, 0]]
    assert "speaker_ids" not in encode_dialogues({"utterances": [["so"]]}, tokenizer)
    with pytest.raises(ValueError, match="one speaker per utterance, or none; got 1 for 2"):
        encode_dialogues({"utterances": [["so", "so"]], "speakers": [["Ann"]]}, tokenizer)


@settings(max_examples=30, deadline=None)
@given(turns=st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=8), names=st.permutations("ABCDE"))
def test_other_names_for_the_same_people_change_nothing(turns, names):
    renamed = [names["ABCDE".index(turn)] for turn in turns]
    tokenizer = PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>"])
    assert ids_of(turns, tokenizer=tokenizer) == ids_of(renamed, tokenizer=tokenizer)


def test_who_speaks_changes_the_labels_and_the_number_of_the_last_speaker_does_not():
    model, [row] = model_of(), dialogues([5])

    def logits(speaker_ids):
        return model(**batch([row]), speaker_ids=torch.tensor([speaker_ids])).logits

    assert (logits([1, 2, 1, 2, 1]) - logits([1, 2, 2, 1, 1])).abs().max() > 1e-3
    assert torch.equal(logits([1, 2, 3, 4, 9]), logits([1, 2, 3, 3, 3]))
    assert (logits([1, 2, 3, 3, 3]) - logits([1, 2, 3, 3, 0])).abs().max() > 1e-3


@pytest.mark.parametrize("model_class", [PreCodeForUtteranceClassification, PreCodeForConversationCompletion])
def test_without_speakers_it_is_the_model_without_them(model_class):
    """Whether none are given, all are nobody, or a new embedding has yet to learn."""
    plain, knowing = model_of(model_class, 0), model_of(model_class)
    untrained = model_class(knowing.config).eval()
    untrained.load_state_dict(plain.state_dict(), strict=False)
    knowing.load_state_dict(plain.state_dict(), strict=False)
    rows = dialogues()
    inputs = {**batch(rows), **(negatives(rows) if model_class is PreCodeForConversationCompletion else {})}
    ids = torch.tensor([[1, 2, 1, 2, 1]] * 4)
    expected = plain(**inputs).logits
    for logits in (
        knowing(**inputs).logits,
        knowing(**inputs, speaker_ids=torch.zeros_like(ids)).logits,
        untrained(**inputs, speaker_ids=ids).logits,
        plain(**inputs, speaker_ids=ids).logits,
    ):
        assert torch.equal(logits, expected)
    assert not torch.equal(knowing(**inputs, speaker_ids=ids).logits, expected)


def test_a_candidates_score_does_not_know_who_says_it():
    """The last speaker is in no context but that of the utterance before: the vectors stay the same."""
    model, [row] = model_of(PreCodeForConversationCompletion, causal=True), dialogues([4])
    first, second = (
        model(**batch([row]), **negatives([row]), speaker_ids=torch.tensor([ids])).logits[0]
        for ids in ([1, 2, 1, 2], [1, 2, 3, 3])
    )
    assert torch.equal(first[:3], second[:3])


def test_nobodys_vector_stays_zero_in_training_and_every_parameter_takes_part():
    model = model_of()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    labels = torch.zeros(4, 5, dtype=torch.long)
    for inputs in ({}, {"speaker_ids": torch.tensor([[1, 0, 2, 3, 4]] * 4)}):
        model(**batch(dialogues()), labels=labels, **inputs).loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
    weight = model.precode.conversation_encoder.speaker_embedding.weight
    assert (weight[0] == 0).all() and (weight.grad[1:] != 0).any(1).all()


def test_wrong_shapes_and_numbers_are_refused():
    with pytest.raises(ValueError, match=r"\(dialogues, utterances\), here \(4, 5\); got \(4, 3\)"):
        model_of()(**batch(dialogues()), speaker_ids=torch.ones(4, 3, dtype=torch.long))
    with pytest.raises(Exception, match="`max_speakers` must be at least 0 and at most 65,536; got -1"):
        PreCodeConfig(max_speakers=-1)


def test_the_pipeline_reads_them_in_every_form_and_its_stream_keeps_their_order(emotions):
    names = ["Ann", "Bo", "Bo", "Ann", "Cy"]
    turns = list(zip(names, TEXTS, strict=True))
    expected = emotions(turns)
    rows = Dataset.from_dict({"utterances": [TEXTS], "speakers": [names]})
    assert emotions(rows) == [expected]
    other = {"Ann": "Di", "Bo": "Ed", "Cy": "Flo"}
    renamed = emotions([{"speaker": other[name], "text": text} for name, text in turns])
    assert [turn["score"] for turn in renamed] == [turn["score"] for turn in expected]
    for changed in (emotions(TEXTS), emotions(list(zip(["Ann", "Bo", "Ann", "Ann", "Cy"], TEXTS, strict=True)))):
        assert [turn["score"] for turn in changed] != [turn["score"] for turn in expected]
    live = emotions.stream()
    for turn, whole in zip(turns, expected, strict=True):
        assert live(turn) == {**whole, "score": pytest.approx(whole["score"], abs=1e-6)}


def test_a_stream_goes_on_from_its_saved_state_which_holds_no_model(emotions, tmp_path):
    turns = list(zip(["Ann", "Bo", "Bo", "Ann", "Cy"], TEXTS, strict=True))
    expected = emotions(turns)
    live = emotions.stream()
    for turn, whole in zip(turns, expected, strict=True):
        assert live(turn) == {**whole, "score": pytest.approx(whole["score"], abs=1e-6)}
        torch.save(live.state_dict(), tmp_path / "stream.pt")
        live = emotions.stream()  # as in another process
        live.load_state_dict(torch.load(tmp_path / "stream.pt", weights_only=True))
    assert (tmp_path / "stream.pt").stat().st_size < 4096
    # What is saved stays as it was when the stream goes on.
    state = live.state_dict()
    assert state["speakers"] == ["Ann", "Bo", "Cy"]
    live("So?")
    assert not torch.equal(state["state"], live.state_dict()["state"])


def test_in_the_rows_of_a_table_a_missing_speaker_is_nobody(emotions):
    table = pd.DataFrame({"speaker": ["Ann", None, "Bo", np.nan, ""], "text": TEXTS})
    expected = emotions([("Ann", TEXTS[0]), TEXTS[1], ("Bo", TEXTS[2]), TEXTS[3], TEXTS[4]])
    records = table.to_dict("records")
    assert records[1]["speaker"] != records[1]["speaker"]
    tuples = list(zip(table["speaker"], TEXTS, strict=True))
    for found in (emotions(records), emotions(table), emotions(tuples)):
        assert found == expected
        assert json.loads(json.dumps(found, allow_nan=False)) == expected
    assert [turn.get("speaker") for turn in expected] == ["Ann", None, "Bo", None, None]
    live = emotions.stream()
    assert [live(turn) for turn in records] == [
        {**turn, "score": pytest.approx(turn["score"], abs=1e-6)} for turn in expected
    ]


def test_a_text_encoder_reads_no_name_before_what_nobody_says():
    tokenizer = PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", "ann", "nan", "so"])
    rows = {"utterances": [["so"] * 3], "speakers": [["Ann", float("nan"), pd.NA]]}
    assert encode_dialogues(rows, tokenizer, speaker_prefix=True)["input_ids"] == [[[2, 4], [4], [4]]]


def test_a_checkpoint_keeps_them_with_and_without_the_package(emotions, tmp_path):
    """The code that it carries has all that it needs."""
    turns = [("Ann", TEXTS[0]), ("Bo", TEXTS[1]), ("Bo", TEXTS[2])]
    expected = emotions(turns)
    again = pipeline("conversation-emotion", model=str(tmp_path / "model"))
    assert again(turns) == expected
    code = """if True:
        import json, sys
        from transformers import pipeline
        emotions = pipeline("conversation-emotion", model=sys.argv[1], trust_remote_code=True)
        assert type(emotions.model).__module__.startswith("transformers_modules.")
        live = emotions.stream()
        turns = [tuple(turn) for turn in json.loads(sys.argv[2])]
        print(json.dumps([emotions(turns), [live(turn) for turn in turns]]))
    """
    printed = run_python(
        sys.executable, code, str(tmp_path / "model"), json.dumps(turns), HF_HOME=str(tmp_path / "home")
    )
    for found in json.loads(printed.splitlines()[-1]):
        assert found == [{**turn, "score": pytest.approx(turn["score"], abs=1e-6)} for turn in expected]


@pytest.mark.usefixtures("no_state_of_another_test")
def test_both_scripts_train_them_and_a_checkpoint_without_can_learn_them(tmp_path):
    """Who speaks is all that tells the labels: whoever spoke first is happy, and the words are the same."""
    draw = random.Random(0)
    for split, size in (("train", 150), ("validation", 20), ("test", 20)):
        lines = []
        for _ in range(size):
            speakers = [draw.choice(["Ann", "Bo"]) for _ in range(6)]
            labels = ["joy" if speaker == speakers[0] else "anger" for speaker in speakers]
            words = [" ".join(draw.choices(TEXTS, k=2)) for _ in speakers]
            lines.append(json.dumps({"utterances": words, "speakers": speakers, "labels": labels}))
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = ["--corpus", "custom", "--data_dir", str(tmp_path)]
    folders = {name: tmp_path / name for name in ("without", "with", "fine")}
    run_here("run_pretrain.py", *data, *PRETRAIN, "--max_steps", "5", "--output_dir", str(folders["without"]))
    run_here(
        *("run_pretrain.py", *data, *PRETRAIN, "--max_steps", "5", "--objective", "sampled_bce", "--max_speakers", "2"),
        *("--output_dir", str(folders["with"])),
    )
    weights = PreCodeForConversationCompletion.from_pretrained(folders["with"]).precode.conversation_encoder
    assert (weights.speaker_embedding.weight[1:] != 0).all()
    run_here(
        *("run_finetune.py", *data, "--model", str(folders["without"]), "--max_speakers", "3"),
        *("--num_train_epochs", "6", "--learning_rate", "0.02", "--output_dir", str(folders["fine"])),
    )
    assert read(folders["fine"] / "config.json")["max_speakers"] == 3
    assert read(folders["fine"] / "results.json")["scores"]["test"]["macro_f1"] > 0.9
    assert "the model distinguishes 3 of them in a conversation" in (folders["fine"] / "README.md").read_text(
        encoding="utf-8"
    )
