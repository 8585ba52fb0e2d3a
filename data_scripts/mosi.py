"""CMU-MOSI: monologues in videos, cut into segments, each labelled positive or negative.

Source: the original implementation's files of it. Licence: that of the authors' release. Paper to cite: Zadeh et al.,
IEEE Intelligent Systems 2016. `data_dir` holds `<Name>_train.json`, `<Name>_dev.json` and `<Name>_test.json`.
"""

from .original import OriginalCorpus


class Mosi(OriginalCorpus):
    LABELS = ["negative", "positive"]
    HOMEPAGE = "http://multicomp.cs.cmu.edu/resources/cmu-mosi-dataset"
    LICENSE = "that of the authors' release"
    CITATION = """@article{zadeh2016mosi,
  title={Multimodal Sentiment Intensity Analysis in Videos: Facial Gestures and Verbal Messages},
  author={Zadeh, Amir and Zellers, Rowan and Pincus, Eli and Morency, Louis-Philippe},
  journal={IEEE Intelligent Systems},
  year={2016}
}"""
