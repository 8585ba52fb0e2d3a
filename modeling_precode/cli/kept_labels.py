"""The labels that `precode predict --resume` saves until the output is complete.

They are in `FILE.part`, beside the output. Its first line is a JSON object with everything that the labels depend on.
Each further line has the labels of the dialogues of one batch. A process that is killed loses at most one line. The
next one continues with the same batches, and therefore has the same results.
"""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from data_scripts.building.dialogues import Dialogue, Utterance
from data_scripts.tools.digests import changes, text_digest
from data_scripts.tools.whole_files import digest

logger = logging.getLogger(__name__)


@contextmanager
def kept_labels(output: Path, depends_on: dict[str, Any]) -> Iterator["KeptLabels"]:
    """Keep labels beside an output. They are deleted after the block, unless it raises an error.

    Args:
        output: The output file.
        depends_on: The values that the labels depend on, by their names in messages.

    Raises:
        ValueError: Another process keeps labels for this output, or the labels are damaged or from another run.
    """
    path = output.with_name(f"{output.name}.part")
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(f"--resume: another process writes {path}; wait for it, or use another --output") from None
    try:
        with open(path, "a+b") as file:
            kept = KeptLabels(path, file, depends_on)
            try:
                yield kept
            except BaseException:
                logger.info("the labels of %s utterances are kept in %s", f"{kept.utterances:,}", path)
                raise
        path.unlink()
    finally:
        # Before the lock is released, so that no other process holds it.
        with suppress(OSError):
            os.unlink(lock.lock_file)
        lock.release()


class KeptLabels:
    """The labels of the first dialogues of a file, to which new ones are added.

    Args:
        path: The path of the file with the labels.
        file: The file, open for reading and appending.
        depends_on: The values that the labels depend on, by their names in messages.

    Raises:
        ValueError: The file is damaged, or its labels depend on other values.
    """

    def __init__(self, path: Path, file: IO[bytes], depends_on: dict[str, Any]):
        self.path, self.file, self.utterances = path, file, 0
        end = 0
        self.file.seek(0)
        for number, line in enumerate(self.file, start=1):
            if not line.endswith(b"\n"):
                break  # a process was killed while it wrote this line
            try:
                content = json.loads(line)
                self.utterances += sum(map(len, content)) if number > 1 else 0
            except (ValueError, TypeError):
                raise ValueError(
                    f"--resume: {self.path}:{number}: damaged; got {line[:40]!r}; delete the file to start again"
                ) from None
            if number == 1 and (different := changes(content, json.loads(json.dumps(depends_on)))):
                raise ValueError(
                    f"--resume: {self.path} has the labels of another run: {different}. Use the earlier value, or "
                    "delete the file to start again"
                )
            end += len(line)
        self.file.truncate(end)
        if not end:
            self.write_line(depends_on)

    def write_line(self, content: Any) -> None:
        """Append a line of JSON, and sync it to disk."""
        self.file.write(json.dumps(content).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def add(self, dialogues: Sequence[list[dict]]) -> None:
        """Save the turns of dialogues that went through the model together."""
        self.write_line([[label_in(turn) for turn in turns] for turns in dialogues])
        self.utterances += sum(map(len, dialogues))

    def labeled(self, dialogues: Iterator[Dialogue]) -> Iterator[tuple[Dialogue, list[dict]]]:
        """Yield the first dialogues, each with its turns as the pipeline returned them."""
        with open(self.path, "rb") as file:
            for line in islice(file, 1, None):
                for labels in json.loads(line):
                    dialogue = next(dialogues)
                    turns = zip(dialogue.utterances, labels, strict=True)
                    yield dialogue, [as_turn(utterance) | label for utterance, label in turns]


def as_turn(utterance: Utterance) -> dict[str, Any]:
    """Convert an utterance to the form that the pipeline takes and returns with its label."""
    return {"speaker": utterance.speaker, "text": utterance.text} if utterance.speaker else {"text": utterance.text}


def label_in(turn: dict[str, Any]) -> dict[str, Any]:
    """The part of a result that the pipeline added to an utterance."""
    return {name: value for name, value in turn.items() if name not in ("speaker", "text")}


def folder_digest(folder: Path) -> str:
    """A digest of the files of a checkpoint. Its name does not identify its weights."""
    return text_digest(f"{path.name} {digest(path)}" for path in sorted(folder.iterdir()) if path.is_file())
