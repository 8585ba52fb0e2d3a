"""What reading token ids promises: the rows of the dataset, without copies."""

import numpy as np
import pytest
from datasets import Dataset, concatenate_datasets

from modeling_precode import DialoguesWithNegatives
from modeling_precode.training.encoded_dialogues import EncodedDialogues

ROWS = [[[d, 1, 2][: 1 + v % 3] for v in range(1 + d % 4)] for d in range(30)]


def listed(dialogues) -> list[list[list[int]]]:
    return [[list(map(int, utterance)) for utterance in row["input_ids"]] for row in dialogues]


@pytest.fixture
def dataset() -> Dataset:
    return concatenate_datasets([Dataset.from_dict({"input_ids": part}) for part in (ROWS[:7], ROWS[7:8], ROWS[8:])])


def test_rows_are_those_of_the_dataset(dataset):
    assert listed(EncodedDialogues(dataset)[i] for i in range(30)) == ROWS
    picked = dataset.filter(lambda row: len(row["input_ids"]) > 2).select([5, 0, 3])
    assert listed(EncodedDialogues(picked)[i] for i in range(3)) == picked["input_ids"][:]


def test_a_negative_index_counts_from_the_end_and_one_out_of_range_is_an_error(dataset):
    dialogues = EncodedDialogues(dataset)
    assert listed(dialogues[i] for i in range(-30, 0)) == ROWS
    assert list(dialogues[-1]["input_ids"][-1]) == ROWS[-1][-1]
    for sequence, size in ((dialogues, 30), (dialogues[3]["input_ids"], len(ROWS[3]))):
        for index in (size, -size - 1):
            with pytest.raises(IndexError, match=f"index {index} is out of range: there are {size} "):
                sequence[index]


def test_speakers_come_along_where_the_dataset_has_them(dataset):
    speakers = [[1 + u % 3 for u in range(len(row))] for row in ROWS]
    parts = [
        Dataset.from_dict({"speaker_ids": speakers[part], "labels": speakers[part], "input_ids": ROWS[part]})
        for part in (slice(0, 7), slice(7, 8), slice(8, 30))
    ]
    named = concatenate_datasets(parts).select(range(3, 30))
    dialogues = EncodedDialogues(named)
    assert listed(dialogues[i] for i in range(27)) == ROWS[3:]
    assert [dialogues[i]["speaker_ids"].tolist() for i in range(27)] == speakers[3:]
    assert np.shares_memory(dialogues[3]["speaker_ids"], dialogues[3]["speaker_ids"])
    assert DialoguesWithNegatives(dialogues, 10, seed=0)[4].keys() == {"input_ids", "speaker_ids", "negative_input_ids"}
    assert "speaker_ids" not in EncodedDialogues(dataset)[0]


def test_sizes_are_counted(dataset):
    utterances, tokens = EncodedDialogues(dataset).sizes()
    assert utterances.tolist() == [len(row) for row in ROWS]
    assert tokens.tolist() == [sum(map(len, row)) for row in ROWS]


def test_nothing_is_copied(dataset):
    dialogues = EncodedDialogues(dataset)
    one, again = (dialogues[3]["input_ids"][1] for _ in range(2))
    assert np.shares_memory(one, again)


def test_negatives_are_drawn_as_from_the_dataset(dataset):
    ours, theirs = (DialoguesWithNegatives(rows, 10, seed=0) for rows in (EncodedDialogues(dataset), dataset))
    for i in range(30):
        drawn = [utterance.tolist() for utterance in ours[i]["negative_input_ids"]]
        assert drawn == theirs[i]["negative_input_ids"]
