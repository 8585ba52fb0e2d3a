"""What the pipeline promises with a text encoder that reads whole dialogues: their labels, live or not, explained."""

import pytest
import torch
from test_dialogue_context import DIALOGUES, SHORT, SPEAKERS, batch_of, folders, make  # noqa: F401
from transformers import AutoTokenizer, pipeline

from modeling_precode.explanation import explanation_size


@pytest.fixture
def saved(folders, make, tmp_path):  # noqa: F811
    def save(**config):
        model = make(**config)
        torch.nn.init.normal_(model.classifier.output.weight, std=3)
        model.save_pretrained(tmp_path / "model")
        AutoTokenizer.from_pretrained(folders["bert"]).save_pretrained(tmp_path / "model")
        return pipeline("conversation-emotion", model=str(tmp_path / "model"))

    return save


def turns_of(number, speakers=SPEAKERS):
    return list(zip(speakers[number], DIALOGUES[number], strict=True))


def test_the_pipeline_reads_whole_dialogues_and_its_stream_gives_the_same(folders, saved, caplog):  # noqa: F811
    emotions = saved(causal=True, **SHORT)
    found = emotions([turns_of(0), turns_of(1)], distribution=True)
    expected = emotions.model(**batch_of(folders["bert"])).logits.softmax(-1)
    for turns, probabilities in zip(found, expected, strict=True):
        for turn, own in zip(turns, probabilities.tolist(), strict=False):
            assert list(turn["distribution"].values()) == pytest.approx(own, abs=1e-5)
    live = emotions.stream()
    for number, turn in enumerate(turns_of(0)):
        if number == 5:
            state, live = live.state_dict(), emotions.stream()
            live.load_state_dict(state)
        assert live(turn)["score"] == pytest.approx(found[0][number]["score"], abs=1e-5)
    assert not caplog.text
    emotions(["I passed! " * 20])
    assert "1 of 1 utterances are longer than 30 tokens" in caplog.text


def test_a_change_is_that_of_the_probability_when_the_model_reads_the_dialogue_without_it(saved):
    emotions, dialogue = saved(**SHORT), turns_of(1)

    def probability(changed, place, label):
        return emotions(changed, distribution=True)[place]["distribution"][label]

    for place, turn in enumerate(emotions(dialogue, explain=True, max_batch_tokens=50)):
        for other, change in enumerate(turn["explanation"]["utterances"]):
            if other != place:
                rest = dialogue[:other] + dialogue[other + 1 :]
                without = probability(rest, place - (other < place), turn["label"])
                assert change == pytest.approx(turn["score"] - without, abs=1e-5)
        for word in turn["explanation"]["words"]:
            rest = list(dialogue)
            text = turn["text"][: word["start"]] + turn["text"][word["end"] :]
            rest[place] = (turn["speaker"], text.strip())
            without = probability(rest, place, turn["label"])
            assert word["change"] == pytest.approx(turn["score"] - without, abs=1e-5)


def test_an_explanation_takes_the_whole_dialogue_for_each_part():
    dialogue, input_ids = [{"text": "No way."}, {"text": "I passed!"}], [[5, 6, 7], [8, 9, 10]]
    sizes = [explanation_size(dialogue, input_ids, context) for context in ("utterance", "dialogue")]
    assert sizes == [6 + 4 * 3 + 6 * 2, 6 + 6 * 6 + 6 * 2]
