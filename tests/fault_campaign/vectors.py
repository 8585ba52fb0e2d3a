"""The vectors of a corpus's utterances from a text encoder, which are computed into the cache."""

from pathlib import Path

import datasets
import torch
from corpus_of_topics import texts_of
from text_encoders import write_text_encoder
from transformers import AutoTokenizer

from modeling_precode import PreCodeModel, encode_dialogues
from modeling_precode.training import utterance_vectors

from .job import Job


class Vectors(Job):
    """Utterance vectors, in windows so small that there are many of them."""

    name = "utterance vectors"

    def __init__(self, data: Path, folder: Path):
        texts = texts_of(data)
        tokenizer = AutoTokenizer.from_pretrained(write_text_encoder(folder / "encoder", texts))
        rows = encode_dialogues({"utterances": [texts]}, tokenizer)
        self.rows = datasets.Dataset.from_dict({"input_ids": rows["input_ids"]})
        torch.manual_seed(0)
        self.model = PreCodeModel.from_utterance_encoder(folder / "encoder", freeze_text_encoder=True)

    def functions(self, output: Path):
        return [lambda marks: self.run(output)]

    def run(self, output: Path) -> None:
        utterance_vectors.WINDOW = 2
        datasets.config.HF_DATASETS_CACHE = output
        utterance_vectors.UtteranceVectors({"train": self.rows}, self.model)

    def state(self, output: Path) -> dict[str, object]:
        return {path.name: path.read_bytes() for path in output.rglob("*.float32")}
