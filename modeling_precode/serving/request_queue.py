"""The queue of the service, and the one thread that runs the model on batches from it."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..batching import WINDOW_UTTERANCES
from ..explanation import explanation_size
from ..label_folding import LabelFolding
from .errors import INTERNAL, ServiceError, log_failure
from .metrics import Metrics
from .requests import AnswerOptions
from .settings import ServiceSettings

Outcome = list[list[dict]] | dict | ServiceError


@dataclass(eq=False)
class Job:
    """The dialogues of a request, and the results of those that are labeled."""

    dialogues: list[list[dict]]
    options: AnswerOptions
    answer: asyncio.Future
    results: list[list[dict]] = field(default_factory=list)
    # The rows of `preprocess` and their sizes, once they are computed.
    rows: list[dict] | None = None
    sizes: list[int] = field(default_factory=list)
    # How many dialogues are in a batch or labeled.
    taken: int = 0

    def set_rows(self, rows: list[dict], text_context: str) -> None:
        """Set the rows. The size of a dialogue is the number of tokens that a model with this setting reads for it."""
        self.rows = rows
        if self.options.explain:
            pairs = zip(self.dialogues, rows, strict=True)
            self.sizes = [explanation_size(dialogue, row["input_ids"], text_context) for dialogue, row in pairs]
        else:
            self.sizes = list(map(count_tokens, rows))


# A dialogue of a request, with its row.
Part = tuple[Job, list[dict], dict]


@dataclass(eq=False)
class Step:
    """The next utterance of a stream."""

    stream: Callable[[Any], dict]
    utterance: dict
    answer: asyncio.Future


class ModelWorker:
    """Labels the dialogues of all requests in one thread.

    A batch consists of whole dialogues, from one request or several, up to `max_batch_tokens`. Requests take turns: one
    with many dialogues gets a batch at a time. A request whose answer is cancelled is dropped before its next batch.

    Args:
        emotions: The pipeline. Its `preprocess`, `label_encoded`, `add_explanations` and streams are used, all in the
            thread of the worker.
        settings: The limits.
        folding: The folding of the labels, or `None`.
    """

    def __init__(self, emotions: Any, settings: ServiceSettings, folding: LabelFolding | None = None):
        self.emotions, self.settings, self.folding = emotions, settings, folding
        self.jobs: deque[Job] = deque()
        self.steps: deque[Step] = deque()
        self.metrics = Metrics(lambda: len(self.jobs))
        self.is_stopping = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.run, name="model", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def stop(self) -> None:
        """Finish what is in the queue, and end the thread."""
        with self.changed:
            self.is_stopping = True
            self.changed.notify()
        self.thread.join()

    @property
    def is_running(self) -> bool:
        """Whether the thread runs."""
        return self.thread.is_alive()

    def label(self, dialogues: list[list[dict]], options: AnswerOptions) -> asyncio.Future:
        """A future of the pipeline's turns of each dialogue. Cancelling it drops the request."""
        answer = asyncio.get_running_loop().create_future()
        self._put(self.jobs, Job(dialogues, options, answer))
        return answer

    def step(self, stream: Callable[[Any], dict], utterance: dict) -> asyncio.Future:
        """A future of the next turn of a stream."""
        answer = asyncio.get_running_loop().create_future()
        self._put(self.steps, Step(stream, utterance, answer))
        return answer

    def _put(self, queue: deque, item: Job | Step) -> None:
        with self.changed:
            queue.append(item)
            self.changed.notify()

    def run(self) -> None:
        """Run the model on batches until the worker is stopped. This is the function of the thread."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.jobs or self.steps or self.is_stopping)
                if not (self.jobs or self.steps):
                    return
            # A person waits for each of these, and they are short.
            while self.steps:
                self._run_step(self.steps.popleft())
            batch = self._gather()
            if batch:
                self._label(batch)

    def _run_step(self, step: Step) -> None:
        if step.answer.done():
            return
        try:
            outcome: Outcome = step.stream(step.utterance)
            self.metrics.utterances.inc()
        except Exception as error:
            outcome = failure(error)
        deliver([(step.answer, outcome)])

    def _gather(self) -> list[Part]:
        """The dialogues of the next batch."""
        self._encode_waiting()
        batch: list[Part] = []
        tokens = 0
        while self.jobs and (rows := self.jobs[0].rows) is not None:
            job = self.jobs.popleft()
            first = job.taken
            while job.taken < len(job.dialogues) and not job.answer.done():
                size = job.sizes[job.taken]
                if batch and tokens + size > self.settings.max_batch_tokens:
                    # A request that got nothing of this batch is the first of the next one.
                    (self.jobs.append if job.taken > first else self.jobs.appendleft)(job)
                    self._observe(batch, tokens)
                    return batch
                tokens += size
                batch.append((job, job.dialogues[job.taken], rows[job.taken]))
                job.taken += 1
        self._observe(batch, tokens)
        return batch

    def _encode_waiting(self) -> None:
        """Encode the dialogues of the requests that wait, about `WINDOW_UTTERANCES` at once."""
        jobs, utterances = [], 0
        with self.changed:
            for job in self.jobs:
                if job.rows is None and utterances < WINDOW_UTTERANCES:
                    jobs.append(job)
                    utterances += sum(map(len, job.dialogues))
        if jobs:
            self._encode(jobs)

    def _encode(self, jobs: list[Job]) -> None:
        try:
            rows = iter(self.emotions.preprocess([dialogue for job in jobs for dialogue in job.dialogues]))
        except Exception as error:
            self._divide(jobs, error, self._encode)
            return
        for job in jobs:
            job.set_rows([next(rows) for _ in job.dialogues], self.emotions.model.config.text_context)
            most, longest = self.settings.max_dialogue_tokens, max(job.sizes)
            if longest > most:
                has = "takes {:,} tokens to explain" if job.options.explain else "has {:,} tokens"
                message = f"a dialogue {has.format(longest)}, and the limit is {most:,}; send it in several parts"
                self._fail(job, ServiceError(422, message))

    def _divide(self, jobs: list[Job], error: Exception, run: Callable[[list[Job]], None]) -> None:
        """Run what failed for several requests again for each: one must not fail the others."""
        if len(jobs) == 1:
            self._fail(jobs[0], failure(error))
            return
        for job in jobs:
            run([job])

    def _fail(self, job: Job, error: ServiceError) -> None:
        with self.changed, suppress(ValueError):
            self.jobs.remove(job)
        deliver([(job.answer, error)])

    def _observe(self, batch: list, tokens: int) -> None:
        if batch:
            self.metrics.batch_tokens.observe(tokens)
            self.metrics.batch_dialogues.observe(len(batch))

    def _label(self, batch: list[Part]) -> None:
        jobs = list(dict.fromkeys(job for job, _, _ in batch))
        try:
            labeled = self.emotions.label_encoded(
                [dialogue for _, dialogue, _ in batch],
                [row for _, _, row in batch],
                distribution=any(job.options.distribution for job in jobs),
                # A batch may be one dialogue that is longer.
                max_batch_tokens=max(self.settings.max_batch_tokens, self.settings.max_dialogue_tokens),
                folding=self.folding,
            )
            for (job, dialogue, row), turns in zip(batch, labeled, strict=True):
                if job.options.explain:
                    self.emotions.add_explanations(dialogue, row, turns, self.settings.max_batch_tokens, self.folding)
        except Exception as error:
            self._divide(jobs, error, lambda one: self._label([part for part in batch if part[0] is one[0]]))
            return
        self.metrics.utterances.inc(sum(map(len, labeled)))
        for (job, _, _), turns in zip(batch, labeled, strict=True):
            if not job.options.distribution:
                for turn in turns:
                    turn.pop("distribution", None)
            job.results.append(turns)
        deliver([(job.answer, job.results) for job in jobs if len(job.results) == len(job.dialogues)])


def count_tokens(row: dict) -> int:
    """Count the tokens of an encoded dialogue."""
    return sum(map(len, row["input_ids"]))


def failure(error: Exception) -> ServiceError:
    """The error that a client gets. The log has where another one than the client's was raised."""
    if isinstance(error, ServiceError):
        return error
    log_failure(error)
    return ServiceError(500, INTERNAL)


def deliver(outcomes: Iterable[tuple[asyncio.Future, Outcome]]) -> None:
    """Set the results of futures of one event loop, from the thread of the worker."""
    outcomes = list(outcomes)
    if outcomes:
        loop = outcomes[0][0].get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(set_outcomes, outcomes)


def set_outcomes(outcomes: list[tuple[asyncio.Future, Outcome]]) -> None:
    """Set the results of futures, in their event loop."""
    for answer, outcome in outcomes:
        if answer.done():
            continue
        if isinstance(outcome, ServiceError):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)
