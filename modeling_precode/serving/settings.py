"""The limits of the service and its key, as validated settings."""

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class ServiceSettings:
    """The limits of the service. A request beyond a limit gets the status code in parentheses.

    Args:
        max_body_bytes: The number of bytes of a request or of a message of a stream (413). A compressed file may have 8
            times as many after decompression.
        max_utterances: The number of utterances in a request (422).
        max_dialogue_tokens: The number of tokens in a dialogue, or the number that the model reads to explain it (422).
        max_batch_tokens: The number of tokens that go through the model at once. A longer dialogue goes alone.
        max_queue: The number of requests in progress, including those that wait (503).
        max_client_requests: The number of requests in progress from one address (429). `None` is no limit.
        max_streams: The number of open streams (close code 1013).
        timeout: The number of seconds to receive a request (408), and to answer it (504).
        api_key: The key that a client has to send (401). `None` means that no key is needed.

    Raises:
        ValueError: A limit is not a positive number, or the key is empty or not ASCII.
    """

    max_body_bytes: int = 1 << 22
    max_utterances: int = 20_000
    max_dialogue_tokens: int = 1 << 16
    max_batch_tokens: int = 1 << 12
    max_queue: int = 128
    max_client_requests: int | None = None
    max_streams: int = 64
    timeout: float = 60.0
    api_key: str | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "api_key" or value is None:
                continue
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{field.name} must be a positive number; got {value!r}")
        if self.api_key is not None and not (self.api_key and self.api_key.isascii() and self.api_key.isprintable()):
            raise ValueError("api_key must be one or more ASCII characters; set another key, or none")
