"""Chit-Chat: written chats between two strangers, without labels.

Source: the package `chitchat-dataset` (pip install chitchat-dataset), which contains the whole corpus in one JSON file.
License: MIT. Paper to cite: Myers, Etchart and Fulda, 2020.
An utterance consists of all messages that one person sends before the other answers, joined by spaces. Empty messages
are left out. The two speakers are "A" and "B".
"""

import string
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import datasets

from .building.builder import DialogueBuilder
from .building.dialogues import Dialogue, Utterance
from .building.splitting import in_parts, split_by_hash
from .formats.reading import existing_path, parse_json, read_text


@dataclass
class ChitChatConfig(datasets.BuilderConfig):
    """Chats under `min_utterances` are dropped, and longer ones are cut into parts of at most `max_utterances`."""

    min_utterances: int = 3
    max_utterances: int = 50


class ChitChat(DialogueBuilder):
    """The corpus Chit-Chat."""

    BUILDER_CONFIG_CLASS = ChitChatConfig
    DATA_DIR = None
    HOMEPAGE = "https://github.com/BYU-PCCL/chitchat-dataset"
    LICENSE = "MIT"
    CITATION = """@article{myers2020conversational,
  title={Conversational Scaffolding: An Analogy-Based Approach to Response Prioritization in Open-Domain Dialogs},
  author={Myers, Will and Etchart, Tyler and Fulda, Nancy},
  year={2020}
}"""

    def files(self, config: ChitChatConfig) -> dict[str, Path]:
        """The file in the package `chitchat-dataset`. Raises a FileNotFoundError if it is not installed."""
        try:
            package = distribution("chitchat-dataset")
        except PackageNotFoundError:
            raise FileNotFoundError("chitchat: its package is not installed; pip install chitchat-dataset") from None
        path = existing_path(Path(str(package.locate_file("chitchat_dataset/dataset.json"))))
        return dict.fromkeys(["train", "validation", "test"], path)

    def read(self, split: str, path: Path) -> Iterator[Dialogue]:
        """Yield the dialogues of a split. The ids of the chats decide the split."""
        chats = parse_json(read_text(path), path)
        for chat in split_by_hash(chats, validation=0.05, test=0.05)[split]:
            turns = self.turns(chats[chat]["messages"], where=f"{path}:{chat}")
            if len(turns) < self.config.min_utterances:
                self.note(f"chats of fewer than {self.config.min_utterances} utterances dropped")
                continue
            for part, utterances in enumerate(in_parts(turns, self.config.max_utterances)):
                yield Dialogue(f"{chat}-{part}", utterances)

    def turns(self, messages: list[list[dict]], where: str) -> list[Utterance]:
        """The utterances of a chat.

        Args:
            messages: The consecutive messages of one person, in the order of the chat.
            where: The place of the chat, for messages.
        """
        turns: list[Utterance] = []
        letters: dict[str, str] = {}
        for sent_in_a_row in messages:
            text = " ".join(message["text"].strip() for message in sent_in_a_row if message["text"].strip())
            if text:
                speaker = letters.setdefault(sent_in_a_row[0]["sender"], string.ascii_uppercase[len(letters)])
                turns.append(Utterance(text, speaker, where=where))
        return turns
