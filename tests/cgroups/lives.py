"""Lives of a node: pods come, start containers, get other CPUs and go, and Pinfold dies after any of its writes.

A life is drawn from a seed, and the same on a model kernel and on a real one. After every write nobody may meet an
owner on a CPU that they share neither before nor afterwards, and nobody may be without a CPU; after every event the
kernel says what the ledger wants, and each owner is alone.
"""

from collections.abc import Callable
from itertools import combinations_with_replacement
from random import Random

from pinfold.cgroups.found import from_text, to_text
from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.paths import CgroupPath, base, holds
from pinfold.cgroups.writes import Write
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.pods.model import PodUid, QosClass

from .node import KUBEPODS, PlayedNode, uid

RESERVED = CpuSet.parse("0-1")
CONTAINERS = 4
"""Of a pod, at most."""

Meetings = dict[tuple[CgroupPath, CgroupPath], CpuSet]
"""Pairs of cgroups whose processes may meet, and on which CPUs; with itself a cgroup has all of its own."""


def entry(number: int, slices: list[CpuSet], shared: CpuSet, *, pool: bool) -> PodEntry:
    """A pod whose containers c1, c2 own *slices*; c0 has *shared*, or without a pool runs in the node shared pool."""
    owners = [ContainerEntry(f"c{place}", Isolation.CONTAINER, cpus) for place, cpus in enumerate(slices, 1) if cpus]
    rest = ContainerEntry("c0", Isolation.POD, shared) if pool and shared else ContainerEntry("c0", Isolation.HOST)
    cpus = CpuSet.union([*slices, shared]) if pool else CpuSet()
    return PodEntry(uid(number), "ns", f"pod{number}", cpus, containers=(rest, *owners))


class Life:
    def __init__(self, node: PlayedNode, seed: int) -> None:
        self.node = node
        self.random = Random(seed)
        self.strict = bool(seed % 2)
        self.ledger = Ledger()
        self.was_owned = CpuSet()
        """Before the transition that is under way."""
        self.pods: dict[PodUid, CgroupPath] = {}
        self.started: dict[PodUid, int] = {}
        self.count = 0
        self.story: list[str] = []
        self.writes = 0
        self.transitions = 0
        self.at_prefix: Callable[[Ledger, tuple[Write, ...]], None] | None = None
        """Called with each plan before it is carried out."""

    def events(self) -> list[Callable[[], None]]:
        """What may happen; what stands twice happens more often."""
        always = [self.a_pod_is_admitted] * 3 + [self.a_pod_comes_that_nobody_asked_for, self.everything_is_released]
        with_pods = [self.a_container_starts] * 4 + [self.a_pod_ends, self.the_controller_is_lost]
        with_owners = [self.a_pod_gets_other_cpus] * 3 + [self.a_running_pod_loses_its_cpus, self.a_cpu_goes_and_comes]
        events = always + with_pods * bool(self.pods) + with_owners * bool(self.ledger.entries)
        return events + [self.refused_partitions_are_tried_again] * bool(self.node.refused)

    def live(self, events: int) -> None:
        self.node.reserved = RESERVED if self.strict else CpuSet()
        for _ in range(events):
            event = self.random.choice(self.events())
            self.story.append(event.__name__)
            event()
            self.owners_are_alone()
            self.a_restart_writes_nothing()

    # --- what happens -------------------------------------------------------------------------------------------

    def a_pod_is_admitted(self) -> None:
        pool = self.random.random() < 0.7
        slices, shared = self._sets(CpuSet())
        if any(slices) or (pool and shared):
            pod = self._pod()
            if self.node.enforcement is Enforcement.PARTITION and self.random.random() < 0.2:
                self.node.refused |= {pod}  # by the kernel: its CPUs are held by shrinking everybody else
            self.become(self.ledger.with_entry(entry(int(pod[:8], 16), slices, shared, pool=pool)))

    def a_pod_comes_that_nobody_asked_for(self) -> None:
        pod = self._pod()
        self._container(pod, None)
        self.become(self.ledger)

    def a_container_starts(self) -> None:
        pod = self.random.choice(sorted(self.pods))
        if self.started[pod] < CONTAINERS:
            self._container(pod, f"c{self.started[pod]}" if self.random.random() < 0.8 else None)
            self.become(self.ledger)

    def a_pod_gets_other_cpus(self) -> None:
        old = self._owner()
        slices, shared = self._sets(old.owned)
        if any(slices) or (old.cpus and shared):
            self.become(self.ledger.with_entry(entry(int(old.uid[:8], 16), slices, shared, pool=bool(old.cpus))))

    def a_running_pod_loses_its_cpus(self) -> None:
        self.become(self.ledger.without([self._owner().uid]))

    def a_pod_ends(self) -> None:
        """Its processes go, then its cgroups; Pinfold may be faster than the kubelet."""
        pod = self.random.choice(sorted(self.pods))
        path = self.pods.pop(pod)
        self.node.end_processes(path)
        if self.random.random() < 0.5:
            self.become(self.ledger.without([pod]))
        self.node.end_pod(path)
        self.become(self.ledger.without([pod]))

    def refused_partitions_are_tried_again(self) -> None:
        self.node.refused = frozenset()
        self.become(self.ledger)

    def the_controller_is_lost(self) -> None:
        self.node.lose_controller()
        self.become(self.ledger)

    def a_cpu_goes_and_comes(self) -> None:
        """One whose absence leaves nobody without a CPU of his own: for that the planner takes another."""
        gone = self.random.choice([*(self.node.topology.online - RESERVED)])
        owned = [one for pod in self.ledger.entries.values() for one in (pod.cpus, pod.shared, *pod.slices.values())]
        if CpuSet.of([gone]) not in owned and self.node.ground.switch(gone, on=False):
            self.become(self.ledger)
            assert self.node.ground.switch(gone, on=True)
            self.become(self.ledger)

    def everything_is_released(self) -> None:
        self.become(Ledger())
        assert [path for path in self.node.paths() if path and self.node.is_partition(path)] == []

    # --- what may not -------------------------------------------------------------------------------------------

    def become(self, ledger: Ledger) -> None:
        """Make *ledger* true, and die once on the way."""
        self.was_owned = self.ledger.owned
        self.ledger = ledger
        self.transitions += 1
        before = self.meetings()
        writes = self.node.plan(ledger)
        if self.at_prefix:
            self.at_prefix(ledger, writes)
        seen = self.carried_out(writes[: self.random.randint(0, len(writes))])
        for _ in range(4):
            if not (writes := self.node.plan(ledger)):
                break
            seen += self.carried_out(writes)
        self.node.settle(ledger)
        self.nobody_met(before, seen)

    def carried_out(self, writes: tuple[Write, ...]) -> list[tuple[Write, Meetings]]:
        """Each write, and who may meet after it; none breaks a partition."""
        seen = []
        for write in writes:
            standing = [path for path in self.node.paths() if path != write.path and self.node.is_partition(path)]
            self.node.ground.write(write.path, write.file, write.value)
            assert [path for path in standing if not self.node.is_partition(path)] == [], f"broken by {write}"
            seen.append((write, self.meetings()))
        self.writes += len(writes)
        return seen

    def nobody_met(self, before: Meetings, seen: list[tuple[Write, Meetings]]) -> None:
        """Of two that own nothing in the end it does not matter.

        Nor where nobody will own the CPUs, neither of the two runs on them as on its own still, and each owned none
        before or will own none: who waits for its own, or has left its own, runs where everybody does.
        """
        after = self.meetings()
        owners = [self.pods[pod] for pod in self.ledger.entries]
        for write, meetings in seen:
            for pair, cpus in meetings.items():
                stays_owner = any(
                    before[path, path] <= self.was_owned and after[path, path] <= self.ledger.owned for path in pair
                )
                still_owned = CpuSet.union(
                    before[path, path] for path in pair if before[path, path] | meetings[path, path] <= self.was_owned
                )
                passing = CpuSet() if stays_owner else self.node.ground.possible - self.ledger.owned - still_owned
                if any(holds(owner, path) for owner in owners for path in pair):
                    met = cpus - passing - before[pair] - after[pair]
                    assert not met or pair[0] == pair[1], f"{pair} met on {met} after {write}"

    def owners_are_alone(self) -> None:
        """On a pod's pool nobody else runs; on a slice whose container is there nobody but that."""
        allowed = self.node.allowed()
        strict = self.node.reserved
        if self.node.topology.online <= self.ledger.owned | strict:
            strict = CpuSet()  # nobody is left without a CPU
        for pod, placed in self.ledger.entries.items():
            own = {path for path in allowed if holds(self.pods[pod], path)}
            names = {path: self.node.names.get(base(path)[15:79], "") for path in own}
            for path, cpus in allowed.items():
                assert cpus.isdisjoint(strict) or not holds(KUBEPODS, path), f"{path} runs on {cpus} of the reserved"
                if path not in own:
                    assert cpus.isdisjoint(placed.cpus), f"{path} runs on {cpus} of the pool of {pod}"
                for owner, name in names.items():
                    if owner != path and not (path in own and cpus == placed.cpus):
                        assert cpus.isdisjoint(placed.slices.get(name, CpuSet())), f"{path} runs on {cpus} of {owner}"

    def a_restart_writes_nothing(self) -> None:
        self.node.found = from_text(to_text(self.node.found))
        assert self.node.plan(self.ledger) == ()

    # --- drawing ------------------------------------------------------------------------------------------------

    def _pod(self) -> PodUid:
        self.count += 1
        pod = uid(self.count)
        self.pods[pod], self.started[pod] = self.node.start_pod(self.count, self.random.choice([*QosClass])), 0
        return pod

    def _container(self, pod: PodUid, name: str | None) -> None:
        self.node.start_container(self.pods[pod], int(pod[:8], 16), self.started[pod], name)
        self.started[pod] += 1

    def _owner(self) -> PodEntry:
        return self.ledger.entries[self.random.choice(sorted(self.ledger.entries))]

    def _sets(self, own: CpuSet) -> tuple[list[CpuSet], CpuSet]:
        """Two slices and a shared set of the CPUs that are free or *own*; each may be empty."""
        free = (self.node.topology.online - RESERVED - self.ledger.owned) | own
        places = {cpu: self.random.randrange(5) for cpu in free}
        first, second, shared = (CpuSet.of(cpu for cpu in free if places[cpu] == place) for place in range(3))
        return [first, second], shared

    def meetings(self) -> Meetings:
        effective = self.node.effective()
        pairs = combinations_with_replacement(sorted(effective), 2)
        return {(one, other): effective[one] & effective[other] for one, other in pairs}
