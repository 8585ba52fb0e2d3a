"""What the pipeline promises: every form of dialogue that a person may have, and a clear word about any other."""

import pytest
import torch
from datasets import Dataset
from transformers import pipeline

from modeling_precode import ConversationEmotionPipeline, PreCodeDataCollator, PreCodeForUtteranceClassification

TEXTS = ["I am so happy!", "About what?", "The weather ...", ""]


@pytest.fixture
def emotions(tokenizer, tiny_config, tmp_path) -> ConversationEmotionPipeline:
    torch.manual_seed(0)
    model = PreCodeForUtteranceClassification(tiny_config())
    torch.nn.init.normal_(model.classifier.output.weight, std=3)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return pipeline("conversation-emotion", model=str(tmp_path))


def test_a_dialogue_is_labelled_from_all_of_its_utterances(emotions):
    results = emotions(TEXTS, distribution=True)
    batch = PreCodeDataCollator()([{"input_ids": emotions.tokenizer(TEXTS)["input_ids"]}])
    expected = emotions.model(**batch).logits.softmax(-1)[0]
    assert [result["text"] for result in results] == TEXTS
    for result, row in zip(results, expected, strict=True):
        assert result["label"] == ["anger", "joy", "neutral"][row.argmax()]
        assert result["score"] == pytest.approx(row.max().item(), abs=1e-6)
        assert list(result["distribution"].values()) == pytest.approx(row.tolist(), abs=1e-6)
        assert list(result["distribution"]) == ["anger", "joy", "neutral"]
    alone = [emotions([text])[0]["score"] for text in TEXTS]
    assert alone != [result["score"] for result in results]


def test_all_forms_of_a_dialogue_give_the_same_labels(emotions):
    plain = emotions(TEXTS)
    named = [{**result, "speaker": "Ann"} for result in plain]
    assert emotions([{"text": text} for text in TEXTS]) == plain
    assert emotions([{"speaker": "Ann", "text": text} for text in TEXTS]) == named
    assert emotions([("Ann", text) for text in TEXTS]) == named
    assert emotions(tuple(TEXTS)) == plain
    columns = {"utterances": [TEXTS], "speakers": [["Ann"] * len(TEXTS)], "labels": [[0] * len(TEXTS)]}
    assert emotions(Dataset.from_dict(columns)) == [named]
    for nobody in ([""] * len(TEXTS), []):
        assert emotions(Dataset.from_dict({"utterances": [TEXTS], "speakers": [nobody]})) == [plain]
    assert emotions(Dataset.from_dict({"utterances": [TEXTS]})) == [plain]


@pytest.mark.parametrize("max_batch_tokens", [1, 30, 10_000])
def test_many_dialogues_keep_their_order_and_their_numbers_whatever_the_batch(emotions, max_batch_tokens):
    dialogues = [TEXTS, [], TEXTS[:1], TEXTS * 40, TEXTS[::-1]]
    results = emotions(dialogues, max_batch_tokens=max_batch_tokens)
    assert [[turn["text"] for turn in result] for result in results] == dialogues
    for dialogue, result in zip(dialogues, results, strict=True):
        for turn, alone in zip(result, emotions(dialogue), strict=True):
            assert turn["label"] == alone["label"]
            assert turn["score"] == pytest.approx(alone["score"], abs=1e-5)


def test_nothing_gives_nothing(emotions):
    assert emotions([]) == []
    assert emotions([[], []]) == [[], []]


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        ("I am so happy!", "got 'I am so happy!' \\(str\\)"),
        ({"text": "I am"}, "got {'text': 'I am'} \\(dict\\)"),
        ([1, 2], "got the utterance 1 \\(int\\)"),
        ([("Ann", "Bo", "so")], "got the utterance \\('Ann', 'Bo', 'so'\\) \\(tuple\\)"),
        ([{"utterance": "so"}], "got the utterance {'utterance': 'so'} \\(dict\\)"),
        ([["so"], "so"], "got the utterance \\['so'\\] \\(list\\)"),
        (Dataset.from_dict({"text": ["so"]}), "the dataset has the columns text"),
    ],
)
def test_other_forms_are_refused_with_what_was_given(emotions, wrong, shown):
    with pytest.raises(ValueError, match=shown):
        emotions(wrong)
