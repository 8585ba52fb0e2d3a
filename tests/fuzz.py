"""Damage good files at random, read them, and report what ends in anything but a clear error.

    python tests/fuzz.py --minutes 30 --report docs/reliability.md

The seeds are small good files of every format, and the checkpoint of a tiny model. Each trial changes one of them:
bytes and pieces of it, or a value of its JSON. It is then read within limits on memory and time. The file must be read,
or refused with a ValueError or an OSError that names it. An input that found a fault is saved in `tests/fuzz_seeds`,
where the tests read it from then on. Exits with 1 where there is a fault.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from campaign_report import write_report  # noqa: E402
from transformers.utils.logging import disable_progress_bar  # noqa: E402

from data_scripts import read_dialogues  # noqa: E402
from data_scripts.formats.opus import xml_lines  # noqa: E402
from modeling_precode import PreCodeConfig, PreCodeForUtteranceClassification, PreCodeTokenizer  # noqa: E402
from modeling_precode.training.starting import load_tokenizer  # noqa: E402

disable_progress_bar()
SEEDS = ROOT / "tests" / "fuzz_seeds"
SECONDS, MEGABYTES = 20, 1024
CHECKPOINT = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
# Where readers turn: marks of formats, limits of numbers, and what steers a terminal.
PIECES = [
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\x1b]0;x\x07",
    b"-->",
    b"<v ",
    b"{\\an8}",
    b"[",
    b"{",
    b'"',
    b"\r",
    b"\n\n",
]
PIECES += [b"9" * 400, b"1e308", b"NaN", b"null", b"\xed\xa0\x80", b"&#0;", b"<!DOCTYPE a>", b"," * 50, b"(" * 200]
VALUES = [None, True, -1, 0, 1, 2**31, 2**63, 1e308, "", "x" * 300, "\x1b[2J", [], {}, [[]], {"a": {"b": None}}]


def damaged(draw: random.Random, data: bytes) -> bytes:
    """The bytes with a few pieces changed, taken out, repeated or put in."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 5)):
        place, length = draw.randint(0, len(changed)), draw.choice((0, 1, 4, 64))
        piece = draw.choice((draw.choice(PIECES), draw.randbytes(4), bytes(changed[place : place + 200]) * 2))
        changed[place : place + length] = piece
    return bytes(changed[: draw.randint(0, len(changed))] if draw.random() < 0.1 else changed)


def with_changed_values(draw: random.Random, content: object) -> object:
    """JSON with one value of another type or size."""
    if isinstance(content, dict | list) and content and draw.random() < 0.9:
        copy = content.copy()
        key = draw.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
        if isinstance(copy, dict) and draw.random() < 0.1:
            del copy[key]
        else:
            copy[key] = with_changed_values(draw, copy[key])
        return copy
    return draw.choice(VALUES)


def changed(draw: random.Random, name: str, data: bytes) -> bytes:
    """A seed after one trial's changes: of its values, if it is JSON, or of its bytes."""
    if name.endswith(".json") and draw.random() < 0.7:
        try:
            return json.dumps(with_changed_values(draw, json.loads(data))).encode()
        except (ValueError, RecursionError):
            pass
    return damaged(draw, data)


def read_file(path: Path) -> None:
    if path.suffix == ".xml":
        list(xml_lines(path.read_bytes()))
    else:
        list(read_dialogues(path))


def read_checkpoint(path: Path) -> None:
    load_tokenizer(str(path.parent))
    PreCodeForUtteranceClassification.from_pretrained(path.parent)


def reader_of(path: Path) -> Callable[[Path], None]:
    return read_checkpoint if path.name.endswith(CHECKPOINT) else read_file


@contextmanager
def within_limits():
    """Limits on processor time and on the memory that is taken in addition to what the process has."""

    def stop(*_):
        raise TimeoutError(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGPROF, stop)
    old = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + (MEGABYTES << 20), old[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, old)


def fault(path: Path) -> str | None:
    """What is wrong with how a file is read or refused; None where nothing is."""
    try:
        with within_limits():
            reader_of(path)(path)
    except TimeoutError as error:
        return str(error)
    except (ValueError, OSError, SyntaxError) as error:
        is_clear = path.suffix == ".xml" or (path.name in str(error) or path.parent.name in str(error))
        return None if is_clear else f"unclear: {type(error).__name__}: {error}"[:300]
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {error}"[:300]
    return None


def write_seeds(folder: Path) -> dict[str, bytes]:
    """Good files by name: those of `tests/fuzz_seeds`, and a checkpoint's, which `folder` then holds."""
    tokenizer = PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", "hi", "no"])
    sizes = {"word_vector_size": 4, "utterance_hidden_size": 4, "conversation_hidden_size": 4}
    PreCodeForUtteranceClassification(PreCodeConfig(vocab_size=4, **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    seeds = {name: (folder / name).read_bytes() for name in CHECKPOINT}
    return seeds | {path.name: path.read_bytes() for path in sorted(SEEDS.iterdir()) if not path.name.startswith(".")}


def place_of(folder: Path, name: str, checkpoint: Path, trial: str) -> Path:
    """Where a changed seed is written: into a copy of the checkpoint, if it is one of its files."""
    part = next((part for part in CHECKPOINT if name.endswith(part)), None)
    if part is None:
        return folder / f"{trial}-{name}"
    shutil.copytree(checkpoint, folder / trial)
    return folder / trial / part


def campaign(minutes: float, seed: int, save: bool = True) -> tuple[Counter, dict[str, str]]:
    """Trials of each kind of file, and the faults: name of the saved input -> what happened."""
    draw, trials, faults = random.Random(seed), Counter(), {}
    with tempfile.TemporaryDirectory(prefix="precode-fuzz-") as name:
        folder = Path(name)
        seeds = write_seeds(folder / "checkpoint")
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            file = draw.choice(list(seeds))
            data = changed(draw, file, seeds[file])
            trials[file if file in CHECKPOINT else file.partition(".")[2]] += 1
            path = place_of(folder, file, folder / "checkpoint", f"trial{trials.total()}")
            path.write_bytes(data)
            if found := fault(path):
                # The name of a fault tells one from another, however many inputs find it.
                kind = hashlib.sha256(found.partition(": ")[0].encode()).hexdigest()[:8]
                saved = f"fault-{kind}-{file}" if not file.startswith("fault-") else file
                if save and saved not in faults and not (SEEDS / saved).exists():
                    (SEEDS / saved).write_bytes(data)
                faults.setdefault(saved, found)
            path.unlink() if path.parent == folder else shutil.rmtree(path.parent)
    return trials, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the changes (default: the time)")
    parser.add_argument("--report", type=Path, help="write the table into this document")
    args = parser.parse_args()
    trials, faults = campaign(args.minutes, args.seed)
    rows = [["file", "damaged files", "faults"]]
    for kind, count in sorted(trials.items()):
        rows.append([kind, f"{count:,}", str(sum(name.endswith(kind) for name in faults))])
    rows.append(["all", f"{trials.total():,}", str(len(faults))])
    write_report("fuzz", rows, args.report, f"{args.minutes:g} minutes, seed {args.seed}")
    for name, what in faults.items():
        print(f"{name}: {what}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
