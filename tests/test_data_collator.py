"""What the collator promises: right-padded tensors, with -100 wherever there is no label."""

import pytest
import torch

from modeling_precode import PreCodeDataCollator


def test_dialogues_of_different_lengths_are_padded_on_the_right():
    rows = [
        {"input_ids": [[5, 6, 7], [8]], "labels": [1, -1], "dialogue_id": "left out"},
        {"input_ids": [[9, 9]], "labels": [0]},
    ]
    batch = PreCodeDataCollator(pad_token_id=3)(rows)
    assert set(batch) == {"input_ids", "attention_mask", "labels"}
    assert batch["input_ids"].tolist() == [[[5, 6, 7], [8, 3, 3]], [[9, 9, 3], [3, 3, 3]]]
    assert batch["attention_mask"].tolist() == [[[1, 1, 1], [1, 0, 0]], [[1, 1, 0], [0, 0, 0]]]
    assert batch["labels"].tolist() == [[1, -100], [0, -100]]
    assert all(tensor.dtype == torch.int64 for tensor in batch.values())


def test_speakers_are_padded_with_nobody():
    rows = [{"input_ids": [[5], [8], [9]], "speaker_ids": [1, 2, 1]}, {"input_ids": [[9]], "speaker_ids": [1]}]
    assert PreCodeDataCollator()(rows)["speaker_ids"].tolist() == [[1, 2, 1], [1, 0, 0]]


def test_negatives_are_padded_on_their_own():
    rows = [{"input_ids": [[5, 6, 7]], "negative_input_ids": [[1], [2, 4]]}]
    batch = PreCodeDataCollator()(rows)
    assert batch["negative_input_ids"].tolist() == [[[1, 0], [2, 4]]]
    assert batch["negative_attention_mask"].tolist() == [[[1, 0], [1, 1]]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"input_ids": [], "labels": []}, "row 1 of the batch has no utterances"),
        ({"input_ids": [[5]], "labels": [0, 1]}, "row 1 of the batch: `labels` has 2 entries, and `input_ids` has 1"),
        (
            {"input_ids": [[5], [6]], "labels": [0]},
            "`labels` has 1 entries, and `input_ids` has 2; give one entry per u",
        ),
        ({"input_ids": [[5]], "labels": [0], "label_distributions": [[1.0], [1.0]]}, "`label_distributions` has 2"),
    ],
)
def test_no_label_is_put_on_padding_or_left_out(row, message):
    whole = {"input_ids": [[5, 6], [7], [8]], "labels": [0, 1, 0], "label_distributions": [[]] * 3}
    with pytest.raises(ValueError, match=message):
        PreCodeDataCollator()([whole, row])
