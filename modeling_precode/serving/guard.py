"""The checks before every HTTP request: the key, the limits on bytes and on requests in progress, and the metrics."""

import asyncio
import hmac
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import INTERNAL, ServiceError, log_failure
from .metrics import Metrics
from .settings import ServiceSettings

OPEN_PATHS = {"/", "/page.css", "/page.js", "/healthz", "/openapi.json"}
LABELING_PATHS = {"/v1/emotions", "/v1/page"}
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
# A client that is still sending does not read the answer. So at most this many bytes are read and dropped, for at
# most this many seconds.
DROPPED_BYTES = 1 << 26
DROPPING_SECONDS = 2


def has_key(headers: Iterable[tuple[bytes, bytes]], api_key: str | None) -> bool:
    """Whether the header `Authorization` has the key of the service, if there is one."""
    sent = next((value for name, value in headers if name == b"authorization"), b"")
    return api_key is None or hmac.compare_digest(sent, f"Bearer {api_key}".encode())


class Guard:
    """ASGI middleware that checks every HTTP request before it is read, and turns every error into JSON.

    Args:
        app: The application behind it.
        settings: The limits and the key.
        metrics: The metrics that count requests.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings, metrics: Metrics):
        self.app, self.settings, self.metrics = app, settings, metrics
        self.in_progress: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a connection, as an ASGI application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in {*OPEN_PATHS, *LABELING_PATHS, "/metrics"} else "other"
        started, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        body = LimitedBody(receive, self.settings.max_body_bytes)
        try:
            await self.pass_on(path, scope, body, send_with_headers)
        except ServiceError as error:
            await body.drop()
            await error.response()(scope, receive, send_with_headers)
        except Exception as error:
            log_failure(error)
            if not status:
                await ServiceError(500, INTERNAL).response()(scope, receive, send_with_headers)
        finally:
            self.metrics.requests.labels(path, status or "none").inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - started)

    async def pass_on(self, path: str, scope: Scope, body: "LimitedBody", send: Send) -> None:
        """Check a request, and pass it to the application. Raises a ServiceError if it is refused."""
        if path not in OPEN_PATHS and not has_key(scope["headers"], self.settings.api_key):
            raise ServiceError(
                401, "the key is missing or wrong; send the header Authorization: Bearer KEY", WWW_AUTHENTICATE
            )
        if path not in LABELING_PATHS:
            await self.app(scope, body.receive, send)
            return
        body.check_length(scope["headers"])
        client = (scope.get("client") or ("",))[0]
        self.check_room(client)
        self.in_progress[client] += 1
        try:
            await self.app(scope, body.receive, send)
        finally:
            self.in_progress -= Counter({client: 1})

    def check_room(self, client: str) -> None:
        """Raise a ServiceError if a client or the service has too many requests in progress."""
        most = self.settings.max_client_requests
        if most is not None and self.in_progress[client] >= most:
            raise ServiceError(
                429, f"this address has {most:,} requests in progress, the limit; wait for an answer", RETRY_AFTER
            )
        most = self.settings.max_queue
        if self.in_progress.total() >= most:
            raise ServiceError(
                503, f"the service has {most:,} requests in progress, the limit; try again later", RETRY_AFTER
            )


WWW_AUTHENTICATE = {"WWW-Authenticate": "Bearer"}
RETRY_AFTER = {"Retry-After": "1"}


class LimitedBody:
    """The body of a request, up to a number of bytes."""

    def __init__(self, receive: Receive, most: int):
        self._receive, self.most = receive, most
        self.size = 0
        self.is_complete = False

    async def receive(self) -> Message:
        """Receive the next part. Raises a ServiceError beyond the limit."""
        message = await self._receive()
        self.size += len(message.get("body", b""))
        self.is_complete = not message.get("more_body", False)
        if self.size > self.most:
            raise self.too_large()
        return message

    def check_length(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raise a ServiceError if the stated length is beyond the limit."""
        length = next((value for name, value in headers if name == b"content-length"), b"0")
        if int(length) > self.most:
            raise self.too_large()

    def too_large(self) -> ServiceError:
        """The error for a body beyond the limit."""
        return ServiceError(413, f"the body has more than {self.most:,} bytes, the limit; send it in several requests")

    async def drop(self) -> None:
        """Read the rest of the body, and drop it."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._drop(), DROPPING_SECONDS)

    async def _drop(self) -> None:
        while not self.is_complete and self.size < DROPPED_BYTES:
            message = await self._receive()
            self.size += len(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)
