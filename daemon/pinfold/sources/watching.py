"""What to ask the API server next, decided from what it answered last.

Pure: no socket, no clock, no chance; how long a watch stood and what was drawn come in as numbers. The rules are those
of client-go's Reflector. Source: Kubernetes API concepts, "Efficient detection of changes", "410 Gone responses".
"""

from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from pinfold.sources.answers import Busy, Change, Closed, Ending, Event, Expired, Failed, Page, Silent
from pinfold.sources.picture import Pods, as_before

FIRST_PAUSE_S: Final = 0.8
LONGEST_PAUSE_S: Final = 30.0
LONGEST_RETRY_AFTER_S: Final = 120.0
SHORTEST_WATCH_S: Final = 1.0
"""A watch that is closed sooner and said nothing was no watch."""
FAILURES_TO_LIST: Final = 3
"""In a row, the last of a watch that stood: at its version waits what cannot be read, and would wait for ever."""


@dataclass(frozen=True, slots=True)
class List:
    version: str
    """``0``: whatever the cache holds; another: not older than it; empty: the most recent, asked of etcd."""
    token: str = ""
    """``continue`` of the page before."""


@dataclass(frozen=True, slots=True)
class Watch:
    version: str


@dataclass(frozen=True, slots=True)
class Course:
    """Where the conversation stands."""

    ask: List | Watch = List("0")
    pause_s: float = 0.0
    """How long to wait before asking."""
    pods: Pods = field(default_factory=Pods)
    changes: int = 0
    """Grows when ``pods`` changed in what Pinfold reads."""
    away: bool = False
    """A request failed, or watches broke off one after the other."""
    error: str = ""
    """Why it last failed; empty while it answers."""
    reconnects: int = 0
    relists: int = 0
    errors: int = 0
    pages: Pods = field(default_factory=Pods)
    """Of the list under way."""
    failures: int = 0
    """In a row, with no word from a watch between."""
    expired: int = 0
    """Likewise, 410 alone: that is an answer, not an outage."""
    answering: bool = False
    """The watch was answered with 200."""
    heard: bool = False
    """The watch said something."""

    def listed(self, page: Page) -> "Course":
        before = self.pods.objects
        listed = {uid: as_before(before.get(uid), pod) for uid, pod in page.objects.items()}
        objects, faults = {**self.pages.objects, **listed}, (*self.pages.faults, *page.faults)
        if page.token:
            pages = Pods(objects, faults=faults)
            return replace(self, ask=List(self.ask.version, page.token), pages=pages, pause_s=0.0)
        changed = (
            not self.pods.synced
            or self.pods.faults != faults
            or before.keys() != objects.keys()
            or any(before[uid] is not objects[uid] for uid in objects)
        )
        return replace(
            self,
            ask=Watch(page.version),
            pause_s=0.0,
            pods=Pods(objects, synced=True, resource_version=page.version, faults=faults),
            failures=min(self.failures, FAILURES_TO_LIST - 1),
            changes=self.changes + changed,
            away=False,
            error="",
            pages=Pods(),
        )

    def answered(self) -> "Course":
        """The watch stands."""
        return replace(self, answering=True, away=False, error="")

    def told(self, event: Event) -> "Course":
        objects = self.pods.objects
        match event.change:
            case Change.DELETED if event.uid in objects:
                objects = {uid: pod for uid, pod in objects.items() if uid != event.uid}
            case Change.ADDED | Change.MODIFIED if (
                pod := as_before(objects.get(event.uid), event.pod)
            ) is not objects.get(event.uid):
                objects = {**objects, event.uid: pod}
        return replace(
            self,
            ask=Watch(event.version),
            pods=replace(self.pods, objects=objects, resource_version=event.version),
            changes=self.changes + (objects is not self.pods.objects),
            failures=0,
            expired=0,
            heard=True,
        )

    def ended(self, ending: Ending, lasted_s: float, draw: float) -> "Course":
        """What follows when a request failed or a watch is over; *draw* is a random number from 0 to 1."""
        match ending:
            case Closed() if self.heard or lasted_s >= SHORTEST_WATCH_S:
                after = replace(self, failures=0, pause_s=0.0)
            case Silent() if self.answering:
                after = replace(self, failures=0, pause_s=0.0)
            case Closed():
                after = self._failed("the watch was closed as soon as it stood", draw)
            case Silent():
                after = self._failed("no answer within the read time-out", draw)
            case Expired():
                after = self._expired(draw)
            case Busy(error, retry_after_s):
                after = self._failed(error, draw)
                after = replace(after, pause_s=after.pause_s + min(retry_after_s, LONGEST_RETRY_AFTER_S))
            case Failed(error):
                after = self._failed(error, draw)
            case _:
                assert_never(ending)
        reconnects = self.reconnects + isinstance(self.ask, Watch)
        return replace(after, reconnects=reconnects, answering=False, heard=False, pages=Pods())

    def anew(self) -> "Course":
        """List at once, what etcd has: a watch that stands may be behind."""
        return replace(self, ask=List(""), pause_s=0.0, answering=False, heard=False)

    def _failed(self, error: str, draw: float) -> "Course":
        stuck = isinstance(self.ask, Watch) and self.answering and self.failures + 1 >= FAILURES_TO_LIST
        return replace(
            self,
            ask=List(self.ask.version) if stuck or isinstance(self.ask, List) else self.ask,
            pause_s=pause_s(self.failures, draw),
            # A watch that breaks off once is resumed and nobody is told; a request without a good answer is an outage.
            away=self.away or not self.answering or self.failures > 0,
            error=error,
            failures=self.failures + 1,
            errors=self.errors + 1,
            relists=self.relists + stuck,
        )

    def _expired(self, draw: float) -> "Course":
        """List anew, not older than what is known, so that no pod goes back in time; if even that fails, from etcd."""
        return replace(
            self,
            ask=List(self.pods.resource_version if isinstance(self.ask, Watch) else ""),
            pause_s=pause_s(self.expired, draw) if self.expired else 0.0,
            expired=self.expired + 1,
            relists=self.relists + 1,
        )


def pause_s(failures: int, draw: float) -> float:
    return min(FIRST_PAUSE_S * 2.0 ** min(failures, 10), LONGEST_PAUSE_S) * (1 + draw) / 2
