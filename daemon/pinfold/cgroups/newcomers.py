"""Pods and containers that are there and not confined yet: how long each was so, and whose program ran too early.

Pure. A pod's cgroup is confined when its pool stands, a container's when it has its slice or its pod's shared pool, by
the kernel's word. Who is promised nothing is not measured, nor is a pod that had to wait for CPUs. Times are seconds
since the epoch.

Each container is judged once, whether it was in time: when it is narrowed or confined, when it came and went between
two looks, or else when its pod's status tells of it and it is gone.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pinfold.cgroups.held import Held
from pinfold.cgroups.layout import Node, container_sets, slice_sets
from pinfold.cgroups.newborns import Newborn, Standing
from pinfold.cgroups.paths import CgroupPath, File, above, below, parent
from pinfold.cgroups.tree import PodCgroup, Tree, container
from pinfold.cgroups.verify import Drift
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from pinfold.pods.model import Pod, PodUid

_REMEMBERED = 1000
_CPUS = frozenset({File.CPUS, File.CPUS_EFFECTIVE, File.EXCLUSIVE, File.PARTITION})


class Scope(StrEnum):
    POD = "pod"
    CONTAINER = "container"


class Phase(StrEnum):
    """How far a cgroup has come; each is measured from the moment in which the cgroup was made."""

    SEEN = "seen"
    """The loop knows that it is there."""
    KNOWN = "known"
    """A source of pods knows whose it is."""
    DECIDED = "decided"
    WRITTEN = "written"
    VERIFIED = "verified"
    """Confined, as read back from the kernel."""


@dataclass(frozen=True, slots=True)
class Promise:
    """The CPUs that a cgroup is to be confined to."""

    own: CpuSet
    """Its slice, or what its pod's containers share; of a pod, its pool."""
    pool: CpuSet = CpuSet()
    """The pod's pool, where there is one."""
    container: str = ""
    """Empty for the pod's own cgroup."""


Promises = Mapping[CgroupPath, Promise]


@dataclass(frozen=True, slots=True)
class Newcomer:
    pod: PodUid
    created_at: float
    reached: Mapping[Phase, float]
    """When it came to each phase."""
    is_narrowed: bool = False
    """It was given its CPUs before the loop looked."""

    def come(self, phase: Phase, at: float) -> "Newcomer":
        """At *phase* by now; the first time counts."""
        return self if phase in self.reached else replace(self, reached={**self.reached, phase: at})


@dataclass(frozen=True, slots=True)
class Confined:
    scope: Scope
    after_s: Mapping[Phase, float]
    """Seconds from the moment in which the cgroup was made."""


@dataclass(frozen=True, slots=True)
class Late:
    """A container whose program ran outside its slice, or outside of what its pod's containers share."""

    pod: PodUid
    container: str
    """Empty where it came and went before it could be named."""
    outside_pool: bool
    """It ran outside its pod's pool, and not only outside of what it should have had in it."""


@dataclass(frozen=True, slots=True)
class Judged:
    pod: PodUid
    is_late: bool


@dataclass(frozen=True, slots=True)
class Newcomers:
    waiting: Mapping[CgroupPath, Newcomer] = field(default_factory=dict)
    there: frozenset[CgroupPath] | None = None
    """The cgroups of pods and containers at the last look; None: there was none yet."""
    tree: Tree | None = None
    """What was looked at."""
    came: frozenset[PodUid] = frozenset()
    """Pods that came since the first look, but for those that are known and own nothing."""
    judged: Mapping[str, Judged] = field(default_factory=dict)
    """The runtime's ids of the containers that were judged: those that are there, and as long as their pods are there
    the last that were, whose end their pods' status may yet tell."""
    unstarted: Mapping[CgroupPath, Late] = field(default_factory=dict)
    """Whose program did not run yet right before the writes, outside of what it is promised."""
    unnamed: frozenset[CgroupPath] = frozenset()
    """Whose program ran before its pod was confined to its pool, and whose container nobody could name then."""

    def met(
        self,
        tree: Tree,
        known: Collection[PodUid],
        made_at: Callable[[Collection[CgroupPath]], Mapping[CgroupPath, float]],
        now: float,
        *,
        first: bool = False,
    ) -> "Newcomers":
        """Who is there now; *known* are the pods of the sources.

        *first*: nobody looked after this node before, so that whoever is there at the first look came before us.
        """
        if tree is self.tree:  # nobody came or went
            return replace(self, waiting={path: _known(one, known, now) for path, one in self.waiting.items()})
        there = {path: pod.uid for pod in tree.pods.values() for path in _paths(pod)}
        waiting = {path: _known(one, known, now) for path, one in self.waiting.items() if path in there}
        new = frozenset() if first and self.there is None else there.keys() - (self.there or frozenset())
        made = made_at(new)
        for uid in {there[path] for path in new}:
            pod = tree.pods[uid]
            reached = dict.fromkeys((Phase.SEEN, Phase.KNOWN) if uid in known else (Phase.SEEN,), now)
            times = {path: min(made.get(path, now), now) for path in _paths(pod) if path in new}
            waiting |= {path: Newcomer(uid, at, reached) for path, at in times.items()}
            # The pod was there before its containers, whatever its directory's time says.
            if pod.path in waiting and (at := min(times.values())) < waiting[pod.path].created_at:
                waiting[pod.path] = replace(waiting[pod.path], created_at=at)
        fresh = {uid for uid, pod in tree.pods.items() if self.there is not None and pod.path not in self.there}
        came = frozenset((self.came & tree.pods.keys()) | fresh)
        judged = {one: verdict for one, verdict in self.judged.items() if verdict.pod in tree.pods}
        if len(judged) > len(there) + 2 * _REMEMBERED:
            present = {container(path).id for path in there}
            forgotten = set([one for one in judged if one not in present][:-_REMEMBERED])
            judged = {one: verdict for one, verdict in judged.items() if one not in forgotten}
        return Newcomers(waiting, frozenset(there), tree, came, judged, unnamed=self.unnamed & there.keys())

    def narrowed(
        self, newborn: Newborn, seen_at: float, written_at: float, late: Late | None
    ) -> tuple["Newcomers", Late | None]:
        """One was given its CPUs before the loop looked. Gives back *late* where that was not told yet."""
        if not newborn.name:  # promised nothing
            return self, None
        was_told = self._was_late(newborn.path)
        if newborn.path in self.unnamed:
            late = Late(newborn.pod, newborn.name, outside_pool=True)
        after = self._judging({newborn.path: Judged(newborn.pod, late is not None or was_told)})
        late = None if was_told else late
        if (one := self.waiting.get(newborn.path)) is None:  # confined by the loop meanwhile, or gone
            return after, late
        reached = {**one.reached, Phase.SEEN: seen_at, Phase.DECIDED: written_at, Phase.WRITTEN: written_at}
        come = replace(one, reached=reached, is_narrowed=True)
        return replace(after, waiting={**self.waiting, newborn.path: come}), late

    def decided(self, ledger: Ledger, now: float) -> "Newcomers":
        """Pods that are known and own no CPUs wait for nothing."""
        owners = {uid for uid, entry in ledger.entries.items() if entry.owned}
        idle = {one.pod for one in self.waiting.values() if Phase.KNOWN in one.reached} - owners
        waiting = {
            path: one.come(Phase.DECIDED, now) if one.pod in owners else one
            for path, one in self.waiting.items()
            if one.pod not in idle
        }
        return replace(self, waiting=waiting, came=self.came - idle)

    def late(
        self, promises: Promises, held: Held, has_run: Callable[[CgroupPath], bool]
    ) -> tuple["Newcomers", list[Late]]:
        """Whose program runs already, outside of what it is promised. To be asked right before the writes."""
        found: dict[CgroupPath, Late] = {}
        unstarted: dict[CgroupPath, Late] = {}
        unnamed = set(self.unnamed)
        for path, one in self.waiting.items():
            if (promise := promises.get(path)) is None:
                pool = promises.get(parent(path), Promise(CpuSet())).pool
                if pool and not effective(path, held) <= pool and has_run(path):
                    unnamed.add(path)
            elif not promise.container or one.is_narrowed or self._is_judged(path):
                continue
            elif path in unnamed:
                found[path] = Late(one.pod, promise.container, outside_pool=True)
            elif outside := _outside(one.pod, promise, effective(path, held)):
                (found if has_run(path) else unstarted)[path] = outside
        after = self._judging({path: Judged(one.pod, True) for path, one in found.items()})
        return replace(after, unstarted=unstarted, unnamed=frozenset(unnamed)), list(found.values())

    def wrote(
        self,
        path: CgroupPath,
        promises: Promises,
        effective: Callable[[CgroupPath], CpuSet],
        has_run: Callable[[CgroupPath], bool],
    ) -> "Newcomers":
        """Something was written to *path*: whose program may run where it is to by now, and does not, is in time."""
        if path not in self.unstarted or not effective(path) <= promises[path].own or has_run(path):
            return self
        return replace(self, unstarted={one: late for one, late in self.unstarted.items() if one != path})

    def passed(self, paths: Iterable[CgroupPath], node: Node, ledger: Ledger) -> tuple["Newcomers", list[Late]]:
        """Containers that came and went between two looks: who can say any more that their programs did not run?

        Nor is there a name to them: they are late where the pod was not confined, or has slices.
        """
        if not (gone := tuple(paths)):
            return self, []
        pods = {pod.path: pod.uid for pod in node.tree.pods.values()}
        found: dict[CgroupPath, Late | None] = {}
        for path in gone:
            entry = ledger.entries.get(pods.get(parent(path), PodUid("")))
            if entry and entry.cpus and path not in (self.there or ()) and not self._is_judged(path):
                promise = Promise(CpuSet() if entry.slices else entry.cpus, entry.cpus)
                found[path] = _outside(entry.uid, promise, effective(parent(path), node.held))
        verdicts = {path: Judged(pods[parent(path)], late is not None) for path, late in found.items()}
        return self._judging(verdicts), [late for late in found.values() if late]

    def ended(self, pods: Iterable[Pod], standing: Standing) -> tuple["Newcomers", list[Late]]:
        """Containers whose end the status of one of *pods* tells, and that were gone before they could be judged.

        They ended before their pod was decided on, or while nobody looked.
        """
        found: dict[CgroupPath, Late] = {}
        for pod in pods:
            if pod.uid not in self.came or pod.ended.keys() <= self.judged.keys():
                continue
            there = standing.tree.pods[pod.uid]
            unseen = pod.ended.keys() - self.judged.keys() - {one.id for one in there.containers}
            for gone in filter(None, (standing.given(below(there.path, one), pod.ended[one]) for one in unseen)):
                if gone.name:
                    found[gone.path] = Late(pod.uid, gone.name, bool(gone.pool))
        return self._judging({path: Judged(one.pod, True) for path, one in found.items()}), list(found.values())

    def written(self, promises: Promises, now: float) -> "Newcomers":
        """What *promises* ask for was just written; the last time counts."""
        waiting = {
            path: replace(one, reached={**one.reached, Phase.WRITTEN: now})
            if path in promises and not one.is_narrowed
            else one
            for path, one in self.waiting.items()
        }
        return replace(self, waiting=waiting)

    def verified(
        self,
        promises: Promises,
        before: Iterable[Drift],
        after: Iterable[Drift],
        has_run: Callable[[CgroupPath], bool],
        now: float,
    ) -> tuple["Newcomers", list[Confined], list[Late]]:
        """Who is confined now: no CPUs of his drift *after* the writes. Who was so *before*, too, is not measured.

        Whose program began amid the writes is late, whichever came first, confined now or not.
        """
        waiting, confined = dict(self.waiting), []
        amid = {path: late for path, late in self.unstarted.items() if path in waiting and has_run(path)}
        judged = {path: Judged(late.pod, True) for path, late in amid.items()}
        unconfined, drifting = ({one.path for one in drift if one.file in _CPUS} for drift in (before, after))
        for path, one in self.waiting.items():
            if path not in promises or path in drifting:
                continue
            del waiting[path]
            judged[path] = Judged(one.pod, path in amid or self._was_late(path))
            if path in unconfined or one.is_narrowed:
                scope = Scope.CONTAINER if promises[path].container else Scope.POD
                after_s = {phase: at - one.created_at for phase, at in {**one.reached, Phase.VERIFIED: now}.items()}
                confined.append(Confined(scope, after_s))
        return replace(self._judging(judged), waiting=waiting, unstarted={}), confined, list(amid.values())

    def _is_judged(self, path: CgroupPath) -> bool:
        return container(path).id in self.judged

    def _was_late(self, path: CgroupPath) -> bool:
        verdict = self.judged.get(container(path).id or "")
        return verdict is not None and verdict.is_late

    def _judging(self, verdicts: Mapping[CgroupPath, Judged]) -> "Newcomers":
        by_id = {one: verdict for path, verdict in verdicts.items() if (one := container(path).id)}
        return replace(self, judged={**self.judged, **by_id}) if by_id else self


def promises(node: Node, ledger: Ledger, waiting: Collection[CgroupPath]) -> dict[CgroupPath, Promise]:
    """What each pod with somebody *waiting*, and each container of its spec, is to be confined to; no others."""
    found: dict[CgroupPath, Promise] = {}
    for uid, entry in ledger.entries.items():
        pod = node.tree.pods.get(uid)
        if pod and (pod.path in waiting or any(one.path in waiting and one.id in node.names for one in pod.containers)):
            if entry.cpus:
                found[pod.path] = Promise(entry.cpus, entry.cpus)
                sets = container_sets(entry, pod, node.names)
            else:
                sets = slice_sets(entry, pod, node.names, node.held)
            for one in pod.containers:
                if (name := node.names.get(one.id or "")) and one.path in sets:
                    found[one.path] = Promise(sets[one.path], entry.cpus, name)
    return found


def effective(path: CgroupPath, held: Held) -> CpuSet:
    """Where the kernel lets it run: without cpuset files of its own, where the nearest cgroup above may."""
    sets = (held[one].cpus_effective for one in (path, *above(path)) if one in held)
    return next((cpus for cpus in sets if cpus is not None), CpuSet())


def _outside(pod: PodUid, promise: Promise, cpus: CpuSet) -> Late | None:
    """What a program that runs on *cpus* is outside of."""
    if cpus <= promise.own:
        return None
    return Late(pod, promise.container, bool(promise.pool) and not cpus <= promise.pool)


def _known(one: Newcomer, known: Collection[PodUid], now: float) -> Newcomer:
    return one.come(Phase.KNOWN, now) if one.pod in known else one


def _paths(pod: PodCgroup) -> tuple[CgroupPath, ...]:
    return (pod.path, *(one.path for one in pod.containers if one.id))
