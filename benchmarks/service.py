"""Measures `precode serve` under clients on loopback, compared with the pipeline on the same dialogues.

    python -m benchmarks.service
    python -m benchmarks.service --minutes 10 --output build/service.json

Each client has one connection, and sends a dialogue as soon as the last one is labeled. The clients share the cores
with the service. The offline rate is that of one call of the pipeline with all dialogues while no service is at work,
before and after the clients; the faster of the two counts. Every answer is compared with the pipeline's: equal labels,
probabilities within 1e-6. The first `--warm_up` seconds are not counted. The exit status is 1 if an answer differs.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from transformers import pipeline

from data_scripts import read_dialogues
from modeling_precode.default_model import DEFAULT, checkpoint_path

MOST_DIFFERENCE = 1e-6


class Clients:
    """What the clients saw: the seconds of each request, and the answers that differ from the pipeline's."""

    def __init__(self, port: int, dialogues: list[list[dict]], expected: list[list[dict]]):
        self.port, self.dialogues, self.expected = port, dialogues, expected
        self.next = 0
        self.seconds: list[float] = []
        self.utterances = 0
        self.compared = 0
        self.different: list[str] = []

    async def run(self, number: int, seconds: float) -> float:
        """Send requests for some time from a number of clients; returns the seconds until the last answer."""
        start = time.perf_counter()
        await asyncio.gather(*(self.client(start + seconds) for _ in range(number)))
        return time.perf_counter() - start

    async def client(self, end: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while time.perf_counter() < end:
            index = self.next % len(self.dialogues)
            self.next += 1
            body = json.dumps({"inputs": self.dialogues[index]}).encode()
            start = time.perf_counter()
            writer.write(
                b"POST /v1/emotions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            [length] = re.findall(rb"(?i)content-length: (\d+)", head)
            answer = await reader.readexactly(int(length))
            self.seconds.append(time.perf_counter() - start)
            self.utterances += len(self.dialogues[index])
            self.compare(index, head, answer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    def compare(self, index: int, head: bytes, answer: bytes) -> None:
        self.compared += 1
        status = head.split(b" ", 2)[1].decode()
        if status != "200" or not is_equal(json.loads(answer), self.expected[index]):
            self.different.append(f"dialogue {index}: status {status}, {answer[:200]!r}")

    def forget_times(self) -> None:
        self.seconds, self.utterances = [], 0


def is_equal(turns: list[dict], expected: list[dict]) -> bool:
    return len(turns) == len(expected) and all(
        turn["label"] == other["label"]
        and turn["text"] == other["text"]
        and abs(turn["score"] - other["score"]) <= MOST_DIFFERENCE
        for turn, other in zip(turns, expected, strict=True)
    )


def offline(emotions: Any, dialogues: list[list[dict]]) -> tuple[float, list[list[dict]]]:
    """Utterances per second of one call, and its results."""
    start = time.perf_counter()
    labeled = emotions(dialogues)
    return sum(map(len, dialogues)) / (time.perf_counter() - start), labeled


def start_service(model: str) -> tuple[subprocess.Popen, int]:
    command = [sys.executable, "-m", "modeling_precode.cli.main", "serve", model, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    first = process.stderr.readline()
    found = re.search(r":(\d+)$", first.strip())
    if not found:
        sys.exit(first + process.stderr.read())
    return process, int(found[1])


def measure(args: argparse.Namespace) -> dict[str, Any]:
    read = [dialogue.utterances for dialogue in read_dialogues(args.file)][: args.dialogues]
    dialogues = [[{"speaker": turn.speaker, "text": turn.text} for turn in turns] for turns in read]
    emotions = pipeline("conversation-emotion", model=checkpoint_path(args.model))
    emotions(dialogues[:20])
    before, expected = offline(emotions, dialogues)
    process, port = start_service(args.model)
    clients = Clients(port, dialogues, expected)
    server = psutil.Process(process.pid)
    try:
        asyncio.run(clients.run(args.clients, args.warm_up))
        clients.forget_times()
        memory = [server.memory_info().rss]
        seconds = 0.0
        parts = max(1, round(args.minutes * 60 / args.seconds_per_reading))
        for _ in range(parts):
            seconds += asyncio.run(clients.run(args.clients, args.minutes * 60 / parts))
            memory.append(server.memory_info().rss)
    finally:
        process.terminate()
        process.wait()
    after, _ = offline(emotions, dialogues)
    rate, best = clients.utterances / seconds, max(before, after)
    median, p95 = (statistics.quantiles(clients.seconds, n=100)[place] for place in (49, 94))
    return {
        "model": args.model,
        "clients": args.clients,
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "minutes": seconds / 60,
        "requests": len(clients.seconds),
        "utterances_per_second": rate,
        "offline_utterances_per_second": best,
        "offline_before_and_after": [before, after],
        "ratio": rate / best,
        "median_seconds": median,
        "p95_seconds": p95,
        "p95_over_median": p95 / median,
        "megabytes": [round(bytes_ / 2**20, 1) for bytes_ in memory],
        "compared": clients.compared,
        "different": clients.different,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", default=DEFAULT, help="folder of a checkpoint (default: the model that comes with the package)")
    add("--file", default="data_scripts/openerc_data/test.jsonl", help="file with the dialogues to label")
    add("--dialogues", type=int, default=300, help="how many of them (default: %(default)s)")
    add("--clients", type=int, default=64)
    add("--minutes", type=float, default=0.5)
    add("--warm_up", type=float, default=5, metavar="SECONDS")
    add("--seconds_per_reading", type=float, default=30, help="of the memory")
    add("--output", type=Path, help="also write the figures to this JSON file")
    args = parser.parse_args()
    result = measure(args)
    for name, value in result.items():
        shown = f"{value:,.3f}" if isinstance(value, float) else value
        print(f"{name:30} {len(value) if name == 'different' else shown}")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if result["different"]:
        sys.exit("different: " + "; ".join(result["different"][:3]))


if __name__ == "__main__":
    main()
