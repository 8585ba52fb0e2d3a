"""CMU-MOSI: monologues in videos, cut into segments, each labeled positive or negative.

Source: the raw release of the authors, or the original implementation's files of it. License: that of the authors'
release. Paper to cite: Zadeh et al., IEEE Intelligent Systems 2016.

A dialogue is a video, and its utterances are the segments in the order of their numbers. A segment has a score from -3
to 3. Its label is negative below 0 and positive above 0. A segment with a score of 0, or without a score, stays as
context without a label. A video without any scores is left out.

`data_dir` is one of

* the raw release: a folder with `Transcript/Segmented/<video>.annotprocessed` and
  `Labels/OpinionLevelSentiment.csv`, which has no header, or instead of it a CSV file with the columns video, segment
  and score; or the folder that contains all this as `Raw`;
* a CSV file, or its folder, with the columns video, segment (the number in the video), text and score;
* a folder with `<Name>_train.json`, `<Name>_dev.json` and `<Name>_test.json`, which define the splits.

Splits are made as for MOSEI: from the lists `train.txt`, `validation.txt` and `test.txt` in that folder, or else 70, 10
and 20 % of the videos by their names. Files in the authors' own format, `.csd`, are not read.
"""

from collections.abc import Iterator
from pathlib import Path

from .formats.reading import read_csv, read_text
from .mosei import Mosei

PUBLISHED = ["start", "end", "video", "segment", "score"]


class Mosi(Mosei):
    """The corpus CMU-MOSI."""

    LABELS = ["negative", "positive"]
    HOMEPAGE = "http://multicomp.cs.cmu.edu/resources/cmu-mosi-dataset"
    CITATION = """@article{zadeh2016mosi,
  title={Multimodal Sentiment Intensity Analysis in Videos: Facial Gestures and Verbal Messages},
  author={Zadeh, Amir and Zellers, Rowan and Pincus, Eli and Morency, Louis-Philippe},
  journal={IEEE Intelligent Systems},
  year={2016}
}"""
    TRANSCRIPTS = "Transcript/Segmented", "*.annotprocessed"
    SEGMENT = r"(\d+)\s*_DELIM_\s*(.*)"
    SCORES = ["score"]
    RANGE = -3, 3

    def rows(self, table: Path, columns: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
        """The rows of the published table, which has no header, or of a table with our columns."""
        if "video" in read_text(table).split("\n", 1)[0]:
            return super().rows(table, columns)
        return read_csv(table, columns, fieldnames=PUBLISHED)

    def strongest(self, scores: list[float]) -> list[str]:
        """The label of a score: none for 0."""
        [score] = scores
        return [] if score == 0 else ["positive" if score > 0 else "negative"]
