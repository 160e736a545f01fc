"""The write protocol on a model kernel: whatever happens to a node, and wherever the daemon dies.

PINFOLD_NODES=400 has it try as many lives of a node, others each time; a life has up to 15 steps, each with two plans.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from pinfold.cgroups.found import from_text, noted, to_text
from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.paths import ROOT, CgroupPath, File, base, holds
from pinfold.cgroups.writes import Write
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.pods.model import PodUid, QosClass
from tests.cpuset_model import V6_1, V6_12, V7_3, Errno, FaultyState, Kernel

from .model_node import IN_ROOT, KUBEPODS, ModelNode, Sharing, sharing, uid

CPUS = 12
RESERVED = CpuSet.parse("0-1")


def entry(number: int, sets: list[CpuSet], *, pool: bool) -> PodEntry:
    """A pod whose containers c1, c2… own the first *sets* and whose last set is shared by container c0."""
    *slices, shared = sets
    owners = [ContainerEntry(f"c{place}", Isolation.CONTAINER, cpus) for place, cpus in enumerate(slices, 1) if cpus]
    rest = ContainerEntry("c0", Isolation.POD, shared) if pool and shared else ContainerEntry("c0", Isolation.HOST)
    cpus = CpuSet.union(sets) if pool else CpuSet()
    return PodEntry(uid(number), "ns", f"pod{number}", cpus, containers=(rest, *owners))


class NodeMachine(RuleBasedStateMachine):
    """Pods come, start containers, change their pools and go; others write; the daemon dies after any write."""

    version: Kernel
    enforcement: Enforcement

    def __init__(self) -> None:
        super().__init__()
        self.node = ModelNode.boot(self.version, self.enforcement, CPUS)
        self.ledger = Ledger()
        self.paths: dict[PodUid, CgroupPath] = {}
        self.started: dict[PodUid, int] = {}
        self.count = 0
        self.nested = False  # somebody made a partition of a container: it must go before the pod's can be mended

    # --- what happens -------------------------------------------------------------------------------------------

    @rule(data=st.data(), qos=st.sampled_from(QosClass), pool=st.booleans())
    def a_pod_is_admitted(self, data: st.DataObject, qos: QosClass, pool: bool) -> None:
        sets = self._sets(data, CpuSet())
        if not sets or not (pool or any(sets[:-1])):
            return
        self.count += 1
        self.paths[uid(self.count)] = self.node.start_pod(self.count, qos)
        self.started[uid(self.count)] = 0
        self._become(data, self.ledger.with_entry(entry(self.count, sets, pool=pool)))

    @rule(data=st.data(), qos=st.sampled_from(QosClass))
    def a_pod_comes_that_nobody_asked_for(self, data: st.DataObject, qos: QosClass) -> None:
        self.count += 1
        path = self.node.start_pod(self.count, qos)
        self.paths[uid(self.count)], self.started[uid(self.count)] = path, 1
        self.node.start_container(path, self.count, 0, None)
        self._become(data, self.ledger)

    @precondition(lambda self: self.paths)
    @rule(data=st.data(), known=st.booleans())
    def a_container_starts(self, data: st.DataObject, known: bool) -> None:
        pod = data.draw(st.sampled_from(sorted(self.paths)))
        if self.started[pod] == 4:
            return
        place = self.started[pod]
        self.started[pod] += 1
        self.node.start_container(self.paths[pod], int(pod[:8], 16), place, f"c{place}" if known else None)
        self._become(data, self.ledger)

    @precondition(lambda self: self.ledger.entries)
    @rule(data=st.data())
    def a_pod_gets_other_cpus(self, data: st.DataObject) -> None:
        old = self.ledger.entries[data.draw(st.sampled_from(sorted(self.ledger.entries)))]
        sets = self._sets(data, old.owned)
        if sets and (old.cpus or any(sets[:-1])):
            self._become(data, self.ledger.with_entry(entry(int(old.uid[:8], 16), sets, pool=bool(old.cpus))))

    @precondition(lambda self: self.ledger.entries)
    @rule(data=st.data())
    def a_running_pod_loses_its_cpus(self, data: st.DataObject) -> None:
        self._become(data, self.ledger.without([data.draw(st.sampled_from(sorted(self.ledger.entries)))]))

    @precondition(lambda self: self.paths)
    @rule(data=st.data(), early=st.booleans())
    def a_pod_ends(self, data: st.DataObject, early: bool) -> None:
        pod = data.draw(st.sampled_from(sorted(self.paths)))
        path = self.paths.pop(pod)
        if early:  # its processes are gone, its cgroups stand a while longer
            for one in self.node.world.paths():
                if one.startswith(path):
                    for task in self.node.world.tasks(one):
                        self.node.world.exit(task)
            self._become(data, self.ledger.without([pod]))
        self.node.end_pod(path)
        self._become(data, self.ledger.without([pod]))

    @rule(data=st.data(), times=st.integers(1, 3))
    def somebody_else_writes(self, data: st.DataObject, times: int) -> None:
        for _ in range(times):
            paths = [path for path in map(CgroupPath, self.node.world.paths()) if self._files_of_ours(path)]
            path = data.draw(st.sampled_from(paths))
            file = data.draw(st.sampled_from(self._files_of_ours(path)))
            words = st.sampled_from(["member", "root", "isolated"])
            lists = st.sampled_from(["", "0-11", "2-5", "0-1", "1-11", "4", "8-11"])
            value = data.draw(words if file is File.PARTITION else lists)
            trial = self.node.world.copy()
            try:
                trial.write(path, file, value)
            except FaultyState:
                continue  # a state that the model does not go into
            self.node.kernel.world = trial
            self.nested |= file is File.PARTITION and path not in self.paths.values()
        self._become(data, self.ledger)
        self.nested = False

    def _files_of_ours(self, path: CgroupPath) -> list[File]:
        """What Pinfold mends: partitions that others make elsewhere are theirs."""
        managed = [self.paths[pod] for pod in self.ledger.entries]
        if path == ROOT:
            return []
        if self.node.shrinks:
            return [] if path == KUBEPODS else [File.CPUS]  # the kubelet rewrites its root cgroup, and so may anybody
        if any(holds(pod, path) for pod in managed):
            return [File.CPUS, File.EXCLUSIVE, File.PARTITION]
        return [File.CPUS, File.EXCLUSIVE] if any(holds(path, pod) for pod in managed) else [File.CPUS]

    @precondition(lambda self: self.ledger.entries and self.enforcement is Enforcement.PARTITION)
    @rule(data=st.data())
    def the_kernel_will_not_have_some_partitions(self, data: st.DataObject) -> None:
        """Their pools are held by shrinking everybody else, until they are tried again."""
        pods = data.draw(st.sets(st.sampled_from(sorted(self.ledger.entries)), max_size=2))
        self.node.refused = frozenset(pods)
        self._become(data, self.ledger)

    @rule(data=st.data())
    def the_last_delegated_scope_ends_and_systemd_takes_the_controller(self, data: st.DataObject) -> None:
        world = self.node.world
        for path in reversed(world.paths()):
            assert world.write(path, File.SUBTREE_CONTROL, "-cpuset") is None
        self._become(data, self.ledger)

    @rule(data=st.data(), cpu=st.integers(2, CPUS - 1))
    def a_cpu_goes_offline_and_comes_back(self, data: st.DataObject, cpu: int) -> None:
        """One whose absence leaves nobody without a CPU of his own: the planner takes others for that."""
        gone = CpuSet.of([cpu])
        sets = [one for entry in self.ledger.entries.values() for one in (entry.cpus, *entry.slices.values())]
        if gone in sets or any(entry.shared == gone for entry in self.ledger.entries.values()):
            return
        if self.node.offline(cpu) is None:
            self._become(data, self.ledger)
            assert self.node.online(cpu) is None
            self._become(data, self.ledger)

    @rule()
    def the_daemon_restarts(self) -> None:
        self.node.found = from_text(to_text(self.node.found))
        assert self.node.plan(self.ledger) == ()

    @rule(data=st.data())
    def everything_is_released(self, data: st.DataObject) -> None:
        self._become(data, Ledger())
        for path in self.node.world.paths():
            if path:
                assert self.node.world.read(path, File.PARTITION) in {"member", Errno.ENOENT}

    # --- what may not happen ------------------------------------------------------------------------------------

    @invariant()
    def owners_are_alone(self) -> None:
        """On a pod's pool nobody else runs; on a slice whose container is there nobody but that."""
        world = self.node.world
        homes = {CgroupPath(path): world.effective(path) for path in world.paths() if world.tasks(path)}
        if self.node.shrinks:
            del homes[ROOT]  # its tasks are kept off by affinity
        for pod, placed in self.ledger.entries.items():
            inside = {path for path in homes if holds(self.paths[pod], path)}
            names = {path: self.node.names.get(base(path)[15:79], "") for path in inside}
            for path, cpus in homes.items():
                if path not in inside:
                    assert cpus.isdisjoint(placed.cpus), f"{path} runs on {cpus} of the pool of {pod}"
                for own, name in names.items():
                    if own != path and not (path in inside and cpus == placed.cpus):
                        assert cpus.isdisjoint(placed.slices.get(name, CpuSet())), f"{path} runs on {cpus} of {own}"

    def _become(self, data: st.DataObject, ledger: Ledger) -> None:
        """Carry it out, dying once on the way; watch every write."""
        before = sharing(self.node.world)
        seen: list[tuple[Write, Sharing]] = []
        writes = self.node.plan(ledger)
        self.node.found = noted(self.node.found, self.node.held(ledger), writes)
        self.ledger = ledger
        self._watched(writes[: data.draw(st.integers(0, len(writes)), label="dies after")], seen)
        for _ in range(4):
            writes = self.node.plan(ledger)
            if not writes:
                break
            self.node.found = noted(self.node.found, self.node.held(ledger), writes)
            self._watched(writes, seen)
        self.node.settle(ledger)
        after = sharing(self.node.world)
        owners = [self.paths[pod] for pod in ledger.entries]
        for write, now in seen:
            for pair, cpus in now.items():
                if any(holds(owner, CgroupPath(task)) for owner in owners for task in pair) and not self._aside(pair):
                    assert cpus <= before[pair] | after[pair], f"{pair} met on {cpus} after {write}"

    def _aside(self, pair: tuple[str, str]) -> bool:
        """The root's task is kept off by its affinity where there are no partitions."""
        return self.nested or (self.node.shrinks and IN_ROOT in pair)

    def _watched(self, writes: tuple[Write, ...], seen: list[tuple[Write, Sharing]]) -> None:
        for write in writes:
            valid = self._valid_partitions() - {write.path}
            self.node.kernel.write(write.path, write.file, write.value)
            assert valid <= self._valid_partitions(), f"{write} broke {valid - self._valid_partitions()}"
            seen.append((write, sharing(self.node.world)))

    def _valid_partitions(self) -> set[CgroupPath]:
        world = self.node.world
        return {CgroupPath(path) for path in world.paths() if world.read(path, File.PARTITION) in {"root", "isolated"}}

    def _sets(self, data: st.DataObject, own: CpuSet) -> list[CpuSet]:
        """Up to three disjoint sets of the CPUs that are free or *own*; the last may be empty, if others are not."""
        free = (self.node.topology.online - RESERVED - self.ledger.owned) | own
        owner = data.draw(st.lists(st.integers(0, 4), min_size=len(free), max_size=len(free)), label="owners")
        sets = [CpuSet.of(cpu for cpu, one in zip(free, owner, strict=True) if one == place) for place in (1, 2, 0)]
        return sets if any(sets) else []


@pytest.mark.parametrize(
    ("version", "enforcement"),
    [
        pytest.param(V6_1, Enforcement.SHRINK, id="6.1-shrinking"),
        pytest.param(V6_12, Enforcement.PARTITION, id="6.12-partitions"),
        pytest.param(V7_3, Enforcement.PARTITION, id="7.3-partitions"),
        pytest.param(V6_12, Enforcement.SHRINK, id="6.12-shrinking"),
    ],
)
def test_no_write_lets_two_owners_meet_and_every_crash_converges(version: Kernel, enforcement: Enforcement) -> None:
    machine = type("Machine", (NodeMachine,), {"version": version, "enforcement": enforcement})
    nodes = os.environ.get("PINFOLD_NODES")
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(nodes or 20),
            derandomize=nodes is None,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # to shrink a node's life takes longer than to read it
        ),
    )
