"""IEMOCAP: acted dialogues of two people, in transcripts, labelled with emotions.

Source: the original implementation's files of it. Licence: that of the University of Southern California; it may not
be passed on. Paper to cite: Busso et al., Language Resources and Evaluation 2008. `data_dir` holds
`<Name>_train.json`, `<Name>_dev.json` and `<Name>_test.json`; the label names are those of train.
"""

from .original import OriginalCorpus


class Iemocap(OriginalCorpus):
    HOMEPAGE = "https://sail.usc.edu/iemocap"
    LICENSE = "on request from the University of Southern California; no redistribution"
    CITATION = """@article{busso2008iemocap,
  title={{IEMOCAP}: Interactive Emotional Dyadic Motion Capture Database},
  author={Busso, Carlos and Bulut, Murtaza and Lee, Chi-Chun and Kazemzadeh, Abe and Mower, Emily and Kim, Samuel and
          Chang, Jeannette N. and Lee, Sungbok and Narayanan, Shrikanth S.},
  journal={Language Resources and Evaluation},
  year={2008}
}"""
