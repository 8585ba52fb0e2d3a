"""Train the model that comes with the package, on free data only.

make default-model
python -m benchmarks.default_model --teacher_encoder FOLDER --student_encoder FOLDER

1. A large text encoder, the teacher, is trained on the corpus `openerc` with the votes of its annotators.
2. The teacher labels a part of the chats of `chitchat`.
3. A student with some layers of a small text encoder is trained on both.
4. The student is saved in modeling_precode/default_model, with weights in half precision.

The same command continues after an interruption: a training from its last checkpoint, the labeling from the last
hundred chats. With other encoders, it needs another output folder. docs/results/default-model.md says what it needs.
"""

import argparse
import json
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer, pipeline
from transformers.utils import cached_file

from data_scripts import load_corpus
from data_scripts.building.dialogues import Dialogue, Utterance
from data_scripts.tools.console import Parser
from data_scripts.tools.progress import with_progress
from data_scripts.tools.whole_files import replaced_files, whole_folder
from modeling_precode import PreCodeForUtteranceClassification
from modeling_precode.cli.console import start_output
from modeling_precode.cli.corpus_file import write_corpus
from modeling_precode.cli.kept_labels import as_turn
from modeling_precode.default_model import FOLDER

logger = logging.getLogger("benchmarks.default_model")

ROOT = Path(__file__).resolve().parents[2]
NOTES = Path(__file__).with_name("notes.md")
TRAINING = (
    "--soft_labels --size mid --learning_rate 1e-3 --layer_decay 0.9 --metric_for_best_model macro_f1 "
    "--score_test false --checkpointing_steps 100 --resume_from_checkpoint latest"
)
TEACHER = "--num_train_epochs 3 --patience 3 --text_encoder_learning_rate 5e-5"
STUDENT = "--num_train_epochs 5 --patience 5 --text_encoder_learning_rate 2e-4 --per_device_train_batch_size 16"
STUDENT_LAYERS = [0, 5]
CHATS = 1000
# The number of chats that are labeled together, and lost by an interruption.
PART = 100


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser("python -m benchmarks.default_model", description=__doc__.partition("\n")[0], allow_abbrev=False)
    add = parser.add_argument
    add("--teacher_encoder", type=folder_or_name, default="sentence-transformers/all-mpnet-base-v2", help="text "
        "encoder of the teacher: a folder or a name on the Hub (default: %(default)s)")  # fmt: skip
    add("--student_encoder", type=folder_or_name, default="sentence-transformers/all-MiniLM-L6-v2", help="text "
        "encoder like BERT, of which the student takes layers: a folder or a name on the Hub (default: "
        "%(default)s)")  # fmt: skip
    add("--output_dir", type=Path, default=Path("build/default-model"), help="folder for the results of the "
        "steps (default: %(default)s)")  # fmt: skip
    add("--bf16", action="store_true", help="train in bfloat16, which is faster on processors with instructions for it")
    return parser.parse_args(arguments)


def folder_or_name(value: str) -> str:
    """The absolute path of a folder, because the training runs in the root of the repository; or a name on the Hub."""
    return str(Path(value).resolve()) if Path(value).is_dir() else value


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_arguments(arguments)
    start_output(main_process=True)
    output_dir = args.output_dir.resolve()
    output_dir.mkdir(parents=True, exist_ok=True)
    teacher, student, chats, encoder = (
        output_dir / name for name in ("teacher", "student", "chats", "student-encoder")
    )
    finetune(["openerc"], args.teacher_encoder, TEACHER, teacher, args.bf16)
    label_chats(teacher, chats, args.bf16)
    # This takes seconds. With another encoder, the training of the student then refuses to continue.
    cut_encoder(args.student_encoder, STUDENT_LAYERS, encoder)
    finetune(["openerc", str(chats)], str(encoder), STUDENT, student, args.bf16)
    save_default_model(student, FOLDER)
    logger.info(f"The default model is in {FOLDER}")


def finetune(corpora: Sequence[str], text_encoder: str, settings: str, output_dir: Path, bf16: bool) -> None:
    """Train, or continue a training. One that is finished is not repeated."""
    command = ["run_finetune.py", "--corpus", *corpora, "--text_encoder", text_encoder, *settings.split()]
    command += [*TRAINING.split(), "--output_dir", str(output_dir), *["--bf16"] * bf16]
    logger.info(f"\n$ python {' '.join(command)}")
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True)


def label_chats(teacher: Path, folder: Path, bf16: bool) -> None:
    """Label the first chats with the probabilities of the teacher, as a corpus that fine-tuning reads."""
    parts = {folder / f"train-{start:05}.parquet": start for start in range(0, CHATS, PART)}
    missing = {path: start for path, start in parts.items() if not path.is_file()}
    if not missing:
        return
    folder.mkdir(exist_ok=True)
    dtype = torch.bfloat16 if bf16 else torch.float32
    emotions = pipeline("conversation-emotion", model=str(teacher), dtype=dtype)
    chats = load_corpus("chitchat")["train"].select(range(CHATS))
    for path, start in with_progress(missing.items(), "labeling chats", len(missing), "parts"):
        dialogues = [
            Dialogue(
                row["dialogue_id"], [Utterance(*turn) for turn in zip(row["utterances"], row["speakers"], strict=True)]
            )
            for row in chats.select(range(start, min(start + PART, CHATS)))
        ]
        turns = [list(map(as_turn, dialogue.utterances)) for dialogue in dialogues]
        labeled = zip(dialogues, emotions(turns, distribution=True), strict=True)
        write_corpus(path, labeled, emotions.model.config.label_names)


def cut_encoder(name: str, layers: Sequence[int], folder: Path) -> None:
    """Save a text encoder like BERT with some of its layers, its tokenizer and its card, which has its license."""
    encoder = AutoModel.from_pretrained(name)
    encoder.encoder.layer = torch.nn.ModuleList(encoder.encoder.layer[i] for i in layers)
    encoder.config.num_hidden_layers = len(layers)
    card = cached_file(name, "README.md", _raise_exceptions_for_missing_entries=False)
    with whole_folder(folder) as unfinished:
        encoder.save_pretrained(unfinished)
        AutoTokenizer.from_pretrained(name).save_pretrained(unfinished)
        if card:
            shutil.copy(card, unfinished / "README.md")


def save_default_model(student: Path, folder: Path) -> None:
    """Save the student in the package. Its weights are in half precision, and are loaded in single precision."""
    model = PreCodeForUtteranceClassification.from_pretrained(student)
    with replaced_files(folder) as files:
        model.half().save_pretrained(files)
        config = json.loads((files / "config.json").read_text(encoding="utf-8"))
        config["dtype"] = config["text_config"]["dtype"] = "float32"
        (files / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        # The package already contains the code.
        for code in files.glob("*.py"):
            code.unlink()
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(student / name, files)
        card = default_card((student / "README.md").read_text(encoding="utf-8"))
        (files / "README.md").write_text(card, encoding="utf-8")


def default_card(card: str) -> str:
    """The card of the student, after the notes on the default model."""
    head, _, training = card.partition("# student\n")
    head = re.sub(r"license: .*\n(?:license_name: .*\n)?", "license: apache-2.0\n", head, count=1)
    # The model is in the package, and needs no name.
    training = re.sub(r"Without the package, .*?```.*?```\n\n", "", training, count=1, flags=re.DOTALL)
    return head + NOTES.read_text(encoding="utf-8") + training.replace(', model="student"', "")


if __name__ == "__main__":
    main()
