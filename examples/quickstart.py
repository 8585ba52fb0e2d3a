"""All steps in a few minutes: pre-train on real chats, fine-tune for emotions, label a dialogue.

`make quickstart` runs this script. All data comes from installed packages, and nothing is downloaded.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from transformers import pipeline

from modeling_precode.cli.console import start_output

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


SHARE = (
    f'{PYTHON} -c "from modeling_precode.sharing.push import push_checkpoint; '
    f"print(push_checkpoint('{FINETUNED}', 'YOUR_NAME/precode'))\""
)


def run(command: str) -> None:
    print(f"\n$ {PYTHON} {command}", flush=True)
    subprocess.run([sys.executable, *command.split()], cwd=ROOT, check=True)


def main() -> None:
    start_output(main_process=True)
    start = time.perf_counter()
    run(PRETRAIN)
    run(FINETUNE)

    print("\nAn example dialogue:\n")
    emotions = pipeline("conversation-emotion", model=str(ROOT / FINETUNED))
    for turn in emotions(DIALOGUE):
        print(f"  {turn['label']:<9} {turn['score']:4.0%}  {turn['speaker']}: {turn['text']}")

    convcom = json.loads((ROOT / PRETRAINED / "pretrain_results.json").read_text(encoding="utf-8"))["scores"]["test"]
    erc = json.loads((ROOT / FINETUNED / "results.json").read_text(encoding="utf-8"))["scores"]["test"]
    print(
        f"\nConversation Completion on held-out chats: R_11@1 {convcom['R_11@1']:.3f} (chance 0.091)\n"
        f"Emotions on the test split of the sample corpus, an illustration and not a benchmark: "
        f"weighted F1 {erc['weighted_f1']:.3f}, macro F1 {erc['macro_f1']:.3f}\n"
        f"{time.perf_counter() - start:.0f} seconds in total\n\n"
        f"The checkpoint is in {FINETUNED}. Next:\n"
        f"  label your own dialogue\n    {Path(PYTHON).with_name('precode')} predict DIALOGUE.txt --output page.html\n"
        f"  fine-tune on your data\n    {PYTHON} run_finetune.py --model {PRETRAINED} --corpus custom --data_dir FILE\n"
        f"  share it, after {Path(PYTHON).with_name('hf')} auth login\n    {SHARE}"
    )


if __name__ == "__main__":
    main()
