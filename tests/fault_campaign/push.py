"""The push of a checkpoint to a Hub on loopback."""

import shutil
from pathlib import Path

from hub_server import HubServer
from huggingface_hub import HfApi, constants

from modeling_precode import (
    PreCodeConfig,
    PreCodeForUtteranceClassification,
    PreCodeTokenizer,
    RunSummary,
    write_model_card,
)
from modeling_precode.sharing import push
from modeling_precode.sharing.push import push_checkpoint

from .job import Job, mark

NAME, TOKEN = "someone/model", "hf_secret"


class Push(Job):
    """A push. What it leaves behind is on the Hub and in the folder of the checkpoint."""

    name = "push"
    phases = {"start": 0.03, "card": 0.002, "upload": 0.1}
    phases_repeat = False

    def __init__(self, folder: Path):
        self.checkpoint = folder / "checkpoint"
        names = {"id2label": {0: "joy", 1: "fear"}, "label2id": {"joy": 0, "fear": 1}}
        sizes = {"word_vector_size": 4, "utterance_hidden_size": 4, "conversation_hidden_size": 4}
        model = PreCodeForUtteranceClassification(PreCodeConfig(vocab_size=3, **sizes, **names))
        model.save_pretrained(self.checkpoint)
        PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", "hi"]).save_pretrained(self.checkpoint)
        write_model_card(self.checkpoint, str(self.checkpoint), "erc", RunSummary(corpus="custom", command=""))
        self.hub = HubServer()
        self.hub.server.handle_error = lambda *_: None  # of a client that was killed
        self.hub.tokens[TOKEN] = ("someone", "write")

    def prepare(self, output: Path) -> None:
        shutil.copytree(self.checkpoint, output)
        self.hub.repositories.clear()
        self.hub.store.clear()

    def functions(self, output: Path):
        return [lambda marks: self.run(output, marks)]

    def run(self, output: Path, marks) -> None:
        constants.ENDPOINT, constants.HF_HUB_OFFLINE = self.hub.address, False
        for name in ("name_card", "add_endpoint_files"):
            mark(push, name, 1, marks)
        mark(HfApi, "upload_folder", 2, marks)
        if push_checkpoint(output, NAME, token=TOKEN) is None:
            raise OSError("the push failed")

    def state(self, output: Path) -> dict[str, object]:
        local = {f"folder/{path.name}": path.read_bytes() for path in output.iterdir() if path.is_file()}
        return {**local, **self.hub.files(NAME)}

    def check_killed(self, output: Path) -> list[str]:
        """A push is one commit: the Hub has all of its files or none."""
        files = self.hub.files(NAME) if self.hub.repositories else {}
        return [] if not files or {"config.json", "model.safetensors", "README.md"} <= set(files) else ["half a commit"]
