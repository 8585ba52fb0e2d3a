"""OpSub: the dialogues of film subtitles, cut at silences, without labels.

Source: your own subtitles. License: that of each film's subtitles; this library contains none. Papers to cite: for the
corpus and its use in pre-training, Jiao et al., Findings of EMNLP 2020; for OpenSubtitles, Lison and Tiedemann, LREC
2016. `data_dir` is a folder, a zip, a tar or a bucket with the following files, or one of these files:

* `.srt` or `.vtt`: one film per file;
* `.xml` or `.xml.gz` of OPUS OpenSubtitles: one film per file, in folders by year and film, with one file per version;
* `.txt` or `.txt.gz` of OPUS: one sentence per line. These files do not mark where a film ends. So a dialogue consists
  of `max_utterances` consecutive lines, and about a megabyte of lines counts as a film. One process reads a `.gz` file;
* `OpSub_{train,dev,test}.json` of the original implementation, which contain negatives and are used unchanged.

All dialogues of a film are in the same split. With fewer than three films, dialogues are split instead. If OPUS has
several versions of a film, the largest is read. A film is dropped if an earlier one has the same lines, if it is not in
`language`, if it has fewer than `min_cues` cues, if it exceeds a limit (`max_unfolded`, `max_ratio`), or if it cannot
be read. The report of the build counts the dropped films. A speaker is known only if a line begins with `NAME:`. The
corpus needs the packages `charset-normalizer`, `ftfy` and `py3langid`.
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
from .formats.limits import Limits, TooLargeError, limited_time
from .formats.opus import xml_lines
from .formats.original import original_files, read_original
from .formats.owner import check_owner
from .formats.sources import DAMAGED, IRREGULAR, TOO_LARGE, is_tar, source, source_states_digest, unpack
from .formats.subtitles import Line, cut_at_silences, decode_subtitles, film_lines, join_sentences, turns
from .tools.whole_files import DiskFullError, read_json

logger = logging.getLogger(__name__)

PACKAGES = {"charset_normalizer": "charset-normalizer", "ftfy": "ftfy", "py3langid": "py3langid"}
ARCHIVE = re.compile(r"\.(zip|tar|tgz|rar|7z|tar\.\w{1,4})$", re.IGNORECASE)
KIND = re.compile(r"\.(srt|vtt|xml|txt)(?:\.gz)?$", re.IGNORECASE)
VERSION_OF_FILM = re.compile(r"((?:^|.*/)\d+/\d+)/[^/]+$")  # year/film/version.xml
WORD = re.compile(r"[^\W\d_]+")
BLOCK_BYTES = 1 << 20
SKETCH_SIZE, SKETCHED_LENGTH = 8, 40


class Piece(NamedTuple):
    """The unit of reading: a film, or `size` bytes of a text file from the byte `start` on."""

    name: str
    size: int
    start: int = 0


@dataclass
class OpSubConfig(Limits, datasets.BuilderConfig):
    """How films become dialogues.

    Args:
        max_silence: A longer silence between two lines, in seconds, starts a new dialogue.
        join_sentences: Whether a sentence over several cues is one utterance.
        max_pause: The longest pause between two cues of a sentence, in seconds.
        min_utterances: Shorter dialogues are dropped.
        max_utterances: Longer dialogues are cut into parts.
        min_cues: Films with fewer cues are dropped.
        language: The code of the language. Films in other languages are dropped.
        encoding: The encoding of files that are not in Unicode; by default it is detected.
        max_unfolded: The maximum size of a film after decompression, in bytes. Larger films are dropped.
        max_ratio: See `Limits`.
        max_line: The maximum length of a line of plain text, in bytes. Longer lines are dropped.
        max_members, max_depth: See `Limits`.
        max_seconds: The maximum time for reading a film, in seconds. Films that take longer are dropped.
    """

    max_silence: float = 5.0
    join_sentences: bool = True
    max_pause: float = 1.0
    min_utterances: int = 5
    max_utterances: int = 50
    min_cues: int = 100
    language: str = "en"
    encoding: str = ""
    max_unfolded: int = 1 << 24
    max_line: int = 1 << 20
    max_seconds: int = 600


class OpSub(DialogueBuilder):
    """A corpus of film subtitles."""

    BUILDER_CONFIG_CLASS = OpSubConfig
    DATA_DIR = "a folder, zip or tar with .srt, .vtt, OPUS .xml or .txt files, or one such file"
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
        """The files of the original implementation; empty for other files."""
        if config.data_dir is None or "://" in config.data_dir:
            return {}
        return original_files(Path(config.data_dir)) if Path(config.data_dir).is_dir() else {}

    def files_digest(self, config: OpSubConfig) -> str:
        """A value that changes with any file. Raises an ImportError if a needed package is not installed."""
        if missing := [package for name, package in PACKAGES.items() if find_spec(name) is None]:
            # They are imported where they are used, because the other corpora do not need them.
            raise ImportError(f"opsub: needs {' and '.join(missing)}; pip install {' '.join(missing)}")
        if config.data_dir is None or "://" not in config.data_dir:
            self.source(config)
        return source_states_digest(config.data_dir)

    def _info(self) -> datasets.DatasetInfo:
        self.NEGATIVES = self.KEEPS_BLANK = bool(self.files(self.config))
        return super()._info()

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        """Read all films. The dropped ones must be known before the others are divided into splits."""
        if self.NEGATIVES:
            check_owner(self.corpus, self.files(self.config))
            return super()._split_generators(dl_manager)
        where = self.config.data_dir
        self.check_options()
        try:
            if "://" not in where and is_tar(Path(where)):
                folder, left_out = unpack(Path(where), self.parts_folder / "tar", KIND, self.config)
                self._notes.update(left_out)
                where = str(folder)
            pieces = self.pieces(where)
            sources = [{"where": where, "pieces": part} for part in groups(pieces)]
            films = self.kept_films(report for _, report in self.write_parts("films", sources))
        except (DiskFullError, ChildProcessError):
            raise  # not about the films
        except (*DAMAGED, OSError) as error:
            # Not an OSError, because `datasets` would replace its message.
            raise ValueError(f"{where}: cannot be read; got {error}; download it again") from error
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
        """Raise a ValueError for an invalid option."""
        self.config.check_limits()
        if self.config.max_utterances < 1:
            raise ValueError(f"opsub: max_utterances must be 1 or more; got {self.config.max_utterances}")
        try:
            codecs.lookup(self.config.encoding or "utf-8")
        except LookupError:
            raise ValueError(f"opsub: unknown encoding; got {self.config.encoding!r}; use one such as cp1252") from None

    def pieces(self, where: str) -> list[Piece]:
        """The pieces to read, in the order of their names. Of several versions of a film, only the largest is read."""
        pieces: dict[str, Piece] = {}
        for name, size in source(where).sizes(self.config).items():
            kind = KIND.search(name)
            if ARCHIVE.search(name):
                self.note("archives not read")
            if not kind or name.rpartition("/")[2].startswith("."):
                continue
            if not source(where).is_regular(name):
                logger.info("opsub: %s dropped because it is not a regular file", name)
                self.note(IRREGULAR)
                continue
            if name.lower().endswith(".txt"):
                blocks = range(0, size, BLOCK_BYTES)
                pieces |= {f"{name}@{start}": Piece(name, min(BLOCK_BYTES, size - start), start) for start in blocks}
                continue
            version = VERSION_OF_FILM.search(name) if kind[1].lower() == "xml" else None
            film = version[1] if version else name
            if film in pieces:
                self.note("films dropped as another version of a film")
            pieces[film] = max(pieces.get(film, Piece("", -1)), Piece(name, size), key=lambda piece: piece.size)
        return list(pieces.values())

    def kept_films(self, reports: Iterator[dict[str, Any]]) -> list[str]:
        """The names of all films except those with the same lines as an earlier film."""
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
        """Yield the dialogues of films. What cannot be read is counted and dropped.

        Args:
            where: The location of the files.
            pieces: The films, and blocks of text, to read.
            original: The arguments of `read_original`, for files of the original implementation.
        """
        if original:
            yield from read_original(**original)
        self._films = []
        for piece in pieces:
            try:
                for film, dialogues in limited_time(self.films(where, piece), self.config):
                    rows = utterances = 0
                    lines: set[int] = set()
                    name = os.fsencode(film).decode("utf-8", "replace")
                    for rows, dialogue in enumerate(dialogues, start=1):
                        yield Dialogue(f"{name}-{rows - 1:04d}", dialogue)
                        utterances += len(dialogue)
                        # Short lines occur in many films.
                        lines.update(line_hash(text) for text, *_ in dialogue if len(text) >= SKETCHED_LENGTH)
                    self._films.append((film, rows, utterances, sorted(lines)[:SKETCH_SIZE]))
            except (*DAMAGED, ParseError) as error:
                logger.info("opsub: %s dropped because it cannot be read: %s", piece.name, error)
                self.note("files damaged")
            except TooLargeError as error:
                if source(where).file:
                    raise TooLargeError(f"{where}: {error}") from None
                logger.info("opsub: %s dropped: %s", piece.name, error)
                self.note(TOO_LARGE)

    def films(self, where: str, piece: Piece) -> Iterator[tuple[str, Iterator[list[Utterance]]]]:
        """Yield the name and the dialogues of each film in a piece."""
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
            lines = list(xml_lines(data, self._notes, self.config.max_depth))
        if not self.is_wanted(piece.name, lines):
            return
        if self.config.join_sentences and kind != "xml":
            lines = join_sentences(lines, self.config.max_pause)
        yield piece.name, self.cut(cut_at_silences(lines, self.config.max_silence))

    def is_wanted(self, film: str, lines: list[Line]) -> bool:
        """Whether to keep a film. The decision is logged and counted."""
        reason = self.reason_to_drop(lines)
        if reason:
            logger.info("opsub: %s dropped for %s", film, reason)
        self.note(f"films dropped for {reason}" if reason else "films kept")
        return not reason

    def reason_to_drop(self, lines: list[Line]) -> str | None:
        """The reason to drop a film, or None: too few lines, or another language."""
        if len(lines) < self.config.min_cues:
            return f"fewer than {self.config.min_cues} cues"
        import py3langid

        # The credits at both ends would mislead the detector.
        middle = " ".join(line.text for line in lines[len(lines) // 3 :][:40])
        language, _ = py3langid.classify(middle.lower())
        return None if language == self.config.language else f"language {language}"

    def cut(self, runs: Iterable[list[Line]]) -> Iterator[list[Utterance]]:
        """Cut runs of lines into dialogues of at most `max_utterances`. Short runs are dropped."""
        for run in runs:
            if len(run) < self.config.min_utterances:
                self.note(f"utterances dropped in dialogues of fewer than {self.config.min_utterances}", len(run))
                continue
            utterances = [Utterance(line.text, line.speaker) for line in run]
            yield from in_parts(utterances, self.config.max_utterances)

    def part_report(self) -> dict[str, Any]:
        """The films of a part: name, dialogues, utterances and hashes of some long lines."""
        return {"films": self._films}

    def finished_parts(self) -> Iterator[tuple[pa.Table, list[tuple[str, range]]]]:
        """Yield the table of each part, with the rows of each film."""
        for path in sorted(self.parts_folder.glob("films-*.arrow")):
            films, start = [], 0
            for name, count, *_ in read_json(report_path(path))["films"]:
                films.append((name, range(start, start + count)))
                start += count
            yield read_part(path), films

    def dialogue_ids(self, kept: list[str]) -> Iterator[str]:
        """Yield the ids of the dialogues of the kept films."""
        for table, films in self.finished_parts():
            for name, rows in films:
                if name in kept:
                    yield from table["dialogue_id"].slice(rows.start, len(rows)).to_pylist()

    def tables(self, split: str) -> Iterator[pa.Table]:
        """Yield the rows of a split, part by part."""
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
    """Group pieces so that a group has about 1/32 of all bytes, at least 256 kB and at most 4 MB."""
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
    """Yield blocks of about a megabyte of lines, each with the position of its first byte."""
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
    """Move to the next line, or to the byte `end`, where the next block begins."""
    while (end is None or file.tell() < end) and (part := file.readline(io.DEFAULT_BUFFER_SIZE)):
        if part.endswith(b"\n"):
            return


def line_hash(text: str) -> int:
    """A hash of the words of a line, which is the same in all versions of a film."""
    return zlib.crc32(" ".join(WORD.findall(text.lower())).encode())
