"""The HTTP service: a pipeline behind `POST /v1/emotions`, a WebSocket, metrics and a front page."""

from .application import create_app
from .settings import ServiceSettings

__all__ = ["ServiceSettings", "create_app"]
