"""CMU-MOSEI: monologues in videos, cut into segments, each labelled with an emotion.

Source: the original implementation's files of it. Licence: that of the authors' release. Paper to cite: Bagher Zadeh et
al., ACL 2018. `data_dir` holds `<Name>_train.json`, `<Name>_dev.json` and `<Name>_test.json`; the label names are
those of train.
"""

from .original import OriginalCorpus


class Mosei(OriginalCorpus):
    HOMEPAGE = "http://multicomp.cs.cmu.edu/resources/cmu-mosei-dataset"
    LICENSE = "that of the authors' release"
    CITATION = """@inproceedings{zadeh2018mosei,
  title={Multimodal Language Analysis in the Wild: {CMU-MOSEI} Dataset and Interpretable Dynamic Fusion Graph},
  author={Bagher Zadeh, AmirAli and Liang, Paul Pu and Poria, Soujanya and Cambria, Erik and Morency, Louis-Philippe},
  booktitle={Proceedings of ACL},
  year={2018}
}"""
