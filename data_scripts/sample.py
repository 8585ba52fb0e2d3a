"""Sample: the 168 dialogues of OpenERC to try everything with, offline and in a minute.

They are the part of the corpus `openerc` whose ids begin with `sample`, in the same splits. They are an illustration
and not a benchmark: a score on them says nothing about a model. License: CC0 1.0. Nothing to cite.
"""

from collections.abc import Iterator
from pathlib import Path

from .building.dialogues import Dialogue
from .openerc import OpenERC


class Sample(OpenERC):
    """The part of OpenERC whose ids begin with `sample`."""

    def read(self, split: str, path: Path) -> Iterator[Dialogue]:
        """Yield the dialogues of a split whose ids begin with `sample`."""
        return (dialogue for dialogue in super().read(split, path) if dialogue.dialogue_id.startswith("sample"))
