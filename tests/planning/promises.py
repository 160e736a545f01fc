"""What is promised of every plan: asserted of any world and the plan that was made for it."""

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Isolation, PodEntry
from pinfold.planning.planner import Plan, World
from pinfold.planning.policy import CpuOption, TopologyPolicy
from pinfold.planning.reasons import Outcome
from pinfold.pods.model import ContainerKind, Intent, Pod
from pinfold.topology.model import Topology

STRICT = {TopologyPolicy.RESTRICTED, TopologyPolicy.SINGLE_NUMA_NODE}


def check(world: World, answer: Plan, *, moved: bool = False) -> None:
    """All that is promised of one plan; pods that were *moved* keep what they can instead of their alignment."""
    topology, policy = world.topology, world.policy
    entries = answer.ledger.entries
    assert len(answer.decisions) == len(world.pods)
    owned = [cpu for entry in entries.values() for cpu in entry.owned]
    assert len(owned) == len(set(owned)), "two pods own one CPU"
    assert CpuSet.of(owned).isdisjoint(policy.reserved)
    assert CpuSet.of(owned) <= topology.online
    assert answer.node_shared == topology.online - CpuSet.of(owned) - topology.isolated
    for pod in world.pods:
        if entry := entries.get(pod.uid):
            check_entry(world, pod, entry, moved=moved)
    pinned = {one.uid for one in answer.decisions if one.outcome in {Outcome.PINNED, Outcome.DEGRADED}}
    assert pinned == {pod.uid for pod in world.pods if pod.uid in entries}
    assert all(
        (one.refusal is not None) == (one.outcome in {Outcome.SHARED, Outcome.DEGRADED}) for one in answer.decisions
    )


def check_entry(world: World, pod: Pod, entry: PodEntry, *, moved: bool) -> None:
    lasting = [one for one in pod.containers if one.kind is not ContainerKind.EPHEMERAL]
    assert [(one.name, one.kind) for one in entry.containers] == [(one.name, one.kind) for one in lasting]
    alone = [one for one in entry.containers if one.isolation is Isolation.CONTAINER]
    assert all(one.cpus for one in alone)
    side_by_side = [one for one in alone if one.kind is not ContainerKind.INIT]
    assert sum(len(one.cpus) for one in side_by_side) == len(CpuSet.union(one.cpus for one in side_by_side))
    assert entry.owned or entry.booked, "an entry of nothing"
    if not entry.cpus:
        assert all(bool(one.cpus) == (one.isolation is Isolation.CONTAINER) for one in entry.containers)
        return
    assert all(one.cpus and one.cpus <= entry.cpus for one in entry.containers), (
        "a container with no CPU, or one outside"
    )
    for one in entry.containers:
        if one.isolation is Isolation.POD and one.kind is not ContainerKind.INIT:
            assert one.cpus == entry.shared
    intent = pod.intent
    assert isinstance(intent, Intent)
    numa_policy = TopologyPolicy(intent.numa_policy or world.policy.topology_policy)
    by_socket = CpuOption.ALIGN_BY_SOCKET in world.policy.cpu_options  # then wider sets are preferred too
    if numa_policy in STRICT and not moved and not by_socket:
        check_alignment(world.topology, entry, numa_policy)


def check_alignment(topology: Topology, entry: PodEntry, policy: TopologyPolicy) -> None:
    """As few NUMA nodes as could hold so many CPUs if the machine were empty; its memory on the same."""
    nodes = topology.nodes_of(entry.cpus)
    sizes = sorted((len(cpus) for cpus in topology.node_cpus.values()), reverse=True)
    narrowest = next(count for count in range(1, len(sizes) + 1) if sum(sizes[:count]) >= len(entry.cpus))
    hinted = nodes | entry.mems
    assert len(hinted) == narrowest or (entry.mems and len(entry.mems) == len(hinted)), "not aligned"
    if policy is TopologyPolicy.SINGLE_NUMA_NODE:
        assert len(hinted) == 1
