"""`precode serve` in a process of its own, an application in this one, and the requests of a client."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

DIALOGUE = [{"speaker": "Ana", "text": "i am so happy!"}, {"text": "what about the weather?"}]
JSON = {"Content-Type": "application/json"}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Service:
    port: int
    process: subprocess.Popen | None = None
    log: list[str] = field(default_factory=list)

    def ask(self, path: str, body: bytes | None = None, headers: dict | None = None, source: str = "") -> Answer:
        connection = self.connection(source)
        connection.request("GET" if body is None else "POST", path, body, headers or {})
        return self.answer(connection)

    def label(self, content: Any, **headers: str) -> Answer:
        return self.ask("/v1/emotions", json.dumps(content).encode(), {**JSON, **headers})

    def upload(self, name: str, content: bytes, path: str = "/v1/emotions", **fields: str) -> Answer:
        parts = [f'name="{key}"\r\n\r\n{value}'.encode() for key, value in fields.items()]
        parts.append(f'name="file"; filename="{name}"\r\n\r\n'.encode() + content)
        body = b"".join(b"--edge\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts)
        return self.ask(path, body + b"--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"})

    def connection(self, source: str = "") -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, 30, (source, 0) if source else None)

    def begin(self, source: str = "", **headers: str) -> http.client.HTTPConnection:
        """A request whose body does not arrive."""
        connection = self.connection(source)
        connection.putrequest("POST", "/v1/emotions")
        for name, value in {**JSON, "Content-Length": "10", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection

    @staticmethod
    def answer(connection: http.client.HTTPConnection) -> Answer:
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return answer

    def metric(self, name: str, **headers: str) -> float:
        """The value of a metric; 0 if nothing with its labels was counted yet."""
        values = re.findall(rf"^{re.escape(name)} (\S+)$", self.ask("/metrics", headers=headers).body.decode(), re.M)
        assert values or "{" in name, f"no metric {name}"
        return float(values[0]) if values else 0.0

    def wait_for(self, name: str, value: float) -> None:
        until(lambda: self.metric(name) == value)


def until(is_true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"not true within {seconds} seconds"
        time.sleep(0.01)


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[Service]:
    process = subprocess.Popen(
        [sys.executable, "-m", "modeling_precode.cli.main", "serve", "--port", "0", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stderr
    log: list[str] = []
    found = None
    # Loading a model may log something first; a process that ends has said why.
    while not found and (line := process.stderr.readline()):
        log.append(line)
        found = re.search(r"^serving .* at http://127\.0\.0\.1:(\d+)$", line)
    assert found, "".join(log)
    service = Service(int(found[1]), process, log)
    reader = threading.Thread(target=service.log.extend, args=(process.stderr,))
    reader.start()
    try:
        yield service
    finally:
        process.terminate()
        process.wait(30)
        reader.join()


@contextmanager
def serving_app(app: Any) -> Iterator[Service]:
    """An application in a thread of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield Service(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


def assert_equal(answer: Any, expected: Any) -> None:
    """Equal labels, and probabilities within 1e-6."""
    if isinstance(expected, float):
        assert answer == pytest.approx(expected, abs=1e-6)
    elif isinstance(expected, list):
        assert len(answer) == len(expected)
        for one, other in zip(answer, expected, strict=True):
            assert_equal(one, other)
    elif isinstance(expected, dict):
        assert answer.keys() == expected.keys()
        for key in expected:
            assert_equal(answer[key], expected[key])
    else:
        assert answer == expected
