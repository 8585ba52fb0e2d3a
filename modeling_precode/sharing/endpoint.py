"""The files with which a checkpoint on the Hub runs as an Inference Endpoint."""

import shutil
from pathlib import Path

from data_scripts.tools.whole_files import whole_file

TEMPLATE = Path(__file__).with_name("endpoint_template")
FILES = ("handler.py", "requirements.txt")


def add_endpoint_files(folder: str | Path) -> None:
    """Add `handler.py` and `requirements.txt` to the folder of a checkpoint that labels utterances.

    A file that the folder already has is kept.

    Args:
        folder: The checkpoint's folder.
    """
    for name in FILES:
        if not Path(folder, name).exists():
            with whole_file(Path(folder, name), is_alone=True) as partial:
                shutil.copyfile(TEMPLATE / name, partial)
