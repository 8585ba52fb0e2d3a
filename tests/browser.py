"""A page as Chromium shows it: served on loopback in a frame of some width, measured there by a script."""

import http.client
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-default-apps"),
    *("--disable-extensions", "--hide-scrollbars", "--enable-logging=stderr"),
]
FRAME = """<!DOCTYPE html><title>waiting</title><iframe src="/page" width="{width}" height="800"></iframe><script>
const frame = document.querySelector("iframe")
frame.onload = () => {{
  const page = frame.contentDocument, root = page.documentElement
  const wide = [...page.body.querySelectorAll("*")].filter(e => !e.closest(".scroll") && e.getClientRects().length &&
    e.getBoundingClientRect().right > {width} + 1)
  const of = selector => page.querySelectorAll(selector).length
  const box = selector => page.querySelector(selector).getBoundingClientRect()
  const because = page.querySelector("[data-because]")
  if (because) because.dispatchEvent(new Event("pointerover", {{ bubbles: true }}))
  document.body.textContent = JSON.stringify({{
    title: page.title, scroll_width: root.scrollWidth, width: frame.contentWindow.innerWidth,
    too_wide: wide.map(e => e.outerHTML.slice(0, 100)), text: page.querySelector(".text").textContent,
    items: of(".dialogue > li"), figures: of(".plots figure"),
    foreign: of("script, img, iframe, link, object, form, [onerror]"),
    summary_left: box("aside").left, dialogue_right: box(".dialogue").right, band_top: box(".band").top,
    dialogue_top: box(".dialogue").top, band_width: box(".band").width,
    marked: [...page.querySelectorAll("[data-change]")].map(e => [e.parentElement.id, e.dataset.change]),
    font_size: parseFloat(frame.contentWindow.getComputedStyle(page.querySelector(".text")).fontSize),
  }})
  document.title = "done"
}}
</script>"""


@dataclass
class Shown:
    """What the browser measured, logged on its console, and asked of the network besides the page itself."""

    measured: dict
    console: list[str]
    requests: list[str]


def show(page: Path, width: int, profile: Path) -> Shown:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        """The page, its frame, and, as a proxy, a witness of every request to elsewhere."""

        def do_GET(self) -> None:
            asked.append(self.path)
            known = {"/page": page.read_bytes(), "/frame": FRAME.format(width=width).encode()}
            self.send_response(200 if self.path in known else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(known.get(self.path, b""))

        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(403)

        def log_message(self, *args) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"127.0.0.1:{server.server_port}"
        options = [
            f"--user-data-dir={profile}",
            f"--proxy-server={address}",
            "--virtual-time-budget=5000",
            "--dump-dom",
        ]
        result = subprocess.run(
            [CHROMIUM, *FLAGS, *options, f"http://{address}/frame"], capture_output=True, text=True, timeout=120
        )
    finally:
        server.shutdown()
        server.server_close()
    body = re.search(r"<body[^>]*>(\{.*\})</body>", result.stdout, re.DOTALL)
    assert body, result.stdout[-2000:] + result.stderr[-2000:]
    text = body[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    # The browser asks for an icon and for its maker's services of its own accord, whatever the page.
    own = ("/page", "/frame", "/favicon.ico")
    requests = [path for path in asked if path not in own and "google" not in path]
    return Shown(json.loads(text), console, requests)


class Tab:
    """A page of Chromium that takes keys, and answers expressions of JavaScript."""

    def __init__(self, socket: Any, width: int):
        self.socket, self.number = socket, 0
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.command("Emulation.setFocusEmulationEnabled", enabled=True)

    def command(self, method: str, **parameters: Any) -> dict:
        """Send a command of the DevTools protocol, and wait for its result."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while (message := json.loads(self.socket.recv(30))).get("id") != self.number:
            pass
        assert "error" not in message, message
        return message["result"]

    def evaluate(self, expression: str) -> Any:
        result = self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        deadline = time.monotonic() + 30
        while not (found := self.evaluate(expression)):
            assert time.monotonic() < deadline, self.evaluate("document.body.innerText")
            time.sleep(0.05)
        return found

    def press(self, key: str, code: int, control: bool = False) -> None:
        text = {"text": "\r"} if key == "Enter" and not control else {}
        pressed = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": 2 * control}
        self.command("Input.dispatchKeyEvent", type="keyDown", **pressed, **text)
        self.command("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def write(self, text: str) -> None:
        self.command("Input.insertText", text=text)


@contextmanager
def tab(address: str, width: int, profile: Path) -> Iterator[Tab]:
    """Open an address in a new browser, in a window of some width."""
    assert CHROMIUM
    options = [f"--user-data-dir={profile}", "--remote-debugging-port=0"]
    with subprocess.Popen([CHROMIUM, *FLAGS, *options, address], stderr=subprocess.DEVNULL) as process:
        try:
            found, deadline = profile / "DevToolsActivePort", time.monotonic() + 30
            while not (found.exists() and found.read_text().count("\n")):
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.05)
            port = found.read_text().split("\n")[0]
            connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
            connection.request("GET", "/json/list")
            [page] = [one for one in json.load(connection.getresponse()) if one["type"] == "page"]
            with connect(page["webSocketDebuggerUrl"], max_size=None) as socket:
                opened = Tab(socket, width)
                opened.wait_for("location.protocol === 'http:' && document.readyState === 'complete'")
                yield opened
        finally:
            process.terminate()
