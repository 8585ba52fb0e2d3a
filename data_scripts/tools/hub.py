"""Pushes to the Hub that never cost the work: when one fails, the folder stays and the message says what to do."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from .console import printable_lines

# What to do where the Hub answers with an error; 500 stands for all errors of the Hub itself.
ADVICE = {
    401: "; log in with hf auth login, or give a valid token",
    403: "; give a token that may write to {name}",
    404: "; check the name, and that the repository is still there",
    409: "; something else was pushed at the same time: push again",
    412: "; something else was pushed in the meantime: push again",
    429: "; wait some minutes",
    500: "; the Hub has trouble of its own: try later",
}


def push_folder(
    folder: str | Path,
    name: str,
    *,
    what: str,
    later: str,
    repo_type: str = "model",
    private: bool = False,
    token: str | None = None,
    prepare: Callable[[str], None] | None = None,
    **upload: Any,
) -> str | None:
    """Upload a folder to the Hub.

    Args:
        folder: to upload.
        name: of the repository, `user/name` or `name`.
        what: the folder holds, for messages: `"checkpoint"`.
        later: the command that repeats the push.
        repo_type: `"model"` or `"dataset"`.
        private: push to a private repository; one that exists and is public is refused.
        token: of the Hub; that of `hf auth login` by default.
        prepare: is called with the repository's full name before the upload.
        upload: further arguments of `HfApi.upload_folder`.

    Returns:
        The address of the commit, or `None` when the push failed. The folder then stays, and a message on standard
        error says why, and how to push it later.
    """
    try:
        api = HfApi(token=token)
        repository = api.create_repo(name, repo_type=repo_type, private=private, exist_ok=True).repo_id
        # A repository that was there before stays as public as it was.
        if private and not api.repo_info(repository, repo_type=repo_type).private:
            raise ValueError(f"{repository} is public; make it private, or give another name")
        if prepare is not None:
            prepare(repository)
        address = api.upload_folder(
            folder_path=folder, repo_id=repository, repo_type=repo_type, commit_message=f"Upload {what}", **upload
        )
        return str(address)
    # Whatever went wrong, the work is done and must not be lost. The classes of network errors change with the version
    # of huggingface_hub.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        status = getattr(getattr(error, "response", None), "status_code", 0)
        advice = ADVICE.get(min(status, 500), "").format(name=name)
        message = (
            f"The push to the Hub failed ({type(error).__name__}: {reason}){advice}.\nThe {what} is safe in {folder}; "
            f"push it later with: {later}"
        )
        print(printable_lines(message), file=sys.stderr)
        return None
