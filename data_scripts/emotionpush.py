"""EmotionPush of EmotionLines: private chats, every utterance labeled with one of eight emotions.

Source: EmotionLines, on request from its authors, or the original implementation's files. License: as
granted by its authors; no redistribution. Paper to cite: Hsu et al., LREC 2018. `data_dir` contains
`emotionpush_train.json`, `emotionpush_dev.json` and `emotionpush_test.json`. Names of people and places are masked, as
in "person_165". Labels and votes are as in Friends.
"""

from .friends import Friends


class EmotionPush(Friends):
    """The corpus EmotionPush of EmotionLines, with the labels of Friends."""

    REDISTRIBUTABLE = False
    LICENSE = "on request from the authors; no redistribution"
