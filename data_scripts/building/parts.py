"""Builds a corpus in parts.

A part is written by one process, completely or not at all. An interrupted build keeps the finished parts.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa

from ..tools.whole_files import digest, read_json, whole_file, write_json

ROWS_PER_BATCH = 1000


def write_part(path: Path, rows: Iterable[dict], schema: pa.Schema, report: Callable[[], dict]) -> dict[str, Any]:
    """Write rows to an Arrow file, and then the result of `report`, which marks the part as complete."""
    if done := finished(path):
        return done
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with (
        whole_file(path) as unfinished,
        pa.OSFile(str(unfinished), "wb") as file,
        pa.ipc.new_stream(file, schema) as writer,
    ):
        for batch in batches_of(rows, schema):
            writer.write_batch(batch)
            count += len(batch)
    done = {**report(), "rows": count, "digest": digest(path)}
    write_json(report_path(path), done)
    return done


def batches_of(rows: Iterable[dict], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Convert rows to record batches of at most `ROWS_PER_BATCH` rows."""
    rows = iter(rows)
    while batch := list(islice(rows, ROWS_PER_BATCH)):
        yield pa.RecordBatch.from_pylist(batch, schema)


def finished(path: Path) -> dict[str, Any] | None:
    """The report of a part that is complete and unchanged, else None."""
    try:
        done = read_json(report_path(path))
        return done if digest(path) == done["digest"] else None
    except (OSError, ValueError):
        return None


def report_path(path: Path) -> Path:
    """The path of the report of a part, beside its file."""
    return path.with_suffix(".json")


def read_part(path: Path) -> pa.Table:
    """Read the table of a part. It is mapped from disk, not copied to memory."""
    return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()


def in_processes(function: Callable[[Any], Any], tasks: list, num_proc: int | None) -> Iterator[Any]:
    """Run a function on tasks in processes, and yield the results in the order of the tasks.

    Raises:
        ChildProcessError: A process was killed.
    """
    if min(num_proc or 1, len(tasks)) <= 1:
        yield from map(function, tasks)
        return
    pool = ProcessPoolExecutor(num_proc, initializer=end_with_parent)
    try:
        yield from pool.map(function, tasks)
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"one of {num_proc} processes was killed, perhaps because the memory is full; run the same command again: "
            "it keeps the parts that are complete. Fewer processes (num_proc) need less memory"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """End this process when its parent ends. The processes of a pool otherwise outlive a parent that is killed."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    Thread(target=watch, daemon=True).start()


def on_ray(function: Callable[[Any], Any], tasks: list) -> Iterator[Any]:
    """Run a function on tasks with Ray Data, one block per task, and yield the results in the order of the tasks.

    It uses the cluster in `RAY_ADDRESS`, or else this machine.
    """
    import ray

    blocks = ray.data.from_items([{"task": number} for number in range(len(tasks))], override_num_blocks=len(tasks))
    results = blocks.map(lambda row: {"task": row["task"], "result": json.dumps(function(tasks[row["task"]]))})
    for row in sorted(results.take_all(), key=lambda row: row["task"]):
        yield json.loads(row["result"])
