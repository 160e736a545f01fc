"""Pods, and whole worlds of them, for properties of the planner."""

from dataclasses import replace

from hypothesis import strategies as st

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.planner import World
from pinfold.planning.policy import CpuOption, Manage, MemoryPolicy, Policy, TopologyPolicy, TopologyScope
from pinfold.pods.model import CPU, MEMORY, Container, ContainerKind, Intent, Managed, Pod, PodResources, QosClass
from pinfold.pods.needs import together
from pinfold.topology.model import Topology
from tests.machines import regular
from tests.planning.drawn import legal_options, machines
from tests.planning.pods import GIB, amounts, uid

numbers = st.integers


@st.composite
def regular_machines(draw: st.DrawFn) -> Topology:
    nodes, caches = draw(st.sampled_from([1, 2])), draw(st.sampled_from([1, 2]))
    return regular(
        draw(numbers(1, 4)),
        nodes * caches * draw(numbers(1, 6)),
        draw(numbers(1, 2)),
        nodes_per_socket=nodes,
        caches_per_node=caches,
        memory_bytes=4 * GIB,
        hugepages_bytes=draw(st.sampled_from([{}, {"hugepages-1Gi": 2 * GIB}])),
    )


ANY_MACHINE = regular_machines() | machines()


@st.composite
def containers(draw: st.DrawFn, kind: ContainerKind, name: str) -> Container:
    """Often guaranteed-equivalent with whole CPUs."""
    own = draw(
        st.sampled_from([{}, amounts(0.5), amounts(1, 0.25), amounts(2, 0.25), amounts(3, 0.5), amounts(0.5, 0.5)])
    )
    return Container(name, kind, own, draw(st.sampled_from([own, own, own, {}])))


@st.composite
def pod_resources(draw: st.DrawFn, own: tuple[Container, ...]) -> PodResources:
    """What the API server would let through: no less than the containers'."""
    least = {name: together((one.kind, one.requests.get(name, 0)) for one in own) for name in (CPU, MEMORY)}
    cpu = draw(st.sampled_from([-(-least[CPU] // 1000) * 1000 + 1000 * draw(numbers(0, 2)), least[CPU] + 500]))
    pooled = {CPU: cpu, MEMORY: least[MEMORY] + draw(st.sampled_from([0, GIB // 4, GIB, 5 * GIB]))}
    if draw(numbers(0, 4)) == 0:
        pooled["hugepages-1Gi"] = draw(st.sampled_from([GIB, 3 * GIB]))
    pooled = {name: amount for name, amount in pooled.items() if amount}
    return PodResources(pooled, pooled)


@st.composite
def pods(draw: st.DrawFn, number: int) -> Pod:
    order = {ContainerKind.INIT: 0, ContainerKind.SIDECAR: 0, ContainerKind.APP: 1, ContainerKind.EPHEMERAL: 2}
    kinds = draw(st.lists(st.sampled_from([*ContainerKind, ContainerKind.APP]), min_size=1, max_size=4))
    own = tuple(
        draw(containers(kind, f"c{index}")) for index, kind in enumerate(sorted(kinds, key=lambda kind: order[kind]))
    )
    intent = Intent()
    if draw(numbers(0, 2)) == 0:
        intent = Intent(
            numa_policy=draw(st.sampled_from([None, *map(str, TopologyPolicy)])),
            scope=draw(st.sampled_from([None, "pod", "pod", "container"])),
            isolated=draw(st.sampled_from([None, None, "true", "insist"])),
            near_device=draw(st.sampled_from([None, None, "example.com/nic", "example.com/none"])),
            exclusive_cpus=draw(st.dictionaries(st.sampled_from([one.name for one in own]), numbers(1, 3), max_size=2)),
            managed=draw(
                st.sampled_from([None, None, None, frozenset({Managed.CPU}), frozenset(Managed), frozenset()])
            ),
            given=frozenset({"numa-policy"}),
        )
    return Pod(
        uid(number),
        "default",
        f"pod-{number}",
        draw(st.sampled_from([QosClass.GUARANTEED] * 6 + [QosClass.BURSTABLE])),
        own,
        draw(pod_resources(own)) if draw(numbers(0, 3)) else None,
        resources_from_annotations=draw(numbers(0, 5)) == 0,
        intent=intent,
        started_at=draw(st.sampled_from(["", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"])),
    )


@st.composite
def options(draw: st.DrawFn, topology: Topology) -> frozenset[CpuOption]:
    """Often none; any that go together, and Pinfold's own."""
    kubelets = draw(st.just(frozenset[CpuOption]()) | legal_options(topology))
    return kubelets | draw(st.sampled_from([frozenset(), frozenset(), {CpuOption.SLICE_FULL_CORES}]))


@st.composite
def worlds(draw: st.DrawFn, of: st.SearchStrategy[Topology] = ANY_MACHINE, most: int = 6) -> World:
    topology = draw(of)
    reserved = draw(st.lists(st.sampled_from(list(topology.online)), min_size=1, max_size=2))
    isolated = draw(st.sampled_from([CpuSet(), CpuSet(), CpuSet.of(list(topology.online)[-2:])]))
    topology = replace(topology, isolated=isolated)
    policy = Policy(
        CpuSet.of(reserved),
        draw(st.sampled_from(TopologyPolicy)),
        draw(st.sampled_from([TopologyScope.POD, TopologyScope.POD, TopologyScope.CONTAINER])),
        draw(options(topology)),
        draw(st.booleans()),
        draw(st.sampled_from(MemoryPolicy)),
        manage=draw(st.sampled_from(Manage)),
        min_shared_cpus=draw(st.sampled_from([0, 1, 1, 2])),
        allow_unscheduled_pools=draw(st.booleans()),
    )
    count = draw(numbers(0, most))
    several = tuple(draw(pods(number)) for number in range(count))
    found = frozenset(pod.uid for pod in several if draw(numbers(0, 4)) == 0)
    return World(topology, policy, several, found_running=found, devices={"example.com/nic": NodeSet.of([0])})
