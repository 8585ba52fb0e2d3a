"""What is damaged and read: every reader of dialogues, the files of a checkpoint, and those of an exported model."""

import resource
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from time_limit import within

SECONDS, MEGABYTES = 20, 1024
CHECKPOINT = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
SHARDS = ("model.safetensors.index.json",)
ONNX = ("config.json", "tokenizer.json", "tokenizer_config.json", "utterance_encoder.onnx", "conversation_encoder.onnx")


@dataclass(frozen=True)
class Target:
    """A kind of file: its name in the report, the file that is damaged, and the folder of the other files it needs."""

    name: str
    file: str
    folder: str = ""

    @property
    def seeds(self) -> str:
        """The end of the names of its saved inputs."""
        return f"{self.folder}-{self.file}" if self.folder in ("shards", "onnx") else self.file


# The first ones are parsers of this library, which are also tried with inputs that are guided by coverage.
PARSERS = [
    Target("WhatsApp", "chat.txt"),
    Target("transcript", "transcript.txt"),
    Target("plain text", "plain.txt"),
    Target("SubRip", "subtitles.srt"),
    Target("WebVTT", "captions.vtt"),
    Target("JSON chats", "messages.json"),
    Target("JSON Lines", "own.jsonl"),
    Target("XML subtitles", "film.xml"),
    Target("CSV", "table.csv"),
]
FILES = [
    *PARSERS,
    Target("TSV", "table.tsv"),
    Target("compressed text", "chat.txt.gz"),
    Target("Excel", "book.xlsx"),
    Target("Parquet", "table.parquet"),
]
CHECKPOINTS = [Target(f"checkpoint: {file}", file, "checkpoint") for file in CHECKPOINT]
CHECKPOINTS += [Target(f"checkpoint: {file}", file, "shards") for file in SHARDS]
EXPORTS = [Target(f"export: {file}", file, "onnx") for file in ONNX]
TARGETS = [*FILES, *CHECKPOINTS, *EXPORTS]


def target_of(seed: str) -> Target:
    """The target that a file of `tests/fuzz_seeds` belongs to, by the end of its name, or else by its suffix."""
    for target in sorted(TARGETS, key=lambda target: -len(target.seeds)):
        if seed == target.seeds or seed.endswith(f"-{target.seeds}"):
            return target
    suffix = "".join(Path(seed).suffixes)
    return next(target for target in FILES if target.file.endswith(suffix))


def read_file(path: Path) -> None:
    """Read a file of dialogues, and as a film if it is one of subtitles. What is read can be written."""
    from data_scripts.formats.captions import film_lines_of_webvtt
    from data_scripts.formats.dialogue_files import read_dialogues
    from data_scripts.formats.opus import xml_lines
    from data_scripts.formats.subtitles import cut_at_silences, decode_subtitles, film_lines, join_sentences

    if path.suffix in (".srt", ".vtt", ".xml"):
        data = path.read_bytes()
        if path.suffix == ".xml":
            lines = list(xml_lines(data))
        else:
            text = decode_subtitles(data)
            lines = film_lines(text) if path.suffix == ".srt" else film_lines_of_webvtt(text)
        for line in lines:
            line.text.encode()
        list(cut_at_silences(join_sentences(lines, 1.0), 5.0))
    if path.suffix != ".xml":
        for dialogue in read_dialogues(path):
            for turn in dialogue.utterances:
                f"{turn.text}{turn.speaker}{turn.label}".encode()


def read_checkpoint(path: Path) -> None:
    """Load the checkpoint of a file."""
    from modeling_precode import PreCodeForUtteranceClassification
    from modeling_precode.loading.checkpoints import load_tokenizer

    load_tokenizer(str(path.parent))
    PreCodeForUtteranceClassification.from_pretrained(path.parent)


def read_export(path: Path) -> None:
    """Load the exported model of a file, and label a dialogue with it."""
    from modeling_precode.onnx_runtime import OnnxEmotionPipeline

    OnnxEmotionPipeline(path.parent)([("Ana", "Hi, so good!"), ("Ben", "No 🎉"), ("", "")], distribution=True)


def reader_of(target: Target) -> Callable[[Path], None]:
    if not target.folder:
        return read_file
    return read_export if target.folder == "onnx" else read_checkpoint


@contextmanager
def within_limits() -> Iterator[None]:
    """Limits on processor time and on the memory that is taken in addition to what the process has."""
    old = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + (MEGABYTES << 20), old[1]))
    try:
        with within(SECONDS):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, old)


def outcome(target: Target, path: Path) -> str:
    """`read`, `refused`, or what is wrong with how a file is read or refused."""
    try:
        with within_limits():
            reader_of(target)(path)
    except TimeoutError as error:
        return str(error)
    except (ValueError, OSError, SyntaxError) as error:
        line = str(error)
        # A film is one of many in a folder: its builder names the file, and counts it.
        is_clear = path.suffix == ".xml" or path.name in line or path.parent.name in line
        is_known = isinstance(error, SyntaxError) == (path.suffix == ".xml") and not isinstance(error, UnicodeError)
        if is_clear and is_known and len(line.splitlines()) == 1 and len(line) < 3000:
            return "refused"
        return f"unclear {type(error).__name__}{_place(error)}: {line}"[:400]
    except BaseException as error:
        return f"{type(error).__name__}{_place(error)}: {error}"[:400]
    return "read"


def _place(error: BaseException) -> str:
    """Where an error was raised: the last line of it in this library, and the last of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "modeling_precode" in frame.filename or "data_scripts" in frame.filename]
    shown = dict.fromkeys(f"{Path(frame.filename).name}:{frame.lineno}" for frame in [*own[-1:], *frames[-1:]])
    return f" at {', '.join(shown)}"
