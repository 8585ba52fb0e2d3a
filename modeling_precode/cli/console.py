"""The output of the scripts: log lines on standard output, and progress bars on a terminal only."""

import logging
import sys

import datasets
from transformers.utils import logging as transformers_logging

from data_scripts.tools.console import log_handler


def start_output(main_process: bool) -> None:
    """Write log lines to standard output, from one process, and show progress bars only on a terminal."""
    level = logging.INFO if main_process else logging.WARNING
    logging.basicConfig(level=level, handlers=[log_handler(sys.stdout)])
    for client in ("httpx", "httpx2"):
        logging.getLogger(client).setLevel(logging.WARNING)
    # Those of loading and saving take milliseconds, and would break the lines of the log.
    transformers_logging.disable_progress_bar()
    if not (main_process and sys.stderr.isatty()):
        datasets.disable_progress_bars()
