"""A Hub on loopback that speaks the protocol of `huggingface_hub`, for tests of a whole exchange with the real client.

    hub = HubServer()                      # HF_ENDPOINT=hub.address
    hub.tokens["hf_..."] = ("someone", "write")
    hub.fail("POST", "/commit/", 500)      # the next such request, once
    hub.cut("GET", "/store/", after=1000)  # the connection ends in the middle of the answer
    hub.files("someone/model")             # path -> bytes

Files go to the Hub in git, or, where they are large or hold weights, to a store of their own: in one piece, or in parts
from `multipart_from` bytes on. Reading them leads, as on the Hub, to another host, which gets no token. Xet, the Hub's
other way for large files, is no plain HTTP and not spoken here: `HF_HUB_DISABLE_XET=1`.
"""

import base64
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hub_metadata import problems
from hub_repositories import RefusedError, Repository, StoredFile

LARGE_FROM = 10 * 2**20
LARGE_SUFFIXES = (".safetensors", ".bin", ".parquet")
ID = r"(?P<repo_id>[\w.-]+/[\w.-]+)"
API = rf"/api/(?P<kind>model|dataset)s/{ID}"
WEB = rf"/(?:(?P<kind>dataset)s/)?{ID}"


@dataclass
class Failure:
    """What befalls the next `times` requests whose method and path fit."""

    method: str
    path: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    times: int = 1


@dataclass
class Request:
    method: str
    path: str
    host: str
    token: str
    body: bytes


class HubServer:
    def __init__(self):
        self.tokens: dict[str, tuple[str, str]] = {}  # token -> its user and role, "read" or "write"
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.store: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.failures: list[Failure] = []
        self.multipart_from = 2**40
        self.part_size = 2**20
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (HubHandler,), {"hub": self}))
        self.port = self.server.server_port
        self.address = f"http://127.0.0.1:{self.port}"
        self.store_address = f"http://localhost:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def files(self, repo_id: str, revision: str = "main", kind: str = "model") -> dict[str, bytes]:
        commit = self.repositories[kind, repo_id].at(revision)
        return {path: file.data for path, file in commit.files.items()}

    def add(self, repo_id: str, folder: Path, is_private: bool = False) -> None:
        """The files of a folder as a repository, as a push would have left them."""
        files = {
            path.name: StoredFile(path.read_bytes(), path.name.endswith(LARGE_SUFFIXES)) for path in folder.iterdir()
        }
        self.store |= {file.sha256: file.data for file in files.values() if file.is_large}
        self.repositories["model", repo_id] = repository = Repository(repo_id, is_private)
        repository.commit("main", {"summary": "a push"}, files, [])

    def fail(self, method: str, path: str, status: int, times: int = 1, **headers: str) -> None:
        self.failures.append(Failure(method, path, status, headers, times=times))

    def cut(self, method: str, path: str, after: int, times: int = 1) -> None:
        self.failures.append(Failure(method, path, cut_after=after, times=times))

    def failure(self, method: str, path: str) -> Failure | None:
        for failure in self.failures:
            if failure.times and failure.method == method and re.search(failure.path, path):
                failure.times -= 1
                return failure
        return None


ROUTES: list[tuple[str, str, Callable]] = []


def route(method: str, pattern: str) -> Callable:
    def add(function: Callable) -> Callable:
        ROUTES.append((method, pattern, function))
        return function

    return add


class HubHandler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def answer_request(self) -> None:
        parts = urlsplit(self.path)
        self.route_path, self.query = parts.path, parse_qs(parts.query)
        failure = self.hub.failure(self.command, self.route_path)
        if failure and failure.cut_after is not None and self.command != "GET":
            self.rfile.read(min(failure.cut_after, int(self.headers.get("Content-Length", 0))))
            self.close_connection = True
            return
        self.cut_after = failure.cut_after if failure else None
        self.body = self.read_body()
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        host = self.headers.get("Host", "").partition(":")[0]
        self.hub.requests.append(Request(self.command, self.route_path, host, token, self.body))
        try:
            if failure and failure.status:
                raise RefusedError(failure.status, "a failure that the test asked for", **failure.headers)
            self.user, self.role = self.who(token)
            for method, pattern, function in ROUTES:
                found = re.fullmatch(pattern, self.route_path)
                if found and method == ("GET" if self.command == "HEAD" else self.command):
                    return function(self, **{name: unquote(text or "") for name, text in found.groupdict().items()})
            raise RefusedError(404, f"no such address: {self.command} {self.route_path}")
        except RefusedError as error:
            headers = {"X-Error-Message": str(error), **error.headers}
            if error.code:
                headers["X-Error-Code"] = error.code
            self.answer({"error": str(error)}, error.status, **headers)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer_request

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def who(self, token: str) -> tuple[str, str]:
        if token and token not in self.hub.tokens:
            raise RefusedError(401, "Invalid credentials in Authorization header")
        return self.hub.tokens.get(token, ("", ""))

    def repository(self, kind: str, repo_id: str, write: bool = False) -> Repository:
        """One that the request's user may read, or write to."""
        repository = self.hub.repositories.get((kind or "model", repo_id))
        if repository is None or (repository.is_private and self.user != repository.owner):
            # The Hub does not tell a stranger that something is there.
            raise RefusedError(404 if self.user else 401, "Repository not found", "RepoNotFound")
        if write and (self.user != repository.owner or self.role != "write"):
            raise RefusedError(403, "you don't have the rights to write here" if self.user else "log in first")
        return repository

    def answer(self, content: Any, status: int = 200, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(data), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.cut_after is not None and self.cut_after < len(data):
            data, self.close_connection = data[: self.cut_after], True
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass

    @route("GET", "/api/whoami-v2")
    def whoami(self) -> None:
        if not self.user:
            raise RefusedError(401, "Invalid username or password.")
        access = {"displayName": "test", "role": self.role}
        self.answer({"type": "user", "name": self.user, "orgs": [], "auth": {"accessToken": access}})

    @route("POST", "/api/validate-yaml")
    def validate(self) -> None:
        found = problems(json.loads(self.body)["content"])
        self.answer({"errors": [{"message": text} for text in found], "warnings": []}, 400 if found else 200)

    @route("POST", "/api/repos/create")
    def create(self) -> None:
        asked = json.loads(self.body)
        kind, repo_id = asked.get("type") or "model", f"{asked.get('organization') or self.user}/{asked['name']}"
        address = f"{self.hub.address}/{'datasets/' * (kind == 'dataset')}{repo_id}"
        if not self.user:
            raise RefusedError(401, "Invalid username or password.")
        if self.role != "write" or repo_id.split("/")[0] != self.user:
            raise RefusedError(403, f"You don't have the rights to create a {kind} under the namespace of {repo_id}")
        if (kind, repo_id) in self.hub.repositories:
            return self.answer({"error": f"You already created this {kind} repo", "url": address}, 409)
        is_private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.hub.repositories[kind, repo_id] = Repository(repo_id, is_private)
        self.answer({"url": address, "id": repo_id, "name": repo_id})

    @route("DELETE", "/api/repos/delete")
    def delete(self) -> None:
        asked = json.loads(self.body)
        kind, repo_id = asked.get("type") or "model", f"{asked.get('organization') or self.user}/{asked['name']}"
        self.repository(kind, repo_id, write=True)
        del self.hub.repositories[kind, repo_id]
        self.answer({})

    @route("PUT", f"{API}/settings")
    def settings(self, kind: str, repo_id: str) -> None:
        asked = json.loads(self.body)
        repository = self.repository(kind, repo_id, write=True)
        repository.is_private = asked.get("visibility", "public") == "private" or bool(asked.get("private"))
        self.answer({})

    @route("GET", rf"{API}(?:/revision/(?P<revision>[^/]+))?")
    def info(self, kind: str, repo_id: str, revision: str) -> None:
        repository = self.repository(kind, repo_id)
        commit = repository.at(revision or "main")
        siblings = [{"rfilename": path} for path in commit.files]
        entry = {"id": repo_id, "sha": commit.oid, "private": repository.is_private, "tags": [], "siblings": siblings}
        self.answer(entry)

    @route("GET", rf"{API}/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?")
    def tree(self, kind: str, repo_id: str, revision: str, folder: str) -> None:
        recursive = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        self.answer(self.repository(kind, repo_id).tree(revision, folder, recursive))

    @route("POST", f"{API}/paths-info/(?P<revision>[^/]+)")
    def paths(self, kind: str, repo_id: str, revision: str) -> None:
        files = self.repository(kind, repo_id).at(revision).files
        asked = parse_qs(self.body.decode()).get("paths", [])
        self.answer([files[path].described(path) for path in asked if path in files])

    @route("GET", f"{API}/refs")
    def refs(self, kind: str, repo_id: str) -> None:
        repository = self.repository(kind, repo_id)
        named = {"branches": ("heads", repository.branches), "tags": ("tags", repository.tags)}
        found = {
            key: [{"name": n, "ref": f"refs/{folder}/{n}", "targetCommit": c.oid} for n, c in commits.items()]
            for key, (folder, commits) in named.items()
        }
        self.answer({**found, "converts": []})

    @route("GET", f"{API}/commits/(?P<revision>[^/]+)")
    def commits(self, kind: str, repo_id: str, revision: str) -> None:
        history = self.repository(kind, repo_id).at(revision).history()
        common = {"authors": [], "date": "2026-01-01T00:00:00.000Z"}
        self.answer([{"id": c.oid, "title": c.title, "message": c.message, **common} for c in history])

    @route("POST", f"{API}/(?P<what>branch|tag)/(?P<name>[^/]+)")
    def name_commit(self, kind: str, repo_id: str, what: str, name: str) -> None:
        asked = json.loads(self.body or b"{}")
        repository = self.repository(kind, repo_id, write=True)
        revision = asked.get("startingPoint", "main") if what == "branch" else name
        named, name = (repository.branches, name) if what == "branch" else (repository.tags, asked["tag"])
        if name in named:
            raise RefusedError(409, f"{what} {name} exists already")
        named[name] = repository.at(revision)
        self.answer({})

    @route("POST", f"{API}/preupload/(?P<revision>[^/]+)")
    def preupload(self, kind: str, repo_id: str, revision: str) -> None:
        self.repository(kind, repo_id, write=True).at(revision)
        modes = {
            file["path"]: file["size"] >= LARGE_FROM or file["path"].endswith(LARGE_SUFFIXES)
            for file in json.loads(self.body)["files"]
        }
        files = [
            {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
            for path, large in modes.items()
        ]
        self.answer({"files": files})

    @route("POST", rf"{WEB}\.git/info/lfs/objects/batch")
    def large_files(self, kind: str, repo_id: str) -> None:
        self.repository(kind, repo_id, write=True)
        self.answer({"transfer": "basic", "objects": [self.large_file(**o) for o in json.loads(self.body)["objects"]]})

    def large_file(self, oid: str, size: int) -> dict:
        """Where a client puts a large file: nowhere if it is there, else in one piece or in parts."""
        entry: dict[str, Any] = {"oid": oid, "size": size}
        if oid in self.hub.store:
            return entry
        href, header = f"{self.hub.address}/store/{oid}", {}
        if size >= self.hub.multipart_from:
            count = -(-size // self.hub.part_size)
            header = {str(number): f"{href}/part/{number}" for number in range(1, count + 1)}
            header["chunk_size"] = str(self.hub.part_size)
            href += "/complete"
        verify = {"href": f"{self.hub.address}/store/{oid}/verify"}
        return {**entry, "actions": {"upload": {"href": href, "header": header}, "verify": verify}}

    @route("PUT", r"/store/(?P<key>\w+(/part/\d+)?)")
    def put(self, key: str) -> None:
        self.hub.store[key] = self.body
        self.answer({}, ETag=f'"{StoredFile(self.body, True).sha256[:32]}"')

    @route("POST", r"/store/(?P<oid>\w+)/complete")
    def complete(self, oid: str) -> None:
        numbers = [part["partNumber"] for part in json.loads(self.body)["parts"]]
        self.hub.store[oid] = b"".join(self.hub.store.pop(f"{oid}/part/{number}") for number in numbers)
        self.answer({})

    @route("POST", r"/store/(?P<oid>\w+)/verify")
    def verify(self, oid: str) -> None:
        if StoredFile(self.hub.store.get(oid, b""), True).sha256 != oid:
            raise RefusedError(400, f"{oid} did not arrive whole")
        self.answer({})

    @route("POST", f"{API}/commit/(?P<branch>[^/]+)")
    def commit(self, kind: str, repo_id: str, branch: str) -> None:
        repository = self.repository(kind, repo_id, write=True)
        header, changed, deleted = {}, {}, []
        for entry in map(json.loads, self.body.splitlines()):
            value = entry["value"]
            if entry["key"] == "header":
                header = value
            elif entry["key"] == "file":
                changed[value["path"]] = StoredFile(base64.b64decode(value["content"]), is_large=False)
            elif entry["key"] == "lfsFile" and value["oid"] in self.hub.store:
                changed[value["path"]] = StoredFile(self.hub.store[value["oid"]], is_large=True)
            elif entry["key"] in ("deletedFile", "deletedFolder"):
                deleted.append(value["path"].rstrip("/") + "/" * (entry["key"] == "deletedFolder"))
            else:
                raise RefusedError(400, f"{entry['key']} {value.get('path')}: unknown, or never uploaded")
        new = repository.commit(branch, header, changed, deleted)
        address = f"{self.hub.address}/{'datasets/' * (kind == 'dataset')}{repo_id}/commit/{new.oid}"
        self.answer({"success": True, "commitOid": new.oid, "commitUrl": address})

    @route("GET", f"{WEB}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
    def resolve(self, kind: str, repo_id: str, revision: str, path: str) -> None:
        repository = self.repository(kind, repo_id)
        file = repository.file(revision, path)
        headers = {"X-Repo-Commit": repository.at(revision).oid, "ETag": f'"{file.etag}"'}
        if not file.is_large:
            return self.answer_range(file.data, **headers)
        headers |= {"X-Linked-ETag": f'"{file.etag}"', "X-Linked-Size": str(len(file.data))}
        self.answer(b"", 302, Location=f"{self.hub.store_address}/store/{file.sha256}?signed", **headers)

    @route("GET", r"/store/(?P<oid>\w+)")
    def stored(self, oid: str) -> None:
        self.answer_range(self.hub.store[oid], ETag=f'"{oid}"')

    def answer_range(self, data: bytes, **headers: str) -> None:
        """A file, or what is left of one from where an earlier download ended."""
        start = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not start:
            return self.answer(data, **headers, Accept_Ranges="bytes")
        first = int(start[1])
        span = f"bytes {first}-{len(data) - 1}/{len(data)}"
        self.answer(data[first:], 206, **headers, Content_Range=span)
