"""The push of a checkpoint, with its card, to the Hub."""

import re
import shlex
from pathlib import Path

from data_scripts.tools.hub import push_folder

# Sub-folders; predictions, which hold a corpus's text; and what training keeps to resume, which holds pickles.
NOT_PUSHED = ["*/*", "*.jsonl", "*.bin", "*.pt", "*.pth", "*.pkl"]


def name_card(path: Path, name: str) -> None:
    """Have a card load its checkpoint by its name on the Hub, and not by the path that it has here."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if loaded := re.search(r'(?:model=|from_pretrained\()"([^"]+)"', text):
        title, new_title = (Path(one).name for one in (loaded[1], name))
        for old, new in {
            f'"{loaded[1]}"': f'"{name}"',
            f"\n# {title}\n": f"\n# {new_title}\n",
            f"\n- name: {title}\n": f"\n- name: {new_title}\n",
        }.items():
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")


def push_checkpoint(
    folder: str | Path, name: str | None, private: bool = False, token: str | None = None
) -> str | None:
    """Upload a checkpoint to the Hub, without sub-folders and without predictions, which hold a corpus's text.

    Never costs the run: when the Hub cannot be reached or refuses, the folder stays, and the message says how to
    push it later.

    Returns:
        the address of the commit, or `None` when the push failed.
    """
    name = name or Path(folder).resolve().name
    excluded = [word for pattern in NOT_PUSHED for word in ("--exclude", pattern)]
    command = ["hf", "upload", name, str(folder), *excluded, *["--private"] * private]
    return push_folder(
        folder,
        name,
        what="checkpoint",
        later=shlex.join(command),
        private=private,
        token=token,
        prepare=lambda repository: name_card(Path(folder, "README.md"), repository),
        ignore_patterns=NOT_PUSHED,
    )
