"""Inputs for one parser that are guided by its coverage. Runs in a process of its own, which atheris ends.

    cd tests; python -m fuzzing.coverage_guided FILE SECONDS CORPUS RESULT

FILE is the `file` of a target. The folder CORPUS has good files and gets every input that reaches new code. RESULT gets
the counts and faults as JSON.
"""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import atheris

from fuzzing.results import Results
from fuzzing.targets import FILES, outcome, read_file

# The longest input in bytes. Long lines are measured by tests of their own.
LONGEST = 4096


def main(file: str, seconds: float, corpus: Path, result: Path) -> None:
    target = next(target for target in FILES if target.file == file)
    path = result.with_name(file)
    with atheris.instrument_imports(include=["data_scripts"]):
        for seed in sorted(corpus.iterdir()):
            path.write_bytes(seed.read_bytes())
            with suppress(ValueError, OSError, SyntaxError):
                read_file(path)  # imports everything
    results, end = Results(), time.monotonic() + seconds

    def trial(data: bytes) -> None:
        if time.monotonic() > end:
            results.save(result)
            os._exit(0)
        path.write_bytes(data)
        results.add(outcome(target, path), data)

    options = [f"-max_len={LONGEST}", "-verbosity=0", "-rss_limit_mb=4096", "-timeout=120"]
    atheris.Setup([sys.argv[0], str(corpus), *options], trial)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
