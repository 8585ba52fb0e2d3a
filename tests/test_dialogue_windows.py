"""What the windows promise in which a text encoder reads a long dialogue: bounded sizes, and the best one for each
utterance."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling_precode.dialogue_windows import WindowedTokens, dialogue_windows

LENGTHS = st.lists(st.integers(1, 28), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(lengths=LENGTHS)
def test_an_utterances_vector_comes_from_the_window_in_which_it_is_most_central(lengths):
    sizes = np.array(lengths) + 1
    spans, window_of = dialogue_windows(np.array(lengths), 30)
    assert np.all([1 + sizes[first:last].sum() <= 30 for first, last in spans])
    assert spans[0, 0] == 0 and spans[-1, 1] == len(sizes) and np.all(np.diff(spans, axis=0) > 0)

    def margin(number, window):
        first, last = spans[window]
        return min(sizes[first:number].sum(), sizes[number + 1 : last].sum()) if first <= number < last else -1

    for number, window in enumerate(window_of):
        assert margin(number, window) == max(margin(number, other) for other in range(len(spans)))
    # A window begins in the middle of the one before it, or where that one ends.
    for (first, last), (start, _) in zip(spans, spans[1:], strict=False):
        assert sizes[first:start].sum() >= sizes[first:last].sum() / 2
    assert (1 + np.array([sizes[first:last].sum() for first, last in spans])).sum() <= 3 * (1 + sizes.sum())


@settings(max_examples=50, deadline=None)
@given(lengths=LENGTHS)
def test_windows_of_a_causal_model_do_not_depend_on_later_utterances(lengths):
    spans, window_of = dialogue_windows(np.array(lengths), 30, causal=True)
    for count in range(1, len(lengths)):
        earlier, window_of_earlier = dialogue_windows(np.array(lengths[:count]), 30, causal=True)
        assert earlier[window_of_earlier, 0].tolist() == spans[window_of[:count], 0].tolist()


def test_a_very_long_dialogue_has_windows_of_bounded_size():
    lengths = np.random.default_rng(0).integers(1, 60, 2000)
    windows = WindowedTokens([lengths], 512)
    assert windows.lengths.max() <= 512 and windows.counts.sum() == 2000
    assert windows.lengths.sum() < 2.2 * (lengths + 1).sum()
