"""The files of a folder, a zip, a tar or a bucket, by their names in it."""

import gzip
import hashlib
import os
import re
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from ..tools.whole_files import read_json, write_json
from .limits import FREE_BYTES, Limits, limited
from .reading import file_states_digest

# What reading a damaged file raises.
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)

IRREGULAR, TOO_LARGE = "files dropped for not being regular files", "files dropped for their size"
LEFT_OUT = ".left_out.json"


class Source:
    """The location of files: a folder, a file, a zip, or an address for `fsspec`, such as `s3://bucket/folder`."""

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

    def is_regular(self, name: str) -> bool:
        """Whether reading a file ends: not a FIFO or a device, nor a link to one."""
        if not isinstance(self.fs, LocalFileSystem):
            return True
        try:
            return stat.S_ISREG(os.stat(self.path(name)).st_mode)
        except OSError:
            return False

    def path(self, name: str) -> str:
        return f"{self.root}/{name}" if self.root else name

    def open(self, name: str, limits: Limits, is_streamed: bool = False) -> BinaryIO:
        """The content of a file, unpacked where the name ends in .gz.

        Reading more than the limits allow raises `TooLargeError`; where `is_streamed`, the ratio alone is limited.
        """
        info = self.fs.info(self.path(name))
        packed = self.fs.open(self.path(name), "rb")
        file = gzip.GzipFile(fileobj=packed) if name.lower().endswith(".gz") else packed
        return limited(file, info.get("compress_size") or info["size"] or 0, limits, is_streamed)

    def read(self, name: str, limits: Limits) -> bytes:
        try:
            with self.open(name, limits) as file:
                return file.read()
        except (RuntimeError, KeyError) as error:  # a zip's member that is encrypted, say
            raise zipfile.BadZipFile(str(error)) from None


def source(where: str) -> Source:
    """The source of a location, one per process and state of the file, so that a zip is listed once.

    A forked process must not have the open zip of the one that it comes from: they would move each other's place.
    """
    state = os.stat(where) if os.path.isfile(where) else None
    return _source(where, os.getpid(), state and (state.st_ino, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=4)
def _source(where: str, *key: object) -> Source:
    return Source(where)


def source_states_digest(where: str) -> str:
    """A digest of the names, sizes and dates of all files at a location."""
    if "://" not in where:
        return file_states_digest([Path(where)])
    fs, root = fsspec.url_to_fs(where)
    found = fs.find(root, detail=True)
    keys = ("size", "mtime", "LastModified", "ETag", "created")
    states = [f"{path} {[info.get(key) for key in keys]}" for path, info in sorted(found.items())]
    return hashlib.sha256("\n".join(states).encode()).hexdigest()[:16]


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, by its suffixes (.tar, .tgz, .tar.gz, ...)."""
    return path.is_file() and any(suffix in (".tar", ".tgz") for suffix in path.suffixes)


class TarMembers:
    """Selects the members of a tar to unpack: regular files, and links to them, by name and size.

    What is left out is counted in `left_out`.
    """

    def __init__(self, path: Path, wanted: re.Pattern, limits: Limits):
        self.wanted, self.limits, self.left_out = wanted, limits, Counter[str]()
        self.bytes_left = max(limits.max_ratio * path.stat().st_size, FREE_BYTES)

    def __call__(self, member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
        if not self.wanted.search(member.name):
            return None
        if not (member.isfile() or member.islnk() or member.issym()):
            self.left_out[IRREGULAR] += 1
            return None
        # Of a sparse file the tar has some parts only.
        regions: Any = member.sparse
        stored = member.size if regions is None else sum(size for _, size in regions)
        is_text = member.name.lower().endswith(".txt")  # read in blocks
        most = max(self.limits.max_ratio * stored, FREE_BYTES)
        if member.size > min(most, self.bytes_left) or (member.size > self.limits.max_unfolded and not is_text):
            self.left_out[TOO_LARGE] += 1
            return None
        self.bytes_left -= member.size
        return tarfile.data_filter(member, folder)


def unpacked(path: Path, folder: Path, wanted: re.Pattern, limits: Limits) -> tuple[Path, Counter[str]]:
    """Unpack the selected files of a tar, all or none. Returns the folder and the counts of the others."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as beside, tarfile.open(path) as archive:
            members = TarMembers(path, wanted, limits)
            archive.extractall(Path(beside, "files"), filter=members)
            Path(beside, "files").mkdir(exist_ok=True)
            write_json(Path(beside, "files", LEFT_OUT), members.left_out)
            Path(beside, "files").rename(folder)
    return folder, Counter(read_json(folder / LEFT_OUT))
