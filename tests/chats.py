"""What is read from the chats that the tests write."""

from data_scripts import read_dialogues


def said(write, content, name="chat.txt", **options) -> list[tuple]:
    """The speaker, the text and the time of every message."""
    dialogues = read_dialogues(write({name: content}) / name, **options)
    return [(turn.speaker, turn.text, turn.start) for dialogue in dialogues for turn in dialogue.utterances]
