"""Does pre-training pay? Pre-train on subtitles, fine-tune on MELD and EmoryNLP from there and from scratch.

    python benchmarks/transfer.py --data_dir DATA

`DATA` holds `subtitles_srt.zip` (a zip of .srt files), `glove.6B.100d.subset.txt.gz` (GloVe vectors), and the folders
`meld` and `emorynlp`. Runs `run_pretrain.py` and `run_finetune.py`, and prints the table of their scores. What is in
the output folder already is not run again.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRETRAIN = (
    "-m accelerate.commands.accelerate_cli launch --cpu --num_processes 1 --num_machines 1 --mixed_precision no "
    "--dynamo_backend no --num_cpu_threads_per_process 2 run_pretrain.py "
    "--corpus opsub --data_dir {data}/subtitles_srt.zip "
    "--word_vectors {data}/glove.6B.100d.subset.txt.gz --size small --dropout 0.2 --learning_rate 3e-3 "
    "--max_steps 5200 --eval_steps 650 --output_dir {output}/opsub"
)
FINETUNE = (
    "run_finetune.py {start} --corpus {corpus} --data_dir {data}/{corpus} --seeds 1 2 3 "
    "--metric_for_best_model weighted_f1 --num_train_epochs 12 --patience 4 {recipe} --output_dir {output}/{name}"
)
STARTS = {
    "from scratch": "--size small --word_vectors {data}/glove.6B.100d.subset.txt.gz",
    "pre-trained": "--model {output}/opsub",
}
# Chosen on the validation split.
RECIPES = {"meld": "--dropout 0.5 --learning_rate 2e-3", "emorynlp": "--dropout 0.2 --learning_rate 1e-3"}


def run(command: str, results: Path) -> dict:
    if not results.is_file():
        print(f"\n$ {command}", flush=True)
        subprocess.run([sys.executable, *shlex.split(command)], cwd=ROOT, check=True)
    return json.loads(results.read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--output_dir", type=Path, default=Path("checkpoints"))
    args = parser.parse_args()
    paths = {"data": shlex.quote(str(args.data_dir.resolve())), "output": shlex.quote(str(args.output_dir.resolve()))}
    scores = run(PRETRAIN.format(**paths), args.output_dir / "opsub" / "pretrain_results.json")["scores"]
    lines = [
        "| corpus | start | dev weighted F1 | test weighted F1 | test macro F1 |",
        "|---|---|---|---|---|",
    ]
    for corpus, recipe in RECIPES.items():
        for label, start in STARTS.items():
            name = f"{corpus}-{label.replace(' ', '-')}"
            command = FINETUNE.format(start=start.format(**paths), corpus=corpus, recipe=recipe, name=name, **paths)
            results = run(command, args.output_dir / name / "finetune_results.json")
            dev = [one["scores"]["validation"]["weighted_f1"] for one in results["runs"]]
            cells = [f"{100 * sum(dev) / len(dev):.1f}"]
            for metric in ("weighted_f1", "macro_f1"):
                mean, deviation = results["test_mean"][metric], results["test_standard_deviation"][metric]
                cells.append(f"{100 * mean:.1f} ± {100 * deviation:.1f}")
            lines.append(f"| {corpus} | {label} | {' | '.join(cells)} |")
    for split, values in scores.items():
        print(f"Conversation Completion, {split}: " + "  ".join(f"{key} {value:.4f}" for key, value in values.items()))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
