"""EmoryNLP: scenes of Friends, every utterance labeled with one of seven emotions.

Source: the emotion detection files of the Character Mining project, or the original implementation's files. License:
Apache-2.0. Paper to cite: Zahiri and Choi, AAAI workshops 2018. `data_dir` contains `emotion-detection-trn.json`,
`emotion-detection-dev.json` and `emotion-detection-tst.json`, or `<Name>_train.json`, `<Name>_dev.json` and
`<Name>_test.json`. A dialogue is a scene. Several speakers of one utterance are joined by ", ". A speaker whom the
corpus does not name is "". MELD and EmotionLines come from the same show, so results on these corpora are not
independent.
"""

from collections.abc import Iterator
from pathlib import Path

from .building.dialogues import Dialogue, Utterance
from .formats.original import OriginalCorpus
from .formats.reading import parse_json, read_text


class EmoryNLP(OriginalCorpus):
    """The corpus EmoryNLP."""

    FILES = {
        "train": "emotion-detection-trn.json",
        "validation": "emotion-detection-dev.json",
        "test": "emotion-detection-tst.json",
    }
    LABELS = ["Joyful", "Mad", "Neutral", "Peaceful", "Powerful", "Sad", "Scared"]
    HOMEPAGE = "https://github.com/emorynlp/emotion-detection"
    LICENSE = "Apache-2.0"
    CITATION = """@inproceedings{zahiri2018emotion,
  title={Emotion Detection on {TV} Show Transcripts with Sequence-based Convolutional Neural Networks},
  author={Zahiri, Sayyed M. and Choi, Jinho D.},
  booktitle={Workshops at the AAAI Conference on Artificial Intelligence},
  year={2018}
}"""

    def read_release(self, split: str, path: Path) -> Iterator[Dialogue]:
        """Yield the scenes of a split of the release."""
        season = parse_json(read_text(path), path)
        try:
            for episode in season["episodes"]:
                for scene in episode["scenes"]:
                    utterances = [self.utterance(entry, path) for entry in scene["utterances"]]
                    yield Dialogue(scene["scene_id"], utterances)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: not in the published format; got {error!r}; download the release again"
            ) from None

    def utterance(self, entry: dict, path: Path) -> Utterance:
        """The utterance of an entry of the release."""
        if not isinstance(entry["transcript"], str):
            raise TypeError(f"transcript of {entry['utterance_id']} is {entry['transcript']!r}")
        speakers = [speaker for speaker in entry["speakers"] if isinstance(speaker, str)]  # NaN for an unnamed speaker
        return Utterance(entry["transcript"], ", ".join(speakers), entry["emotion"], f"{path}:{entry['utterance_id']}")
