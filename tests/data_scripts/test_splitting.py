"""Splits are exact shares that names alone decide; parts leave no short rest."""

import pytest

from data_scripts.building.splitting import in_parts, split_by_hash

NAMES = [f"film {number}" for number in range(200)]


def test_shares_are_exact_and_every_name_is_in_one_split():
    splits = split_by_hash(NAMES, validation=0.05, test=0.1)
    assert {split: len(names) for split, names in splits.items()} == {"train": 170, "validation": 10, "test": 20}
    assert sorted(sum(splits.values(), [])) == sorted(NAMES)


def test_order_does_not_matter_and_a_new_name_moves_few():
    before, after = (split_by_hash(names, 0.1, 0.1) for names in (NAMES, [*reversed(NAMES), "one more"]))
    assert split_by_hash(NAMES[::-1], 0.1, 0.1) == before
    assert all(len(set(names) - set(after[split])) <= 1 for split, names in before.items())


def test_no_split_is_empty():
    assert all(split_by_hash(["a", "b", "c"], 0.05, 0.05).values())
    with pytest.raises(ValueError, match="too few to split into train, validation and test; got 2"):
        split_by_hash(["a", "b"], 0.05, 0.05)


@pytest.mark.parametrize("length, longest, sizes", [(4, 5, [4]), (5, 5, [5]), (6, 5, [3, 3]), (103, 50, [35, 35, 33])])
def test_parts_are_consecutive_and_nearly_even(length, longest, sizes):
    parts = list(in_parts(list(range(length)), longest))
    assert [len(part) for part in parts] == sizes
    assert sum(parts, []) == list(range(length))


def test_the_longest_part_must_hold_something():
    with pytest.raises(ValueError, match="max_utterances must be 1 or more; got 0"):
        list(in_parts([1], 0))
