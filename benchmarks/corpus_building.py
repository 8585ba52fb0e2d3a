"""Measures how fast subtitles are built into a corpus, compared with parsing alone, and the memory of a large corpus.

    python -m benchmarks.corpus_building subtitles.zip
    python -m benchmarks.corpus_building --utterances 1000000 10000000

With a zip of .srt files: the time of the package `srt` to parse them, and of complete builds (decode, parse, clean,
cut, write) with one process and with two. With numbers of utterances: the peak of resident memory when two processes
build generated films of that size, for the main process and for each worker. Every build runs in a separate process
with a new cache.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

WORDS = (
    "you know what I want is not here and we have to go now because they are waiting for us in the house with all "
    "of your friends but she said that it was too late to ask him about the money he never gave back to my brother "
    "so tell me why this old man would come home after so many years without one good reason or a word of love"
)
BUILD = """
import json, logging, resource, sys, time
import datasets
from data_scripts import load_corpus
import charset_normalizer, ftfy, py3langid
py3langid.classify("load the model")
datasets.disable_progress_bars()
start = time.perf_counter()
corpus = load_corpus("opsub", sys.argv[1], cache_dir=sys.argv[2], num_proc=int(sys.argv[3]))
seconds = time.perf_counter() - start
peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
dialogues = sum(map(len, corpus.values()))
print(json.dumps({"seconds": seconds, "megabytes": peaks, "dialogues": dialogues}))
"""


def build(source: Path, num_proc: int) -> dict:
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-c", BUILD, str(source), cache, str(num_proc)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def parse_alone(path: Path) -> tuple[int, float]:
    """The number of cues, and the seconds of parsing without decoding."""
    import logging

    import srt

    from data_scripts.formats.subtitles import decode_subtitles

    logging.getLogger("srt").setLevel(logging.ERROR)
    cues, seconds = 0, 0.0
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.lower().endswith(".srt"):
                text = decode_subtitles(archive.read(name))
                start = time.perf_counter()
                cues += sum(1 for _ in srt.parse(text, ignore_errors=True))
                seconds += time.perf_counter() - start
    return cues, seconds


def speed(path: Path, rounds: int) -> None:
    """Print the best of several rounds, because other processes can only slow a round down."""
    alone = one = two = float("inf")
    for _ in range(rounds):
        cues, seconds = parse_alone(path)
        alone = min(alone, seconds)
        one, two = (min(best, build(path, n)["seconds"]) for best, n in ((one, 1), (two, 2)))
    print(f"{cues:,} cues; srt.parse alone: {alone:.1f} s, {cues / alone:,.0f} cues/s")
    print(f"whole build, one process: {one:.1f} s, {cues / one:,.0f} cues/s, {one / alone:.2f} times parsing alone")
    print(f"whole build, two processes: {two:.1f} s, {cues / two:,.0f} cues/s, {one / two:.2f} times as fast as one")


def write_films(folder: Path, utterances: int) -> None:
    draw, words = random.Random(0), WORDS.split()
    pool = [f"{' '.join(draw.choices(words, k=draw.randint(2, 10))).capitalize()}." for _ in range(200_000)]
    times = [f"00:{second // 60:02}:{second % 60:02},000" for second in range(3600)]
    for film in range(utterances // 1000):
        texts = draw.choices(pool, k=1000)
        cues = (f"{i + 1}\n{times[3 * i]} --> {times[3 * i + 2]}\n{text}\n" for i, text in enumerate(texts))
        path = folder / f"{film // 1000:03}" / f"{film:06}.srt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(cues), encoding="utf-8")


def memory(utterances: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_films(Path(folder), utterances)
        done = build(Path(folder), 2)
    main, worker = done["megabytes"]
    print(
        f"{utterances:,} utterances in {done['dialogues']:,} dialogues: {done['seconds']:.0f} s with two processes; "
        f"peak resident memory {main:.0f} MB, and {worker:.0f} MB for each of the two"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subtitles", nargs="?", type=Path, help="a zip of .srt files")
    parser.add_argument("--utterances", nargs="+", type=int, default=[], help="sizes of the corpora to generate")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds, of which the best counts")
    args = parser.parse_args()
    if args.subtitles:
        speed(args.subtitles, args.rounds)
    for utterances in args.utterances:
        memory(utterances)


if __name__ == "__main__":
    main()
