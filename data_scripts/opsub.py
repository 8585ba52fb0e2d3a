"""OpSub: the dialogues of film subtitles, cut at silences, without labels.

Source: subtitles that you have; the films keep their own licenses, and none ships with this library. Paper to cite for
the corpus and its use in pre-training: Jiao et al., Findings of EMNLP 2020; for OpenSubtitles: Lison and Tiedemann,
LREC 2016. `data_dir` is one of, or a folder, a zip, a tar or a bucket with:

* `.srt` or `.vtt` files, one a film;
* `.xml` or `.xml.gz` files of OPUS OpenSubtitles, one a film, in its tree of year, film and version;
* `.txt` or `.txt.gz` files of OPUS, one line a sentence; where a film ends in them is unknown, so a dialogue is
  `max_utterances` lines in a row, and about a megabyte of them counts as a film (a `.gz` is read by one process);
* the original implementation's `OpSub_{train,dev,test}.json`, which come with negatives and are taken as they are.

A film is in one split as a whole (fewer than three are split by dialogue), and once: of several versions in one folder
of OPUS the largest is read, and a film whose lines an earlier one has is dropped. Films in another language than
`language`, those of fewer than `min_cues` cues, those larger than the limits (`max_unfolded`, `max_ratio`) and those
that cannot be read are dropped too; all is counted. A speaker is known only where a line is led by a NAME:. Needs the
packages `charset-normalizer`, `ftfy` and `py3langid`.
"""

import codecs
import io
import logging
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from xml.etree.ElementTree import ParseError

import datasets
import pyarrow as pa

from .building.builder import DialogueBuilder
from .building.dialogues import Dialogue, Utterance
from .building.parts import read_part, report_path
from .building.splitting import in_parts, split_by_hash
from .formats.captions import film_lines_of_webvtt
from .formats.limits import Limits, TooLargeError
from .formats.opus import xml_lines
from .formats.original import original_files, read_original
from .formats.owner import check_owner
from .formats.sources import DAMAGED, IRREGULAR, TOO_LARGE, is_tar, source, source_states_digest, unpacked
from .formats.subtitles import Line, cut_at_silences, decode_subtitles, film_lines, join_sentences, turns
from .tools.whole_files import read_json

logger = logging.getLogger(__name__)

PACKAGES = {"charset_normalizer": "charset-normalizer", "ftfy": "ftfy", "py3langid": "py3langid"}
ARCHIVE = re.compile(r"\.(zip|tar|tgz|rar|7z|tar\.\w{1,4})$", re.IGNORECASE)
KIND = re.compile(r"\.(srt|vtt|xml|txt)(?:\.gz)?$", re.IGNORECASE)
VERSION_OF_FILM = re.compile(r"((?:^|.*/)\d+/\d+)/[^/]+$")  # year/film/version.xml
WORD = re.compile(r"[^\W\d_]+")
BLOCK_BYTES = 1 << 20
SKETCH_SIZE, SKETCHED_LENGTH = 8, 40


class Piece(NamedTuple):
    """What is read at once: a film, or some bytes of a text."""

    name: str
    size: int
    start: int = 0


@dataclass
class OpSubConfig(Limits, datasets.BuilderConfig):
    """How a film becomes dialogues. Times are in seconds."""

    max_silence: float = 5.0  # from the end of a line to the start of the next in the same dialogue
    join_sentences: bool = True  # a sentence that runs over several cues is one utterance
    max_pause: float = 1.0  # between two cues of one sentence
    min_utterances: int = 5  # shorter dialogues are dropped
    max_utterances: int = 50  # longer ones are cut in parts
    min_cues: int = 100  # a film of fewer is dropped
    language: str = "en"  # a film in another is dropped
    encoding: str = ""  # of files that are not Unicode; detected by default
    max_unfolded: int = 1 << 24  # bytes of a film, unfolded where it is compressed; a larger one is dropped
    max_line: int = 1 << 20  # bytes of a line of plain text; a longer one is dropped


class OpSub(DialogueBuilder):
    """A corpus of film subtitles."""

    BUILDER_CONFIG_CLASS = OpSubConfig
    DATA_DIR = "a folder, zip or tar of .srt, .vtt, OPUS .xml or .txt files, or one of them"
    HOMEPAGE = "https://opus.nlpl.eu/OpenSubtitles"
    REDISTRIBUTABLE = False
    LICENSE = "that of each film's subtitles"
    CITATION = r"""@inproceedings{jiao2020exploiting,
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
        """The original's files, if they are that."""
        if config.data_dir is None or "://" in config.data_dir:
            return {}
        return original_files(Path(config.data_dir)) if Path(config.data_dir).is_dir() else {}

    def files_digest(self, config: OpSubConfig) -> str:
        if missing := [package for name, package in PACKAGES.items() if find_spec(name) is None]:
            # Loaded only where they are used: the other corpora do without.
            raise ImportError(f"opsub: needs {' and '.join(missing)}; pip install {' '.join(missing)}")
        if config.data_dir is None or "://" not in config.data_dir:
            self.source(config)
        return source_states_digest(config.data_dir)

    def _info(self) -> datasets.DatasetInfo:
        self.NEGATIVES = self.KEEPS_BLANK = bool(self.files(self.config))
        return super()._info()

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        """Reads all films, as those that are dropped must be known before the others are split."""
        if self.NEGATIVES:
            check_owner(self.corpus, self.files(self.config))
            return super()._split_generators(dl_manager)
        where = self.config.data_dir
        self.check_options()
        try:
            if "://" not in where and is_tar(Path(where)):
                folder, left_out = unpacked(Path(where), self.parts_folder / "tar", KIND, self.config)
                self._notes.update(left_out)
                where = str(folder)
            pieces = self.pieces(where)
            sources = [{"where": where, "pieces": part} for part in groups(pieces)]
            films = self.kept_films(report for _, report in self.write_parts("films", sources))
        except (*DAMAGED, OSError) as error:
            # Not an OSError, which `datasets` would cover by a message of its own.
            raise ValueError(f"{where}: cannot be read; got {error}; get it again") from error
        self._by_film = len(films) >= 3
        try:
            names = films if self._by_film else self.dialogue_ids(films)
            by_split = split_by_hash(names, validation=0.05, test=0.05)
        except ValueError as error:
            report = self.report() or "no file with a name that ends in .srt, .vtt, .xml or .txt"
            raise ValueError(f"{where}: dialogues of {len(films)} films: {error}; found: {report}") from None
        self._split_of = {name: split for split, names in by_split.items() for name in names}
        return [datasets.SplitGenerator(name=split, gen_kwargs={"split": split}) for split in by_split]

    def check_options(self) -> None:
        self.config.check_limits()
        if self.config.max_utterances < 1:
            raise ValueError(f"opsub: max_utterances must be 1 or more; got {self.config.max_utterances}")
        try:
            codecs.lookup(self.config.encoding or "utf-8")
        except LookupError:
            raise ValueError(f"opsub: unknown encoding; got {self.config.encoding!r}; give one like cp1252") from None

    def pieces(self, where: str) -> list[Piece]:
        """What there is to read, in the order of the names; of a film's versions the largest."""
        pieces: dict[str, Piece] = {}
        for name, size in source(where).sizes().items():
            kind = KIND.search(name)
            if ARCHIVE.search(name):
                self.note("archives in it that are not read")
            if not kind or name.rpartition("/")[2].startswith("."):
                continue
            if not source(where).is_regular(name):
                logger.info("opsub: %s dropped, as it is not a regular file", name)
                self.note(IRREGULAR)
                continue
            if name.lower().endswith(".txt"):
                blocks = range(0, size, BLOCK_BYTES)
                pieces |= {f"{name}@{start}": Piece(name, min(BLOCK_BYTES, size - start), start) for start in blocks}
                continue
            version = VERSION_OF_FILM.search(name) if kind[1].lower() == "xml" else None
            film = version[1] if version else name
            if film in pieces:
                self.note("films dropped as another version of one")
            pieces[film] = max(pieces.get(film, Piece("", -1)), Piece(name, size), key=lambda piece: piece.size)
        return list(pieces.values())

    def kept_films(self, reports: Iterator[dict[str, Any]]) -> list[str]:
        """All films but those whose lines an earlier film has."""
        film_of_line: dict[int, str] = {}
        kept = []
        for name, rows, utterances, lines in (film for report in reports for film in report["films"]):
            if not rows:
                self.note("films kept", -1)
                self.note("films dropped for having no dialogue")
                continue
            earlier = Counter(film_of_line[line] for line in lines if line in film_of_line)
            [(other, shared)] = earlier.most_common(1) or [("", 0)]
            if shared * 2 >= len(lines) >= SKETCH_SIZE:
                logger.info("opsub: %s dropped for having the lines of %s", name, other)
                self.note("films dropped for having the lines of another")
                self.note("films kept", -1)
                self.note("dialogues", -rows)
                self.note("utterances", -utterances)
            else:
                film_of_line.update(dict.fromkeys(lines, name))
                kept.append(name)
        return kept

    def read(self, where: str = "", pieces: Sequence[Piece] = (), **original) -> Iterator[Dialogue]:
        if original:
            yield from read_original(**original)
        self._films = []
        for piece in pieces:
            try:
                for film, dialogues in self.films(where, piece):
                    rows = utterances = 0
                    lines: set[int] = set()
                    name = os.fsencode(film).decode("utf-8", "replace")
                    for rows, dialogue in enumerate(dialogues, start=1):
                        yield Dialogue(f"{name}-{rows - 1:04d}", dialogue)
                        utterances += len(dialogue)
                        # Short lines are in many films.
                        lines.update(line_hash(text) for text, *_ in dialogue if len(text) >= SKETCHED_LENGTH)
                    self._films.append((film, rows, utterances, sorted(lines)[:SKETCH_SIZE]))
            except (*DAMAGED, ParseError) as error:
                logger.info("opsub: %s dropped, as it cannot be read: %s", piece.name, error)
                self.note("files damaged")
            except TooLargeError as error:
                if source(where).file:
                    raise TooLargeError(f"{where}: {error}") from None
                logger.info("opsub: %s dropped: %s", piece.name, error)
                self.note(TOO_LARGE)

    def films(self, where: str, piece: Piece) -> Iterator[tuple[str, Iterator[list[Utterance]]]]:
        """The dialogues of each film of a piece, with its name."""
        kind = piece.name.lower().removesuffix(".gz").rpartition(".")[2]
        if kind == "txt":
            for start, texts in blocks_of_text(where, piece, self.config, self._notes):
                lines = [line for text in texts for line in turns(text, 0.0, 0.0)]
                if not self.is_wanted(piece.name, lines):
                    continue
                longest = self.config.max_utterances
                runs = (lines[i : i + longest] for i in range(0, len(lines), longest))
                yield f"{piece.name}@{start}", self.cut(runs)
            return
        data = source(where).read(piece.name, self.config)
        if kind != "xml":
            read_lines = film_lines if kind == "srt" else film_lines_of_webvtt
            lines = read_lines(decode_subtitles(data, self.config.encoding or None), self._notes)
        else:
            lines = list(xml_lines(data, self._notes))
        if not self.is_wanted(piece.name, lines):
            return
        if self.config.join_sentences and kind != "xml":
            lines = join_sentences(lines, self.config.max_pause)
        yield piece.name, self.cut(cut_at_silences(lines, self.config.max_silence))

    def is_wanted(self, film: str, lines: list[Line]) -> bool:
        reason = self.reason_to_drop(lines)
        if reason:
            logger.info("opsub: %s dropped for %s", film, reason)
        self.note(f"films dropped for {reason}" if reason else "films kept")
        return not reason

    def reason_to_drop(self, lines: list[Line]) -> str | None:
        if len(lines) < self.config.min_cues:
            return f"fewer than {self.config.min_cues} cues"
        import py3langid

        middle = " ".join(line.text for line in lines[len(lines) // 3 :][:40])  # the credits at both ends mislead
        language, _ = py3langid.classify(middle.lower())
        return None if language == self.config.language else f"language {language}"

    def cut(self, runs: Iterable[list[Line]]) -> Iterator[list[Utterance]]:
        for run in runs:
            if len(run) < self.config.min_utterances:
                self.note(f"utterances dropped in dialogues of fewer than {self.config.min_utterances}", len(run))
                continue
            utterances = [Utterance(line.text, line.speaker) for line in run]
            yield from in_parts(utterances, self.config.max_utterances)

    def part_report(self) -> dict[str, Any]:
        return {"films": self._films}

    def finished_parts(self) -> Iterator[tuple[pa.Table, list[tuple[str, range]]]]:
        """The rows of each part, and which of them are which film's."""
        for path in sorted(self.parts_folder.glob("films-*.arrow")):
            films, start = [], 0
            for name, count, *_ in read_json(report_path(path))["films"]:
                films.append((name, range(start, start + count)))
                start += count
            yield read_part(path), films

    def dialogue_ids(self, kept: list[str]) -> Iterator[str]:
        for table, films in self.finished_parts():
            for name, rows in films:
                if name in kept:
                    yield from table["dialogue_id"].slice(rows.start, len(rows)).to_pylist()

    def tables(self, split: str) -> Iterator[pa.Table]:
        """The rows of a split, from one part after the other."""
        for table, films in self.finished_parts():
            if self._by_film:
                rows = [row for name, of_film in films if self._split_of.get(name) == split for row in of_film]
            else:
                ids = table["dialogue_id"].to_pylist()
                rows = [row for row, name in enumerate(ids) if self._split_of.get(name) == split]
            if rows:
                yield table.take(rows)

    def _generate_tables(self, split: str, parts: Sequence[dict[str, Any]] = ()) -> Iterator[tuple[int, pa.Table]]:
        if self.NEGATIVES:
            yield from super()._generate_tables(split, parts)
        else:
            yield from enumerate(self.tables(split))


def groups(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Pieces of together a thirty-second of all, but no less than 256 kB and no more than 4 MB."""
    limit = min(max(sum(piece.size for piece in pieces) // 32, 1 << 18), 1 << 22)
    group: list[Piece] = []
    size = 0
    for piece in pieces:
        if group and size + piece.size > limit:
            yield group
            group, size = [], 0
        group.append(piece)
        size += piece.size
    if group:
        yield group


def blocks_of_text(where: str, piece: Piece, limits: Limits, notes: Counter[str]) -> Iterator[tuple[int, list[str]]]:
    """Lines of about a megabyte, and the byte that they start at."""
    is_packed = piece.name.lower().endswith(".gz")
    with source(where).open(piece.name, limits, is_streamed=True) as file:
        end = piece.start + BLOCK_BYTES
        if piece.start:
            file.seek(piece.start - 1)
            skip_line(file, end)  # of the block before
        while (start := file.tell()) < end:
            lines: list[str] = []
            try:
                while file.tell() < end and (line := file.readline(limits.max_line)):
                    if len(line) == limits.max_line and not line.endswith(b"\n"):
                        notes["lines dropped for their length"] += 1
                        skip_line(file, None if is_packed else end)
                    else:
                        lines.append(line.decode("utf-8", errors="replace"))
            except (*DAMAGED, TooLargeError):
                yield start, lines
                raise
            yield start, lines
            if not is_packed or file.tell() == start:
                return
            end = file.tell() + BLOCK_BYTES


def skip_line(file: BinaryIO, end: int | None) -> None:
    """Goes to the next line, or to the byte `end`, which the next block begins with."""
    while (end is None or file.tell() < end) and (part := file.readline(io.DEFAULT_BUFFER_SIZE)):
        if part.endswith(b"\n"):
            return


def line_hash(text: str) -> int:
    """The same for a line in any version of a film."""
    return zlib.crc32(" ".join(WORD.findall(text.lower())).encode())
