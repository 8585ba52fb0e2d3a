"""Friends of EmotionLines: scenes of the show, every utterance labeled with one of eight emotions.

Source: EmotionLines, on request from its authors, or the original implementation's files. License: CC BY-NC-ND 4.0.
Paper to cite: Hsu et al., LREC 2018. `data_dir` contains `friends_train.json`, `friends_dev.json` and
`friends_test.json`. The label "non-neutral" means that the annotators did not agree on one emotion. If the files have
the votes of the annotators, the column `label_distributions` has their shares; nobody voted "non-neutral". MELD has the
same scenes, and EmoryNLP comes from the same show, so results on these corpora are not independent.
"""

import datasets

from .formats.original import OriginalCorpus, read_original


class Friends(OriginalCorpus):
    """The corpus Friends of EmotionLines."""

    LABELS = ["anger", "disgust", "fear", "joy", "neutral", "non-neutral", "sadness", "surprise"]
    HOMEPAGE = "http://doraemon.iis.sinica.edu.tw/emotionlines"
    LICENSE = "CC-BY-NC-ND-4.0"
    CITATION = """@inproceedings{hsu2018emotionlines,
  title={{EmotionLines}: An Emotion Corpus of Multi-Party Conversations},
  author={Chen, Sheng-Yeh and Hsu, Chao-Chun and Kuo, Chuan-Chun and Huang, Ting-Hao and Ku, Lun-Wei},
  booktitle={Proceedings of LREC},
  year={2018}
}"""

    def _info(self) -> datasets.DatasetInfo:
        train = read_original("train", self.files(self.config)["train"])
        self.VOTES = any(utterance.votes for dialogue in train for utterance in dialogue.utterances)
        return super()._info()
