"""The summary of the dialogues on a page: the numbers of utterances, the speakers, the labels and the peaks."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .band import name_of, stacking_order
from .excerpts import Excerpt
from .palette import is_neutral

MOST_MOMENTS = 4
MOST_SPEAKERS = 8
# The maximum number of characters in a quote.
LONGEST_QUOTE = 90


@dataclass
class Share:
    """The number and the share of the utterances with a label."""

    label: int
    name: str
    count: int
    part: float


@dataclass
class Moment:
    """The utterance with the highest probability of a label.

    Attributes:
        label: The number of the label.
        name: The name of the label.
        score: The probability of the label.
        quote: The beginning of the utterance.
        speaker: The speaker; empty if there is none.
        where: The name of the utterance, such as `utterance 3, 17:45`.
        dialogue: The number of the dialogue.
        href: A link to the utterance.
    """

    label: int
    name: str
    score: float
    quote: str
    speaker: str
    where: str
    dialogue: int
    href: str


@dataclass
class Speaker:
    """A speaker: the number of utterances, the initials for the disc, and the share of each label."""

    number: int
    name: str
    initials: str
    count: int
    shares: list[Share]


@dataclass
class Entry:
    """A link of an index to a dialogue or a page, and the share of each label there."""

    href: str
    name: str
    facts: str
    shares: list[Share]

    @classmethod
    def of_dialogue(cls, number: int, facts: str, summary: "Summary", file: str = "") -> "Entry":
        """The entry of a dialogue; `file` is the address of its page, or empty for the same page."""
        return cls(f"{file}#d{number}", f"Dialogue {number}", facts, summary.shares)


@dataclass
class Summary:
    """Counts of the utterances of some excerpts."""

    labels: Sequence[str]
    dialogues: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    by_speaker: dict[str, Counter[str]] = field(default_factory=dict)
    peaks: dict[str, Moment] = field(default_factory=dict)

    def add(self, excerpt: Excerpt, file: str = "") -> None:
        """Count the utterances of an excerpt.

        Args:
            excerpt: The utterances.
            file: The address of their page, if it is not the page of the summary. Their speakers are then left out: the
                memory may be too small for the names of all pages.
        """
        self.dialogues += excerpt.first == 1
        for place, turn in enumerate(excerpt.turns):
            label, speaker = turn["label"], turn.get("speaker", "")
            self.counts[label] += 1
            if speaker and not file:
                self.by_speaker.setdefault(speaker, Counter())[label] += 1
            if not is_neutral(label) and (label not in self.peaks or turn["score"] > self.peaks[label].score):
                where = name_of(excerpt, [place])
                href = f"{file}#d{excerpt.number}u{excerpt.first + place}"
                index = self.labels.index(label)
                quote = shortened(turn["text"])
                self.peaks[label] = Moment(index, label, turn["score"], quote, speaker, where, excerpt.number, href)

    @property
    def utterances(self) -> int:
        """The number of utterances."""
        return self.counts.total()

    @property
    def n_speakers(self) -> int:
        """The number of named speakers."""
        return len(self.by_speaker)

    @property
    def shares(self) -> list[Share]:
        """The share of every label, in the order of the band."""
        return shares_of(self.counts, self.labels)

    @property
    def moments(self) -> list[Moment]:
        """The strongest moment of each emotion, the most certain first."""
        return sorted(self.peaks.values(), key=lambda moment: -moment.score)[:MOST_MOMENTS]

    @property
    def speakers(self) -> list[Speaker]:
        """The speakers with the most utterances. Their numbers are in the order in which they first speak."""
        found = [
            Speaker(number, name, initials(name), counts.total(), shares_of(counts, self.labels))
            for number, (name, counts) in enumerate(self.by_speaker.items())
        ]
        return sorted(found, key=lambda speaker: -speaker.count)[:MOST_SPEAKERS]

    @property
    def other_speakers(self) -> int:
        """The number of speakers that are not in `speakers`."""
        return self.n_speakers - len(self.speakers)


def summary_of(excerpts: Iterable[Excerpt], labels: Sequence[str]) -> Summary:
    """The summary of excerpts."""
    summary = Summary(labels)
    for excerpt in excerpts:
        summary.add(excerpt)
    return summary


def shares_of(counts: Counter[str], labels: Sequence[str]) -> list[Share]:
    """The share of every label, in the order of the band."""
    total = max(counts.total(), 1)
    return [
        Share(index, labels[index], counts[labels[index]], counts[labels[index]] / total)
        for index in stacking_order(labels)
    ]


def shortened(text: str) -> str:
    """The beginning of a text, up to the end of a word."""
    if len(text) <= LONGEST_QUOTE:
        return text
    start = text[:LONGEST_QUOTE]
    return (start.rpartition(" ")[0] or start) + " …"


def initials(name: str) -> str:
    """Two characters for a name: the first of two words, or the first two of a single one."""
    words = ["".join(filter(str.isalnum, word)) for word in name.split()]
    words = [word for word in words if word]
    return (words[0][0] + words[1][0] if len(words) > 1 else "".join(words)[:2]).upper()[:2]
