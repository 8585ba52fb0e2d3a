"""What the batches of training promise: the same on any number of processes, even, and every dialogue once an epoch."""

import numpy as np
import pytest
from accelerate import skip_first_batches
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling_precode.training.batches import DialogueBatches, DialogueLoader, WholeBatches

TOKENS = np.random.default_rng(0).integers(9, 200, size=103)
BUDGETS = [{"batch_size": 16}, {"batch_tokens": 1700}]


def shares(processes: int, epoch: int, **budget: int) -> list[list[list[int]]]:
    """The batches of an epoch, each as the shares of the processes."""
    samplers = [
        DialogueBatches(TOKENS, 5, **budget, process_index=i, num_processes=processes) for i in range(processes)
    ]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    return [list(batch) for batch in zip(*samplers, strict=True)]


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("processes", [2, 3, 7])
def test_a_batch_is_the_same_on_any_number_of_processes(budget, processes):
    for epoch in (0, 3):
        together = [{i for share in batch for i in share} for batch in shares(processes, epoch, **budget)]
        assert together == [set(batch) for [batch] in shares(1, epoch, **budget)]


@pytest.mark.parametrize("budget", BUDGETS)
def test_every_dialogue_comes_once_an_epoch_and_in_another_order_in_the_next(budget):
    orders = []
    for epoch in (0, 1):
        batches = shares(3, epoch, **budget)
        assert sorted(i for batch in batches for share in batch for i in share) == list(range(len(TOKENS)))
        orders.append(batches)
    assert orders[0] != orders[1]


def test_batches_are_even_and_none_is_over_the_budget():
    sizes = [len(batch) for [batch] in shares(1, 0, batch_size=16)]
    assert sum(sizes) == 103 and set(sizes) == {14, 15}
    tokens = [TOKENS[batch].sum() for [batch] in shares(1, 0, batch_tokens=1700)]
    assert min(tokens) > 1700 - 2 * 200 and max(tokens) < 1700 + 200


@pytest.mark.parametrize("budget", BUDGETS)
def test_processes_have_about_as_many_tokens_each(budget):
    for batch in shares(2, 0, **budget):
        first, second = (TOKENS[share].sum() for share in batch)
        assert abs(first - second) <= 200


@settings(deadline=None)
@given(
    tokens=st.lists(st.integers(1, 50), min_size=1, max_size=60),
    budget=st.integers(1, 400),
    processes=st.integers(1, 5),
    by_tokens=st.booleans(),
)
def test_no_process_is_left_without_a_dialogue(tokens, budget, processes, by_tokens):
    name = "batch_tokens" if by_tokens else "batch_size"
    try:
        samplers = [
            DialogueBatches(np.array(tokens), 1, **{name: budget}, process_index=i, num_processes=processes)
            for i in range(processes)
        ]
    except ValueError as error:
        assert f"--{name} {budget}" in str(error) and f"{processes} process(es)" in str(error)
        return
    batches = [[i for share in batch for i in share] for batch in zip(*samplers, strict=True)]
    assert all(share for batch in zip(*samplers, strict=True) for share in batch)
    assert sorted(i for batch in batches for i in batch) == list(range(len(tokens)))


@pytest.mark.parametrize("budget", BUDGETS)
def test_an_epoch_can_begin_at_any_batch(budget):
    sampler = DialogueBatches(TOKENS, 5, **budget)
    sampler.set_epoch(2)
    whole = list(sampler)
    sampler.set_epoch(0)
    sampler.set_epoch(2, start=4)
    assert list(sampler) == whole[4:]
    assert len(sampler) == len(whole)


def test_trainers_way_to_skip_batches_gives_the_same_ones():
    rows = [{"input_ids": [[i]]} for i in range(len(TOKENS))]
    loader = DialogueLoader(rows, DialogueBatches(TOKENS, 5, batch_size=16), collate_fn=list)
    loader.set_epoch(3)
    whole = list(loader)
    loader.set_epoch(0)
    skipped = skip_first_batches(loader, 2)
    skipped.batch_sampler.batch_sampler.set_epoch(3)  # as `Trainer` reaches it
    assert list(skipped) == whole[2:]


def test_whole_batches_are_dealt_out_in_turn():
    alone = list(WholeBatches(20, 6))
    assert alone == [list(range(6)), list(range(6, 12)), list(range(12, 18)), [18, 19]]
    assert [list(WholeBatches(20, 6, i, 3)) for i in range(3)] == [[alone[0], alone[3]], [alone[1]], [alone[2]]]
    assert list(WholeBatches(3, 6, process_index=1, num_processes=2)) == []
