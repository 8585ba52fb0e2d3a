"""OpSub: the dialogues of film subtitles, cut at silences, without labels.

Source: SubRip files that you have, such as those that OPUS OpenSubtitles is made of; the films keep their own licences,
and none ships with this library. Paper to cite for the corpus and its use in pre-training: Jiao et al., Findings of
EMNLP 2020; for OpenSubtitles: Lison and Tiedemann, LREC 2016. `data_dir` is a folder, with its sub-folders, or a zip of
`.srt` files, one a film; or a folder with the original implementation's `OpSub_{train,dev,test}.json`, which come with
negatives and are taken as they are. A speaker is known only where a line is led by a NAME:. A film is in one split as
a whole.
Films in another language than `language` and those of fewer than `min_cues` cues are left out and counted.
Needs the packages `srt` and `py3langid`.
"""

import logging
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import datasets

from .dialogues import Dialogue, DialogueBuilder, Utterance
from .original import original_files, read_original
from .reading import folder_or_zip
from .splitting import in_parts, split_by_hash
from .subtitles import Line, cut_at_silences, decode_subtitles, film_lines, join_sentences

logger = logging.getLogger(__name__)

NOT_WORDS = re.compile(r"<[^>]*>|\{[^}]*\}|[\d:,.>-]+")


@dataclass
class OpSubConfig(datasets.BuilderConfig):
    """How a film becomes dialogues. Times are in seconds."""

    max_silence: float = 5.0  # from the end of a line to the start of the next in the same dialogue
    join_sentences: bool = True  # a sentence that runs over several cues is one utterance
    max_pause: float = 1.0  # between two cues of one sentence
    min_utterances: int = 5  # shorter dialogues are dropped
    max_utterances: int = 50  # longer ones are cut in parts
    min_cues: int = 100  # a film of fewer is dropped
    language: str = "en"  # a film in another is dropped
    encoding: str = "cp1252"  # of what is neither UTF-8 nor UTF-16


class OpSub(DialogueBuilder):
    BUILDER_CONFIG_CLASS = OpSubConfig
    DATA_DIR = "a folder or a zip of .srt files"
    HOMEPAGE = "https://opus.nlpl.eu/OpenSubtitles"
    LICENSE = "that of each film's subtitles"
    CITATION = """@inproceedings{jiao2020exploiting,
  title={Exploiting Unsupervised Data for Emotion Recognition in Conversations},
  author={Jiao, Wenxiang and Lyu, Michael R. and King, Irwin},
  booktitle={Findings of EMNLP},
  year={2020}
}
@inproceedings{lison2016opensubtitles,
  title={{OpenSubtitles2016}: Extracting Large Parallel Corpora from Movie and {TV} Subtitles},
  author={Lison, Pierre and Tiedemann, J{\"o}rg},
  booktitle={Proceedings of LREC},
  year={2016}
}"""

    def files(self, config: OpSubConfig) -> dict[str, Path]:
        if files := self.original_files(config):
            return files
        if missing := [package for package in ("srt", "py3langid") if find_spec(package) is None]:
            # Loaded only here and where they are used: the other corpora do without.
            raise ImportError(f"opsub: needs {' and '.join(missing)}; pip install {' '.join(missing)}")
        return {"films": self.source(config)}

    def original_files(self, config: OpSubConfig) -> dict[str, Path]:
        source = self.source(config)
        return original_files(source) if source.is_dir() else {}

    def _info(self) -> datasets.DatasetInfo:
        self.NEGATIVES = bool(self.original_files(self.config))
        return super()._info()

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        if self.NEGATIVES:
            return super()._split_generators(dl_manager)
        source = folder_or_zip(Path(self.config.data_dir))
        if isinstance(source, Path):
            names = [path.relative_to(source).as_posix() for path in source.rglob("*")]
        else:
            names = source.root.namelist()
        # Dropped before the split, so that it is one of what is read.
        films = [
            name for name in names if name.lower().endswith(".srt") and self.is_wanted(name, self.text(source, name))
        ]
        if len(films) < 3:
            raise ValueError(
                f"{self.config.data_dir}: too few films; got {len(films)} to read; give one for each split or more"
            )
        # The list is what worker processes share out among themselves.
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"films": part})
            for split, part in split_by_hash(films, validation=0.05, test=0.05).items()
        ]

    def text(self, source: Path | zipfile.Path, film: str) -> str:
        return decode_subtitles((source / film).read_bytes(), self.config.encoding)

    def is_wanted(self, film: str, text: str) -> bool:
        reason = self.reason_to_drop(text)
        if reason:
            logger.info("opsub: %s dropped for %s", film, reason)
        self.note(f"films dropped for {reason}" if reason else "films kept")
        return not reason

    def reason_to_drop(self, text: str) -> str | None:
        if text.count("-->") < self.config.min_cues:
            return f"fewer than {self.config.min_cues} cues"
        import py3langid

        words = NOT_WORDS.sub(" ", text[len(text) // 3 :][:10_000])  # the credits at both ends mislead
        language, _ = py3langid.classify(words)
        return None if language == self.config.language else f"language {language}"

    def read(self, films: list[str] = (), **original) -> Iterator[Dialogue]:
        if original:
            yield from read_original(**original)
        source = folder_or_zip(Path(self.config.data_dir))
        for film in films:
            for number, utterances in enumerate(self.dialogues(film_lines(self.text(source, film)))):
                yield Dialogue(f"{film[:-4]}-{number:04d}", utterances)

    def dialogues(self, lines: list[Line]) -> Iterator[list[Utterance]]:
        if self.config.join_sentences:
            lines = join_sentences(lines, self.config.max_pause)
        for run in cut_at_silences(lines, self.config.max_silence):
            if len(run) >= self.config.min_utterances:
                utterances = [Utterance(line.text, line.speaker) for line in run]
                yield from in_parts(utterances, self.config.max_utterances)
