"""The citation of the paper, in BibTeX."""

CITATION = """\
@inproceedings{jiao-etal-2020-exploiting,
    title = "Exploiting Unsupervised Data for Emotion Recognition in Conversations",
    author = "Jiao, Wenxiang and Lyu, Michael and King, Irwin",
    booktitle = "Findings of the Association for Computational Linguistics: EMNLP 2020",
    year = "2020",
    pages = "4839--4846",
    url = "https://aclanthology.org/2020.findings-emnlp.435"
}"""
