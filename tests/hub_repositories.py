"""What a Hub keeps: repositories of commits, with branches, tags and visibility, and what it says where it refuses."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field


class RefusedError(Exception):
    """An answer that is an error: its status, the Hub's own code for it, and a message."""

    def __init__(self, status: int, message: str, code: str = "", **headers: str):
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers


@dataclass(frozen=True)
class StoredFile:
    data: bytes
    is_large: bool  # kept outside git, which has a pointer to it

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def oid(self) -> str:
        """As git names the file, or the pointer."""
        data = self.data
        if self.is_large:
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(data)}\n"
            data = pointer.encode()
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_large else self.oid

    def described(self, path: str) -> dict:
        entry = {"type": "file", "path": path, "size": len(self.data), "oid": self.oid}
        if self.is_large:
            entry["lfs"] = {"oid": self.sha256, "size": len(self.data), "pointerSize": 134}
        return entry


@dataclass(frozen=True)
class Commit:
    title: str
    message: str
    files: dict[str, StoredFile]
    parents: tuple["Commit", ...] = ()

    @property
    def oid(self) -> str:
        content = "\n".join(f"{path} {self.files[path].oid}" for path in sorted(self.files))
        parents = " ".join(parent.oid for parent in self.parents)
        return hashlib.sha1(f"{parents}\n{self.title}\n{self.message}\n{content}".encode()).hexdigest()

    def history(self) -> Iterable["Commit"]:
        yield self
        for parent in self.parents:
            yield from parent.history()


@dataclass
class Repository:
    repo_id: str
    is_private: bool = False
    branches: dict[str, Commit] = field(default_factory=lambda: {"main": Commit("initial commit", "", {})})
    tags: dict[str, Commit] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        return self.repo_id.split("/")[0]

    def at(self, revision: str) -> Commit:
        """The commit that a branch, a tag or a hash names."""
        if commit := self.branches.get(revision) or self.tags.get(revision):
            return commit
        for head in (*self.branches.values(), *self.tags.values()):
            for commit in head.history():
                if commit.oid == revision:
                    return commit
        raise RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def file(self, revision: str, path: str) -> StoredFile:
        commit = self.at(revision)
        if path not in commit.files:
            raise RefusedError(404, "Entry not found", "EntryNotFound", **{"X-Repo-Commit": commit.oid})
        return commit.files[path]

    def tree(self, revision: str, folder: str, recursive: bool) -> list[dict]:
        """Files and folders below a folder, or right in it."""
        prefix = f"{folder}/" if folder else ""
        files = {path: file for path, file in self.at(revision).files.items() if path.startswith(prefix)}
        if prefix and not files:
            raise RefusedError(404, f"{folder} does not exist on {revision}", "EntryNotFound")
        below = [path[len(prefix) :].split("/") for path in files]
        folders = {prefix + "/".join(parts[:depth]) for parts in below for depth in range(1, len(parts))}
        entries = [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in sorted(folders)]
        entries += [files[path].described(path) for path in sorted(files)]
        return [entry for entry in entries if recursive or "/" not in entry["path"][len(prefix) :]]

    def commit(self, branch: str, header: dict, changed: dict[str, StoredFile], deleted: list[str]) -> Commit:
        """A new commit on a branch; a path that ends in a slash stands for all files below it."""
        if branch not in self.branches:
            raise RefusedError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        parent = self.branches[branch]
        if header.get("parentCommit") not in (None, parent.oid):
            raise RefusedError(412, "A commit has happened since. Please refresh and try again.")
        files = {
            path: file
            for path, file in parent.files.items()
            if path not in deleted and not any(path.startswith(name) for name in deleted if name.endswith("/"))
        }
        new = Commit(header["summary"], header.get("description", ""), {**files, **changed}, (parent,))
        self.branches[branch] = new
        return new
