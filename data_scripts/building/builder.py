"""The base class of every corpus.

It checks the dialogues, and caches the built corpus until its version or its files change.
"""

import dataclasses
import logging
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from datasets.exceptions import DatasetGenerationError

from ..formats.reading import existing_path, file_states_digest
from ..tools.whole_files import disk_full_errors
from .dialogues import Dialogue, Utterance
from .parts import batches_of, in_processes, on_ray, read_part, write_part

logger = logging.getLogger(__name__)


class DialogueBuilder(datasets.ArrowBasedBuilder):
    """A corpus of dialogues. A subclass defines its files and how to read them.

    `FILES` maps a split to a file in `data_dir`. `LABELS` lists the label names in the order of their ids (None for a
    corpus without labels). `NEGATIVES` tells whether the dialogues have negatives. `read` yields the dialogues of one
    file. The docstring of the module describes the corpus.

    A built corpus is cached until its files, its options or its versions change. Increase `VERSION` when a corpus
    yields different rows, and `BUILDER_VERSION` when the shared code does.
    """

    BUILDER_VERSION = 2  # of the code in `building` and `formats`
    VERSION = "1.0.0"  # of the corpus
    DATA_DIR: str | None = ""  # describes `data_dir` in messages; None if the corpus comes in a package
    FILES: dict[str, str] = {}
    LABELS: list[str] | None = None
    NEGATIVES = False
    VOTES = False  # whether utterances have the votes of their annotators
    KEEPS_BLANK = False  # whether utterances without words count, as in the published counts of some corpora
    REDISTRIBUTABLE = True  # whether the license allows redistribution
    HOMEPAGE = ""
    LICENSE = ""
    CITATION = ""

    def __init__(self, data_dir: str | Path | None = None, *, cache_dir: str | Path | None = None, **options):
        accepted = {field.name for field in dataclasses.fields(self.BUILDER_CONFIG_CLASS)}
        accepted -= {field.name for field in dataclasses.fields(datasets.BuilderConfig)}
        if unknown := options.keys() - accepted:
            known = ", ".join(sorted(accepted)) or "none"
            raise ValueError(f"{self.corpus}: unknown option; got {', '.join(sorted(unknown))}; accepted: {known}")
        for field in dataclasses.fields(self.BUILDER_CONFIG_CLASS):
            value, kind = options.get(field.name, field.default), type(field.default)
            # An integer is a valid float. Options without a default, such as lists, are checked where they are used.
            if field.default is not None and not isinstance(value, (int, float) if kind is float else kind):
                raise ValueError(f"{self.corpus}: option {field.name} must be of type {kind.__name__}; got {value!r}")
        if data_dir is not None:
            # Links are not resolved: the name of the link matters, and so do the files next to it.
            data_dir = str(data_dir if "://" in str(data_dir) else Path(data_dir).expanduser().absolute())
            if self.DATA_DIR is None:
                raise ValueError(f"{self.corpus}: the corpus comes in a package; got data_dir {data_dir}; leave it out")
        config = self.BUILDER_CONFIG_CLASS(data_dir=data_dir, **options)
        # `datasets` does not check the files. Without this key, it would return their previous content.
        key = f"{self.BUILDER_VERSION}-{self.files_digest(config)}"
        super().__init__(
            cache_dir=cache_dir and str(cache_dir), data_dir=data_dir, hash=key, version=self.VERSION, **options
        )
        self.parts_folder = Path(f"{self.cache_dir}.parts")
        self._notes: Counter[str] = Counter()
        self._is_building, self._on_ray = False, False
        self._num_proc: int | None = None

    @property
    def corpus(self) -> str:
        """The name of the corpus in `CORPORA`."""
        return type(self).__name__.lower()

    def source(self, config: datasets.BuilderConfig) -> Path:
        """The folder with the published files."""
        if config.data_dir is None:
            needed = self.DATA_DIR or f"the folder with {', '.join(self.FILES.values())}"
            raise ValueError(f"{self.corpus}: data_dir is missing; give {needed}")
        return existing_path(Path(config.data_dir))

    def files(self, config: datasets.BuilderConfig) -> dict[str, Path]:
        """The files of the corpus, by split."""
        source = self.source(config)
        return {split: existing_path(source / name) for split, name in self.FILES.items()}

    def files_digest(self, config: datasets.BuilderConfig) -> str:
        """A value that changes with any file of the corpus."""
        return file_states_digest(self.files(config).values())

    def read(self, *args: Any, **kwargs: Any) -> Iterator[Dialogue]:
        """Yield the dialogues of a split. The arguments come from `splits`: by default `split` and `path`."""
        raise NotImplementedError

    def note(self, what: str, count: int = 1) -> None:
        """Add a count to the report of the build."""
        self._notes[what] += count

    def report(self) -> str:
        """The report of the build: what was kept, and what was dropped and why."""
        return ", ".join(f"{what} {self._notes[what]}" for what in sorted(self._notes))

    def download_and_prepare(self, *args, num_proc: int | None = None, on_ray: bool = False, **kwargs) -> None:
        """Build the corpus if it is not in the cache, and log the report of the build.

        Args:
            args: Positional arguments of `datasets.DatasetBuilder.download_and_prepare`.
            num_proc: The number of worker processes; by default the parts are built in this process.
            on_ray: Build the parts on a Ray cluster instead.
            kwargs: Keyword arguments of `datasets.DatasetBuilder.download_and_prepare`.

        Raises:
            ValueError: A file has invalid content, or a split has no dialogues.
            OSError: The cache cannot be written, or one of the processes was killed.
        """
        self._notes, self._num_proc, self._on_ray = Counter(), num_proc, on_ray
        self._is_building = True
        try:
            with disk_full_errors(self.cache_dir):
                self._download_and_prepare_with_cause(*args, **kwargs)
        finally:
            self._is_building = False
        shutil.rmtree(self.parts_folder, ignore_errors=True)
        report = self.report()
        if report:  # empty if the corpus was in the cache
            logger.info("%s: %s", self.corpus, report)
        if empty := [split.name for split in self.info.splits.values() if not split.num_examples]:
            # `datasets` writes an empty split, but cannot read it.
            report = report or "the result of an earlier build"
            raise ValueError(f"{self.corpus}: no dialogue in {', '.join(empty)}; got {report}; add more dialogues")

    def _download_and_prepare_with_cause(self, *args, **kwargs) -> None:
        try:
            super().download_and_prepare(*args, **kwargs)
        except DatasetGenerationError as error:
            # `datasets` hides the actual error behind its own message.
            raise error.__cause__ or error from None

    def _info(self) -> datasets.DatasetInfo:
        features = {
            "dialogue_id": datasets.Value("string"),
            "utterances": datasets.List(datasets.Value("string")),
            "speakers": datasets.List(datasets.Value("string")),
        }
        if self.LABELS is not None:
            features["labels"] = datasets.List(datasets.ClassLabel(names=self.LABELS))
        if self.VOTES:
            features["label_distributions"] = datasets.List(datasets.List(datasets.Value("float32")))
        if self.NEGATIVES:
            features["negatives"] = datasets.List(datasets.Value("string"))
        return datasets.DatasetInfo(
            description=sys.modules[self.__module__].__doc__,
            features=datasets.Features(features),
            homepage=self.HOMEPAGE,
            license=self.LICENSE,
            citation=self.CITATION,
        )

    def splits(self) -> dict[str, dict[str, Any]]:
        """The keyword arguments of `read` for each split."""
        return {split: {"split": split, "path": path} for split, path in self.files(self.config).items()}

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"split": split, "parts": self.parts(source)})
            for split, source in self.splits().items()
        ]

    def _generate_tables(self, split: str, parts: Sequence[dict[str, Any]]) -> Iterator[tuple[int, pa.Table]]:
        """The rows of a split in tables of limited size. A build reads them from its parts on disk."""
        if self._is_building:
            paths = [path for path, _ in self.write_parts(split, parts)]
            batches = (batch for path in paths for batch in read_part(path).to_batches())
        else:
            schema = self.info.features.arrow_schema
            batches = (batch for source in parts for batch in batches_of(self.rows_of(**source), schema))
        for number, batch in enumerate(batches):
            yield number, pa.Table.from_batches([batch])

    def rows_of(self, **source: Any) -> Iterator[dict[str, Any]]:
        """The rows of one part."""
        ids: set[str] = set()
        n_utterances = 0
        for dialogue in self.read(**source):
            row = self.row(dialogue)
            if dialogue.dialogue_id in ids:
                where = dialogue.utterances[0].where
                raise ValueError(
                    f"{where}: two dialogues have the same dialogue_id; got {dialogue.dialogue_id!r}; make it unique"
                )
            yield row
            ids.add(dialogue.dialogue_id)
            n_utterances += len(dialogue.utterances)
        self.note("dialogues", len(ids))
        self.note("utterances", n_utterances)

    def parts(self, source: dict[str, Any]) -> list[dict[str, Any]]:
        """Divide the source of a split into parts, which processes can build in parallel."""
        return [source]

    def part_report(self) -> dict[str, Any]:
        """Additional entries of the report of a part, besides its rows and notes."""
        return {}

    def write_part(self, task: tuple[Path, dict[str, Any]]) -> dict[str, Any]:
        """Write one part with its notes, unless it is already complete.

        Args:
            task: The file to write, and the arguments of `read` for its dialogues.

        Returns:
            The report of the part: its rows, its digest, its notes and the entries of `part_report`.
        """
        path, source = task
        notes, self._notes = self._notes, Counter()
        try:
            schema = self.info.features.arrow_schema
            return write_part(
                path, self.rows_of(**source), schema, lambda: {"notes": self._notes, **self.part_report()}
            )
        finally:
            self._notes = notes

    def write_parts(self, name: str, sources: Sequence[dict[str, Any]]) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Write the parts, and yield the file and the report of each.

        After an interruption, `datasets` starts again. This method continues after the parts that are complete.
        """
        tasks = [(self.parts_folder / f"{name}-{number:05d}.arrow", source) for number, source in enumerate(sources)]
        reports = (
            on_ray(self.write_part, tasks) if self._on_ray else in_processes(self.write_part, tasks, self._num_proc)
        )
        quiet = True if len(tasks) == 1 else None  # `datasets` already shows the number of rows
        bar = datasets.utils.tqdm(reports, total=len(tasks), desc=f"{self.corpus}: {name}", disable=quiet)
        for (path, _), report in zip(tasks, bar, strict=True):
            self._notes.update(report["notes"])
            yield path, report

    def row(self, dialogue: Dialogue) -> dict:
        """Convert a dialogue to a row of the dataset. Raises ValueError for an invalid dialogue."""
        dialogue_id, utterances, negatives, _ = dialogue
        if not utterances:
            raise ValueError(f"{self.corpus}: dialogue without utterances; got {dialogue_id!r}; remove it")
        for utterance in utterances:
            if not utterance.text.strip() and self.KEEPS_BLANK:
                self.note("utterances without a character")
            elif not utterance.text.strip():
                raise ValueError(f"{utterance.where}: empty utterance; got {utterance.text!r}; fill it in or remove it")
        row: dict[str, Any] = {
            "dialogue_id": dialogue_id,
            "utterances": [utterance.text for utterance in utterances],
            "speakers": [utterance.speaker for utterance in utterances],
        }
        labels = [self.label_id(utterance) for utterance in utterances]
        if self.LABELS is not None:
            row["labels"] = labels
        if self.VOTES:
            row["label_distributions"] = [self.distribution(utterance) for utterance in utterances]
        if self.NEGATIVES:
            row["negatives"] = negatives
        return row

    def distribution(self, utterance: Utterance) -> list[float]:
        """The share of the votes for each label, in the order of the ids; empty without votes."""
        votes = [(utterance.votes or {}).get(label, 0) for label in self.LABELS or []]
        return [count / sum(votes) for count in votes] if any(votes) else []

    def label_id(self, utterance: Utterance) -> int:
        """The id of the label of an utterance, or -1 without a label. Raises a ValueError for an unknown label."""
        if utterance.label is None:
            return -1
        labels = self.LABELS or []
        if utterance.label not in labels:
            known = ", ".join(labels) or "none, because train has no labels"
            raise ValueError(f"{utterance.where}: unknown label; got {utterance.label!r}; known labels: {known}")
        return labels.index(utterance.label)
