"""Measures how fast exports of a model to ONNX label dialogues, compared with the model in torch.

    OMP_NUM_THREADS=1 python -m benchmarks.export [--model CHECKPOINT]

The dialogues are the validation and the test split of OpenERC, as raw text: 3,472 utterances. The models take turns for
several rounds, and the best round of each counts, because other processes can only slow a round down. With one thread,
the rate is that of processor time, on which other processes have less influence. The first label is measured in a new
process, from the start of Python on.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from transformers import pipeline

from benchmarks.documents import table
from data_scripts import load_corpus
from modeling_precode.conversion.onnx_export import export_onnx
from modeling_precode.default_model import DEFAULT, checkpoint_path
from modeling_precode.onnx_runtime import OnnxEmotionPipeline

TORCH_START = "import modeling_precode, transformers; emotions = transformers.pipeline('conversation-emotion', {!r})"
ONNX_START = "from modeling_precode.onnx_runtime import OnnxEmotionPipeline; emotions = OnnxEmotionPipeline({!r})"

CLOCK = time.process_time if os.environ.get("OMP_NUM_THREADS") == "1" else time.perf_counter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", default=DEFAULT, help="a checkpoint (default: the model that comes with the package)"
    )
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    checkpoint = checkpoint_path(args.model)
    corpus = load_corpus("openerc")
    dialogues = [
        list(zip(row["speakers"], row["utterances"], strict=True))
        for split in ("validation", "test")
        for row in corpus[split]
    ]
    with tempfile.TemporaryDirectory() as folder:
        models = {"torch, float32": pipeline("conversation-emotion", model=checkpoint, device="cpu")}
        starts = {"torch, float32": TORCH_START.format(checkpoint)}
        sizes = {"torch, float32": Path(checkpoint)}
        for name, quantization in {"ONNX, float32": None, "ONNX, int8": "int8"}.items():
            path = Path(folder, name)
            emotions = models["torch, float32"]
            export_onnx(emotions, path, corpus["validation"], quantization=quantization, allowed_loss=100)
            models[name] = OnnxEmotionPipeline(path)
            starts[name], sizes[name] = ONNX_START.format(str(path)), path
        seconds = {name: [] for name in models}
        for _ in range(args.rounds):
            for name, emotions in models.items():
                seconds[name].append(timed(lambda emotions=emotions: emotions(dialogues), CLOCK))
        print(f"{os.environ.get('OMP_NUM_THREADS', 'all')} thread(s)\n")
        rows = []
        for name in models:
            rate, ratio = (
                sum(map(len, dialogues)) / min(seconds[name]),
                min(seconds["torch, float32"]) / min(seconds[name]),
            )
            size = sum(path.stat().st_size for path in sizes[name].iterdir() if path.suffix != ".py" and path.is_file())
            first = min(timed(lambda name=name: first_label(starts[name])) for _ in range(args.rounds))
            rows.append([name, f"{rate:,.0f}", f"{ratio:.2f}", f"{size / 1e6:.1f}", f"{first:.2f}"])
        print(table(["", "utterances/s", "compared with torch", "MB", "first label, s"], rows))


def first_label(start: str) -> None:
    subprocess.run([sys.executable, "-c", f"{start}; emotions(['Hi!'])"], check=True, capture_output=True)


def timed(work, clock=time.perf_counter) -> float:
    start = clock()
    work()
    return clock() - start


if __name__ == "__main__":
    main()
