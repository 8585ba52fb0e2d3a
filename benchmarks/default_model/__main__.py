"""Train the model that comes with the package, on free data only.

make default-model
python -m benchmarks.default_model --teacher_encoder FOLDER --student_encoder FOLDER

1. A large text encoder, the teacher, is trained on the corpus `openerc` with the votes of its annotators.
2. The teacher labels a part of the chats of `chitchat`.
3. A student with some layers of a small text encoder is trained on both.
4. The student is saved in modeling_precode/default_model, with weights in half precision.

A step whose result is in the output folder is not run again. An interrupted training is resumed.
"""

import argparse
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer, pipeline

from data_scripts import load_corpus
from data_scripts.building.dialogues import Dialogue, Utterance
from data_scripts.tools.console import Parser
from data_scripts.tools.whole_files import whole_folder
from modeling_precode import PreCodeForUtteranceClassification
from modeling_precode.cli.console import start_output
from modeling_precode.cli.corpus_file import write_corpus
from modeling_precode.cli.kept_labels import as_turn
from modeling_precode.default_model import FOLDER
from modeling_precode.training.progress import with_progress

logger = logging.getLogger("benchmarks.default_model")

ROOT = Path(__file__).resolve().parents[2]
NOTES = Path(__file__).with_name("notes.md")
TRAINING = (
    "--soft_labels --size mid --learning_rate 1e-3 --layer_decay 0.9 --metric_for_best_model macro_f1 "
    "--score_test false --resume_from_checkpoint latest"
)
TEACHER = "--num_train_epochs 3 --patience 3 --text_encoder_learning_rate 5e-5"
STUDENT = "--num_train_epochs 5 --patience 5 --text_encoder_learning_rate 2e-4 --per_device_train_batch_size 16"
STUDENT_LAYERS = [0, 5]
CHATS = 1000


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser("python -m benchmarks.default_model", description=__doc__.partition("\n")[0], allow_abbrev=False)
    add = parser.add_argument
    add("--teacher_encoder", default="sentence-transformers/all-mpnet-base-v2", help="text encoder of the teacher: a "
        "folder or a name on the Hub (default: %(default)s)")  # fmt: skip
    add("--student_encoder", default="sentence-transformers/all-MiniLM-L6-v2", help="text encoder of which the student "
        "takes layers: a folder or a name on the Hub (default: %(default)s)")  # fmt: skip
    add("--output_dir", type=Path, default=Path("build/default-model"), help="folder for the results of the "
        "steps (default: %(default)s)")  # fmt: skip
    add("--bf16", action="store_true", help="train in bfloat16, which is faster on processors with instructions for it")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_arguments(arguments)
    start_output(main_process=True)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    teacher, student, chats = (args.output_dir / name for name in ("teacher", "student", "chats"))
    encoder = args.output_dir / "student-encoder"

    finetune(f"--corpus openerc --text_encoder {args.teacher_encoder} {TEACHER}", teacher, args.bf16)
    if not chats.exists():
        label_chats(teacher, chats, args.bf16)
    if not encoder.exists():
        cut_encoder(args.student_encoder, STUDENT_LAYERS, encoder)
    finetune(f"--corpus openerc {chats} --text_encoder {encoder} {STUDENT}", student, args.bf16)
    save_default_model(student, FOLDER)
    logger.info(f"The default model is in {FOLDER.relative_to(ROOT)}")


def finetune(settings: str, output_dir: Path, bf16: bool) -> None:
    command = f"run_finetune.py {settings} {TRAINING} --output_dir {output_dir}" + " --bf16" * bf16
    logger.info(f"\n$ python {command}")
    subprocess.run([sys.executable, *command.split()], cwd=ROOT, check=True)


def label_chats(teacher: Path, folder: Path, bf16: bool) -> None:
    """Label the first chats with the probabilities of the teacher, as a corpus that fine-tuning reads."""
    dtype = torch.bfloat16 if bf16 else torch.float32
    emotions = pipeline("conversation-emotion", model=str(teacher), dtype=dtype)
    chats = load_corpus("chitchat")["train"].select(range(CHATS))
    dialogues = [
        Dialogue(
            row["dialogue_id"], [Utterance(*turn) for turn in zip(row["utterances"], row["speakers"], strict=True)]
        )
        for row in chats
    ]
    turns = (list(map(as_turn, dialogue.utterances)) for dialogue in dialogues)
    labeled = zip(dialogues, emotions(turns, distribution=True), strict=True)
    with whole_folder(folder) as unfinished:
        progress = with_progress(labeled, "labeling chats", len(dialogues), "dialogues")
        write_corpus(unfinished / "train.parquet", progress, emotions.model.config.label_names)


def cut_encoder(name: str, layers: Sequence[int], folder: Path) -> None:
    """Save a text encoder like BERT with some of its layers, and its tokenizer."""
    encoder = AutoModel.from_pretrained(name)
    encoder.encoder.layer = torch.nn.ModuleList(encoder.encoder.layer[i] for i in layers)
    encoder.config.num_hidden_layers = len(layers)
    with whole_folder(folder) as unfinished:
        encoder.save_pretrained(unfinished)
        AutoTokenizer.from_pretrained(name).save_pretrained(unfinished)


def save_default_model(student: Path, folder: Path) -> None:
    """Save the student in the package. Its weights are in half precision, and are loaded in single precision."""
    model = PreCodeForUtteranceClassification.from_pretrained(student)
    model.half().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = config["text_config"]["dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    # The package already contains the code.
    for code in folder.glob("*.py"):
        if code.name != "__init__.py":
            code.unlink()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(student / name, folder)
    (folder / "README.md").write_text(
        default_card((student / "README.md").read_text(encoding="utf-8")), encoding="utf-8"
    )


def default_card(card: str) -> str:
    """The card of the student, after the notes on the default model."""
    head, _, training = card.partition("# student\n")
    head = head.replace("license: other\nlicense_name: several\n", "license: apache-2.0\n")
    return head + NOTES.read_text(encoding="utf-8") + training.replace(', model="student"', "")


if __name__ == "__main__":
    main()
