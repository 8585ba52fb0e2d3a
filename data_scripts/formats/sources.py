"""Reads files by name from a folder, a zip, a tar or a bucket."""

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
from fsspec.implementations.zip import ZipFileSystem

from ..tools.whole_files import read_json, write_json
from .limits import FREE_BYTES, Limits, check_members, limited
from .reading import file_states_digest

# The errors that reading a damaged file raises.
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)

IRREGULAR, TOO_LARGE = "files dropped for not being regular files", "files dropped for their size"
LEFT_OUT = ".left_out.json"


class Source:
    """The location of files: a folder, a file, a zip, or an address for `fsspec`, such as `s3://bucket/folder`."""

    def __init__(self, where: str):
        self.where = where
        try:
            if "://" not in where and where.lower().endswith(".zip"):
                # Otherwise `fsspec` returns a zip that it opened before, even if the file has changed.
                self.fs, self.root = fsspec.filesystem("zip", fo=where, skip_instance_cache=True), ""
            else:
                self.fs, self.root = fsspec.url_to_fs(where)
        except zipfile.BadZipFile as error:
            raise ValueError(f"{where}: a truncated zip, or not a zip; got {error}; download it again") from None
        self.root, self.file = self.root.rstrip("/"), None
        if self.root and self.fs.isfile(self.root):
            self.root, _, self.file = self.root.rpartition("/")

    def sizes(self, limits: Limits) -> dict[str, int]:
        """The names of all files and their sizes in bytes, in the order of the names.

        Raises:
            TooLargeError: A zip has more files than `max_members`.
        """
        if self.file:
            return {self.file: self.fs.size(f"{self.root}/{self.file}")}
        if isinstance(self.fs, ZipFileSystem):
            check_members(self.where, len(self.fs.zip.namelist()), limits)
        start = len(self.root) + 1 if self.root else 0
        # Folder by folder, because the information on all files would need much memory.
        folders = self.fs.walk(self.root, detail=True, on_error="raise")
        found = (info for _, _, files in folders for info in files.values())
        return dict(sorted((info["name"][start:], info["size"] or 0) for info in found))

    def is_regular(self, name: str) -> bool:
        """Whether a file is regular: not a FIFO or a device, which may never end, and not a link to one."""
        if not isinstance(self.fs, LocalFileSystem):
            return True
        try:
            return stat.S_ISREG(os.stat(self.path(name)).st_mode)
        except OSError:
            return False

    def path(self, name: str) -> str:
        """The full path of a file in the file system of `fsspec`."""
        return f"{self.root}/{name}" if self.root else name

    def open(self, name: str, limits: Limits, is_streamed: bool = False) -> BinaryIO:
        """Open a file. It is decompressed if the name ends in .gz.

        Reading beyond the limits raises a `TooLargeError`. With `is_streamed`, only the ratio is limited.
        """
        info = self.fs.info(self.path(name))
        packed = self.fs.open(self.path(name), "rb")
        file = gzip.GzipFile(fileobj=packed) if name.lower().endswith(".gz") else packed
        return limited(file, info.get("compress_size") or info["size"] or 0, limits, is_streamed)

    def read(self, name: str, limits: Limits) -> bytes:
        """Read a whole file within the limits. Raises an error of `DAMAGED` if it cannot be read."""
        try:
            with self.open(name, limits) as file:
                return file.read()
        except (RuntimeError, KeyError) as error:  # for example, an encrypted file in a zip
            raise zipfile.BadZipFile(str(error)) from None


def source(where: str) -> Source:
    """The source of a location. It is cached per process and state of the file, so that a zip is listed once.

    A forked process must not share the open zip of its parent, because both would share one position in the file.
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
    """Selects the members of a tar to unpack: regular files and links to them, by name and size.

    The other members with a wanted name are counted in `left_out`.
    """

    def __init__(self, path: Path, wanted: re.Pattern, limits: Limits):
        self.wanted, self.limits, self.left_out = wanted, limits, Counter[str]()
        self.bytes_left = max(limits.max_ratio * path.stat().st_size, FREE_BYTES)

    def __call__(self, member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
        """Return the member if it is unpacked, else None. This is the interface of a filter of `tarfile`."""
        if not self.wanted.search(member.name):
            return None
        if not (member.isfile() or member.islnk() or member.issym()):
            self.left_out[IRREGULAR] += 1
            return None
        # The tar contains only the non-empty regions of a sparse file.
        regions: Any = member.sparse
        stored = member.size if regions is None else sum(size for _, size in regions)
        is_text = member.name.lower().endswith(".txt")  # text is read in blocks
        most = max(self.limits.max_ratio * stored, FREE_BYTES)
        if member.size > min(most, self.bytes_left) or (member.size > self.limits.max_unfolded and not is_text):
            self.left_out[TOO_LARGE] += 1
            return None
        self.bytes_left -= member.size
        return tarfile.data_filter(member, folder)


def unpack(path: Path, folder: Path, wanted: re.Pattern, limits: Limits) -> tuple[Path, Counter[str]]:
    """Unpack the selected files of a tar, all of them or none.

    Args:
        path: The tar.
        folder: The folder to create. If it exists, the tar is already unpacked there.
        wanted: The pattern of the names to unpack.
        limits: The limits for the sizes of the files.

    Returns:
        The folder, and the counts of the files that were left out.

    Raises:
        TooLargeError: The tar has more files than `max_members`.
    """
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as beside, tarfile.open(path) as archive:
            # A small tar may have very many files, and their list is in memory.
            for count, _ in enumerate(archive, start=1):
                check_members(path, count, limits)
            members = TarMembers(path, wanted, limits)
            archive.extractall(Path(beside, "files"), filter=members)
            Path(beside, "files").mkdir(exist_ok=True)
            write_json(Path(beside, "files", LEFT_OUT), members.left_out)
            Path(beside, "files").rename(folder)
    return folder, Counter(read_json(folder / LEFT_OUT))
