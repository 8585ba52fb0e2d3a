"""The counts and faults of a part of a campaign."""

import base64
import json
import re
from collections import Counter
from pathlib import Path

KINDS = ("read", "refused")


class Results:
    """How many inputs were read and refused, and the smallest input of each kind of fault."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: dict[str, tuple[str, bytes]] = {}

    def add(self, outcome: str, data: bytes) -> None:
        """Count an input by its outcome."""
        if outcome in KINDS:
            self.counts[outcome] += 1
            return
        self.counts["faults"] += 1
        self._keep(outcome, data)

    def _keep(self, outcome: str, data: bytes) -> None:
        # Kind and place of a fault tell one from another, however many inputs find it.
        kind = re.sub(r"\d+", "0", outcome.partition(": ")[0]) if " at " not in outcome else outcome.partition(": ")[0]
        if kind not in self.faults or len(data) < len(self.faults[kind][1]):
            self.faults[kind] = (outcome, data)

    def merge(self, other: "Results") -> None:
        """Add what another part found."""
        self.counts += other.counts
        for outcome, data in other.faults.values():
            self._keep(outcome, data)

    def save(self, path: Path) -> None:
        """Write them for another process."""
        faults = [[outcome, base64.b64encode(data).decode()] for outcome, data in self.faults.values()]
        path.write_text(json.dumps({"counts": self.counts, "faults": faults}))

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read what another process wrote."""
        content, results = json.loads(path.read_text()), cls()
        results.counts.update(content["counts"])
        for outcome, data in content["faults"]:
            results._keep(outcome, base64.b64decode(data))
        return results
