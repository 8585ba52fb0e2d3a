"""Results as JSON Lines, with one line for each seed of a run, each baseline and each comparison."""

import json
import os
import platform
from datetime import datetime, timezone
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

import torch


def key_of(*parts: Any) -> str:
    """The key of a line: a digest of everything that changes its result, except the seed."""
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


class Results:
    """The lines of a file, by `key` and `seed`. A line is appended completely, and never changed."""

    def __init__(self, path: Path):
        self.path, self.lock = path, Lock()
        self.lines: dict[tuple[str, int | None], dict[str, Any]] = {}
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else (), 1):
            try:
                line = json.loads(text)
                self.lines[line["key"], line["seed"]] = line
            except (ValueError, KeyError) as error:
                raise ValueError(f"{path}, line {number}: not a result: {text[:60]!r}; delete the line") from error

    def get(self, key: str, seed: int | None = None) -> dict[str, Any] | None:
        return self.lines.get((key, seed))

    def add(self, line: dict[str, Any]) -> None:
        line = {**line, "machine": machine(), "date": f"{datetime.now(timezone.utc):%Y-%m-%d}"}
        line = json.loads(json.dumps(line), parse_float=lambda number: round(float(number), 6))
        with self.lock:
            self.lines[line["key"], line["seed"]] = line
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())


def machine() -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        if info.exists()
        else []
    )
    versions = {name: version(name) for name in ("precode", "torch", "transformers")}
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {"cpu": names[0] if names else platform.processor(), "cores": os.cpu_count(), **gpu, **versions}
