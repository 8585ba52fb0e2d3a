"""What the exchange with a Hub promises, from the first repository to the last retry: the client is the real
`huggingface_hub`, in a process of its own, and the Hub that of `hub_server`."""

import os
import subprocess
import sys

import pytest
from hub_server import HubServer

HELPERS = """
import io, os, sys
from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import *

api, reader, stranger, nobody = (HfApi(token=token) for token in ("hf_secret", "hf_reader", "hf_other", False))
name = "someone/model"

def refused(kind, status, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind as error:
        response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
        assert response is not None and response.status_code == status, repr(error)
        return str(error)
    raise AssertionError(f"no {kind.__name__}")

def read(path):
    with open(path, "rb") as file:
        return file.read()
"""


@pytest.fixture
def client(hub, tmp_path):
    """A function: what such a client does, as code, in a new process with its own cache."""

    def run_code(code: str, **environment: str) -> str:
        settings = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0", **environment}
        result = subprocess.run(
            [sys.executable, "-c", HELPERS + code],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, result.stderr
        for token in hub.tokens:
            assert token not in result.stdout + result.stderr
        return result.stdout + result.stderr

    return run_code


def test_a_repository_is_made_filled_listed_read_and_deleted(hub: HubServer, client):
    client("""
assert api.whoami()["name"] == "someone"
assert api.create_repo(name).repo_id == name
refused(HfHubHTTPError, 409, api.create_repo, name)
api.create_repo(name, exist_ok=True)

first = api.create_commit(name, [
    CommitOperationAdd("config.json", b"{}"),
    CommitOperationAdd("deep/er/notes.txt", b"notes"),
    CommitOperationAdd("model.safetensors", b"weights" * 1000),
], commit_message="first")
assert sorted(api.list_repo_files(name)) == ["config.json", "deep/er/notes.txt", "model.safetensors"]
assert [entry.path for entry in api.list_repo_tree(name)] == ["deep", "config.json", "model.safetensors"]
assert [entry.path for entry in api.list_repo_tree(name, "deep", recursive=True)] == ["deep/er", "deep/er/notes.txt"]
weights, = api.get_paths_info(name, ["model.safetensors"])
assert weights.lfs.size == weights.size == 7000
assert api.model_info(name).sha == first.oid

api.upload_file(path_or_fileobj=b'{"new": 1}', path_in_repo="config.json", repo_id=name)
assert [commit.title for commit in api.list_repo_commits(name)][-2:] == ["first", "initial commit"]
assert read(hf_hub_download(name, "config.json", token="hf_secret")) == b'{"new": 1}'
assert read(hf_hub_download(name, "config.json", revision=first.oid)) == b"{}"
assert read(hf_hub_download(name, "model.safetensors")) == b"weights" * 1000
folder = snapshot_download(name, revision=first.oid)
assert read(os.path.join(folder, "deep/er/notes.txt")) == b"notes"

api.delete_folder("deep", name)
api.delete_file("config.json", name)
assert api.list_repo_files(name) == ["model.safetensors"]
api.delete_repo(name)
refused(RepositoryNotFoundError, 404, api.model_info, name)
""")
    assert hub.repositories == {}
    # Weights come from another host, which is told no token.
    store = [request for request in hub.requests if request.host == "localhost"]
    assert store and not any(request.token for request in store)


def test_branches_and_tags_are_revisions(client):
    client("""
api.create_repo(name)
api.upload_file(path_or_fileobj=b"1", path_in_repo="a.txt", repo_id=name)
api.create_tag(name, tag="v1")
refused(HfHubHTTPError, 409, api.create_tag, name, tag="v1")
api.create_branch(name, branch="try/it", revision="v1")
api.upload_file(path_or_fileobj=b"2", path_in_repo="a.txt", repo_id=name, revision="try/it")
api.upload_file(path_or_fileobj=b"3", path_in_repo="a.txt", repo_id=name)
found = {revision: read(hf_hub_download(name, "a.txt", revision=revision)) for revision in ("main", "v1", "try/it")}
assert found == {"main": b"3", "v1": b"1", "try/it": b"2"}, found
refs = api.list_repo_refs(name)
assert ({ref.name for ref in refs.branches}, [ref.name for ref in refs.tags]) == ({"main", "try/it"}, ["v1"])
refused(RevisionNotFoundError, 404, hf_hub_download, name, "a.txt", revision="v2")
refused(RemoteEntryNotFoundError, 404, hf_hub_download, name, "b.txt")
""")


def test_a_private_repository_is_for_its_owner(client):
    client("""
api.create_repo(name, private=True)
api.upload_file(path_or_fileobj=b"mine", path_in_repo="a.txt", repo_id=name)
refused(RepositoryNotFoundError, 401, nobody.model_info, name)
refused(RepositoryNotFoundError, 401, hf_hub_download, name, "a.txt", token=False)
refused(RepositoryNotFoundError, 404, stranger.model_info, name)
assert read(hf_hub_download(name, "a.txt", token="hf_reader")) == b"mine"
upload = dict(path_or_fileobj=b"2", path_in_repo="b.txt", repo_id=name)
refused(HfHubHTTPError, 403, reader.upload_file, **upload)
refused(RepositoryNotFoundError, 404, stranger.upload_file, **upload)
refused(HfHubHTTPError, 401, HfApi(token="hf_gone").whoami)
refused(HfHubHTTPError, 403, stranger.create_repo, name)
api.update_repo_settings(name, private=False)
assert nobody.model_info(name).private is False
refused(HfHubHTTPError, 403, stranger.upload_file, **upload)
""")


def test_a_large_file_goes_up_in_parts_and_once(hub, client):
    hub.multipart_from, hub.part_size = 2_000_000, 1_000_000
    hub.cut("PUT", "/part/2", after=1000)
    hub.fail("PUT", "/part/3", 500)
    client("""
api.create_repo(name)
data = bytes(range(256)) * 10_000
api.upload_file(path_or_fileobj=data, path_in_repo="model.safetensors", repo_id=name)
assert read(hf_hub_download(name, "model.safetensors")) == data
api.upload_file(path_or_fileobj=data, path_in_repo="again.safetensors", repo_id=name)
""")
    parts = [request.path.rpartition("/")[2] for request in hub.requests if request.method == "PUT"]
    assert parts == ["1", "2", "3", "3"]  # the cut one never arrived whole; the last was refused once
    assert len(hub.store) == 1


def test_a_download_goes_on_where_the_connection_ended(hub, client):
    hub.cut("GET", "/store/", after=4000)
    hub.cut("GET", "/store/", after=1000)
    client("""
api.create_repo(name)
api.upload_file(path_or_fileobj=b"0123456789" * 1000, path_in_repo="model.safetensors", repo_id=name)
assert read(hf_hub_download(name, "model.safetensors")) == b"0123456789" * 1000
""")
    assert len([request for request in hub.requests if request.method == "GET" and "/store/" in request.path]) == 3


def test_a_busy_or_broken_hub_is_asked_again_and_then_named(hub, client):
    hub.fail("GET", "/resolve/.*a.txt", 429, **{"Retry-After": "0"})
    hub.fail("POST", "/preupload/", 500)
    hub.fail("GET", "/resolve/.*b.txt", 500)
    said = client("""
api.create_repo(name)
api.upload_file(path_or_fileobj=b"1", path_in_repo="a.txt", repo_id=name)
assert read(hf_hub_download(name, "a.txt")) == b"1"
api.upload_file(path_or_fileobj=b"2", path_in_repo="b.txt", repo_id=name)
refused(HfHubHTTPError, 500, hf_hub_download, name, "b.txt")
""")
    assert "HTTP Error 500 thrown while requesting POST" in said
    assert "HTTP Error 429" in said


def test_two_who_write_at_once_do_not_undo_each_other(hub, client):
    client("""
api.create_repo(name)
seen = api.model_info(name).sha
api.upload_file(path_or_fileobj=b"theirs", path_in_repo="a.txt", repo_id=name)
mine = dict(path_or_fileobj=b"mine", path_in_repo="a.txt", repo_id=name, parent_commit=seen)
refused(HfHubHTTPError, 412, api.upload_file, **mine)
""")
    assert hub.files("someone/model") == {"a.txt": b"theirs"}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("license: apache", "license 'apache'"),
        ("license: other", "needs a license_name"),
        ("tags: emotion", "tags is no list"),
        ("datasets: [my data]", "'my data' is no id"),
        ("model-index: [{name: a, results: [{task: {type: x}}]}]", "model-index: KeyError 'dataset'"),
    ],
)
def test_a_card_with_wrong_metadata_is_refused_before_anything_is_uploaded(hub, client, metadata, message):
    client(f"""
api.create_repo(name)
card = '''---
{metadata}
---
# Title
'''
try:
    api.upload_file(path_or_fileobj=card.encode(), path_in_repo="README.md", repo_id=name)
except ValueError as error:
    assert {message!r} in str(error), error
else:
    raise AssertionError("taken")
""")
    assert hub.files("someone/model") == {}
