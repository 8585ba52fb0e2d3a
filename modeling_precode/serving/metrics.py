"""The metrics of the service, in the format of Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TOKENS = tuple(1 << power for power in range(5, 18))


class Metrics:
    """Counts of one service.

    Args:
        waiting: Returns the number of requests in the queue.
    """

    def __init__(self, waiting: Callable[[], float]):
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("precode_requests", "Requests by status.", ["path", "status"], registry=registry)
        self.seconds = Histogram(
            "precode_request_seconds",
            "Seconds from a request to its answer.",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self.utterances = Counter("precode_utterances", "Labeled utterances.", registry=registry)
        self.batch_tokens = Histogram("precode_batch_tokens", "Tokens of a batch.", buckets=TOKENS, registry=registry)
        self.batch_dialogues = Histogram(
            "precode_batch_dialogues", "Dialogues of a batch.", buckets=TOKENS[:6], registry=registry
        )
        self.streams = Gauge("precode_streams", "Open streams.", registry=registry)
        queue = Gauge("precode_queue_requests", "Requests that wait for the model.", registry=registry)
        queue.set_function(waiting)

    def text(self) -> bytes:
        """The metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
