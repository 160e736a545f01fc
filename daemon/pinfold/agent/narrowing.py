"""Containers narrowed as soon as their cgroups appear, by a thread that does nothing else.

A turn of the loop takes as long as the node is big; from a runtime's create to its start it takes as long as the
runtime is quick. So what a new container gets is written at once, from what was last decided, and the loop, which the
same event rang for, finds it done. The thread has one file to write, and decides nothing; whatever it cannot say is
left to the loop.

systemd empties the cpuset of a scope that it starts, and may do so a moment after the cgroup appeared. A cgroup with a
process takes no empty set: until its first one comes, what was narrowed is watched, and written again.
"""

import selectors
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol

import structlog

from pinfold.cgroups.files import CgroupError, CgroupGoneError
from pinfold.cgroups.newborns import Newborn, Standing
from pinfold.cgroups.newcomers import Late
from pinfold.cgroups.paths import CgroupPath, File, below
from pinfold.cgroups.tree import Tree, container
from pinfold.cpuset import CpuSet
from pinfold.sources.bundles import Bundles
from pinfold.sources.cgroup_events import CgroupEvents, Happening
from pinfold.sources.inotify import InotifyLimitError
from pinfold.sources.wakeup import Wakeup

_AGAIN_S = 0.01
"""How soon one is tried again that could not be narrowed: its controller is about to be enabled, its bundle written."""

_REMEMBERED = 1000

log = structlog.get_logger()


class Cgroups(Protocol):
    """`files.Cgroupfs`."""

    def children(self, path: CgroupPath, /) -> tuple[str, ...]: ...

    def read(self, path: CgroupPath, file: str, /) -> str | None: ...

    def write(self, path: CgroupPath, file: str, value: str, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A container that was given its CPUs before the loop looked. Times are seconds since the epoch."""

    newborn: Newborn
    seen_at: float
    written_at: float
    late: Late | None
    """Its program ran before that, outside of what it is given."""
    is_confined: bool
    """It has what it is promised, by the kernel's word; where a cgroup above has less, the loop mends that first."""


class Narrowing:
    def __init__(
        self,
        fs: Cgroups,
        has_run: Callable[[CgroupPath], bool],
        mount: Path,
        now: Callable[[], float] = time.time,
        bundles: Bundles | None = None,
    ) -> None:
        self._fs, self._has_run, self._now = fs, has_run, now
        self._bundles = bundles or Bundles()
        self._standing: Standing | None = None
        self._settled: frozenset[CgroupPath] = frozenset()
        """Cgroups that the loop has dealt with."""
        self._settled_in: Tree | None = None
        self._pods: set[CgroupPath] = set()
        """Cgroups of pods that appeared since then."""
        self._waiting: dict[CgroupPath, float] = {}
        """Containers of which nothing could be said yet, and when they were seen."""
        self._unborn: set[CgroupPath] = set()
        """Containers that have their CPUs, by this thread or by the loop, and no process yet."""
        self._narrowed: dict[CgroupPath, bool] = {}
        """Whom it narrowed, of the last ones, and whether that was in time."""
        self._done: SimpleQueue[Narrowed] = SimpleQueue()
        self._wakeup = Wakeup()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._events: CgroupEvents | None = None
        try:
            self._events = CgroupEvents(mount)
        except InotifyLimitError as error:
            log.warning("narrowing.off", reason=str(error), remedy="containers are narrowed at the loop's turns")

    def start(self) -> None:
        if self._events and self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(self._events,), name="narrowing", daemon=True)
            self._thread.start()

    def decided(self, standing: Standing) -> None:
        """From the loop: what holds from now on, and is on disk. Whoever is there at the first call is none of ours."""
        if self._standing is None:
            self._settled = standing.seen
        if standing != self._standing:
            self._standing = standing
            self._wakeup.wake()

    def settled(self, standing: Standing) -> None:
        """From the loop, at the end of a turn: whoever was seen in it has what he needs."""
        if standing.tree is not self._settled_in:
            self._settled_in, self._settled = standing.tree, standing.seen
            self._wakeup.wake()

    def was_in_time(self, path: CgroupPath) -> bool:
        """To the loop: whether a container was narrowed before its program ran; of the last ones only."""
        return self._narrowed.get(path, False)

    def taken(self) -> list[Narrowed]:
        """To the loop: who was narrowed since the last call."""
        done = []
        while True:
            try:
                done.append(self._done.get_nowait())
            except Empty:
                return done

    def close(self) -> None:
        self._ended.set()
        self._wakeup.wake()
        if self._thread:
            self._thread.join()
        self._wakeup.close()
        if self._events:
            self._events.close()

    def _run(self, events: CgroupEvents) -> None:
        with selectors.DefaultSelector() as selector:
            for source in (events, self._wakeup):
                selector.register(source, selectors.EVENT_READ)
            while not self._ended.is_set():
                selector.select(_AGAIN_S if self._waiting else None)
                try:
                    self._look(events)
                except Exception as error:
                    log.exception("narrowing.failed", reason=repr(error))

    def _look(self, events: CgroupEvents) -> None:
        """Take what happened, and narrow whom it brought."""
        settled = self._settled
        if (standing := self._standing) is None:
            return
        if self._wakeup.drain():
            self._pods -= settled
            self._unborn |= self._waiting.keys() & settled
            self._waiting = {path: at for path, at in self._waiting.items() if path not in settled}
        for change in events.drain().seen:
            path = below(CgroupPath(change.path), change.name)
            if change.happening is Happening.REMOVED:
                self._pods.discard(path)
                self._waiting.pop(path, None)
                self._unborn.discard(path)
            elif change.happening is Happening.CREATED and change.path in standing.holders:
                self._pods.add(path)
            elif change.happening is Happening.CREATED and path in settled:
                self._unborn.add(path)
            elif change.happening is Happening.CREATED and change.path not in self._unborn:
                self._waiting.setdefault(path, self._now())
        self._narrow(standing)  # first of all: what there is to watch is looked through anew each time
        while fresh := events.watch((every := self._watched(standing)) | self._unborn, every):
            for path in map(CgroupPath, fresh - self._unborn):  # what appeared in it before it was watched
                inside = {below(path, name) for name in self._fs.children(path)}
                if path in standing.holders:
                    self._pods |= inside
                else:
                    self._waiting |= dict.fromkeys(inside - settled - self._waiting.keys(), self._now())
            self._narrow(standing)

    def _watched(self, standing: Standing) -> frozenset[CgroupPath]:
        return frozenset((*standing.holders, *standing.pods, *self._pods))

    def _narrow(self, standing: Standing) -> None:
        for path in self._narrowed.keys() & self._waiting.keys():  # listed, and told of by an event after that
            del self._waiting[path]
        for path, seen_at in tuple(self._waiting.items()):
            if (newborn := self._given(standing, path)) is None:
                continue
            before = self._effective(path)
            if not newborn.is_promised and before and before <= newborn.cpus:
                continue  # kept off the pools; it waits for what its pod may yet be given
            if self._write(newborn, before, seen_at):
                del self._waiting[path]
                self._unborn.add(path)
        for path in tuple(self._unborn):
            self._guard(standing, path)
        if len(self._narrowed) > 2 * _REMEMBERED:
            self._narrowed = dict(list(self._narrowed.items())[-_REMEMBERED:])
        self._bundles.keep({_id(path) for path in self._waiting.keys() | self._unborn})

    def _given(self, standing: Standing, path: CgroupPath) -> Newborn | None:
        bundle = self._bundles.name_of(_id(path))
        return standing.given(path, bundle.name if bundle else standing.names.get(_id(path), ""))

    def _write(self, newborn: Newborn, before: CpuSet, seen_at: float) -> bool:
        """Narrow one that may run on *before*; whether all that can be done for it now is done."""
        try:
            self._fs.write(newborn.path, File.CPUS, str(newborn.cpus))
        except CgroupGoneError:  # or its controller is not enabled yet
            return False
        except CgroupError as error:
            log.warning("newborn.left", cgroup=newborn.path, reason=str(error))
            return True
        late = self._late(newborn, before) if newborn.is_promised else None  # at once: who begins meanwhile counts
        written_at = self._now()
        is_confined = newborn.is_promised and self._effective(newborn.path) <= newborn.cpus
        if newborn.is_promised:
            self._narrowed[newborn.path] = is_confined and late is None
        self._done.put(Narrowed(newborn, seen_at, written_at, late, is_confined))
        return newborn.is_promised

    def _guard(self, standing: Standing, path: CgroupPath) -> None:
        """Write again what was emptied; a cgroup that had a process before that was looked at keeps it."""
        events = self._fs.read(path, File.EVENTS)
        is_empty = events is not None and "populated 0" in events.splitlines()
        if self._fs.read(path, File.CPUS) == "" and (newborn := self._given(standing, path)) and newborn.is_promised:
            self._write(newborn, self._effective(path), self._now())
        if not is_empty:
            self._unborn.discard(path)

    def _effective(self, path: CgroupPath) -> CpuSet:
        return CpuSet.parse(self._fs.read(path, File.CPUS_EFFECTIVE) or "")

    def _late(self, newborn: Newborn, before: CpuSet) -> Late | None:
        """Whether it could be on more than it is given, *before*; who began amid the write counts."""
        if before <= newborn.cpus or not self._has_run(newborn.path):
            return None
        return Late(newborn.pod, newborn.name, bool(newborn.pool) and not before <= newborn.pool)


def _id(path: CgroupPath) -> str:
    return container(path).id or ""
