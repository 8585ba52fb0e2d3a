"""CMU-MOSEI: monologues in videos, cut into segments, each labeled with an emotion.

Source: the raw release of the authors, or the original implementation's files of it. License: that of the authors'
release. Paper to cite: Bagher Zadeh et al., ACL 2018.

A dialogue is a video, and its utterances are the segments in the order of their numbers. The label of a segment is the
emotion with the highest intensity, averaged over the annotators. If two or more emotions tie, the annotators did not
decide on one: the segment stays as context without a label, and the report of the build counts it. A segment without an
intensity above 0, or without annotations, also stays as context. A video without any annotations is left out.

`data_dir` is one of

* the raw release: a folder with `Transcript/Segmented/Combined/<video>.txt` and `Labels/*.csv`, or the folder that
  contains it as `Raw`;
* a CSV file, or its folder, with the columns video, segment (the number in the video), text, anger, disgust, fear,
  happiness, sadness and surprise;
* a folder with `<Name>_train.json`, `<Name>_dev.json` and `<Name>_test.json`, which define the splits and label names.

If that folder also has `train.txt`, `validation.txt` and `test.txt`, with one name of a video per line, these lists
define the splits, and videos in none of them are left out. Otherwise 70 % of the videos are train, 10 % validation and
20 % test; only their names decide which. Files in the authors' own format, `.csd`, are not read.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import datasets

from .building.dialogues import Dialogue, Utterance
from .building.splitting import split_by_hash
from .formats.original import NAMES, OriginalCorpus
from .formats.reading import existing_path, read_csv, read_text

EMOTIONS = ["anger", "disgust", "fear", "happiness", "sadness", "surprise"]
# The columns of the annotation forms.
FORM = {"video": "Input.VIDEO_ID", "segment": "Input.CLIP"} | {emotion: f"Answer.{emotion}" for emotion in EMOTIONS}


class Mosei(OriginalCorpus):
    """The corpus CMU-MOSEI."""

    TAKES_FILE = True
    DATA_DIR = "the folder of the raw release, a CSV file of segments, or the folder of the original's files"
    HOMEPAGE = "http://multicomp.cs.cmu.edu/resources/cmu-mosei-dataset"
    LICENSE = "that of the authors' release"
    CITATION = """@inproceedings{zadeh2018mosei,
  title={Multimodal Language Analysis in the Wild: {CMU-MOSEI} Dataset and Interpretable Dynamic Fusion Graph},
  author={Bagher Zadeh, AmirAli and Liang, Paul Pu and Poria, Soujanya and Cambria, Erik and Morency, Louis-Philippe},
  booktitle={Proceedings of ACL},
  year={2018}
}"""
    TRANSCRIPTS = "Transcript/Segmented/Combined", "*.txt"
    SEGMENT = r"{video}___(\d+)___[^_]*___[^_]*___(.*)"  # a name and a text may contain underscores
    SCORES = EMOTIONS
    RANGE = 0, 3

    def release_files(self, config: datasets.BuilderConfig) -> dict[str, Path]:
        """The tables, the transcripts unless the tables contain the texts, and the lists of the splits, if any."""
        source = self.source(config)
        folder = source.parent if source.is_file() else source
        raw = source / "Raw" if (source / "Raw").is_dir() else source
        labels = raw / "Labels" if (raw / "Labels").is_dir() else raw
        tables = [source] if source.is_file() else sorted(labels.glob("[!.]*.csv"))
        if not tables:
            found = ", ".join(sorted(path.name for path in labels.iterdir())[:10]) or "nothing"
            raise FileNotFoundError(f"{labels}: no CSV file with labels; got {found}; use {self.DATA_DIR}")
        files = {f"table {path.name}": path for path in tables}
        transcripts = raw / self.TRANSCRIPTS[0]
        if labels != raw or transcripts.is_dir():
            files["transcripts"] = existing_path(transcripts)
        elif len(tables) > 1:
            names = ", ".join(path.name for path in tables)
            raise ValueError(f"{labels}: more than one table of segments; got {names}; join them, and list the splits")
        lists = {split: folder / f"{split}.txt" for split in NAMES}
        if any(path.exists() for path in lists.values()):
            files |= {split: existing_path(path) for split, path in lists.items()}
        return files

    def _info(self) -> datasets.DatasetInfo:
        if not self.original_files(self.config):
            self.LABELS = self.LABELS or EMOTIONS
        return super()._info()

    def splits(self) -> dict[str, dict[str, Any]]:
        """The keyword arguments of `read` for each split: from the lists of videos, or else by the names."""
        if self.original_files(self.config):
            return super().splits()
        files, videos = self.files(self.config), self.videos
        if "train" in files:
            splits = self.videos_by_split({split: files[split] for split in NAMES})
        else:
            try:
                splits = split_by_hash(videos, validation=0.1, test=0.2)
            except ValueError as error:
                raise ValueError(f"{self.config.data_dir}: {error}") from None
        return {split: {"videos": names} for split, names in splits.items()}

    def videos_by_split(self, lists: dict[str, Path]) -> dict[str, list[str]]:
        """The available videos of each split, from its list."""
        splits: dict[str, list[str]] = {}
        places: dict[str, str] = {}
        for split, path in lists.items():
            names = [name.strip() for name in read_text(path).splitlines() if name.strip()]
            for name in names:
                if name in places:
                    raise ValueError(f"{path}: the video is also in {places[name]}; got {name!r}; keep it in one list")
                places[name] = path.name
            splits[split] = [name for name in names if name in self.videos]
        self.note("videos in no list left out", len(self.videos.keys() - places.keys()))
        self.note("listed videos that are missing", len(places.keys() - self.videos.keys()))
        return splits

    def read_release(self, videos: list[str]) -> Iterator[Dialogue]:
        """Yield the dialogues of videos."""
        for video in videos:
            yield Dialogue(video, self.videos[video])

    @cached_property
    def videos(self) -> dict[str, list[Utterance]]:
        """The segments of every annotated video, in order and with their labels."""
        files = self.files(self.config)
        tables = [path for name, path in files.items() if name.startswith("table ")]
        columns = ["video", "segment", *self.SCORES] + ([] if "transcripts" in files else ["text"])
        rows = [row for table in tables for row in self.rows(table, columns)]
        texts: dict[tuple[str, int], Utterance] = {}
        scores: defaultdict[tuple[str, int], list[list[float]]] = defaultdict(list)
        notes: Counter[str] = Counter()
        for where, row in self.transcripts(files["transcripts"]) if "transcripts" in files else rows:
            segment, text = place(row, where), row["text"].strip()
            if not text:
                notes["segments without words left out"] += 1
            elif texts.setdefault(segment, Utterance(text, where=where)).text != text:
                raise ValueError(f"{where}: a segment has two texts; got {text[:60]!r}; keep one")
        for where, row in rows:
            values = [row[name].strip() for name in self.SCORES]
            if all(values):
                scores[place(row, where)].append([self.score(value, where) for value in values])
            else:
                notes["annotations without all scores left out"] += 1
        strongest = {
            segment: self.strongest([fmean(values) for values in zip(*annotations, strict=True)])
            for segment, annotations in scores.items()
        }
        annotated, videos = {video for video, _ in scores}, defaultdict(list)
        for (video, number), utterance in sorted(texts.items()):
            if video in annotated:
                found = strongest.get((video, number), [])
                label = found[0] if len(found) == 1 else None
                videos[video].append(utterance._replace(label=label))
                notes["segments without a label"] += label is None
                notes["segments without a label because several emotions are equally strong"] += len(found) > 1
        notes["videos without annotations left out"] = len({video for video, _ in texts} - annotated)
        notes["annotated segments without a text"] = len(scores.keys() - texts.keys())
        for what, count in notes.items():
            self.note(what, count)
        return dict(videos)

    def transcripts(self, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
        """The segments of every transcript, as rows."""
        for path in sorted(folder.glob(f"[!.]{self.TRANSCRIPTS[1]}")):
            line_of_segment = re.compile(self.SEGMENT.format(video=re.escape(path.stem)))
            for number, line in enumerate(read_text(path).split("\n"), start=1):
                if line.strip():
                    match = line_of_segment.fullmatch(line.strip())
                    if not match:
                        raise ValueError(f"{path}:{number}: not a segment; got {line[:60]!r}; download the file again")
                    yield f"{path}:{number}", {"video": path.stem, "segment": match[1], "text": match[2]}

    def rows(self, table: Path, columns: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
        """The rows of the annotation forms, or of a table with our columns."""
        form = FORM if FORM["video"] in read_text(table).split("\n", 1)[0] else {}
        names = [form.get(column, column) for column in columns]
        for where, row in read_csv(table, names):
            found = {column: row[name] for column, name in zip(columns, names, strict=True)}
            if form:
                found["video"] = found["video"].rsplit("/", 1)[-1]  # some names start with a folder
            yield where, found

    def score(self, value: str, where: str) -> float:
        """The number of a score. Raises a ValueError if it is outside `RANGE`."""
        lowest, highest = self.RANGE
        try:
            if lowest <= float(value) <= highest:
                return float(value)
        except ValueError:
            pass
        raise ValueError(f"{where}: the score is not a number from {lowest} to {highest}; got {value!r}; correct it")

    def strongest(self, scores: list[float]) -> list[str]:
        """The labels with the highest score: none without a score above 0, several after a tie."""
        highest = max(scores)
        return [label for label, score in zip(EMOTIONS, scores, strict=True) if score == highest > 0]


def place(row: dict[str, str], where: str) -> tuple[str, int]:
    """The video and the number of a segment."""
    video, number = row["video"].strip(), row["segment"].strip()
    if not video or not number.isdecimal():
        raise ValueError(
            f"{where}: not a segment of a video; got {number!r} of {video!r}; fill in the number and the name"
        )
    return video, int(number)
