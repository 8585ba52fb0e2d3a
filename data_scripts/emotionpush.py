"""EmotionPush of EmotionLines: private chats, every utterance labeled with one of eight emotions.

Source: EmotionLines, on request from its authors, or the original implementation's files. License: as its authors
grant it; it may not be passed on. Paper to cite: Hsu et al., LREC 2018. `data_dir` holds `emotionpush_train.json`,
`emotionpush_dev.json` and `emotionpush_test.json`. Names of people and places are masked, as in "person_165". Labels
and votes are those of Friends.
"""

from .friends import Friends


class EmotionPush(Friends):
    REDISTRIBUTABLE = False
    LICENSE = "on request from the authors; no redistribution"
