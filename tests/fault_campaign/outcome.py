"""What a scenario of the campaign found."""

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """The outcome of a scenario.

    Args:
        name: What was done to what.
        kills: How many processes or groups of processes were killed.
        runs: How many times the job was begun anew.
        details: What happened, for a person.
        problems: What was not as in an undisturbed run, one line each.
        is_skipped: Whether this machine cannot run it.
    """

    name: str
    kills: int = 0
    runs: int = 0
    details: str = ""
    problems: list[str] = field(default_factory=list)
    is_skipped: bool = False

    def add_run(self, output: object, problems: list[str]) -> None:
        """Count a run, and its problems as one line that names its folder."""
        self.problems += [f"{output}: {', '.join(problems)}"] if problems else []
        self.runs += 1

    def result(self) -> str:
        if self.is_skipped:
            return f"skipped: {self.details}"
        same = f"{self.runs - len(self.problems)} of {self.runs} as undisturbed"
        return f"{same} ({self.details})" if self.details else same
