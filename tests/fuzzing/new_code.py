"""The lines of the readers that an input reaches."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

READERS = "data_scripts/formats/"


def lines_reached(read: Callable[[], object]) -> set[tuple[str, int]]:
    """The lines of `data_scripts/formats` that run while a function does, by file and number."""
    reached: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if READERS not in name:
            return None
        if event == "line":
            reached.add((name.rpartition(READERS)[2], frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        read()
    finally:
        sys.settrace(before)
    return reached
