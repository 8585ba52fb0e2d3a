"""Runs the application on a socket until a signal ends it."""

import logging
import signal
import socket

import uvicorn
from fastapi import FastAPI

from data_scripts.tools.console import log_handler

logger = logging.getLogger(__name__)

# The maximum number of connections that wait to be accepted.
BACKLOG = 2048


def run_server(app: FastAPI, host: str, port: int) -> None:
    """Serve an application until SIGINT or SIGTERM. Requests that were accepted before are answered.

    Args:
        app: The application, from `create_app`.
        host: The address to listen on.
        port: The port; 0 means any free port.

    Raises:
        OSError: The address is not available.
    """
    log_without_dialogues()
    settings = app.state.settings
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        ws_max_size=settings.max_body_bytes,
        # Every request ends before this, by its own timeout.
        timeout_graceful_shutdown=round(2 * settings.timeout) + 5,
    )
    with listening_socket(host, port) as listening:
        shown = f"[{host}]" if ":" in host else host
        logger.info("serving %s at http://%s:%d", app.state.name, shown, listening.getsockname()[1])
        # uvicorn raises the signal again after the last answer. By default, the exit status would then be a failure.
        signal.signal(signal.SIGTERM, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listening])
    logger.info("stopped; every accepted request was answered")


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on an address. Raises an OSError if the address is not available."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"--host {host} --port {port}: {reason}; use another address or port") from None


def log_without_dialogues() -> None:
    """Log to standard error, but silence the pipeline and the readers, whose messages may quote a dialogue."""
    for name in ("modeling_precode", "data_scripts", "transformers", "websockets", "python_multipart", "asyncio"):
        log = logging.getLogger(name)
        log.setLevel(logging.CRITICAL + 1)
        log.propagate = False
    for name, level in (("modeling_precode.serving", logging.INFO), ("uvicorn", logging.WARNING)):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [log_handler()], False
        log.setLevel(level)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
