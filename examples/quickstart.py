"""Label a dialogue with the model that comes with the package; then train one: pre-train on real chats, fine-tune.

`make quickstart` runs this script. All data comes from installed packages, and nothing is downloaded.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from transformers import pipeline

from data_scripts import load_corpus
from modeling_precode import ConversationEmotionPipeline
from modeling_precode.cli.console import start_output
from modeling_precode.default_model import DEFAULT, checkpoint_path
from modeling_precode.evaluation.scoring import score_split

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINTS = Path("checkpoints/quickstart")
PRETRAINED, FINETUNED = CHECKPOINTS / "pretrained", CHECKPOINTS / "finetuned"

PRETRAIN = (
    f"run_pretrain.py --corpus chitchat --output_dir {PRETRAINED} --overwrite_output_dir "
    "--hidden_size 128 --word_vector_size 128 --batch_size 32 --max_steps 450 --eval_steps 75"
)
FINETUNE = (
    f"run_finetune.py --model {PRETRAINED} --corpus sample --output_dir {FINETUNED} --overwrite_output_dir "
    "--class_weight_rate 0.5 --metric_for_best_model macro_f1 --learning_rate 1e-3 --num_train_epochs 40 --patience 6"
)
DIALOGUE = [
    ("Ana", "Did you open the letter yet?"),
    ("Ben", "No. My hands are shaking, I can't do it."),
    ("Ana", "Give it here. Oh my god. Ben, you got in!"),
    ("Ben", "What? Are you serious?"),
    ("Ana", "I'm so happy for you!"),
    ("Ben", "I wish Grandpa was still here to see this."),
]


# The path of Python as a user in this folder would type it.
PYTHON = os.path.relpath(sys.executable, ROOT) if Path(sys.executable).is_relative_to(ROOT) else "python"


SHARE = f"{Path(PYTHON).with_name('precode')} push {FINETUNED} YOUR_NAME/precode"


def run(command: str) -> None:
    print(f"\n$ {PYTHON} {command}", flush=True)
    subprocess.run([sys.executable, *command.split()], cwd=ROOT, check=True)


def main() -> None:
    start_output(main_process=True)
    start = time.perf_counter()
    print("The model that comes with the package labels a dialogue:\n")
    default = pipeline("conversation-emotion", model=checkpoint_path(DEFAULT))
    labeled = default(DIALOGUE)
    for turn in labeled:
        print(f"  {turn['label']:<9} {turn['score']:4.0%}  {turn['speaker']}: {turn['text']}")
    print(
        f"\n{time.perf_counter() - start:.0f} seconds. Now a small model of your own, pre-trained on chats, fine-tuned:"
    )

    run(PRETRAIN)
    run(FINETUNE)

    own = pipeline("conversation-emotion", model=str(ROOT / FINETUNED))
    print(f"\n  {'default':<15} your own")
    for turn, by_own in zip(labeled, own(DIALOGUE), strict=True):
        labels = (f"{by['label']:<9} {by['score']:4.0%}  " for by in (turn, by_own))
        print(f"  {''.join(labels)}{turn['speaker']}: {turn['text']}")
    print_scores(default)
    print(
        f"{time.perf_counter() - start:.0f} seconds in total\n\n"
        f"The checkpoint is in {FINETUNED}. Next:\n"
        f"  label your own dialogue\n    {Path(PYTHON).with_name('precode')} predict DIALOGUE.txt --output page.html\n"
        f"  fine-tune on your data\n    {PYTHON} run_finetune.py --model default --corpus custom --data_dir FILE\n"
        f"  share it, after {Path(PYTHON).with_name('hf')} auth login\n    {SHARE}"
    )


def print_scores(default: ConversationEmotionPipeline) -> None:
    sample = load_corpus("sample")
    by_default = score_split(default, sample["test"], sample["train"], corpus="sample").scores
    by_own = json.loads((ROOT / FINETUNED / "results.json").read_text(encoding="utf-8"))["scores"]["test"]
    convcom = json.loads((ROOT / PRETRAINED / "pretrain_results.json").read_text(encoding="utf-8"))["scores"]["test"]
    print("\nEmotions on the test split of the sample corpus, an illustration and not a benchmark:")
    for name, scores in {"default": by_default, "your own": by_own}.items():
        print(f"  {name:<9} weighted F1 {scores['weighted_f1']:.3f}, macro F1 {scores['macro_f1']:.3f}")
    print(f"Conversation Completion of your own on held-out chats: R_11@1 {convcom['R_11@1']:.3f} (chance 0.091)")


if __name__ == "__main__":
    main()
