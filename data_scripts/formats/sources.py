"""The files of a folder, a zip, a tar or a bucket, by their names in it."""

import gzip
import hashlib
import os
import tarfile
import tempfile
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, cast

import fsspec

from .reading import fingerprint

# What reading a damaged file raises.
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


class Source:
    """Where files are: a folder, one file, a zip, or an address that `fsspec` knows, such as `s3://bucket/folder`."""

    def __init__(self, where: str):
        self.where = where
        try:
            if "://" not in where and where.lower().endswith(".zip"):
                # `fsspec` would give the one that it opened before, though the file be another now.
                self.fs, self.root = fsspec.filesystem("zip", fo=where, skip_instance_cache=True), ""
            else:
                self.fs, self.root = fsspec.url_to_fs(where)
        except zipfile.BadZipFile as error:
            raise ValueError(f"{where}: a truncated zip or none; got {error}; get it again") from None
        self.root, self.file = self.root.rstrip("/"), None
        if self.root and self.fs.isfile(self.root):
            self.root, _, self.file = self.root.rpartition("/")

    def sizes(self) -> dict[str, int]:
        """The names of all files and their sizes in bytes, in the order of the names."""
        if self.file:
            return {self.file: self.fs.size(f"{self.root}/{self.file}")}
        start = len(self.root) + 1 if self.root else 0
        # Folder by folder, as what is known of each file is long.
        folders = self.fs.walk(self.root, detail=True, on_error="raise")
        found = (info for _, _, files in folders for info in files.values())
        return dict(sorted((info["name"][start:], info["size"] or 0) for info in found))

    def open(self, name: str) -> BinaryIO:
        """The content of a file, unpacked where the name ends in .gz."""
        file = self.fs.open(f"{self.root}/{name}" if self.root else name, "rb")
        return cast(BinaryIO, gzip.open(file)) if name.lower().endswith(".gz") else file

    def read(self, name: str) -> bytes:
        try:
            with self.open(name) as file:
                return file.read()
        except (RuntimeError, KeyError) as error:  # a zip's member that is encrypted, say
            raise zipfile.BadZipFile(str(error)) from None


def source(where: str) -> Source:
    """One a process and state of the file, which reads the list of a zip once.

    A forked process must not have the open zip of the one that it comes from: they would move each other's place.
    """
    state = os.stat(where) if os.path.isfile(where) else None
    return _source(where, os.getpid(), state and (state.st_ino, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=4)
def _source(where: str, *key: object) -> Source:
    return Source(where)


def fingerprint_of(where: str) -> str:
    """Changes with a name, size or date of any file there."""
    if "://" not in where:
        return fingerprint([Path(where)])
    fs, root = fsspec.url_to_fs(where)
    found = fs.find(root, detail=True)
    keys = ("size", "mtime", "LastModified", "ETag", "created")
    states = [f"{path} {[info.get(key) for key in keys]}" for path, info in sorted(found.items())]
    return hashlib.sha256("\n".join(states).encode()).hexdigest()[:16]


def is_tar(path: Path) -> bool:
    return path.is_file() and any(suffix in (".tar", ".tgz") for suffix in path.suffixes)


def unpacked(path: Path, folder: Path) -> Path:
    """The folder with a tar's files, which is there whole or not at all."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as beside, tarfile.open(path) as archive:
            archive.extractall(Path(beside, "files"), filter="data")
            Path(beside, "files").rename(folder)
    return folder
