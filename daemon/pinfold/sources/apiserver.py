"""The pods of this node as the API server knows them: one thread that lists, watches and holds the newest picture.

Here are the socket, the clock and the chance; what they mean is decided in ``watching``.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from pinfold.sources.answers import PAGE_LIMIT_BYTES, Closed, Ending, Event, Failed, Page, Silent, event, page, refusal
from pinfold.sources.client import Answer, ApiServer, ApiServerError, ReadTimeoutError
from pinfold.sources.json_stream import MAX_VALUE_BYTES
from pinfold.sources.picture import Pods
from pinfold.sources.watching import Course, List, Watch

PATH: Final = "/api/v1/pods"
PAGE_ITEMS: Final = 500
LINE_LIMIT_BYTES: Final = MAX_VALUE_BYTES
"""A line of a watch is one pod; what a refusal says is no longer, either."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    list_read_s: float = 30.0
    watch_read_s: float = 90.0
    """Bookmarks come about once a minute: a watch that is silent for longer has lost its server."""
    watch_s: tuple[int, int] = (240, 480)
    """A watch is asked for a random time in between, so that the nodes do not come back all at once."""
    pause_factor: float = 1.0
    """On the pauses that ``watching`` asks for: a test has no half minute."""


@dataclass(frozen=True, slots=True)
class Health:
    """How the conversation goes. Times are seconds since the epoch."""

    away_since: float | None = None
    """None: it answers, or was not asked yet."""
    error: str = ""
    heard_at: float | None = None
    """When it last said anything, a bookmark included."""
    reconnects: int = 0
    relists: int = 0
    errors: int = 0


class ApiServerPods:
    """``picture`` and ``health`` may be read from any thread at any time."""

    def __init__(
        self,
        server: ApiServer,
        node: str,
        wake: Callable[[], None],
        timing: Timing = Timing(),
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.health = Health()
        self._server = server
        self._node = node
        self._wake = wake
        self._timing = timing
        self._clock = clock
        self._now = now
        self._draw = draw
        self._course = Course()
        self._answer: Answer | None = None
        self._anew = threading.Event()
        """The watch that stands is to be left for a list."""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="api-server-pods", daemon=True)

    @property
    def picture(self) -> Pods:
        return self._course.pods

    def start(self) -> None:
        self._thread.start()

    def ask(self) -> None:
        """List now: somebody is there of whom the watch has told nothing. From any thread."""
        self._anew.set()
        if answer := self._answer:
            answer.shut()

    def close(self, wait_s: float = 5.0) -> None:
        """End the thread, from a read too."""
        self._closing.set()
        if answer := self._answer:
            answer.shut()
        self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._closing.wait(self._course.pause_s * self._timing.pause_factor):
            began = self._clock()
            try:
                ending = self._ask()
            except ReadTimeoutError:
                ending = Silent()
            except ApiServerError as error:
                ending = Failed(str(error))
            except Exception as error:
                log.exception("apiserver.faulted")
                ending = Failed(repr(error))
            if self._closing.is_set():
                return
            if self._leaves_the_watch():
                self._move(self._course.anew())
            elif ending is not None:
                self._move(self._course.ended(ending, self._clock() - began, self._draw()))

    def _ask(self) -> Ending | None:
        """One request, and all that comes of it; None after a page of a list."""
        selector = ("fieldSelector", f"spec.nodeName={self._node}")
        match self._course.ask:
            case List(version, token):
                self._anew.clear()
                query = [selector, ("limit", str(PAGE_ITEMS))]
                if token:
                    query.append(("continue", token))
                elif version:
                    query += [("resourceVersion", version), ("resourceVersionMatch", "NotOlderThan")]
                with self._server.ask("GET", PATH, query, read_timeout_s=self._timing.list_read_s) as answer:
                    return self._listed(answer)
            case Watch(version):
                shortest, longest = self._timing.watch_s
                asked_s = shortest + int(self._draw() * (longest - shortest))
                query = [
                    selector,
                    ("watch", "true"),
                    ("allowWatchBookmarks", "true"),
                    ("resourceVersion", version),
                    ("timeoutSeconds", str(asked_s)),
                ]
                with self._server.ask("GET", PATH, query, read_timeout_s=self._timing.watch_read_s) as answer:
                    return self._watched(answer)

    def _leaves_the_watch(self) -> bool:
        """While the server is away there is none to leave, and the list comes by itself."""
        return self._anew.is_set() and isinstance(self._course.ask, Watch) and not self._course.away

    def _listed(self, answer: Answer) -> Ending | None:
        if answer.status != 200:
            return refusal(answer.status, answer.body(LINE_LIMIT_BYTES), answer.retry_after_s)
        match page(answer.pieces(PAGE_LIMIT_BYTES), already=self._course.pages.size):
            case Page() as listed:
                self._heard()
                self._move(self._course.listed(listed))
                return None
            case Failed() as failed:
                return failed

    def _watched(self, answer: Answer) -> Ending:
        if answer.status != 200:
            return refusal(answer.status, answer.body(LINE_LIMIT_BYTES), answer.retry_after_s)
        self._answer = answer
        try:
            if self._closing.is_set() or self._leaves_the_watch():  # set before there was an answer to shut
                return Closed()
            self._heard()
            self._move(self._course.answered())
            for line in answer.lines(LINE_LIMIT_BYTES):
                match event(line):
                    case Event() as told:
                        self._heard()
                        self._move(self._course.told(told))
                    case ending:
                        return ending
        finally:
            self._answer = None
        return Closed()

    def _heard(self) -> None:
        self.health = replace(self.health, heard_at=self._now())

    def _move(self, course: Course) -> None:
        before, self._course = self._course, course
        if course.away and not before.away:
            log.warning("apiserver.lost", reason=course.error)
        if before.away and not course.away:
            log.info("apiserver.found", away_s=round(self._now() - (self.health.away_since or self._now()), 1))
        self.health = replace(
            self.health,
            away_since=(self.health.away_since or self._now()) if course.away else None,
            error=course.error,
            reconnects=course.reconnects,
            relists=course.relists,
            errors=course.errors,
        )
        if course.changes != before.changes or course.away is not before.away:
            self._wake()
