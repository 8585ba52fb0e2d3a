"""Atomic writes: a file or a new folder is written completely or not at all.

Everything is written under a temporary name, synced to disk, and then renamed. `replaced_files` replaces several files
of a folder: each is complete at all times, but after an interruption some may be new and others old.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# The end of the name of a folder while it is replaced.
ASIDE = ".old"
# The name, in a folder, of what is written before it moves to the folder.
STAGING = "new-files"
FULL = (errno.ENOSPC, errno.EDQUOT)
# In the messages of libraries whose errors have no such number: tokenizers, and `datasets`, which looks in advance.
FULL_MESSAGES = (*(os.strerror(number) for number in FULL), "Not enough disk space")


class DiskFullError(OSError):
    """A file could not be written because its disk is full."""

    def __init__(self, message: str):
        super().__init__(message)
        self.errno = errno.ENOSPC


@contextmanager
def disk_full_errors(path: str | Path) -> Iterator[None]:
    """Raise a [`DiskFullError`] that names the path and says what to do if the disk of the path becomes full."""
    try:
        yield
    except DiskFullError:
        raise
    except Exception as error:
        if not says_disk_is_full(error):
            raise
        raise DiskFullError(
            f"{path} could not be written: the disk is full; make room, and run the same command again"
        ) from error


@contextmanager
def whole_file(path: Path, is_alone: bool = False) -> Iterator[Path]:
    """Yield a path to write to. The file is renamed to `path` once it is on disk. After an error, nothing remains.

    What killed processes left of the file is removed.

    Args:
        path: The path of the file.
        is_alone: Whether no other process writes the same file at the same time. Then its temporary name is always the
            same.
    """
    partial = partial_path(path if is_alone else path.with_name(f"{path.name}.{os.getpid()}"))
    try:
        with disk_full_errors(path), open(partial, "wb") as held:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(held, fcntl.LOCK_EX)
            remove_leftovers(path)
            yield partial
            sync(partial)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes left of a file. A process that is still writing holds a lock on what it wrote."""
    name = re.compile(rf"\.{re.escape(path.name)}\.\d+\.partial")
    for partial in [other for other in path.parent.iterdir() if name.fullmatch(other.name)]:
        with suppress(OSError), open(partial, "r+b") as left:
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            partial.unlink()


@contextmanager
def whole_folder(folder: Path, replace: bool = True) -> Iterator[Path]:
    """Yield an empty folder to write into. It is renamed to `folder` once everything in it is on disk.

    After an error, nothing of it remains, and an existing `folder` is unchanged. After a kill, [`restore_folders`]
    brings back a folder that was being replaced.

    Args:
        folder: The folder to create.
        replace: Delete the files of an existing `folder`. Otherwise, it must be new or empty, and files that appeared
            there in the meantime cause an OSError and stay.
    """
    if not replace:
        folder = check_new_folder(folder)
        if folder.exists():
            # It stays where it is, because it may be a mount point, or the working folder of a shell.
            with replaced_files(folder) as partial:
                yield partial
                check_new_folder(folder)
            return
    partial = partial_path(folder)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        with disk_full_errors(folder):
            partial.mkdir(parents=True)
            yield partial
            for path in (*(path for path in partial.rglob("*") if path.is_file()), partial):
                sync(path)
        if not replace and folder.exists():
            folder.rmdir()
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    aside = folder.with_name(f".{folder.name}{ASIDE}")
    shutil.rmtree(aside, ignore_errors=True)
    if folder.exists():
        folder.rename(aside)
    partial.rename(folder)
    sync(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def check_new_folder(folder: str | Path) -> Path:
    """Check that a folder is new or empty, and return its path without links.

    Raises:
        FileExistsError: It is a file, or a folder that is not empty.
    """
    path = Path(folder).resolve()
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{folder}: is a file; use a folder")
    # What a killed process left of a write is no content: the next write replaces it.
    if path.is_dir() and any(entry != partial_path(path / STAGING) for entry in path.iterdir()):
        raise FileExistsError(f"{folder}: the folder is not empty; use another folder")
    return path


def restore_folders(parent: Path, *names: str) -> None:
    """Give folders that a kill left aside while [`whole_folder`] replaced them their names back.

    Those that have been replaced are removed. Several processes may call this at once.

    Args:
        parent: The folder that they are in.
        names: Their names, as patterns such as `*`.
    """
    for aside in [path for name in names for path in parent.glob(f".{name}{ASIDE}")]:
        folder = aside.with_name(aside.name[1:].removesuffix(ASIDE))
        if folder.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            with suppress(FileNotFoundError):  # another process was faster
                aside.rename(folder)


@contextmanager
def replaced_files(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to write into. Its files then replace those of `folder`, one after another."""
    with whole_folder(folder / STAGING) as staging:
        yield staging
    for path in (folder / STAGING).iterdir():
        path.replace(folder / path.name)
    sync(folder)
    shutil.rmtree(folder / STAGING)


def partial_path(path: Path) -> Path:
    """The temporary path of a file or folder."""
    return path.with_name(f".{path.name}.partial")


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON in UTF-8. The file is complete or unchanged."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    with whole_file(path) as partial:
        # A file name may contain bytes that are not UTF-8. They are escaped in JSON.
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_json(path: Path) -> Any:
    """Read a JSON file in UTF-8.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not JSON or not UTF-8.
    """
    return json.loads(path.read_text(encoding="utf-8"))


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            total.update(block)
    return total.hexdigest()


def sync(path: Path) -> None:
    """Sync a file, or the entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """Create a hard link to a file that never changes, or a copy if the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def says_disk_is_full(error: BaseException) -> bool:
    """Whether an error says that a disk is full, in its number or in its message."""
    return getattr(error, "errno", None) in FULL or any(message in str(error) for message in FULL_MESSAGES)


def disk_is_full(error: BaseException, folder: Path) -> bool:
    """Whether an error of a library that writes into the folder means that its disk is full."""
    if says_disk_is_full(error):
        return True
    return shutil.disk_usage(folder).free < 2**20
