"""Errors that a client gets as JSON with one sentence, and the log of errors in the service itself."""

import logging
import traceback
from collections.abc import Mapping
from pathlib import Path

from starlette.responses import JSONResponse

logger = logging.getLogger(__name__)

INTERNAL = "the service failed to answer this request; the log of the service says where"


class ServiceError(Exception):
    """A request that gets no labels.

    Args:
        status: The HTTP status code.
        message: One sentence for the client.
        headers: Further headers of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers

    def response(self) -> JSONResponse:
        """The error as a JSON response."""
        return JSONResponse({"error": self.message}, self.status, self.headers)


def log_failure(error: BaseException) -> None:
    """Log the type of an error and where it was raised.

    Its message is left out, because it may contain a part of a dialogue.
    """
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    logger.error("a request failed with %s at %s", type(error).__name__, places)
