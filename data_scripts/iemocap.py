"""IEMOCAP: transcripts of acted dialogues between two people, every turn labeled with an emotion.

Source: the release that the University of Southern California provides on request, or the original implementation's
files of it. License: that of the University of Southern California; no redistribution. Paper to cite: Busso et al.,
Language Resources and Evaluation 2008.

`data_dir` is the folder `IEMOCAP_full_release`, or the folder that contains it. The builder reads
`dialog/transcriptions` and `dialog/EmoEvaluation` of each session. The options are:

* `task`: "four" (angry, happy, neutral, sad; excited counts as happy) or "six" (angry, excited, frustrated, happy,
  neutral, sad). A turn with another emotion, without agreement of the annotators, or without an evaluation stays as
  context without a label.
* `test_session`: the session whose dialogues are the test split, by default 5.
* `validation`: the share of the other dialogues in the validation split, by default 0.2. Only their names decide which.
  By default, train, validation and test have 96, 24 and 31 dialogues.

Turns are in the order in which they start. A speaker is named by session and sex, as in "Ses01F". The column
`label_distributions` has the shares of the labels among the choices of the annotators (lines `C-E1:`, not the speakers'
own `C-F1:` and `C-M1:`). An annotator who chose two emotions has half a vote for each. Choices that are no label of the
task do not count.

Alternatively, `data_dir` contains `<Name>_train.json`, `<Name>_dev.json` and `<Name>_test.json`. The splits and the
label names are then those of these files, and the options have no effect.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import datasets

from .building.dialogues import Dialogue, Utterance
from .building.splitting import split_by_hash
from .formats.original import OriginalCorpus
from .formats.reading import existing_path

logger = logging.getLogger(__name__)

RELEASE = "IEMOCAP_full_release"
TRANSCRIPTS, EVALUATIONS = "transcriptions", "EmoEvaluation"
TASKS = {
    "four": {"ang": "angry", "exc": "happy", "hap": "happy", "neu": "neutral", "sad": "sad"},
    "six": {"ang": "angry", "exc": "excited", "fru": "frustrated", "hap": "happy", "neu": "neutral", "sad": "sad"},
}
# The codes of the choices of an annotator. The code of "Other" is not a label.
CHOICES = {
    "anger": "ang",
    "disgust": "dis",
    "excited": "exc",
    "fear": "fea",
    "frustration": "fru",
    "happiness": "hap",
    "neutral": "neu",
    "neutral state": "neu",
    "other": "oth",
    "sadness": "sad",
    "surprise": "sur",
}
CODES = {*TASKS["six"], "dis", "fea", "oth", "sur", "xxx"}
SECONDS = r"\[\s*(?P<start>-?\d+(?:\.\d*)?)\s*-\s*-?\d+(?:\.\d*)?\s*\]"
TURN = re.compile(rf"(?P<name>(?P<session>Ses\d+)[FM]_\w+_(?P<sex>[FM])\w*)\s*{SECONDS}\s*:(?P<text>.*)")
ANNOTATOR = re.compile(r"C-(?P<annotator>E\d+)\s*:(?P<choices>[^(]*)(\(.*)?")
EVALUATION = re.compile(rf"{SECONDS}\s+(?P<name>\S+)\s+(?P<code>\S+)(\s+\[.*\])?")


class Evaluation(NamedTuple):
    """The final code of a turn, and the codes that each annotator chose."""

    code: str
    choices: dict[str, list[str]]

    def votes(self, task: dict[str, str]) -> dict[str, float]:
        """The votes for each label of a task. An annotator with several choices has an equal share for each."""
        votes: defaultdict[str, float] = defaultdict(float)
        for codes in self.choices.values():
            for code in codes:
                if code in task:
                    votes[task[code]] += 1 / len(codes)
        return dict(votes)


UNKNOWN = Evaluation("xxx", {})


@dataclass
class IemocapConfig(datasets.BuilderConfig):
    """The task and the splits."""

    task: str = "four"  # or "six"
    test_session: int = 5
    validation: float = 0.2  # share of the dialogues of the other sessions


class Iemocap(OriginalCorpus):
    """The corpus IEMOCAP."""

    BUILDER_CONFIG_CLASS = IemocapConfig
    DATA_DIR = f"the folder {RELEASE}, or one with <Name>_train.json, <Name>_dev.json and <Name>_test.json"
    HOMEPAGE = "https://sail.usc.edu/iemocap"
    REDISTRIBUTABLE = False
    LICENSE = "on request from the University of Southern California; no redistribution"
    CITATION = """@article{busso2008iemocap,
  title={{IEMOCAP}: Interactive Emotional Dyadic Motion Capture Database},
  author={Busso, Carlos and Bulut, Murtaza and Lee, Chi-Chun and Kazemzadeh, Abe and Mower, Emily and Kim, Samuel and
          Chang, Jeannette N. and Lee, Sungbok and Narayanan, Shrikanth S.},
  journal={Language Resources and Evaluation},
  year={2008}
}"""

    def release_files(self, config: IemocapConfig) -> dict[str, Path]:
        """The two folders of each session that are read. The other folders contain thousands of recordings."""
        return {
            f"{kind} of session {session}": existing_path(folder / kind)
            for session, folder in self.sessions(config).items()
            for kind in (TRANSCRIPTS, EVALUATIONS)
        }

    def sessions(self, config: IemocapConfig) -> dict[int, Path]:
        """The folder `dialog` of each session in the release. Raises a FileNotFoundError if there is none."""
        source = self.source(config)
        release = source / RELEASE if (source / RELEASE).is_dir() else source
        sessions = {int(folder.name[-1]): folder / "dialog" for folder in sorted(release.glob("Session[1-5]"))}
        if not sessions:
            found = ", ".join(sorted(path.name for path in release.glob("*"))[:10]) or "nothing"
            raise FileNotFoundError(f"{release}: no Session1 to Session5; got {found}; use {self.DATA_DIR}")
        return sessions

    def _info(self) -> datasets.DatasetInfo:
        if not self.original_files(self.config):
            if self.config.task not in TASKS:
                raise ValueError(f"iemocap: unknown task; got {self.config.task!r}; known: {', '.join(TASKS)}")
            self.LABELS, self.VOTES = sorted(set(TASKS[self.config.task].values())), True
        return super()._info()

    def splits(self) -> dict[str, dict[str, Any]]:
        """The keyword arguments of `read` for each split. Raises a ValueError for an invalid option."""
        if self.original_files(self.config):
            return super().splits()
        sessions, test = self.sessions(self.config), self.config.test_session
        if test not in sessions:
            raise ValueError(f"iemocap: no such test_session; got {test}; known: {', '.join(map(str, sessions))}")
        if missing := [session for session in range(1, 6) if session not in sessions]:
            names = ", ".join(f"Session{session}" for session in missing)
            logger.warning("%s: no %s; the corpus is smaller than the published one", self.config.data_dir, names)
            self.note("missing sessions", len(missing))
        if not 0 < self.config.validation < 1:
            raise ValueError(f"iemocap: validation must be between 0 and 1; got {self.config.validation}")
        splits = {"train": [], "validation": [], "test": transcripts(sessions.pop(test))}
        others = {path.stem: path for folder in sessions.values() for path in transcripts(folder)}
        try:
            # The test part, which is never empty, is added to train.
            validation = split_by_hash(others, self.config.validation, test=0)["validation"]
        except ValueError as error:
            raise ValueError(f"{self.config.data_dir}, dialogues of other sessions than {test}: {error}") from None
        for name, path in others.items():
            splits["validation" if name in validation else "train"].append(path)
        return {split: {"transcripts": paths} for split, paths in splits.items()}

    def read_release(self, transcripts: list[Path]) -> Iterator[Dialogue]:
        """Yield the dialogues of transcripts."""
        for path in transcripts:
            yield Dialogue(path.stem, self.turns(path, evaluations(path.parents[1] / EVALUATIONS / path.name)))

    def turns(self, path: Path, evaluated: dict[str, Evaluation]) -> list[Utterance]:
        """The labeled turns of a dialogue, in the order in which they start."""
        task, turns, names = TASKS[self.config.task], [], set()
        notes: Counter[str] = Counter()
        for where, line in lines(path):
            if not line.startswith("Ses"):
                # A few lines between the turns have only "M:" or "F:" and some words.
                notes["lines of a transcript that are not a turn"] += 1
                continue
            match = TURN.fullmatch(line)
            if not match:
                logger.warning("%s: skipped; expected a turn NAME [START-END]: TEXT; got %r", where, line)
                notes["turns that cannot be read"] += 1
                continue
            name, session, sex, start, text = match.group("name", "session", "sex", "start", "text")
            names.add(name)
            if not text.strip():
                notes["turns without words dropped"] += 1
                continue
            evaluation = evaluated.get(name, UNKNOWN)
            label, votes = task.get(evaluation.code), evaluation.votes(task)
            notes["turns without a label of the task"] += label is None
            turns.append((float(start), Utterance(text.strip(), session + sex, label, where, votes=votes)))
        notes["evaluated turns without a transcript"] = len(evaluated.keys() - names)
        for what, count in notes.items():
            if count:
                self.note(what, count)
        return [turn for _, turn in sorted(turns, key=lambda turn: turn[0])]


def transcripts(folder: Path) -> list[Path]:
    """The transcripts of a session. Raises FileNotFoundError if a transcript or an evaluation is missing."""
    names = {path.name for kind in (TRANSCRIPTS, EVALUATIONS) for path in (folder / kind).glob("Ses*.txt")}
    for name in sorted(names):
        existing_path(folder / EVALUATIONS / name)
    return [existing_path(folder / TRANSCRIPTS / name) for name in sorted(names)]


def evaluations(path: Path) -> dict[str, Evaluation]:
    """The evaluation of each turn. Headers and other annotations have lines of another form."""
    found: dict[str, Evaluation] = {}
    name = ""
    for where, line in lines(path):
        if (chosen := ANNOTATOR.fullmatch(line)) and name:
            found[name].choices[chosen["annotator"]] = choices(chosen["choices"], where)
        if not line.startswith("["):
            continue
        name = ""
        match = EVALUATION.fullmatch(line)
        if not match:
            logger.warning("%s: skipped; expected an evaluation [START - END] NAME CODE [V, A, D]; got %r", where, line)
            continue
        name, code = match.group("name", "code")
        if code not in CODES:
            raise ValueError(f"{where}: unknown code; got {code!r}; known: {', '.join(sorted(CODES))}")
        if found.setdefault(name, Evaluation(code, {})).code != code:
            raise ValueError(
                f"{where}: two labels for one turn; got {code!r} for {name} after {found[name].code!r}; keep one"
            )
    return found


def choices(text: str, where: str) -> list[str]:
    """The codes of the choices of an annotator, such as `Anger; Other;`."""
    names = [name.strip() for name in text.split(";") if name.strip()]
    for name in names:
        if name.lower() not in CHOICES:
            logger.warning("%s: unknown emotion, read as Other; got %r", where, name)
    return [CHOICES.get(name.lower(), "oth") for name in names]


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines that are not blank, each with its file and line number."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{path}:{number}", line.strip()
