"""The writes of the moments in a pod's life, in their order, as a model kernel takes them.

Written as in `docs/kernel.md`: ``K`` is kubepods.slice, ``B`` the burstable slice in it, ``pod1/c0`` a container.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest

from pinfold.cgroups.executor import Result
from pinfold.cgroups.found import Found, Record
from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.paths import ROOT, CgroupPath, File, below, holds
from pinfold.cgroups.protocol import ordered
from pinfold.cgroups.verify import Cause, verify
from pinfold.cgroups.wanted import wanted
from pinfold.cgroups.writes import Write
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.pods.model import QosClass
from tests.cpuset_model import V6_1, V6_12, V7_3, Kernel

from .model import ModelGround
from .node import KUBEPODS, QOS, PlayedNode, container_path, uid

THEIRS = CgroupPath("theirs")
SYSTEM, USER = CgroupPath("system.slice"), CgroupPath("user.slice")
BURSTABLE = below(KUBEPODS, f"{QOS[QosClass.BURSTABLE]}.slice")
FILES = {File.CPUS: "cpus", File.EXCLUSIVE: "excl", File.PARTITION: "part", File.SUBTREE_CONTROL: "subtree_control"}


def told(writes: Iterable[Write]) -> list[str]:
    return [f"{_short(write.path)}.{FILES[write.file]}={write.value}" for write in writes]


def touched(writes: Iterable[Write]) -> dict[str, str]:
    """Write → the CPUs that it takes or gives away."""
    return {told([write])[0]: str(write.touched) for write in writes}


def _short(path: CgroupPath) -> str:
    if match := re.search(r"pod0*(\d+)_\S*?\.slice(?:/cri-containerd-.*?(\d)\.scope)?$", path):
        return f"pod{match[1]}" + (f"/c{match[2]}" if match[2] else "")
    return {"": "root", KUBEPODS: "K", BURSTABLE: "B"}.get(path, path.rpartition("/")[2])


def pooled(number: int, pool: str, isolated: bool = False, **slices: str) -> PodEntry:
    """A pod with a pool, *slices* by container, and a container ``rest`` in what remains."""
    cpus = CpuSet.parse(pool)
    owners = [ContainerEntry(name, Isolation.CONTAINER, CpuSet.parse(own)) for name, own in slices.items()]
    rest = cpus - CpuSet.union(one.cpus for one in owners)
    shared = [ContainerEntry("rest", Isolation.POD, rest)] if rest else []
    return PodEntry(uid(number), "ns", f"pod{number}", cpus, containers=(*owners, *shared), isolated=isolated)


def sliced(number: int, **slices: str) -> PodEntry:
    """A pod without a pool."""
    owners = [ContainerEntry(name, Isolation.CONTAINER, CpuSet.parse(own)) for name, own in slices.items()]
    return PodEntry(uid(number), "ns", f"pod{number}", containers=(*owners, ContainerEntry("rest", Isolation.HOST)))


def ledger(*entries: PodEntry) -> Ledger:
    return Ledger({entry.uid: entry for entry in entries})


def settled(node: PlayedNode, now: Ledger) -> list[str]:
    return told(node.settle(now))


def at_once(node: PlayedNode, now: Ledger) -> list[str]:
    """In the writes of one pass, which leave nothing to do."""
    writes = told(node.plan(now))
    assert writes == settled(node, now)
    return writes


@pytest.fixture(params=[V6_12, V7_3], ids=str)
def node(request: pytest.FixtureRequest) -> PlayedNode:
    """Partitions, cpuset enabled down to the pods."""
    version: Kernel = request.param
    return _enabled(PlayedNode.boot(ModelGround.boot(version, 16), Enforcement.PARTITION))


@pytest.fixture
def old_node() -> PlayedNode:
    """No remote partitions."""
    return _enabled(PlayedNode.boot(ModelGround.boot(V6_1, 16), Enforcement.SHRINK))


def _enabled(node: PlayedNode) -> PlayedNode:
    for path in (ROOT, KUBEPODS, BURSTABLE):
        node.ground.write(path, File.SUBTREE_CONTROL, "+cpuset")
    return node


def running(node: PlayedNode, number: int, *names: str | None, qos: QosClass = QosClass.GUARANTEED) -> CgroupPath:
    """A pod whose containers run; None: one that no spec names."""
    pod = node.start_pod(number, qos)
    for place, name in enumerate(names):
        node.start_container(pod, number, place, name)
    return pod


def test_a_new_pod_is_a_partition_before_anything_runs_in_it() -> None:
    node = PlayedNode.boot(ModelGround.boot(V6_12, 16), Enforcement.PARTITION)
    node.start_pod(1)
    now = ledger(pooled(1, "2-5"))
    in_one_pass = told(node.plan(now))
    assert in_one_pass == settled(node, now)
    assert in_one_pass == [
        "root.subtree_control=+cpuset",
        "K.subtree_control=+cpuset",
        "pod1.subtree_control=+cpuset",
        "K.excl=2-5",
        "pod1.excl=2-5",
        "pod1.part=root",
    ]


def test_containers_are_narrowed_one_by_one_as_they_appear(node: PlayedNode) -> None:
    now = ledger(pooled(1, "2-5", engine="2-4"))
    pod = node.start_pod(1)
    node.settle(now)
    node.start_container(pod, 1, 0, None)
    assert settled(node, now) == ["pod1/c0.cpus=5"]
    node.start_container(pod, 1, 1, "engine")
    assert settled(node, now) == ["pod1/c1.cpus=2-4"]
    node.start_container(pod, 1, 2, "rest")
    assert settled(node, now) == ["pod1/c2.cpus=5"]


def test_where_slices_take_the_whole_pool_an_unknown_container_has_all_of_it(node: PlayedNode) -> None:
    running(node, 1, None, "engine", "feed")
    assert settled(node, ledger(pooled(1, "2-5", engine="2-4", feed="5")))[-3:] == [
        "pod1/c0.cpus=2-5",
        "pod1/c1.cpus=2-4",
        "pod1/c2.cpus=5",
    ]


def test_an_isolated_pool_is_an_isolated_partition(node: PlayedNode) -> None:
    node.start_pod(1)
    assert settled(node, ledger(pooled(1, "2-5", isolated=True)))[-1] == "pod1.part=isolated"


def test_a_pool_below_a_qos_slice_grows_the_unions_above_it_first(node: PlayedNode) -> None:
    node.start_pod(1)
    node.settle(ledger(pooled(1, "2-5")))
    node.start_pod(2, QosClass.BURSTABLE)
    assert settled(node, ledger(pooled(1, "2-5"), pooled(2, "8-9"))) == [
        "pod2.subtree_control=+cpuset",
        "K.excl=2-5,8-9",
        "B.excl=8-9",
        "pod2.excl=8-9",
        "pod2.part=root",
    ]


def test_a_cpu_leaves_its_qos_slice_before_a_pod_beside_that_gets_it(node: PlayedNode) -> None:
    node.start_pod(1)
    node.start_pod(2, QosClass.BURSTABLE)
    node.settle(ledger(pooled(1, "2-3"), pooled(2, "4-5")))
    assert settled(node, ledger(pooled(1, "2-4"), pooled(2, "5"))) == ["pod2.excl=5", "B.excl=5", "pod1.excl=2-4"]


def test_containers_leave_cpus_before_their_pool_does(node: PlayedNode) -> None:
    running(node, 1, "engine", "rest")
    node.settle(ledger(pooled(1, "2-5", engine="2-4")))
    assert settled(node, ledger(pooled(1, "2-3", engine="2"))) == [
        "pod1/c0.cpus=2",
        "pod1/c1.cpus=3",
        "pod1.excl=2-3",
        "K.excl=2-3",
    ]


def test_a_pool_that_moves_has_old_and_new_cpus_until_its_containers_went_over(node: PlayedNode) -> None:
    running(node, 1, "engine", "rest")
    node.settle(ledger(pooled(1, "2-5", engine="2-4")))
    assert settled(node, ledger(pooled(1, "10-13", engine="10-12"))) == [
        "K.excl=2-5,10-13",
        "pod1.excl=2-5,10-13",
        "pod1/c0.cpus=10-12",
        "pod1/c1.cpus=13",
        "pod1.excl=10-13",
        "K.excl=10-13",
    ]


def test_a_pool_is_freed_before_its_cgroup_goes(node: PlayedNode) -> None:
    pod = node.start_pod(1)
    node.settle(ledger(pooled(1, "2-5")))
    assert {one.pod for one in node.plan(ledger()) if one.path == pod} == {uid(1)}
    assert settled(node, ledger()) == ["pod1.part=member", "pod1.excl=", "K.excl=", "pod1.subtree_control=-cpuset"]
    node.end_pod(pod)
    assert settled(node, ledger()) == []


def test_the_next_pool_waits_for_the_one_that_ends(node: PlayedNode) -> None:
    node.start_pod(1)
    node.settle(ledger(pooled(1, "2-5")))
    node.start_pod(2)
    writes = settled(node, ledger(pooled(2, "4-7")))
    assert writes.index("pod1.excl=") < writes.index("pod2.excl=4-7") < writes.index("pod2.part=root")


def test_a_slice_without_a_pool_is_a_partition_of_its_container(node: PlayedNode) -> None:
    running(node, 1, None, "engine", "rest")
    assert settled(node, ledger(sliced(1, engine="2-4"))) == [
        "K.excl=2-4",
        "pod1.excl=2-4",
        "pod1/c1.excl=2-4",
        "pod1/c1.part=root",
    ]


def test_of_two_slices_on_the_same_cpus_the_living_containers_is_the_partition(node: PlayedNode) -> None:
    """A standard init container's CPUs are used again by the app that follows it."""
    pod = running(node, 1, "init")
    now = ledger(sliced(1, init="2-4", app="2-3"))
    assert "pod1/c0.part=root" in settled(node, now)
    node.ground.end(container_path(pod, 1, 0))
    node.start_container(pod, 1, 1, "app")
    assert settled(node, now) == [
        "pod1/c0.part=member",
        "pod1/c0.excl=",
        "pod1.excl=2-3",
        "K.excl=2-3",
        "pod1/c1.excl=2-3",
        "pod1/c1.part=root",
    ]


def test_an_init_container_that_runs_again_has_its_slice_from_the_dead_app(node: PlayedNode) -> None:
    """After the sandbox was made anew."""
    pod = running(node, 1, "init", "app")
    node.ground.end(container_path(pod, 1, 1))
    writes = settled(node, ledger(sliced(1, init="2-4", app="2-3")))
    assert "pod1/c0.part=root" in writes
    assert "pod1/c1.part=root" not in writes


def test_a_set_beside_a_new_pool_is_trimmed_first_and_given_back_last(node: PlayedNode) -> None:
    node.ground.write(BURSTABLE, File.CPUS, "0-7")
    node.start_pod(1)
    writes = settled(node, ledger(pooled(1, "2-5")))
    assert writes.index("B.cpus=0-1,6-7") < writes.index("pod1.excl=2-5")
    assert settled(node, ledger())[-2:] == ["B.cpus=0-7", "pod1.subtree_control=-cpuset"]


def test_a_set_that_has_nothing_left_beside_a_pool_gets_the_node_shared_pool(node: PlayedNode) -> None:
    node.ground.write(SYSTEM, File.CPUS, "2-3")
    node.start_pod(1)
    assert settled(node, ledger(pooled(1, "2-5")))[1] == "system.slice.cpus=0-1,6-15"


def test_an_invalid_partition_goes_by_member_and_a_silent_member_at_once(node: PlayedNode) -> None:
    pod = running(node, 1, "engine")
    now = ledger(pooled(1, "2-5", engine="2-4"))
    node.settle(now)
    node.ground.write(KUBEPODS, File.EXCLUSIVE, "6-7")
    word = str(node.ground.read(pod, File.PARTITION))  # 6.12 says member, 7.3 root invalid
    assert settled(node, now) == [*["pod1.part=member"] * ("invalid" in word), "K.excl=2-5", "pod1.part=root"]


def test_a_partition_that_somebody_turned_off_is_turned_on(node: PlayedNode) -> None:
    pod = node.start_pod(1)
    now = ledger(pooled(1, "2-5"))
    node.settle(now)
    node.ground.write(pod, File.PARTITION, "member")
    (drift,) = verify(node.layout(now), node.held(now), node.topology.online)
    assert (drift.path, drift.file, drift.want, drift.have, drift.cause) == (
        pod,
        File.PARTITION,
        "root",
        "member",
        Cause.REWRITTEN,
    )
    assert settled(node, now) == ["pod1.part=root"]


def test_everybody_else_is_narrowed_where_there_are_no_partitions(old_node: PlayedNode) -> None:
    running(old_node, 1, None, "engine", "rest")
    running(old_node, 2, None)
    assert settled(old_node, ledger(pooled(1, "2-5", engine="2-4"))) == [
        "pod1/c0.cpus=5",
        "pod1/c1.cpus=2-4",
        "pod1/c2.cpus=5",
        "pod1.cpus=2-5",
        "B.cpus=0-1,6-15",
        "kubepods-besteffort.slice.cpus=0-1,6-15",
        "pod2.cpus=0-1,6-15",
        "init.scope.cpus=0-1,6-15",
        "system.slice.cpus=0-1,6-15",
        "user.slice.cpus=0-1,6-15",
    ]


def test_the_kubepods_root_is_never_written_in_the_fallback(old_node: PlayedNode) -> None:
    running(old_node, 1, "engine", qos=QosClass.BURSTABLE)
    writes = settled(old_node, ledger(pooled(1, "2-5", engine="2-4")))
    assert [write for write in writes if write.startswith(("K.", "root."))] == []
    assert [write for write in writes if ".excl" in write or ".part" in write] == []


def test_a_pod_beside_a_pool_in_a_qos_slice_is_narrowed_itself(old_node: PlayedNode) -> None:
    running(old_node, 1, "engine", qos=QosClass.BURSTABLE)
    running(old_node, 2, "web", qos=QosClass.BURSTABLE)
    writes = settled(old_node, ledger(pooled(1, "2-5", engine="2-5")))
    assert "pod2.cpus=0-1,6-15" in writes
    assert "B.cpus=0-15" in writes


def test_a_pool_is_kept_free_before_its_cgroup_is_there(old_node: PlayedNode) -> None:
    assert "system.slice.cpus=0-1,6-15" in settled(old_node, ledger(pooled(1, "2-5")))


def test_a_set_that_others_gave_stays_within_it(old_node: PlayedNode) -> None:
    old_node.ground.write(SYSTEM, File.CPUS, "0-3")
    assert "system.slice.cpus=0-1" in settled(old_node, ledger(pooled(1, "2-5")))
    assert "system.slice.cpus=0-3" in settled(old_node, ledger())


def test_a_populated_cgroup_is_given_all_cpus_for_the_empty_set_it_had(old_node: PlayedNode) -> None:
    running(old_node, 1, "engine")
    old_node.settle(ledger(pooled(1, "2-5", engine="2-5")))
    writes = settled(old_node, ledger())
    assert "system.slice.cpus=0-15" in writes
    assert "user.slice.cpus=" in writes, "nobody is logged in: it takes the empty set"
    assert old_node.plan(ledger()) == ()


def test_a_slice_in_the_fallback_leaves_the_pods_others_in_the_node_shared_pool(old_node: PlayedNode) -> None:
    running(old_node, 1, None, "engine")
    writes = settled(old_node, ledger(sliced(1, engine="2-4")))
    assert writes.index("pod1/c0.cpus=0-1,5-15") < writes.index("pod1.cpus=0-15") or "pod1.cpus=0-15" not in writes
    assert "pod1/c1.cpus=2-4" in writes


def test_a_refused_partition_is_held_by_shrinking_until_it_stands(node: PlayedNode) -> None:
    running(node, 1, "engine")
    running(node, 2, "engine")
    now = ledger(pooled(1, "2-5", engine="2-5"), pooled(2, "6-9", engine="6-9"))
    node.refused = frozenset([uid(2)])
    writes = settled(node, now)
    assert "pod1.part=root" in writes
    assert {"pod2.cpus=6-9", "system.slice.cpus=0-1,10-15", "B.cpus=0-1,10-15"} <= {*writes}
    node.refused = frozenset()
    assert settled(node, now) == [
        "init.scope.cpus=0-5,10-15",
        "system.slice.cpus=0-5,10-15",
        "K.excl=2-9",
        "pod2.excl=6-9",
        "pod2.part=root",
        "init.scope.cpus=0-15",
        "system.slice.cpus=0-15",
        "user.slice.cpus=",
        "B.cpus=",
        "kubepods-besteffort.slice.cpus=",
    ]


def test_a_pod_with_a_slice_is_kept_off_the_pool_of_a_refused_partition(node: PlayedNode) -> None:
    """Its slice is a partition of a container; the pod itself is none."""
    running(node, 1, "engine")
    running(node, 2, "rest")
    node.refused = frozenset([uid(1)])
    assert "pod2.cpus=0-1,8-15" in settled(node, ledger(pooled(1, "2-5", engine="2-5"), sliced(2, engine="6-7")))


def test_a_pod_in_a_qos_slice_that_others_narrowed_stays_within_that(old_node: PlayedNode) -> None:
    """A set with nothing in common with the slice's would give it all of the slice, the pool included."""
    running(old_node, 1, "engine", qos=QosClass.BURSTABLE)
    pod = running(old_node, 2, "web", qos=QosClass.BURSTABLE)
    old_node.ground.write(BURSTABLE, File.CPUS, "6-9")
    old_node.ground.write(pod, File.CPUS, "2-3,12")
    writes = settled(old_node, ledger(pooled(1, "2-5", engine="2-5")))
    assert {"B.cpus=2-9", "pod2.cpus=6-9"} <= {*writes}


def test_a_refusal_stops_one_pod_and_the_next_look_places_the_others(node: PlayedNode) -> None:
    """A stranger's partition holds CPU 4: the kernel will not have a pool on it."""
    node.ground.make(THEIRS)
    for file, value in ((File.CPUS, "4"), (File.PARTITION, "root")):
        node.ground.write(THEIRS, file, value)
    running(node, 1, "engine")
    running(node, 2, "engine")
    now = ledger(pooled(1, "2-5", engine="2-5"), pooled(2, "8-9", engine="8-9"))
    outcomes = node.step(now)
    assert {told([one.write])[0]: one.result.value for one in outcomes} == {
        "K.excl=2-5": "refused",
        "K.excl=2-5,8-9": "skipped",
        "pod1.excl=2-5": "skipped",
        "pod1.part=root": "skipped",
        "pod2.excl=8-9": "skipped",
        "pod2.part=root": "skipped",
        "pod1/c0.cpus=2-5": "skipped",
        "pod2/c0.cpus=8-9": "skipped",
    }
    assert {one.write.pod for one in outcomes if one.result is Result.REFUSED} == {uid(1)}
    node.refused = frozenset([uid(1)])
    assert told(one.write for one in node.step(now) if one.write.pod == uid(2)) == [
        "K.excl=8-9",
        "pod2.excl=8-9",
        "pod2.part=root",
        "pod2/c0.cpus=8-9",
    ]
    assert node.ground.read(THEIRS, File.CPUS) == "4"


def test_what_died_half_way_goes_on_where_it_was(node: PlayedNode) -> None:
    running(node, 1, "engine", "rest")
    node.settle(ledger(pooled(1, "2-5", engine="2-4")))
    after = ledger(pooled(1, "10-13", engine="10-12"))
    writes = node.plan(after)
    for write in writes[:3]:
        node.ground.write(write.path, write.file, write.value)
    assert told(node.plan(after)) == told(writes[3:])


def test_two_containers_that_exchange_their_cpus_never_meet(node: PlayedNode) -> None:
    running(node, 1, "engine", "rest")
    node.settle(ledger(pooled(1, "2-5", engine="2-3")))
    assert settled(node, ledger(pooled(1, "2-5", engine="4-5"))) == [
        "pod1/c0.cpus=2",
        "pod1/c1.cpus=3",
        "pod1/c0.cpus=4-5",
        "pod1/c1.cpus=2-3",
    ]


def test_a_partition_waits_for_a_sibling_that_has_nowhere_to_go_yet(node: PlayedNode) -> None:
    """On 6.12 a sibling's set on one of its CPUs keeps it from being made; its own is still another pool's."""
    running(node, 1, "engine")
    running(node, 2)
    running(node, 3, "engine")
    node.refused = frozenset([uid(2)])
    node.settle(ledger(*(pooled(number, pool, engine=pool) for number, pool in ((1, "2-5"), (2, "6-7"), (3, "8-9")))))
    pods = node.tree().pods
    node.ground.write(pods[uid(1)].path, File.PARTITION, "member")
    node.ground.write(pods[uid(2)].path, File.CPUS, "5-6")
    now = ledger(*(pooled(number, pool, engine=pool) for number, pool in ((1, "2-5"), (2, "8-9"), (3, "10-11"))))
    writes = settled(node, now)
    assert writes.index("pod3.excl=10-11") < writes.index("pod2.cpus=8-9") < writes.index("pod1.part=root")


def test_without_the_capability_partitions_that_stand_go_over_to_shrinking(node: PlayedNode) -> None:
    """As after an upgrade to a container that may not administer: no exclusive set is given to anybody."""

    class Unprivileged(ModelGround):
        def write(self, path: CgroupPath, file: str, value: str, /) -> None:
            if file == File.EXCLUSIVE:
                assert value == ""
            refused = self.world.write(path, file, value, privileged=False)
            assert refused is None, f"{path}/{file}={value}: {refused}"

    running(node, 1, "engine", "rest")
    running(node, 2, None)
    now = ledger(pooled(1, "2-5", engine="2-4"))
    node.settle(now)
    assert isinstance(node.ground, ModelGround)
    node.ground = Unprivileged(node.ground.world)
    node.enforcement = Enforcement.SHRINK
    writes = settled(node, now)
    kept_off = ("system.slice.cpus=0-1,6-15", "pod2.cpus=0-1,6-15")
    assert max(map(writes.index, kept_off)) < writes.index("pod1.part=member") < writes.index("pod1.excl=")
    assert [path for path in node.paths() if path and node.is_partition(path)] == []
    allowed = node.allowed()
    pods = node.tree().pods
    assert str(allowed[container_path(pods[uid(1)].path, 1, 0)]) == "2-4"
    others = (cpus for path, cpus in allowed.items() if not holds(pods[uid(1)].path, path))
    assert CpuSet.union(others) == CpuSet.parse("0-1,6-15")


def test_a_pod_that_is_kept_off_the_pools_has_its_slice_before_its_container_comes(old_node: PlayedNode) -> None:
    """Else the container, narrowed as soon as it is there, would run where the pod may until the pod is given more."""
    pod = running(old_node, 1, "rest")
    settled(old_node, now := ledger(sliced(1, engine="11")))
    states = old_node.held(now)
    assert str(states[pod].cpus_effective) == "0-15"
    assert str(states[container_path(pod, 1, 0)].cpus_effective) == "0-10,12-15"


def test_a_qos_slice_keeps_what_a_container_deep_in_it_is_about_to_leave(old_node: PlayedNode) -> None:
    """Its only CPU: without it the container would have all that its pod has, until it has gone over."""
    running(old_node, 1, "rest", "engine", qos=QosClass.BURSTABLE)
    old_node.settle(ledger(sliced(1, engine="11")))
    writes = settled(old_node, ledger(sliced(1, engine="10"), sliced(2, feed="11")))
    assert writes.index("pod1/c1.cpus=10") < writes.index("pod1.cpus=0-10,12-15") < writes.index("B.cpus=0-10,12-15")


def test_a_set_beside_a_pool_gives_way_to_it_where_each_waits_for_what_the_other_has(node: PlayedNode) -> None:
    """What somebody gave user.slice is what the pool leaves; the pool goes where user.slice was trimmed to."""
    running(node, 1, "rest")
    node.ground.write(USER, File.CPUS, "4")
    node.settle(ledger(pooled(1, "4")))
    writes = at_once(node, ledger(pooled(1, "7")))
    assert writes.index("user.slice.cpus=0") < writes.index("K.excl=4,7") < writes.index("user.slice.cpus=4")


def test_a_union_becomes_no_smaller_before_a_set_that_lies_in_it_has_left(node: PlayedNode) -> None:
    """The kernel refuses every exclusive set that holds all of a set beside it (EINVAL)."""
    running(node, 1, "rest")
    running(node, 2, "rest")
    node.settle(ledger(pooled(1, "2-5"), pooled(2, "13")))
    node.ground.write(SYSTEM, File.CPUS, "2-5")
    writes = at_once(node, ledger(pooled(1, "2-5")))
    left = next(place for place, write in enumerate(writes) if write.startswith("system.slice.cpus="))
    assert left < writes.index("K.excl=2-5")


@pytest.mark.parametrize("theirs", ["4", "0-1,4"], ids=["in it", "across it"])
def test_a_set_that_is_to_inherit_steps_aside_for_a_pool_that_would_meet_it(node: PlayedNode, theirs: str) -> None:
    """It can inherit only when the pool stands, and the pool can stand only when it has gone: the kernel refuses one
    that holds all of a set beside it (EINVAL), and 6.12 one that holds any of it."""
    running(node, 1, "rest")
    node.settle(ledger(pooled(1, "7")))
    node.ground.write(BURSTABLE, File.CPUS, theirs)
    node.found = {**node.found, BURSTABLE: {File.CPUS: Record("", frozenset({theirs}))}}
    writes = at_once(node, ledger(pooled(1, "2-5")))
    assert writes.index("B.cpus=0-1,6,8-15") < writes.index("pod1.excl=2-5") < writes.index("B.cpus=")


def test_a_set_that_is_to_inherit_steps_aside_before_a_pool_beside_it_is_made(node: PlayedNode) -> None:
    running(node, 1, "rest")
    node.ground.write(BURSTABLE, File.CPUS, "0-1,4")
    node.found = {**node.found, BURSTABLE: {File.CPUS: Record("", frozenset({"0-1,4"}))}}
    writes = at_once(node, ledger(pooled(1, "2-5")))
    assert writes.index("B.cpus=0-1,6-15") < writes.index("pod1.part=root") < writes.index("B.cpus=")


def test_a_set_that_is_to_inherit_steps_aside_before_a_pool_stands_again(node: PlayedNode) -> None:
    pod = running(node, 1, "rest")
    now = ledger(pooled(1, "2-5"))
    node.settle(now)
    node.ground.write(pod, File.PARTITION, "member")
    node.ground.write(BURSTABLE, File.CPUS, "0-1,4")
    node.found = {**node.found, BURSTABLE: {File.CPUS: Record("", frozenset({"0-1,4"}))}}
    assert at_once(node, now) == ["B.cpus=0-1,6-15", "pod1.part=root", "B.cpus="]


def test_a_pool_that_is_held_by_its_set_does_not_step_aside(node: PlayedNode) -> None:
    """Two that would have to exchange their only CPUs stay where they are: aside it would run among everybody."""
    running(node, 1, "rest")
    running(node, 2, "rest")
    node.refused = frozenset([uid(2)])
    node.settle(ledger(pooled(1, "2"), pooled(2, "6")))
    writes = told(node.plan(ledger(pooled(1, "6"), pooled(2, "2"))))
    assert [write for write in writes if write.startswith("pod2.cpus=")] == []


def test_a_set_goes_to_what_a_union_is_to_leave_only_when_that_has_left(node: PlayedNode) -> None:
    """Within it, it would keep the union from ever growing again (EINVAL)."""
    for number in (1, 2, 3):
        running(node, number, "rest")
    node.settle(ledger(pooled(1, "8-10"), pooled(2, "11-13")))
    node.ground.write(USER, File.CPUS, "8-15")
    now = ledger(pooled(1, "2-3"), pooled(2, "11-13"), pooled(3, "8-9,14-15"))
    writes = at_once(node, now)
    assert writes.index("user.slice.cpus=0-1,4-7") < writes.index("K.excl=2-3,8-9,11-15")
    assert writes.index("K.excl=2-3,8-9,11-15") < writes.index("user.slice.cpus=10")


@pytest.mark.parametrize("found", [{USER: {File.CPUS: Record("8-10", frozenset({"10"}))}}, {}], ids=["ours", "theirs"])
def test_a_set_that_lies_in_a_union_leaves_it_so_that_the_union_can_grow(node: PlayedNode, found: Found) -> None:
    """Be it Pinfold's trimming, or somebody wrote it since the last look."""
    running(node, 1, "rest")
    node.settle(ledger(pooled(1, "10")))
    node.ground.write(USER, File.CPUS, "10")
    node.found = {**node.found, **found}
    writes = at_once(node, ledger(pooled(1, "8-9")))
    assert writes.index("user.slice.cpus=0-7,11-15") < writes.index("K.excl=8-10") < writes.index("user.slice.cpus=10")


def test_a_set_of_one_cpu_steps_aside_for_a_pool_that_goes_there_from_where_it_is_to_be(node: PlayedNode) -> None:
    running(node, 1, "rest")
    node.ground.write(BURSTABLE, File.CPUS, "2,4")
    node.settle(ledger(pooled(1, "4")))
    writes = at_once(node, ledger(pooled(1, "2")))
    assert writes.index("B.cpus=0-1,3,5-15") < writes.index("pod1.excl=2,4") < writes.index("B.cpus=4")


def test_a_pod_that_is_no_partition_comes_to_cpus_after_the_partition_beside_it_has_left_them(node: PlayedNode) -> None:
    """A set that meets it ends it on 6.12, and the CPUs are nobody's."""
    running(node, 1, "rest")
    running(node, 2, "rest")
    node.settle(ledger(pooled(1, "8-11,13-14")))
    node.refused = frozenset([uid(2)])
    writes = settled(node, ledger(pooled(1, "8-11"), pooled(2, "6-7,13-15")))
    assert writes.index("pod2.cpus=6-7,15") < writes.index("pod1.excl=8-11") < writes.index("pod2.cpus=6-7,13-15")


def test_a_pool_whose_cpus_are_offline_has_its_new_set_before_its_text(node: PlayedNode) -> None:
    """7.3 takes no ``cpuset.cpus`` from a cgroup that was a partition and whose exclusive set is offline (EBUSY)."""
    pod = running(node, 1, "engine")
    node.start_pod(2)
    node.ground.write(pod, File.CPUS, "12-13")
    node.settle(ledger(pooled(1, "5", isolated=True, engine="5"), pooled(2, "13")))
    assert node.ground.read(pod, File.CPUS) == "5"
    assert node.ground.switch(5, on=False)
    writes = settled(node, ledger(pooled(1, "4", isolated=True, engine="4"), pooled(2, "13")))
    assert writes.index("pod1.part=isolated") < writes.index("pod1.cpus=4")


def test_no_partition_is_made_of_cpus_that_are_all_offline(node: PlayedNode) -> None:
    """6.12 makes it, and its tasks have no CPU."""
    running(node, 1, "engine")
    now = ledger(pooled(1, "5", isolated=True, engine="5"))
    node.settle(now)
    assert node.ground.switch(5, on=False)
    assert told(one.write for one in node.step(now)) == ["pod1.part=member"]
    assert node.step(now) == ()
    assert node.ground.switch(5, on=True)
    assert settled(node, now)[-1] == "pod1.part=isolated"


def test_a_set_whose_cpus_are_all_offline_is_kept_off_a_pool_before_its_partition_goes(node: PlayedNode) -> None:
    """Till then it runs wherever the root cgroup does, and not where its text says."""
    running(node, 1, "engine")
    node.ground.write(SYSTEM, File.CPUS, "6")
    assert node.ground.switch(6, on=False)
    now = ledger(pooled(1, "2-5", engine="2-5"))
    node.settle(now)
    node.refused = frozenset([uid(1)])
    writes = settled(node, now)
    assert writes.index("system.slice.cpus=0-1,7-15") < writes.index("pod1.part=member")


def test_a_partition_goes_on_from_what_somebody_gave_another_pool_in_it() -> None:
    """7.3 lets a set meet a partition, and that one grow."""
    node = _enabled(PlayedNode.boot(ModelGround.boot(V7_3, 16), Enforcement.PARTITION))
    running(node, 1, "rest")
    coming = running(node, 2, "rest")
    node.settle(ledger(pooled(1, "13-14")))
    node.ground.write(coming, File.CPUS, "13-15")
    node.refused = frozenset([uid(2)])
    assert "pod1.excl=8-9,13-14" in at_once(node, ledger(pooled(1, "8-9"), pooled(2, "13-15")))


def test_what_the_cgroup_of_a_pool_to_come_was_given_steps_aside_for_a_pool_beside_it() -> None:
    """On 7.3, where it may lie in a partition; that is to go elsewhere, and could not grow."""
    node = _enabled(PlayedNode.boot(ModelGround.boot(V7_3, 16), Enforcement.PARTITION))
    running(node, 1, "rest")
    coming = running(node, 2, "rest")
    node.settle(ledger(pooled(1, "3-5")))
    node.ground.write(coming, File.CPUS, "4")
    node.found = {**node.found, coming: {File.CPUS: Record("", frozenset({"4"}))}}
    writes = at_once(node, ledger(pooled(1, "8-12"), pooled(2, "4")))
    assert writes.index("pod2.cpus=0-2,6-7,13-15") < writes.index("pod1.excl=8-12") < writes.index("pod2.part=root")


def test_a_partition_that_got_less_than_its_set_is_told_and_gets_the_rest() -> None:
    """It grew before the union above it did: on 6.12 the root cgroup keeps the rest, and every file reads well."""
    node = _enabled(PlayedNode.boot(ModelGround.boot(V6_12, 16), Enforcement.PARTITION))
    pod = node.start_pod(1)
    now = ledger(pooled(1, "2-5"))
    node.settle(now)
    node.settle(ledger())
    for path, file, value in (
        (pod, File.SUBTREE_CONTROL, "+cpuset"),
        (KUBEPODS, File.EXCLUSIVE, "2-3"),
        (pod, File.EXCLUSIVE, "2-5"),
        (pod, File.PARTITION, "root"),
        (KUBEPODS, File.EXCLUSIVE, "2-5"),
    ):
        node.ground.write(path, file, value)
    (drift,) = verify(node.layout(now), node.held(now), node.topology.online)
    assert (drift.path, drift.file, drift.want, drift.have) == (pod, File.CPUS_EFFECTIVE, "2-5", "2-3")
    assert settled(node, now) == ["pod1.excl=2-3", "pod1.excl=2-5"]


def test_a_partition_that_somebody_makes_of_a_pools_container_is_undone(node: PlayedNode) -> None:
    pod = running(node, 1, "engine", "rest")
    now = ledger(pooled(1, "2-5", engine="2-3"))
    node.settle(now)
    for file, value in ((File.EXCLUSIVE, "2-3"), (File.PARTITION, "root")):
        node.ground.write(container_path(pod, 1, 0), file, value)
    drift = verify(node.layout(now), node.held(now), node.topology.online)
    assert {File.EXCLUSIVE, File.PARTITION} <= {one.file for one in drift}
    assert settled(node, now) == ["pod1/c0.part=member", "pod1/c0.excl="]


@pytest.mark.parametrize("enforcement", Enforcement)
def test_a_cgroup_that_went_since_it_was_listed_is_passed_over(node: PlayedNode, enforcement: Enforcement) -> None:
    running(node, 1, "engine", "rest")
    running(node, 2, "engine")
    node.enforcement = enforcement
    now = ledger(pooled(1, "2-5", engine="2-3"), sliced(2, engine="6"))
    seen = node.look(now)
    for gone in seen.held.keys() - {ROOT, KUBEPODS}:
        there = {path: state for path, state in seen.held.items() if not holds(gone, path)}
        writes = ordered(there, wanted(replace(seen, held=there), now, node.topology.online - now.owned))
        assert writes
        assert [write for write in writes if holds(gone, write.path)] == []


def test_a_set_of_all_cpus_leaves_those_of_the_pools_beside_it_alone(node: PlayedNode) -> None:
    """Beside a union it may stay: nothing of it is left outside."""
    node.start_pod(1)
    for path in (BURSTABLE, SYSTEM):
        node.ground.write(path, File.CPUS, "0-15")
    writes = settled(node, ledger(pooled(1, "2-5")))
    assert writes.index("B.cpus=0-1,6-15") < writes.index("pod1.excl=2-5")
    assert [write for write in writes if write.startswith("system.slice")] == []


def test_a_pool_whose_cgroup_was_given_another_pools_cpus_has_its_own_in_that_file(node: PlayedNode) -> None:
    pod = node.start_pod(1)
    node.start_pod(2)
    node.ground.write(pod, File.CPUS, "6-7")
    assert "pod1.cpus=2-5" in settled(node, ledger(pooled(1, "2-5"), pooled(2, "6-9")))


def test_each_write_tells_which_cpus_it_takes_or_gives_away(node: PlayedNode) -> None:
    """Where it is refused, nobody may be given those."""
    running(node, 1, "rest")
    made = touched(node.plan(ledger(pooled(1, "2-5"))))
    assert made == {"K.excl=2-5": "2-5", "pod1.excl=2-5": "2-5", "pod1.part=root": "2-5", "pod1/c0.cpus=2-5": ""}
    node.settle(ledger(pooled(1, "2-5")))
    moved = touched(node.plan(ledger(pooled(1, "4-7"))))
    assert (moved["pod1/c0.cpus=4-5"], moved["pod1.excl=4-5"], moved["pod1.excl=4-7"]) == ("2-3", "2-3", "6-7")
    assert touched(node.plan(ledger()))["pod1.part=member"] == "2-5"


def test_a_partition_in_a_pool_that_is_held_by_narrowing_others_is_undone(node: PlayedNode) -> None:
    pod = running(node, 1, "engine", "rest")
    node.refused = frozenset([uid(1)])
    now = ledger(pooled(1, "2-5", engine="2-3"))
    node.settle(now)
    for path in (KUBEPODS, pod, container_path(pod, 1, 0)):
        node.ground.write(path, File.EXCLUSIVE, "2-3")
    assert "pod1/c0.excl=" in settled(node, now)


def test_a_qos_slice_keeps_a_pool_that_was_held_by_sets_until_its_partition_stands(node: PlayedNode) -> None:
    node.reserved = CpuSet.parse("0-1")
    running(node, 1, "engine", qos=QosClass.BURSTABLE)
    node.refused = frozenset([uid(1)])
    now = ledger(pooled(1, "2-5", engine="2-5"))
    node.settle(now)
    node.refused = frozenset()
    writes = settled(node, now)
    assert writes.index("pod1.part=root") < writes.index("B.cpus=6-15")
