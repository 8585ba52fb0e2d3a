"""Pushes to the Hub that never lose work: after a failed push, the folder stays and a message says what to do."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from .console import printable_lines

# What to do after an error from the Hub, by status code. 500 also covers the other server errors.
ADVICE = {
    401: "; log in with hf auth login, or use a valid token",
    403: "; use a token with write access to {name}",
    404: "; check the name, and that the repository is still there",
    409: "; another push happened at the same time: push again",
    412: "; another push happened in the meantime: push again",
    429: "; wait a few minutes",
    500: "; the Hub has a problem: try again later",
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
        folder: The folder to upload.
        name: The name of the repository, `user/name` or `name`.
        what: The content of the folder for messages, such as `"checkpoint"`.
        later: The command that repeats the push.
        repo_type: `"model"` or `"dataset"`.
        private: Push to a private repository. An existing public repository is an error.
        token: The token for the Hub; by default that of `hf auth login`.
        prepare: A function that is called with the full name of the repository before the upload.
        upload: Further arguments of `HfApi.upload_folder`.

    Returns:
        The address of the commit, or `None` if the push failed. The folder then stays, and a message on standard error
        says why it failed and how to push it later.
    """
    try:
        api = HfApi(token=token)
        repository = api.create_repo(name, repo_type=repo_type, private=private, exist_ok=True).repo_id
        # `create_repo` does not change the visibility of an existing repository.
        if private and not api.repo_info(repository, repo_type=repo_type).private:
            raise ValueError(f"{repository} is public; make it private, or use another name")
        if prepare is not None:
            prepare(repository)
        address = api.upload_folder(
            folder_path=folder, repo_id=repository, repo_type=repo_type, commit_message=f"Upload {what}", **upload
        )
        return str(address)
    # After any error, the work is done and must not be lost. The classes of network errors depend on the version of
    # huggingface_hub.
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
