"""Refuses plain text that looks like a transcript, a table or markup of an unknown form."""

import re
from collections import Counter

from .input_file import InputFile, stripped
from .names import is_name, speaker_and_text
from .times import MONTH, WEEKDAY

ADVICE = (
    "use input_format=txt to read every line as an utterance, with the name before a colon as its speaker, "
    "input_format=csv for a table, or write one utterance per line as `Name: text` (precode predict: "
    "--input_format txt)"
)
CLOCK = r"\d{1,3}:\d{2}(?::\d{2})?"
MINUTES = r"\d{1,4}\s?m(?:in)?\s?\d{1,2}\s?s?"
SPAN = rf"\d{{1,3}}\s?h\s?(?:\d{{1,2}}\b|{MINUTES})|{MINUTES}|\d{{1,6}}(?:\.\d{{1,6}})?\s?s(?:ec)?"
BEGINS_WITH_TIME = re.compile(
    rf"\W{{0,3}}(?:{WEEKDAY})?(?:\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}\b|{CLOCK}\b|(?:{SPAN})\b|{MONTH}\s\d{{1,2}},?\s\d{{4}}\b"
    rf"|\d{{1,2}}[-. ]{{1,2}}{MONTH}[-, ]{{1,2}}\d{{2,4}}\b)",
    re.IGNORECASE,
)
ENDS_WITH_TIME = re.compile(rf".{{0,60}}\W{CLOCK}(?:\s?[AaPp]\.?[Mm]\.?)?\W{{0,2}}$")
STAMPED = re.compile(rf".*[.!?…]\s{{1,20}}\W?{CLOCK}\S{{0,4}}", re.DOTALL)
TIME_IN_BRACKETS = re.compile(
    rf".{{0,60}}?[\[({{]\s?(?:{CLOCK}|\d{{1,6}}\.\d{{1,6}}\b|(?:{SPAN})\b)[^\[\](){{}}]{{0,40}}[\])}}]"
)
ONLY_TIMES = re.compile(
    rf"(?:{WEEKDAY})?(?:{MONTH}\s\d{{1,2}},?\s\d{{4}},?\s(?:at\s)?)?"
    rf"[\s\d:.,;/>\[\]()–—-]{{0,40}}{CLOCK}[\s\d:.,;/>\[\]()–—-]{{0,40}}(?:[AaPp]\.?[Mm]\.?)?",
    re.IGNORECASE,
)
TIME_BEFORE_NAME = re.compile(rf".{{0,40}}?\b{CLOCK}\b[^:：]{{0,40}}[:：]\s")
NUMBER = re.compile(r"#?\d{1,13}(?:[.:,]\d{1,6}){0,3}[\s.:;,|)\]-]")
# Between dialogues: `---`, `=== Dialogue 2 ===` or `Dialogue 2`.
RULE = re.compile(
    r"[-=_*#+]{3,}(?:[^\n]{1,80}?[-=_*#+]{3,})?|\W{0,4}(?:dialog(?:ue)?|conversation|scene|session|chat|call)\s#?\d{1,5}\W{0,4}",
    re.IGNORECASE,
)
UNSPACED = re.compile(r"([^\W\d][^\s:：/,]{0,20}):[^\s:/)(\]\[|*DPp3]")
# Marks between the utterances of a line, in corpora for language models.
BETWEEN_UTTERANCES = re.compile(r"__eou__|__eot__|<eou>|<eot>|\[SEP\]|<sep>|</s>|<\|[a-z_]{2,20}\|>", re.IGNORECASE)
# As in STM and CTM files: two times in seconds after the names of recording, channel and speaker.
SECONDS_AFTER_NAMES = re.compile(r"(?:\S{1,80}\s{1,8}){1,4}\d{1,6}\.\d{1,6}\s{1,8}\d{1,6}\.\d{1,6}\s")
QUESTION_OR_ANSWER = re.compile(r"([QA])\.\s")
NAME_IN_CAPITALS = re.compile(r"([A-ZÀ-Þ][A-ZÀ-Þ .'’-]{1,30})\.\s")
QUOTES_MAIL = re.compile(r"On .{8,120} wrote:|-{2,}\s?(?:Original|Forwarded) Message\s?-{2,}", re.IGNORECASE)
LONGEST_RULE = 160
MARKS = "[({<#*%|>=$"
HEADING = re.compile(r"(?:INT|EXT|INT\./EXT)[./]\s")
# The characters between a name and a text, and those between the fields of a table, for messages.
AFTER_NAMES = {"\t": "a tab", "|": "a bar", ";": "a semicolon", " - ": "a dash", " – ": "a dash", " — ": "a dash"}
AFTER_NAMES |= {
    ": ": "a colon after a mark",
    "「": "a quotation mark",
    " > ": "an arrow",
    ">> ": "an arrow",
    " = ": "an equals sign",
    " / ": "a slash",
}
BETWEEN_FIELDS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}
# Keys of a text that was not written for people, such as YAML.
KEYS = {"speaker", "text", "name", "role", "content", "message", "utterance", "sender", "author", "from", "value"}
FEW, MOST = 0.5, 0.8


def refuse_unknown_form(file: InputFile, known: frozenset[str]) -> None:
    """Raise a ValueError if text looks like a transcript, a table or markup of an unknown form.

    Args:
        file: The file.
        known: The long names of the file.
    """
    names: Counter[str] = Counter()
    shown: list[str] = []
    lines = with_time = with_end = only_names = 0
    for line in map(stripped, file.lines()):
        if not line or is_rule(line):
            continue
        lines += 1
        shown.extend([line] if len(shown) < 2 else [])
        with_time += bool(BEGINS_WITH_TIME.match(line))
        speaker, text = speaker_and_text(line, known)
        names.update([speaker] if speaker else [])
        with_end += not speaker and bool(ENDS_WITH_TIME.match(line))
        only_names += bool(speaker) and not text
    with_speaker = names.total()
    sample = [line for line in map(stripped, file.sample) if line and not is_rule(line)]
    if with_time > lines * FEW and lines > 1:
        reason = f"{with_time} of {lines} lines begin with a time"
    elif lines >= 4 and with_end >= lines / 3:
        reason = f"{with_end} of {lines} lines end with a time"
    elif only_names > 1 and only_names >= lines / 4:
        reason = f"{only_names} of {lines} lines contain only a name and a colon"
    elif names and names.keys() <= KEYS:
        reason = f"{with_speaker} of {lines} lines begin with a key such as {next(iter(names))!r}"
    elif (form := reason_by_lines(sample, known)) or (form := reason_by_paragraphs(file.sample)):
        reason = form
    elif 2 <= with_speaker < lines * FEW and (max(names.values()) > 1 or with_speaker > lines / 10):
        reason = f"{with_speaker} of {lines} lines have a speaker"
    else:
        return
    first = " and ".join(repr(line[:80]) for line in shown)
    raise ValueError(f"{file.name}: looks like a transcript in an unknown form: {reason}; got {first}; {ADVICE}")


def is_rule(line: str) -> bool:
    """Whether a line only separates what is above and below it."""
    return len(line) <= LONGEST_RULE and bool(RULE.fullmatch(line))


def reason_by_lines(lines: list[str], known: frozenset[str]) -> str | None:
    """What most lines have in common in a transcript, a table or markup; None for other text.

    Args:
        lines: The first lines of the file, stripped, without empty ones.
        known: The long names of the file.
    """
    of = f"of {len(lines)} lines"
    if reason := reason_by_marks(lines):
        return reason
    with_bracket = sum(bool(TIME_IN_BRACKETS.match(line)) for line in lines)
    only_times = sum(bool(ONLY_TIMES.fullmatch(line)) for line in lines)
    if len(lines) > 1 and with_bracket > len(lines) * FEW:
        return f"{with_bracket} {of} have a time in brackets"
    if only_times > 1 and only_times >= len(lines) / 5:
        return f"{only_times} {of} contain only a time"
    stamped = sum(bool(STAMPED.fullmatch(line, max(0, len(line) - LONGEST_RULE))) for line in lines)
    if len(lines) > 1 and stamped > len(lines) * FEW:
        return f"{stamped} {of} end with a time"
    speakers = [speaker_and_text(line, known)[0] for line in lines]
    unspaced = [
        found[1] for line, name in zip(lines, speakers, strict=True) if not name and (found := UNSPACED.match(line))
    ]
    if len(unspaced) > 1 and len(unspaced) >= len(lines) / 5 and len({*unspaced} - {*speakers}) < len(unspaced):
        return f"{len(unspaced)} {of} have no space after the colon"
    numbered = sum(
        bool(NUMBER.match(line)) and not speaker.isdigit() for line, speaker in zip(lines, speakers, strict=True)
    )
    if len(lines) > 2 and numbered >= len(lines) * MOST:
        return f"{numbered} {of} begin with a number"
    if sum(map(bool, speakers)) >= len(lines) * FEW:
        return None
    timed = sum(bool(TIME_BEFORE_NAME.match(line)) for line in lines)
    if len(lines) > 1 and timed > len(lines) * FEW:
        return f"{timed} {of} have a time before a name"
    marked = sum(line[0] in MARKS and not line.startswith("<3") for line in lines)
    if len(lines) > 1 and marked >= len(lines) * MOST:
        return f"{marked} {of} begin with a mark such as {lines[-1][0]!r}"
    return reason_by_fields(lines)


def reason_by_marks(lines: list[str]) -> str | None:
    """Which marks of another kind of file most lines have, or a line of an e-mail; None without them."""
    of = f"of {len(lines)} lines"
    between = [found for line in lines if (found := BETWEEN_UTTERANCES.search(line))]
    if len(between) > len(lines) * FEW:
        return f"{len(between)} {of} have {between[0][0]!r} between utterances"
    with_seconds = sum(bool(SECONDS_AFTER_NAMES.match(line)) for line in lines)
    if len(lines) > 1 and with_seconds >= len(lines) * MOST:
        return f"{with_seconds} {of} have two times in seconds"
    asked = Counter(found[1] for line in lines if (found := QUESTION_OR_ANSWER.match(line)))
    if len(asked) == 2 and asked.total() >= len(lines) * FEW:
        return f"{asked.total()} {of} begin with 'Q.' or 'A.'"
    names = Counter(found[1] for line in lines if (found := NAME_IN_CAPITALS.match(line)))
    if len(lines) > 2 and names.total() >= len(lines) * MOST and 1 < len(names) <= names.total() * 0.7:
        return f"{names.total()} {of} begin with a name in capitals and a period"
    mail = next((line for line in lines if len(line) < LONGEST_RULE and QUOTES_MAIL.fullmatch(line)), None)
    return f"it quotes an e-mail ({mail[:60]!r})" if mail else None


def reason_by_fields(lines: list[str]) -> str | None:
    """How most lines are divided into fields, or into a name and a text; None if they are not."""
    for separator, title in BETWEEN_FIELDS.items():
        counts = Counter(line.count(separator) for line in lines if f"{separator} " not in line)
        count, alike = counts.most_common(1)[0] if counts else (0, 0)
        fewest = 1 if separator == "\t" else 2
        if count >= fewest and alike >= len(lines) * 0.95 and len(lines) > (2 if separator == "," else 1):
            return f"{alike} of {len(lines)} lines are divided by {title}, as a table without known column names"
    every_other = lines[::2]
    if len(lines) > 5 and len({*every_other}) <= len(every_other) * 0.6 and all(map(is_bare_name, every_other)):
        return f"{len(every_other)} of {len(lines)} lines contain only a name"
    for separator, title in AFTER_NAMES.items():
        names = [line.partition(separator)[0].strip() for line in lines if separator in line]
        names = [name for name in names if name and len(name) <= 30 and len(name.split()) <= 3]
        if len(lines) > 2 and len(names) >= len(lines) * MOST and len(set(names)) <= len(names) * 0.7:
            return f"{len(names)} of {len(lines)} lines begin with a name and {title}"
    return None


def is_bare_name(line: str) -> bool:
    """Whether a line may be only a name: without an end of a sentence."""
    return len(line) <= 40 and is_name(line) and line[-1] not in ".!?…"


def reason_by_paragraphs(lines: list[str]) -> str | None:
    """How many paragraphs begin with a recurring name in capitals, as in a screenplay; None if few do."""
    first = [
        line.strip() for above, line in zip(["", *lines], lines, strict=False) if line.strip() and not above.strip()
    ]
    headings = sum(bool(HEADING.match(line)) for line in first)
    names = Counter(line for line in first if line.isupper() and is_bare_name(line))
    recurring = sum(count for count in names.values() if count > 1)
    if headings and names:
        return f"it has headings of scenes ({headings})"
    return (
        f"{recurring} of {len(first)} paragraphs begin with a name"
        if recurring > 2 and recurring >= 0.4 * len(first)
        else None
    )
