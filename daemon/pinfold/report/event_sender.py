"""One thread that sends Events: once for each pod and cause, then as a series, at a measured pace.

The loop tells and goes on. While the API server is away the thread tries again; what grows old meanwhile or finds the
queue full is dropped and counted: an Event is a courtesy, the metrics and ``status`` are the record.

An Event's name is its cause's, without the time. Events stay for an hour; where one of that name is there already
(409), either the process before a restart told it, and nothing is to be added; or, where the occurrence is a
change, the same is true again after something else was, and the Event that is there goes on as a series. So a
restart tells nothing twice, and the newest on a pod is what is true of it. The name holds no number of the episode:
who starts anew could not know it.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Final

import structlog

from pinfold.errors import PinfoldError
from pinfold.report.events import Cause, EventCounts, Occurrence, body, series

Send = Callable[[str, str, Mapping[str, object]], int]
"""Method, path and body → status of the answer. Raises PinfoldError where there is none."""

_CREATED: Final = 201
_THERE_ALREADY: Final = 409
_TAKEN: Final = frozenset({200, _CREATED, 202, _THERE_ALREADY})
_NO_ANSWER: Final = 0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    queue: int = 256
    """Occurrences that may wait."""
    burst: int = 25
    per_s: float = 1.0
    """Requests a second once the burst is spent."""
    series_s: float = 300.0
    """How often a series is told anew."""
    oldest_s: float = 600.0
    """What could not be sent within this is dropped."""
    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0
    causes: int = 1024
    """Series that are remembered."""


@dataclass(frozen=True, slots=True)
class _Told:
    path: str
    count: int
    at: float
    """When the API server was last told."""


class EventSender:
    """``tell`` is for one thread, the loop's; ``counts`` for any."""

    def __init__(
        self,
        send: Send,
        instance: str,
        pace: Pace = Pace(),
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """*instance* is who reports: ``pinfold-<node>``."""
        self._send = send
        self._instance = instance
        self._pace = pace
        self._clock = clock
        self._now = now
        self._queue: SimpleQueue[Occurrence | None] = SimpleQueue()
        self._overflowed = 0  # the loop's; all below is the thread's
        self._counts = EventCounts()
        self._told: OrderedDict[Cause, _Told] = OrderedDict()
        self._allowance = float(pace.burst)
        self._refilled_s = clock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    @property
    def counts(self) -> EventCounts:
        counts = self._counts
        return replace(counts, dropped=counts.dropped + self._overflowed)

    def start(self) -> None:
        self._thread.start()

    def tell(self, occurrence: Occurrence) -> None:
        """Hand it over; never waits."""
        if self._queue.qsize() >= self._pace.queue:
            self._overflowed += 1
        else:
            self._queue.put(occurrence)

    def close(self, wait_s: float = 5.0) -> None:
        """End the thread; what waits is not sent."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join(wait_s)

    def _run(self) -> None:
        while (occurrence := self._queue.get()) is not None and not self._closing.is_set():
            try:
                self._deliver(occurrence)
            except Exception:
                log.exception("event.faulted", pod=f"{occurrence.namespace}/{occurrence.name}")

    def _deliver(self, occurrence: Occurrence) -> None:
        told = self._told.get(occurrence.cause)
        if told is None:
            self._create(occurrence)
            return
        told = replace(told, count=told.count + 1)
        self._remember(occurrence.cause, told)
        if occurrence.at - told.at < self._pace.series_s and not occurrence.is_change:
            return
        status = self._persist("PATCH", told.path, series(told.count, occurrence.at), occurrence)
        if status == 404:  # Events live for an hour
            self._create(occurrence)
        elif self._settled(status, occurrence):
            self._remember(occurrence.cause, replace(told, at=occurrence.at))

    def _create(self, occurrence: Occurrence) -> None:
        status = self._persist("POST", occurrence.collection, body(occurrence, self._instance), occurrence)
        told = _Told(f"{occurrence.collection}/{occurrence.event_name}", 1, occurrence.at)
        if status == _THERE_ALREADY and occurrence.is_change:
            told = replace(told, count=2)  # at least: how often before, the process before knew
            status = self._persist("PATCH", told.path, series(told.count, occurrence.at), occurrence)
        if self._settled(status, occurrence):
            self._remember(occurrence.cause, told)

    def _remember(self, cause: Cause, told: _Told) -> None:
        self._told[cause] = told
        self._told.move_to_end(cause)
        if len(self._told) > self._pace.causes:
            self._told.popitem(last=False)

    def _settled(self, status: int, occurrence: Occurrence) -> bool:
        """Count what came of it; whether the API server took it."""
        counts = self._counts
        if status in _TAKEN:
            self._counts = replace(counts, sent=counts.sent + 1, error="")
            return True
        if status == _NO_ANSWER:
            self._counts = replace(counts, dropped=counts.dropped + 1)
        else:
            self._counts = replace(counts, refused=counts.refused + 1)
            if not counts.refused:  # once: the count tells the rest
                log.warning("event.refused", pod=f"{occurrence.namespace}/{occurrence.name}", reason=counts.error)
        return False

    def _persist(self, method: str, path: str, content: Mapping[str, object], occurrence: Occurrence) -> int:
        """The first answer that will not change by waiting, or that there was none while the occurrence was fresh.

        What is there already at a later attempt was created by an earlier one, whose answer was lost.
        """
        pause_s, is_first = self._pace.first_pause_s, True
        while self._now() - occurrence.at <= self._pace.oldest_s and not self._closing.wait(self._turn_s()):
            try:
                status = self._send(method, path, content)
                error = "" if status in _TAKEN else f"the API server answered {status}"
            except PinfoldError as problem:
                status, error = _NO_ANSWER, str(problem)
            self._counts = replace(self._counts, error=error)
            if _NO_ANSWER < status < 500 and status != 429:
                return status if is_first or status != _THERE_ALREADY else _CREATED
            self._closing.wait(pause_s)
            is_first = is_first and status == 429  # that attempt did not arrive
            pause_s = min(pause_s * 2, self._pace.longest_pause_s)
        return _NO_ANSWER

    def _turn_s(self) -> float:
        """Take the next turn; how long it is away."""
        now_s = self._clock()
        refill = (now_s - self._refilled_s) * self._pace.per_s
        self._allowance = min(float(self._pace.burst), self._allowance + refill) - 1
        self._refilled_s = now_s
        return max(0.0, -self._allowance / self._pace.per_s)
