"""The checkpoint that comes with the package: the model of `precode predict` and of the pipeline if none is given.

`make default-model` trains it. Its card, README.md in this folder, says what it learned from and how well it labels.
"""

from pathlib import Path

# What `--model` takes for it. A folder of one's own that has this name is `./default`.
DEFAULT = "default"
FOLDER = Path(__file__).parent
LIMITS = (
    "The model was tested on scripted English dialogues: TV shows and textbooks. It was never tested on recorded "
    "calls, therapy, medical or legal talk, children, or any other language. "
    "It may be wrong about irony, dialects and in-jokes."
)


def checkpoint_path(model: str) -> str:
    """Where to load a checkpoint from: the folder of the default model for `default`; any other name stays as it is."""
    return str(FOLDER) if model == DEFAULT else model
