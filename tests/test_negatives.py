"""What the draw of negatives promises: one utterance from each of different other dialogues, fixed by the seed."""

import pytest
from datasets import Dataset

from modeling_precode import ConversationCompletionArguments, DialoguesWithNegatives, PreCodeForConversationCompletion
from modeling_precode.training.completion_dialogues import encode_split

# Utterance v of dialogue d is the token 100 d + v.
DIALOGUES = [{"input_ids": [[100 * d + v] for v in range(1 + d % 4)]} for d in range(30)]


def drawn(dataset: DialoguesWithNegatives, index: int) -> list[int]:
    return [token for [token] in dataset[index]["negative_input_ids"]]


def test_they_come_from_different_other_dialogues():
    dataset = DialoguesWithNegatives(DIALOGUES, num_negatives=10, seed=0)
    seen = set()
    for index in range(len(dataset)):
        assert dataset[index]["input_ids"] == DIALOGUES[index]["input_ids"]
        sources = [token // 100 for token in drawn(dataset, index)]
        assert len(set(sources)) == 10
        assert index not in sources
        seen.update(drawn(dataset, index))
    assert {token // 100 for token in seen} == set(range(30))
    assert {token % 100 for token in seen} == {0, 1, 2, 3}


def test_all_other_dialogues_can_be_needed():
    dataset = DialoguesWithNegatives(DIALOGUES[:4], num_negatives=3, seed=0)
    assert sorted(token // 100 for token in drawn(dataset, 1)) == [0, 2, 3]


def test_they_are_fixed_by_the_seed_and_new_every_epoch():
    one, same, other = (DialoguesWithNegatives(DIALOGUES, 10, seed) for seed in (0, 0, 1))
    backwards = [drawn(same, index) for index in reversed(range(30))][::-1]
    first = [drawn(one, index) for index in range(30)]
    assert first == backwards
    assert first != [drawn(other, index) for index in range(30)]
    one.redraw(1)
    assert first != [drawn(one, index) for index in range(30)]
    one.redraw(0)
    assert first == [drawn(one, index) for index in range(30)]


def test_too_few_dialogues_are_refused():
    with pytest.raises(ValueError, match="10 negatives .* need at least 11 dialogues; got 5"):
        DialoguesWithNegatives(DIALOGUES[:5], 10, seed=0)


@pytest.mark.parametrize(
    ("split", "lengths", "message"),
    [
        ("train", [2, 1], "split train: none of its 2 dialogues has three utterances or more"),
        ("validation", [2] * 20, "split validation: none of its 20 dialogues has three utterances or more"),
        ("train", [3, 2], "--objective in_batch_softmax .* only 1 of 2 dialogues has three .*; give at least 2"),
        ("validation", [3] * 10 + [2], "10 negatives .* need at least 11 dialogues of three .*; got 10"),
    ],
)
def test_a_split_without_enough_dialogues_of_three_utterances_is_refused(
    tokenizer, tiny_config, split, lengths, message
):
    rows = Dataset.from_dict({"utterances": [["so happy"] * length for length in lengths]})
    args = ConversationCompletionArguments(objective="in_batch_softmax")
    model = PreCodeForConversationCompletion(tiny_config())
    with pytest.raises(ValueError, match=message):
        encode_split(rows, tokenizer, split, args, model)
    longer = Dataset.from_dict({"utterances": [["so happy"] * 3] * (2 if split == "train" else 11)})
    assert len(encode_split(longer, tokenizer, split, args, model)) == len(longer)
