"""What holds of every plan, for any machine and any sequence of pods."""

from dataclasses import replace
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import Isolation, Ledger, PodEntry
from pinfold.planning.planner import Plan, World, plan
from pinfold.planning.policy import CpuOption, Manage, MemoryPolicy, Policy, TopologyPolicy, TopologyScope
from pinfold.planning.reasons import Outcome
from pinfold.pods.model import CPU, MEMORY, Container, ContainerKind, Intent, Managed, Pod, PodResources, QosClass
from pinfold.pods.needs import together
from pinfold.topology.model import Cpu, Topology
from tests.machines import machine, regular
from tests.planning.pods import GIB, amounts, uid

STRICT = {TopologyPolicy.RESTRICTED, TopologyPolicy.SINGLE_NUMA_NODE}
LEGAL_OPTIONS = [
    frozenset[CpuOption](),
    frozenset({CpuOption.STRICT_CPU_RESERVATION}),
    frozenset({CpuOption.FULL_PCPUS_ONLY}),
    frozenset({CpuOption.DISTRIBUTE_CPUS_ACROSS_NUMA}),
    frozenset({CpuOption.DISTRIBUTE_CPUS_ACROSS_CORES}),
    frozenset({CpuOption.PREFER_ALIGN_CPUS_BY_UNCORECACHE}),
    frozenset({CpuOption.FULL_PCPUS_ONLY, CpuOption.SLICE_FULL_CORES}),
]

numbers = st.integers


@st.composite
def machines(draw: st.DrawFn) -> Topology:
    if draw(st.booleans()):
        nodes = draw(st.sampled_from([1, 2]))
        caches = draw(st.sampled_from([1, 2]))
        cores = nodes * caches * draw(numbers(1, 6))
        return regular(
            draw(numbers(1, 4)),
            cores,
            draw(numbers(1, 2)),
            nodes_per_socket=nodes,
            caches_per_node=caches,
            memory_bytes=4 * GIB,
            hugepages_bytes=draw(st.sampled_from([{}, {"hugepages-1Gi": 2 * GIB}])),
        )
    return draw(odd_machines())


@st.composite
def odd_machines(draw: st.DrawFn) -> Topology:
    """Ids with holes, cores of any number of threads, nodes of any size, memory anywhere."""
    ids = sorted(draw(st.lists(numbers(0, 70), min_size=2, max_size=32, unique=True)))
    places = draw(st.lists(st.sampled_from([0, 1, 2, 5]), min_size=1, max_size=12))
    cores: dict[int, int] = {}
    cpus = []
    for cpu in ids:
        place = draw(numbers(0, len(places) - 1))
        node = places[place]
        cpus.append(Cpu(cpu, cores.setdefault(place, cpu), node // 2, node, node // 2))
    memory: dict[int, int] = draw(st.sampled_from([{0: 4 * GIB, 2: GIB, 9: 2 * GIB}, {0: 2 * GIB, 5: 2 * GIB}, {}]))
    return machine(cpus, memory or 2 * GIB)


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
def worlds(draw: st.DrawFn, most: int = 6) -> World:
    topology = draw(machines())
    reserved = draw(st.lists(st.sampled_from(list(topology.online)), min_size=1, max_size=2))
    isolated = draw(st.sampled_from([CpuSet(), CpuSet(), CpuSet.of(list(topology.online)[-2:])]))
    topology = replace(topology, isolated=isolated)
    policy = Policy(
        CpuSet.of(reserved),
        draw(st.sampled_from(TopologyPolicy)),
        draw(st.sampled_from([TopologyScope.POD, TopologyScope.POD, TopologyScope.CONTAINER])),
        draw(st.sampled_from(LEGAL_OPTIONS)),
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


NO_LEDGER = Ledger()


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
    strict = CpuOption.STRICT_CPU_RESERVATION in policy.cpu_options
    assert answer.pods_shared == answer.node_shared - (policy.reserved if strict else CpuSet())
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
    if numa_policy in STRICT and not moved:
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


def many(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def settled(world: World) -> Plan:
    """The plan of *world*, with pods of all kinds placed."""
    return plan(world, NO_LEDGER)


@many(500)
@given(worlds())
def test_a_plan_keeps_all_its_promises_and_a_full_ledger_changes_nothing(world: World) -> None:
    answer = plan(world, NO_LEDGER)
    check(world, answer)
    again = plan(world, answer.ledger)
    check(world, again)
    assert again.ledger == answer.ledger
    told = [(one.uid, one.outcome) for one in answer.decisions]
    assert [(one.uid, one.outcome) for one in again.decisions] == told
    assert plan(world, again.ledger) == again


@many(200)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_in_which_pods_are_told_does_not_matter(world: World, chance: Random) -> None:
    shuffled = list(world.pods)
    chance.shuffle(shuffled)
    assert plan(replace(world, pods=tuple(shuffled)), NO_LEDGER) == plan(world, NO_LEDGER)


@many(300)
@given(worlds(), st.data())
def test_a_pod_that_comes_and_goes_leaves_everything_as_it_was(world: World, data: st.DataObject) -> None:
    before = settled(world)
    visited = replace(world, pods=(*world.pods, data.draw(pods(99))))
    during = plan(visited, before.ledger)
    check(visited, during)
    assert {**during.ledger.entries, **before.ledger.entries} == during.ledger.entries
    assert plan(world, during.ledger).ledger == before.ledger


@many(300)
@given(worlds(), st.data())
def test_only_pods_that_lost_a_cpu_are_moved(world: World, data: st.DataObject) -> None:
    """CPUs go offline, or come to be reserved."""
    before = settled(world)
    lost = CpuSet.of(data.draw(st.lists(st.sampled_from(list(world.topology.online)), min_size=1, max_size=3)))
    left = world.topology.online - world.policy.reserved - lost
    if data.draw(st.booleans()) or not left:
        after_world = replace(world, policy=replace(world.policy, reserved=world.policy.reserved | lost))
    else:
        lost -= world.policy.reserved
        after_world = replace(world, topology=without(world.topology, lost))
    after = plan(after_world, before.ledger)
    check(after_world, after, moved=True)
    for uid_, entry in before.ledger.entries.items():
        if entry.owned.isdisjoint(lost):
            assert after.ledger.entries[uid_] == entry
    assert plan(after_world, after.ledger).ledger == after.ledger


def without(topology: Topology, lost: CpuSet) -> Topology:
    cpus = tuple(cpu for cpu in topology.cpus if cpu.id not in lost)
    return replace(
        topology,
        cpus=cpus,
        nodes=tuple(replace(node, cpus=node.cpus - lost) for node in topology.nodes),
        offline=lost,
        isolated=topology.isolated - lost,
    )


@many(400)
@given(worlds(), st.data())
def test_a_pool_that_grows_keeps_its_cpus_and_one_that_shrinks_gets_no_others(
    world: World, data: st.DataObject
) -> None:
    before = settled(world)
    pooled = [pod for pod in world.pods if pod.uid in before.ledger.entries and before.ledger.entries[pod.uid].cpus]
    if not pooled:
        return
    pod = data.draw(st.sampled_from(pooled))
    assert pod.resources is not None
    cpu = max(1000, pod.resources.requests[CPU] + 1000 * data.draw(numbers(-3, 4)))
    least = together((one.kind, one.requests.get(CPU, 0)) for one in pod.containers)
    amount = {**pod.resources.requests, CPU: max(cpu, -(-least // 1000) * 1000)}
    resized = replace(pod, resources=PodResources(amount, amount))
    after_world = replace(world, pods=tuple(resized if one.uid == pod.uid else one for one in world.pods))
    after = plan(after_world, before.ledger)
    check(after_world, after)
    had, has = before.ledger.entries[pod.uid], after.ledger.entries[pod.uid]
    assert had.cpus <= has.cpus or has.cpus <= had.cpus
    assert had.mems <= has.mems
    kinds = {one.name: one.kind for one in pod.containers}
    for name, cpus in had.slices.items():
        if name in has.slices and kinds[name] is not ContainerKind.INIT:
            assert cpus <= has.slices[name] or has.slices[name] <= cpus
    if has.cpus == had.cpus and amount[CPU] != 1000 * len(had.cpus):
        decision = next(one for one in after.decisions if one.uid == pod.uid)
        assert decision.outcome is Outcome.DEGRADED
    others = {uid_: entry for uid_, entry in before.ledger.entries.items() if uid_ != pod.uid}
    assert {**after.ledger.entries, **others} == after.ledger.entries
    assert plan(after_world, after.ledger).ledger == after.ledger
