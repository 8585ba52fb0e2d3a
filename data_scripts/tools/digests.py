"""Digests of texts, and the changes between the values that a result depends on."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any


def text_digest(texts: Iterable[str]) -> str:
    """A digest of texts, in their order."""
    total = blake2b(digest_size=8)
    for text in texts:
        total.update(text.encode() + b"\0")
    return total.hexdigest()


def changes(saved: dict[str, Any], current: dict[str, Any]) -> str:
    """The changes from saved values to the current ones, for a message; empty if they are equal."""
    return "; ".join(
        f"{name} is {current.get(name)!r} and was {saved.get(name)!r}"
        for name in dict.fromkeys([*saved, *current])
        if saved.get(name) != current.get(name)
    )
