"""The windows of a dialogue: the utterances that a text encoder reads as one sequence."""

import numpy as np

# The maximum number of tokens of a window, if the configuration does not state one and the text encoder reads as many.
MAX_WINDOW_TOKENS = 512
# The start token, and the separator after an utterance.
SPECIAL_TOKENS = 2


def dialogue_windows(lengths: np.ndarray, max_tokens: int, causal: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Split a dialogue into windows of consecutive utterances, which overlap by half.

    A window is a start token and then its utterances, each with a separator after it. The vector of an utterance comes
    from the window in which the smaller of its distances to the two ends, in tokens, is largest. With `causal`, it
    comes from the first window that contains the utterance. That window does not depend on later utterances.

    Args:
        lengths: (U,), the number of tokens of each utterance, at most `max_tokens` less `SPECIAL_TOKENS`.
        max_tokens: The maximum number of tokens of a window.
        causal: Whether the model reads forward only.

    Returns:
        The first utterance of each window and the one after its last (W, 2), and the window of each utterance (U,),
        which never decreases. Every window has the vector of an utterance.
    """
    sizes = np.asarray(lengths, np.int64) + 1
    ends = np.cumsum(sizes)
    if ends[-1] < max_tokens:  # a shortcut for most dialogues
        return np.array([[0, len(sizes)]]), np.zeros(len(sizes), np.int64)
    starts = ends - sizes
    spans: list[tuple[int, int]] = []
    best, window_of = np.full(len(sizes), -1), np.zeros(len(sizes), np.int64)
    first = last = 0
    while last < len(sizes):
        last = max(int(np.searchsorted(ends, starts[first] + max_tokens - 1, side="right")), first + 1)
        own = slice(first, last)
        margins = np.minimum(starts[own] - starts[first], ends[last - 1] - ends[own]) * (not causal)
        better = margins > best[own]
        best[own][better], window_of[own][better] = margins[better], len(spans)
        spans.append((first, last))
        size = ends[last - 1] - starts[first] + 1
        first = int(np.searchsorted(starts, starts[first] + size / 2))
    used, window_of = np.unique(window_of, return_inverse=True)
    return np.array(spans)[used], window_of


def current_window(utterances: list[tuple[list[int], int]], max_tokens: int) -> list[tuple[list[int], int]]:
    """Keep the utterances of the window that the last one of a dialogue belongs to, for a causal model.

    Args:
        utterances: The token ids of each utterance from the start of an earlier window on, and the number of those of
            its speaker's name.
        max_tokens: The maximum number of tokens of a window.
    """
    spans, _ = dialogue_windows(np.array([len(ids) for ids, _ in utterances]), max_tokens, causal=True)
    return utterances[int(spans[-1, 0]) :]


class WindowedTokens:
    """The tokens of the windows of several dialogues, one window after another, with S tokens in total.

    Args:
        lengths: For each dialogue, the number of tokens of each of its utterances: D arrays (U,).
        max_tokens, causal: As in [`dialogue_windows`].

    Attributes:
        lengths: (W,), the number of tokens of each window.
        first: (W,), the first utterance whose vector comes from each window. Utterances are numbered over all
            dialogues.
        counts: (W,), the number of utterances whose vectors come from each window. They follow one another.
        tokens: (S,), the number of each token among the tokens of all utterances; -1 for a separator and -2 for a start
            token.
        utterances: (S,), the utterance of each token. A separator belongs to the utterance before it, and a start token
            to the one after it.
        offsets: (S,), the place of each token in its utterance, -1 if the vector of that utterance comes from another
            window, and for a start token or a separator.
    """

    def __init__(self, lengths: list[np.ndarray], max_tokens: int, causal: bool = False):
        spans, window_of = [], []
        utterances = windows = 0
        for dialogue in lengths:
            own_spans, own_windows = dialogue_windows(dialogue, max_tokens, causal)
            spans.append(own_spans + utterances)
            window_of.append(own_windows + windows)
            utterances, windows = utterances + len(dialogue), windows + len(own_spans)
        starts, ends = np.concatenate(spans).T
        self.counts = np.bincount(np.concatenate(window_of), minlength=windows)
        self.first = np.cumsum(self.counts) - self.counts
        sizes = np.concatenate(lengths).astype(np.int64)
        # All utterances of all dialogues, each with its separator, of which a window is a slice.
        bounds = np.cumsum([0, *(sizes + 1)])
        self.lengths = bounds[ends] - bounds[starts] + 1
        window = np.repeat(np.arange(windows), self.lengths)
        place = np.arange(len(window)) - np.repeat(np.cumsum(self.lengths) - self.lengths, self.lengths)
        # The start token has the place of the token after it.
        source = bounds[starts][window] + np.maximum(place - 1, 0)
        utterance = np.repeat(np.arange(utterances), sizes + 1)[source]
        offset = source - bounds[utterance]
        is_separator = offset == sizes[utterance]
        self.tokens = np.where(is_separator, -1, source - utterance)
        self.tokens[place == 0] = -2
        is_own = (utterance >= self.first[window]) & (utterance < (self.first + self.counts)[window])
        self.utterances = utterance
        self.offsets = np.where(is_own & ~is_separator & (place > 0), offset, -1)
