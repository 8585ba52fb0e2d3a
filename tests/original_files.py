"""Files as the original writes them: modules and dictionaries, pickled with classes that the reader does not have."""

import importlib.util
import pickle
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import torch
from torch import nn

TORCH_CONTAINERS = ["zip", "older"]
CONTAINERS = [*TORCH_CONTAINERS, "bare"]
ARGUMENTS = ["wordenc", "sentenc", "contenc", "dec"]
KINDS = {"sentEncoder": "gru", "sentGRUEncoder": "gru2", "sentGRU2LEncoder": "stacked_gru"}
WORDS = ["<pad>", "<unk>", "you", "know", "", "!", "i"]
EMOTIONS = ["neutral", "joy", "anger"]

# The parts of the original's modules that its pickles hold, by the names that they have in them.
MODULES = """
from torch import nn

class wordEncoder(nn.Module):
    def __init__(self, words=7, frozen=True):
        super().__init__()
        self.embedding = nn.Embedding(words, 5, padding_idx=0, max_norm=1.0)
        self.embedding.weight.requires_grad = not frozen

class GRUtrans(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.gru = nn.GRU(size, 4, bidirectional=True)

class sentEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.sentEnc = GRUtrans(5)
        self.output1 = nn.Sequential(nn.Linear(8, 4), nn.Tanh())
        self.dropout_0 = nn.Dropout(0.5)

class sentGRUEncoder(sentEncoder):
    pass

class sentGRU2LEncoder(sentEncoder):
    def __init__(self):
        super().__init__()
        self.sentEnc2 = GRUtrans(8)

class contEncoder(nn.Module):
    def __init__(self, size=4):
        super().__init__()
        self.contEnc = nn.GRU(size, 3, bidirectional=True)
        self.dropout_0 = nn.Dropout(0.5)

class biLM(nn.Module):
    def __init__(self):
        super().__init__()
        self.cont_embed = nn.Sequential(nn.Linear(6, 4), nn.Tanh())

class mlpDecoder(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.output1 = nn.Sequential(nn.Linear(10, 6), nn.Tanh(), nn.Linear(6, classes))
"""
# Where their tensors must arrive, written out independently of the converter.
PLACES = {
    "wordenc": {"embedding": "precode.utterance_encoder.word_embedding"},
    "sentenc": {
        "sentEnc.gru": "precode.utterance_encoder.gru",
        "sentEnc2.gru": "precode.utterance_encoder.second_gru",
        "output1.0": "precode.utterance_encoder.projection",
    },
    "contenc": {"contEnc": "precode.conversation_encoder.gru"},
    "dec": {"cont_embed.0": "context_projection", "output1.0": "classifier.dense", "output1.2": "classifier.output"},
}


class Original:
    """Writes files as the original does, from classes that no longer exist when the converter reads."""

    def __init__(self, folder: Path):
        source = folder / "code" / "Modules.py"
        source.parent.mkdir()
        source.write_text(MODULES)
        spec = importlib.util.spec_from_file_location("Modules", source)
        self.classes = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.classes)
        self.folder = folder

    def make(self, class_name: str, *arguments) -> nn.Module:
        return getattr(self.classes, class_name)(*arguments)

    def modules(self, sentenc="sentGRUEncoder", dec="biLM") -> dict[str, nn.Module]:
        torch.manual_seed(0)
        names = {"wordenc": "wordEncoder", "sentenc": sentenc, "contenc": "contEncoder", "dec": dec}
        return {argument: self.make(class_name) for argument, class_name in names.items()}

    def save(self, modules: dict[str, nn.Module], container="zip") -> dict[str, Path]:
        paths = {argument: self.folder / f"{argument}.pt" for argument in modules}
        with patch.dict(sys.modules, Modules=self.classes):
            for argument, module in modules.items():
                torch.save(module, paths[argument], _use_new_zipfile_serialization=container == "zip")
        return paths

    def save_dictionary(self, words: list[str], name: str, class_module="__main__") -> Path:
        module = ModuleType(class_module)
        module.Dictionary = type("Dictionary", (), {"__module__": class_module})
        dictionary = module.Dictionary()
        dictionary.word2index = {word: index for index, word in enumerate(words)}
        dictionary.index2word = dict(enumerate(words))
        dictionary.n_words, dictionary.rare = len(words), []
        with patch.dict(sys.modules, {class_module: module}):
            (self.folder / name).write_bytes(pickle.dumps(dictionary))
        return self.folder / name
