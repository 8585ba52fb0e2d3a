"""What the pipeline promises: every form of dialogue that a person may have, and a clear word about any other."""

import pytest
import torch
from datasets import Dataset, DatasetDict
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
        (DatasetDict(test=Dataset.from_dict({"utterances": [["so"]]})), "with the splits test; give one of them"),
        (Dataset.from_dict({"utterances": ["so"]}), "got the row {'utterances': 'so'} \\(dict\\)"),
        (Dataset.from_dict({"utterances": [["a", "b"]], "speakers": [["Ann"]]}), "got 1 for 2"),
    ],
)
def test_other_forms_are_refused_with_what_was_given(emotions, wrong, shown):
    with pytest.raises(ValueError, match=shown):
        emotions(wrong)


def test_a_stream_is_labelled_as_it_comes(emotions):
    """Nothing is read before it is needed, and never more than a window."""
    read = []

    def dialogues():
        for number in range(5000):
            read.append(number)
            yield TEXTS[: number % 3]

    results = emotions(dialogues())
    assert read == []
    assert next(results) == []
    assert len(read) <= 1000
    [turn], [alone] = next(results), emotions(TEXTS[:1])
    assert turn == {**alone, "score": pytest.approx(alone["score"], abs=1e-5)}
    rows = Dataset.from_dict({"utterances": [TEXTS, TEXTS[:1]]})
    assert list(emotions(rows.to_iterable_dataset())) == emotions(rows)
    with pytest.raises(ValueError, match="got, from an iterator of dialogues, 'so' \\(str\\)"):
        list(emotions(text for text in ["so", "happy"]))


def test_a_dialogue_of_thousands_of_utterances_and_words_that_nobody_knows(emotions):
    results = emotions(["We are very angry about the weather!", "Zyzzyva qwxz 😀 żółć", "42"] * 1700)
    assert len(results) == 5100
    assert all(0 < result["score"] <= 1 for result in results)
    # Both are one unknown word.
    assert emotions(["qwxz"])[0]["score"] == emotions(["42"])[0]["score"]


def test_a_batch_holds_no_more_tokens_than_asked_but_for_a_dialogue_that_has_more(emotions, monkeypatch):
    batches = []
    forward = emotions._forward
    monkeypatch.setattr(emotions, "_forward", lambda batch: batches.append(batch["attention_mask"]) or forward(batch))
    emotions([TEXTS] * 10 + [TEXTS * 30], max_batch_tokens=60)
    sizes = [(len(mask), int(mask.sum())) for mask in batches]
    assert sorted(sizes) == [(1, 330), (5, 55), (5, 55)]
    with pytest.raises(ValueError, match="max_batch_tokens must be at least 1; got 0"):
        emotions(TEXTS, max_batch_tokens=0)
