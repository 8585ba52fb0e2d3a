"""Simulates the cost of a step on 8 or 64 GPUs, from a step that is measured on this machine.

    python -m benchmarks.scaling
    python -m benchmarks.scaling --size mid --batch_size 256 --trained_word_vectors

The script measures a step of pre-training for one process's share of the batch, on a GPU if there is one, and the size
of its gradients and candidates. The communication is computed for a ring: a GPU sends and receives 2 (P - 1) / P of the
gradients, (P - 1) times its share of the candidates in the forward pass, and twice as much in the backward pass. No
overlap with computation is assumed. The bandwidths are from data sheets. The cost of scoring the candidates of other
processes is left out: on 64 GPUs, it is about 10 GFLOP per step.
"""

import argparse
import time

import torch

from benchmarks.documents import table
from modeling_precode import SIZES, PreCodeConfig, PreCodeForConversationCompletion

# The number of processes, and the bytes per second and seconds per message of the slowest link between two of them.
NETWORKS = {
    "8 GPUs in one machine, NVLink (300 GB/s)": (8, 300e9, 5e-6),
    "8 GPUs in one machine, PCIe 4 (20 GB/s)": (8, 20e9, 10e-6),
    "64 GPUs in 8 machines, InfiniBand (25 GB/s)": (64, 25e9, 10e-6),
    "64 GPUs in 8 machines, Ethernet (1.25 GB/s)": (64, 1.25e9, 50e-6),
}


def measure(args: argparse.Namespace, device: str) -> tuple[float, int, int, int]:
    """The seconds of a step of one process, its utterances, and the bytes of its gradients and its candidates."""
    torch.manual_seed(0)
    size = SIZES[args.size]
    config = PreCodeConfig(
        vocab_size=args.vocabulary,
        word_vector_size=300,
        utterance_hidden_size=size,
        conversation_hidden_size=size,
        freeze_word_vectors=not args.trained_word_vectors,
    )
    model = PreCodeForConversationCompletion(config).to(device).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=1e-4)
    shape = (args.batch_size, args.utterances, args.tokens)
    batches = [torch.randint(2, args.vocabulary, shape, device=device) for _ in range(3)]
    seconds = []
    for step in range(args.steps + 2):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        model(input_ids=batches[step % 3]).loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        optimizer.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    utterances = args.batch_size * args.utterances
    gradients = sum(p.numel() * p.element_size() for p in parameters)
    # Vectors, token ids and the number of the dialogue.
    candidates = utterances * (4 * size + 8 * args.tokens + 8)
    return sorted(seconds[2:])[args.steps // 2], utterances, gradients, candidates


def exchange(processes: int, bandwidth: float, latency: float, gradients: int, candidates: int) -> tuple[float, float]:
    """The seconds to average the gradients, and to gather the candidates and return their gradients."""
    messages = 2 * (processes - 1)
    average = messages / processes * gradients / bandwidth + messages * latency
    gather = 3 * (processes - 1) * candidates / bandwidth + 2 * messages * latency
    return average, gather


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument("--batch_size", type=int, default=32, help="dialogues per process")
    parser.add_argument("--utterances", type=int, default=12, help="utterances per dialogue")
    parser.add_argument("--tokens", type=int, default=8, help="tokens per utterance")
    parser.add_argument("--vocabulary", type=int, default=20_000)
    parser.add_argument("--trained_word_vectors", action="store_true")
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--step_seconds", type=float, help="the time of a step that was measured elsewhere")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    step, utterances, gradients, candidates = measure(args, device)
    machine = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU thread(s)"
    how = f"measured on {machine}"
    if args.step_seconds is not None:
        step, how = args.step_seconds, "as given"
    print(
        f"Simulation. {args.size}, each process has {args.batch_size} dialogues of {args.utterances} utterances of "
        f"{args.tokens} tokens: a step takes {1000 * step:.1f} ms ({how}); {gradients / 2**20:.1f} MiB of gradients, "
        f"{candidates / 2**20:.2f} MiB of candidates\n"
    )
    rows = [["1 process", f"{1000 * step:.1f} ms", "", "", f"{1000 * step:.1f} ms", f"{utterances / step:,.0f}", ""]]
    for name, (processes, bandwidth, latency) in NETWORKS.items():
        average, gather = exchange(processes, bandwidth, latency, gradients, candidates)
        total = step + average + gather
        times = [f"{1000 * value:.2f} ms" for value in (step, average, gather, total)]
        rows.append([name, *times, f"{processes * utterances / total:,.0f}", f"{step / total:.0%}"])
    print(table(["", "compute", "gradients", "candidates", "step", "utterances/s", "efficiency"], rows))


if __name__ == "__main__":
    main()
