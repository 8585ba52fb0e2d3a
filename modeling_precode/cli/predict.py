"""`precode predict FILE` labels every utterance of the dialogues in a file."""

import argparse
import logging
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, fields
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from huggingface_hub import try_to_load_from_cache
from tqdm.contrib.logging import logging_redirect_tqdm

from data_scripts.building.dialogues import Dialogue
from data_scripts.building.label_maps import LabelMap
from data_scripts.building.options import parse_options
from data_scripts.formats.dialogue_files import read_file
from data_scripts.formats.input_file import InputFile
from data_scripts.formats.names import speaker_and_text
from data_scripts.formats.options import ReadingOptions
from data_scripts.formats.reading import read_lines
from data_scripts.tools.console import log_handler
from data_scripts.tools.progress import ProgressLines
from data_scripts.tools.whole_files import digest, whole_file

from ..default_model import DEFAULT, checkpoint_path
from ..onnx_runtime import OnnxEmotionPipeline, is_exported
from ..version import __version__
from .kept_labels import KeptLabels, as_turn, folder_digest, kept_labels
from .page_parts import check_parts_folder, write_pages
from .predict_arguments import check_additions
from .predictions import FILE_WRITERS, WRITERS, Labeled, as_line, as_table
from .workbook import check_number_of_rows, check_workbook

logger = logging.getLogger(__name__)

STANDARD_INPUT = "/dev/stdin"


def predict(args: argparse.Namespace) -> None:
    """Run `precode predict` with parsed arguments."""
    # Errors of the last steps are raised before the model is loaded.
    kind = output_format(args)
    path = file_to_read(args)
    label_map = LabelMap.load(args.label_map) if args.label_map else None
    if args.live:
        predict_live(args, path, label_map)
        return
    with log_to_the_terminal(), input_file(args, path) as file:
        dialogues = read(file)
        if kind == "xlsx" and file.utterances:
            check_number_of_rows(file.utterances)
        emotions, checkpoint = pipeline_of(args)
        counterparts = counterparts_of(emotions, label_map, checkpoint)
        with labels_to_keep(args, kind, file, emotions, checkpoint, counterparts) as kept:
            labeled = label(args, kind, file, emotions, dialogues, kept, counterparts)
            write_output(args, kind, labeled, labels_of(emotions, counterparts), checkpoint)


@contextmanager
def labels_to_keep(
    args: argparse.Namespace,
    kind: str,
    file: InputFile,
    emotions: Any,
    checkpoint: str,
    counterparts: dict[str, str | None] | None,
) -> Iterator[KeptLabels | None]:
    """Keep labels with `--resume`: a context with the kept labels, or with None without `--resume`."""
    if not args.resume:
        yield None
        return
    folder = Path(checkpoint_path(checkpoint))
    if not folder.is_dir():
        folder = Path(str(try_to_load_from_cache(checkpoint, "config.json", revision=args.revision))).parent
    library = "onnxruntime" if is_exported(checkpoint_path(checkpoint)) else "torch"
    depends_on = {
        "the version": f"precode {__version__}, {library} {version(library)}",
        "the digest of FILE": digest(file.path),
        "the digest of the model": folder_digest(folder),
        "--device": str(emotions.device),
        "--max_batch_tokens": args.max_batch_tokens,
        "--distribution": args.distribution or kind == "html",
        "--known_words": args.known_words,
        "--label_map": counterparts,
        "--explain": args.explain,
        **{f"the option {name}": value for name, value in asdict(reading_options(args)).items()},
    }
    with kept_labels(Path(args.output), depends_on) as kept:
        if kept.utterances:
            logger.info("continuing after %s utterances, whose labels are in %s", f"{kept.utterances:,}", kept.path)
        yield kept


def label(
    args: argparse.Namespace,
    kind: str,
    file: InputFile,
    emotions: Any,
    dialogues: Iterator[Dialogue],
    kept: KeptLabels | None,
    counterparts: dict[str, str | None] | None,
) -> Iterator[tuple[Dialogue, list[dict]]]:
    """Yield every dialogue with its turns from the pipeline. Kept labels come first, and new ones are added."""
    done = kept.utterances if kept else 0
    # A progress bar would disturb the printed output.
    silent = not args.output and sys.stdout.isatty()
    if kept:
        yield from kept.labeled(dialogues)
    # The pipeline reads ahead. These dialogues are read but not labeled yet.
    waiting: deque[Dialogue] = deque()
    together: list[list[dict]] = []
    with closing(ProgressLines("labeling", file.utterances, done, "utterances", silent)) as progress:
        for turns in emotions(
            turns_of(dialogues, waiting),
            distribution=args.distribution or kind == "html",
            max_batch_tokens=args.max_batch_tokens,
            label_map=counterparts,
            explain=args.explain,
            known_words=args.known_words,
        ):
            dialogue = waiting.popleft()
            if kept:
                together.append(turns)
                if not waiting:
                    kept.add(together)
                    together = []
            yield dialogue, turns
            progress.update(len(turns))


def pipeline_of(args: argparse.Namespace) -> tuple[Any, str]:
    """The pipeline of the requested checkpoint, and its name."""
    checkpoint = model_to_use(args)
    return load_pipeline(checkpoint, args), checkpoint


def load_pipeline(checkpoint: str, args: argparse.Namespace) -> Any:
    """The pipeline of a checkpoint, or of a folder that `precode export` wrote."""
    if is_exported(checkpoint_path(checkpoint)):
        return OnnxEmotionPipeline(checkpoint)
    from transformers import pipeline
    from transformers.utils import logging

    from ..loading.checkpoints import load_tokenizer
    from ..modeling_precode import PreCodeForUtteranceClassification
    from ..pipeline_precode import TASK

    logging.disable_progress_bar()
    # With a name, `pipeline` would hide the error of a checkpoint in a report of many lines.
    tokenizer = load_tokenizer(checkpoint, args.revision)
    source = checkpoint_path(checkpoint)
    model = PreCodeForUtteranceClassification.from_pretrained(source, revision=args.revision)
    return pipeline(TASK, model=model, tokenizer=tokenizer, device=args.device)  # type: ignore[call-overload]


def counterparts_of(emotions: Any, label_map: LabelMap | None, checkpoint: str) -> dict[str, str | None] | None:
    """The label to write for each label of the model; None without a label map."""
    if label_map is None:
        return None
    names = emotions.model.config.label_names
    return dict(zip(names, label_map.counterparts(names, checkpoint), strict=True))


def labels_of(emotions: Any, counterparts: dict[str, str | None] | None) -> list[str]:
    """The labels that can be predicted, after the label map."""
    if counterparts is None:
        return emotions.model.config.label_names
    return sorted({label for label in counterparts.values() if label is not None})


def predict_live(args: argparse.Namespace, path: Path, label_map: LabelMap | None) -> None:
    """Label lines of text when they arrive, and print each result."""
    emotions, checkpoint = pipeline_of(args)
    counterparts = counterparts_of(emotions, label_map, checkpoint)
    stream = partial(emotions.stream, args.distribution, counterparts)
    for line in label_live(stream, path, labels_of(emotions, counterparts)):
        print(line, end="", flush=True)


def write_output(args: argparse.Namespace, kind: str, labeled: Labeled, labels: list[str], checkpoint: str) -> None:
    """Write labeled dialogues to a file or to the terminal, in the format `kind`."""
    if kind == "parquet" and args.distribution:
        from .corpus_file import write_corpus

        write_corpus(args.output, labeled, labels, is_alone=args.resume)
        return
    if kind in FILE_WRITERS:
        with whole_file(Path(args.output), is_alone=args.resume) as unfinished:
            FILE_WRITERS[kind](unfinished, labeled, labels)
        return
    name = "standard input" if args.file == "-" else Path(args.file).name
    # A page may be published, so it must not contain local paths.
    model = Path(checkpoint).resolve().name if Path(checkpoint).is_dir() else checkpoint
    on_terminal = kind == "table" and not args.output and sys.stdout.isatty()
    if kind == "html" and args.output:
        write_pages(Path(args.output), labeled, labels, name, model)
        return
    write = partial(as_table, is_terminal=True) if on_terminal else WRITERS[kind]
    with open_output(args) as file:
        for part in write(labeled, labels, name, model):
            file.write(part)
            if not args.output:
                file.flush()


def file_to_read(args: argparse.Namespace) -> Path:
    """The path of the input. Raises an error if it does not exist, or if an option cannot be used with `--live`."""
    path = Path(STANDARD_INPUT if args.file == "-" else args.file)
    if not path.exists():
        raise FileNotFoundError(f"{args.file}: no such file; check the path, or use - for standard input")
    if path.is_dir():
        raise IsADirectoryError(f"{args.file}: is a folder; give a file in it")
    for option in (
        "output",
        "format",
        "input_format",
        "corpus_options",
        "max_silence",
        "max_batch_tokens",
        "resume",
        "explain",
        "known_words",
    ):
        if args.live and getattr(args, option):
            raise ValueError(
                f"--{option} cannot be used with --live, which prints a line for each line of text; leave one out"
            )
    return path


def check_device(device: str | None) -> None:
    """Raise a ValueError if a device is not available."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"--device {device}: {reason}; use a device that this machine has, such as cpu, or leave it out"
        ) from None


def label_live(new_stream: Callable[[], Any], path: Path, labels: list[str]) -> Iterator[str]:
    """Label lines `Speaker: utterance` or `utterance` when they arrive. A blank line starts a new dialogue."""
    stream = new_stream()
    for line in map(str.strip, read_lines(path)):
        if line:
            speaker, text = speaker_and_text(line)
            yield as_line(stream({"speaker": speaker or None, "text": text}), labels, is_terminal=sys.stdout.isatty())
        else:
            stream = new_stream()


@contextmanager
def input_file(args: argparse.Namespace, path: Path) -> Iterator[InputFile]:
    """Open the file. Standard input is copied to a file first, because its format must be detected."""
    options = reading_options(args)
    if args.file != "-":
        yield InputFile(path, options, keeps_columns=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        # In a folder of its own, because Slack's reader also looks for names one folder above the file.
        copy = Path(folder, "input", "standard input.txt")
        copy.parent.mkdir()
        with open(path, "rb") as source, open(copy, "wb") as target:
            shutil.copyfileobj(source, target)
        yield InputFile(copy, options, name=STANDARD_INPUT, keeps_columns=True)


def reading_options(args: argparse.Namespace) -> ReadingOptions:
    """The options for reading the file. Raises a ValueError for an unknown option."""
    known = {field.name: field.default for field in fields(ReadingOptions)}
    # The name of a column may be 1.
    names = [name for name, default in known.items() if isinstance(default, str)]
    options = parse_options(args.corpus_options, "--corpus_options", as_text=names)
    if unknown := [name for name in options if name not in known]:
        raise ValueError(f"--corpus_options {unknown[0]}: unknown; known are {', '.join(known)}")
    for name in ("input_format", "max_silence"):
        if getattr(args, name) is not None:
            options[name] = getattr(args, name)
    return ReadingOptions(**options)


def read(file: InputFile) -> Iterator[Dialogue]:
    """Yield the dialogues of the file. The first one is read at once, so that errors appear early."""
    dialogues = read_file(file)
    return chain([next(dialogues)], dialogues)


def log_to_the_terminal() -> AbstractContextManager[None]:
    """Log what is read and left out, and the progress, to standard error, above the progress bar."""
    for name in ("data_scripts", "modeling_precode.cli"):
        log = logging.getLogger(name)
        log.setLevel(log.level or logging.INFO)
    logs = [logging.getLogger(name) for name in ("data_scripts", "modeling_precode")]
    for log in logs:
        if not log.handlers:
            log.addHandler(log_handler())
    return logging_redirect_tqdm(logs)


def turns_of(dialogues: Iterator[Dialogue], waiting: deque[Dialogue]) -> Iterator[list[dict]]:
    """Yield the turns of each dialogue for the pipeline, and append the dialogue to `waiting`."""
    for dialogue in dialogues:
        waiting.append(dialogue)
        yield [as_turn(utterance) for utterance in dialogue.utterances]


def model_to_use(args: argparse.Namespace) -> str:
    """The requested checkpoint, or the default model. Raises a ValueError if it cannot label."""
    checkpoint = args.model or DEFAULT
    if args.revision is not None and Path(checkpoint_path(checkpoint)).is_dir():
        raise ValueError(f"--revision {args.revision}: {checkpoint} is not on the Hub; leave it out")
    if is_exported(checkpoint_path(checkpoint)):
        if args.device not in (None, "cpu"):
            raise ValueError(f"--device {args.device}: {checkpoint} is an exported model, which runs on the CPU only")
        return checkpoint
    try:
        from ..loading.checkpoints import load_config

        check_device(args.device)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{checkpoint}: a checkpoint needs {error.name}, which is not installed; run pip install precode, or give "
            "a folder that precode export wrote"
        ) from None
    config = load_config(checkpoint, args.revision)
    heads = config.architectures or []
    if "PreCodeForUtteranceClassification" not in heads:
        reason = (
            f"has the head {', '.join(heads)}, which labels nothing" if heads else "has no head that labels utterances"
        )
        raise ValueError(f"{checkpoint}: {reason}; fine-tune it first: precode finetune --model {checkpoint}")
    return checkpoint


def output_format(args: argparse.Namespace) -> str:
    """The format of the output. Raises an error if it cannot be written."""
    if args.resume and not args.output and not args.live:
        raise ValueError("--resume keeps labels beside the output file; give its name with --output")
    if not args.live:
        check_additions(args)
    if not args.output:
        if args.format in FILE_WRITERS:
            raise ValueError(f"--format {args.format}: cannot be printed; give the name of a file with --output")
        return args.format or "table"
    path = Path(args.output)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"--output {args.output}: is a folder, or its folder does not exist; give the path of a file"
        )
    if path.exists() and args.file != "-" and Path(args.file).exists() and path.samefile(args.file):
        raise ValueError(f"--output {args.output}: is also the input file; use another name")
    kind = args.format or path.suffix.lower().removeprefix(".")
    if kind not in WRITERS and kind not in FILE_WRITERS:
        known = ", ".join(f".{name}" for name in [*WRITERS, *FILE_WRITERS] if name != "table")
        raise ValueError(
            f"--output {args.output}: unknown file extension; known are {known}; use one of them, or --format"
        )
    if kind == "html":
        check_parts_folder(path)
    if kind == "xlsx":
        check_workbook(args.output)
    return kind


@contextmanager
def open_output(args: argparse.Namespace) -> Iterator[TextIO]:
    """Open standard output, or a file that appears under its name when it is complete."""
    if not args.output:
        yield sys.stdout
        return
    with (
        whole_file(Path(args.output), is_alone=args.resume) as unfinished,
        open(unfinished, "w", encoding="utf-8", newline="") as file,
    ):
        yield file
