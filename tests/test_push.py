"""What a push promises: the checkpoint stands on the Hub, without predictions and sub-folders, and the token with it.

The Hub is a small server on loopback that speaks the part of the protocol which an upload needs; the client is the
real `huggingface_hub`.
"""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from test_scripts import CUSTOM, SMALL, run, write_corpus


class Hub(BaseHTTPRequestHandler):
    address: str
    files: dict[str, bytes]
    requests: list[tuple[str, str]]

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.requests.append((self.path, self.headers.get("Authorization", "")))
        if self.path == "/api/repos/create":
            self.answer({"url": f"{self.address}/someone/model", "name": "someone/model"})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            self.answer({"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]})
        elif "/commit/" in self.path:
            for entry in map(json.loads, body.splitlines()):
                if entry["key"] == "file":
                    self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            oid = "0" * 40
            self.answer({"success": True, "commitOid": oid, "commitUrl": f"{self.address}/someone/model/commit/{oid}"})
        else:
            self.answer({})

    def answer(self, value: dict) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub():
    handler = type("Hub", (Hub,), {"files": {}, "requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.address = f"http://127.0.0.1:{server.server_port}"
    yield handler
    server.shutdown()


def test_finetuning_pushes_the_checkpoint_and_nothing_else(hub, tmp_path):
    corpus = write_corpus(tmp_path / "corpus")
    folder = tmp_path / "finetuned"
    result = run(
        *("run_finetune.py", *CUSTOM, str(corpus), "--output_dir", str(folder), *SMALL, "--num_train_epochs", "1"),
        *("--push_to_hub", "--hub_model_id", "someone/model", "--hub_token", "hf_secret"),
        HF_ENDPOINT=hub.address,
        HF_HUB_OFFLINE="0",
    )
    assert "Pushed to" in result.stdout, result.stderr
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(hub.files)
    assert not [name for name in hub.files if "/" in name or name.endswith(".jsonl")]
    assert hub.files["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert b'model="someone/model"' in hub.files["README.md"]
    assert {token for _, token in hub.requests} == {"Bearer hf_secret"}
    for path in folder.rglob("*"):
        assert not path.is_file() or b"hf_secret" not in path.read_bytes()
    assert "hf_secret" not in result.stdout + result.stderr
