"""What cgroups held when they were last read, as far as it still is so: a look reads only what may be another now.

A cgroup that is heard (by inotify) and did not ring has the files that it had. What the kernel changes by itself
follows from a write somewhere: in the cgroup itself, or in one above it. So a pod is looked at again when anything in
it rang or was written; and all that own CPUs are when a cgroup above them, or beside their way, holds what neither
stood there nor was written by Pinfold. The rest (``effective`` sets of pods that own nothing, a partition that breaks
without a word) shows at a glance, for which whoever has the timer asks.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from pinfold.cgroups import held as files
from pinfold.cgroups.executor import Outcome
from pinfold.cgroups.held import SILENT, CpusetState, Held, Reading, held
from pinfold.cgroups.paths import ROOT, CgroupPath, File, below, parent
from pinfold.cgroups.tree import Listing

GLANCES = 6
"""After so many glances everybody was looked at; who owns CPUs, at each."""
_INHERITED = (File.CPUS, File.EXCLUSIVE, File.PARTITION, File.MEMS)
"""What cgroups below depend on."""


@dataclass(frozen=True, slots=True)
class Stirred:
    """Where something happened."""

    listings: frozenset[CgroupPath] = frozenset()
    """Cgroups came or went in these."""
    files: frozenset[CgroupPath] = frozenset()
    """Something that Pinfold reads was written in these."""
    everywhere: bool = False
    """Nobody knows where."""

    def __or__(self, other: "Stirred") -> "Stirred":
        everywhere = self.everywhere or other.everywhere
        return Stirred(self.listings | other.listings, self.files | other.files, everywhere)


class Seeing(Listing, Reading, Protocol):
    """`files.Cgroupfs`."""


class Known:
    """One tree. It is a Listing, too."""

    def __init__(self, fs: Seeing) -> None:
        self._fs = fs
        self._heard: frozenset[CgroupPath] = frozenset()
        self._listed: set[CgroupPath] = set()
        self.listens: Callable[[CgroupPath], bool] = lambda _: False
        """Have it ring from now on that something comes or goes in a cgroup; whether it does."""
        self._children: dict[CgroupPath, tuple[str, ...]] = {}
        self._outer: Held = {}
        self._inner: dict[CgroupPath, CpusetState] = {}
        self._last: Held = {}
        """What `held` gave last."""
        self._glances = 0
        self._ours: dict[tuple[CgroupPath, File], str] = {}
        """What Pinfold wrote since the outer ones were read."""
        self.relisted = True
        """A cgroup may have come or gone since the flag was last taken down."""

    def hear(self, heard: frozenset[CgroupPath], listed: frozenset[CgroupPath]) -> None:
        """From now on exactly *heard* tell when they change, and *listed* what comes and goes in them, by `stir`.

        What is read of others is not kept.
        """
        for path in heard ^ self._heard:
            self._forget(path)
        for path in listed ^ self._listed:
            self._unlist(path)
        self._heard, self._listed = heard, set(listed)

    def stir(self, stirred: Stirred) -> None:
        """Look again at what *stirred*."""
        if stirred.everywhere:
            self._children.clear()
            self._inner.clear()
            self.relisted = True
        for path in stirred.listings:
            self._unlist(path)
        for path in stirred.files:
            self._forget(path)

    def glance(self, owners: Collection[CgroupPath]) -> None:
        """Look again at those of the pods *owners*, and of some of the others, in which something changed silently."""
        self._glances += 1
        for place, path in enumerate(sorted(self._inner)):
            is_due = path in owners or parent(path) in owners or place % GLANCES == self._glances % GLANCES
            if is_due and _silent(files.state(self._fs.read_all(path, SILENT))) != _silent(self._inner[path]):
                del self._inner[path]

    def wrote(self, outcomes: Iterable[Outcome]) -> None:
        """What Pinfold wrote above the pods changes nothing in them but what rings there as well."""
        self._ours |= {(one.write.path, one.write.file): one.write.value for one in outcomes}

    def children(self, path: CgroupPath) -> tuple[str, ...]:
        if path not in self._children:
            if path not in self._listed and self.listens(path):
                self._listed.add(path)
            names = self._fs.children(path)
            if path not in self._listed:
                self.relisted = True
                return names
            self._children[path] = names
        return self._children[path]

    def held(
        self, outer: Iterable[CgroupPath], inner: frozenset[CgroupPath], owners: Iterable[CgroupPath] = ()
    ) -> Held:
        """*outer* are the cgroups above pods and beside them; *inner* pods and containers.

        The outer ones are read each time; but after Pinfold's own writes only the root, which has what pools have not,
        and where these went. *owners* are those of *inner* whose CPUs are nobody else's. Those that are gone are left
        out. One that is as it was is the same value as before.
        """
        written = {ROOT, *(path for path, _ in self._ours)} if self._ours else self._outer.keys()
        stands = {path: self._outer[path] for path in outer if path in self._outer and path not in written}
        now = {**stands, **self._same(held(self._fs, (path for path in outer if path not in stands)))}
        for path, state in now.items():
            if state is not (before := self._outer.get(path)):
                self._forget_below(path, before, state, owners)
        self._outer, self._ours = now, {}
        for path in self._inner.keys() - inner:
            del self._inner[path]
        fresh = self._same(held(self._fs, sorted(inner - self._inner.keys())))
        self._last = {**now, **self._inner, **fresh}
        self._inner |= {path: state for path, state in fresh.items() if path in self._heard}
        return self._last

    def state(self, path: CgroupPath) -> CpusetState | None:
        """One pod or container; None where it is gone."""
        return self._inner.get(path) or held(self._fs, (path,)).get(path)

    def _same(self, fresh: Held) -> Held:
        return {path: before if (before := self._last.get(path)) == state else state for path, state in fresh.items()}

    def _forget_below(
        self, path: CgroupPath, before: CpusetState | None, now: CpusetState, owners: Iterable[CgroupPath]
    ) -> None:
        """What may be another now because of what somebody else did in *path*."""
        if before is None or now.gives_cpuset is not before.gives_cpuset:
            self._inner.clear()
        elif any(
            (text := now.text(file)) != before.text(file) and text != self._ours.get((path, file))
            for file in _INHERITED
        ):
            for one in owners:
                self._inner.pop(one, None)

    def _forget(self, path: CgroupPath) -> None:
        """The whole pod that *path* is, or is a container of."""
        if path in self._outer:
            return
        for one in (path, parent(path)):
            if one not in self._outer:
                self._inner.pop(one, None)
        for name in self._children.get(path, ()):
            self._inner.pop(below(path, name), None)

    def _unlist(self, path: CgroupPath) -> None:
        self.relisted |= self._children.pop(path, None) is not None


def _silent(state: CpusetState) -> tuple[object, ...]:
    return state.cpus_effective, state.mems_effective, state.partition
