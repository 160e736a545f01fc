"""The take and the merge on machines that exist: those of the archives, read by the daemon's own reader."""

from random import Random

import pytest

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.books import empty_books
from pinfold.planning.hints import cpu_hints
from pinfold.planning.memory import Booking, book, memory_hints
from pinfold.planning.merge import merge
from pinfold.planning.policy import KUBELET_RULES, CpuOption, Rules, TopologyPolicy
from pinfold.planning.reasons import Refused
from pinfold.planning.take import allocate, take
from pinfold.pods.model import MEMORY
from pinfold.topology.model import Topology
from pinfold.topology.sysfs import read_topology
from tests.archives import MACHINES, sysfs_of
from tests.planning.kubelet_merge import merge_all
from tests.planning.kubelet_take import take_like_the_kubelet

OPTIONS = [
    frozenset[CpuOption](),
    frozenset({CpuOption.FULL_PCPUS_ONLY}),
    frozenset({CpuOption.DISTRIBUTE_CPUS_ACROSS_CORES}),
    frozenset({CpuOption.PREFER_ALIGN_CPUS_BY_UNCORECACHE}),
    frozenset({CpuOption.DISTRIBUTE_CPUS_ACROSS_NUMA}),
]


@pytest.fixture(params=MACHINES)
def topology(request: pytest.FixtureRequest) -> Topology:
    return read_topology(sysfs_of(request.param))


def in_use(topology: Topology, chance: Random) -> CpuSet:
    """Whole cores of some NUMA nodes, and a few single CPUs."""
    cores = [core for core in topology.cores.values() if chance.random() < 0.4]
    singles = [cpu for cpu in topology.online if chance.random() < 0.1]
    return CpuSet.union(cores) | CpuSet.of(singles)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(sorted(options)) or "packed")
def test_a_take_on_a_real_machine_is_that_of_the_specification(
    topology: Topology, options: frozenset[CpuOption]
) -> None:
    chance = Random(len(topology.cpus))
    few_nodes = len(topology.node_cpus) <= 8 or CpuOption.DISTRIBUTE_CPUS_ACROSS_NUMA not in options
    for _ in range(3):
        free = topology.online - in_use(topology, chance)
        count = chance.randint(0, len(free))
        own = take(topology, free, count, options, Rules())
        assert isinstance(own, CpuSet)
        assert own <= free
        assert len(own) == count
        if few_nodes:
            like = take_like_the_kubelet(topology, free, count, options)
            assert take(topology, free, count, options, KUBELET_RULES) == like


@pytest.mark.parametrize(
    "policy", [TopologyPolicy.BEST_EFFORT, TopologyPolicy.RESTRICTED, TopologyPolicy.SINGLE_NUMA_NODE]
)
def test_a_pod_is_admitted_on_a_real_machine_as_by_the_kubelet(topology: Topology, policy: TopologyPolicy) -> None:
    """With the kubelet's own search where it runs; and what is admitted under a strict policy is aligned."""
    chance = Random(len(topology.cpus))
    free, books = topology.online, empty_books(topology, {})
    nodes = NodeSet.of(topology.node)
    told = all(node.distances for node in topology.nodes)
    distances = {node.id: node.distances for node in topology.nodes} if told and chance.random() < 0.5 else None
    largest = max(len(cpus) for cpus in topology.node_cpus.values())
    for _ in range(6):
        count = chance.randint(1, 2 * largest)
        request = {MEMORY: chance.randint(1, 16) << 28}
        said = [cpu_hints(topology, free, CpuSet(), count), memory_hints(books, request)]
        merged = merge(policy, nodes, said, distances)
        if len(nodes) <= 4:
            assert merged == merge_all(policy, nodes, said, distances)
        if not merged.admit:
            continue
        cpus = allocate(topology, free, CpuSet(), count, merged.hint.nodes, frozenset(), Rules())
        if isinstance(cpus, Refused):
            assert count > len(free)
            continue
        free -= cpus
        if policy is not TopologyPolicy.BEST_EFFORT and merged.hint.nodes is not None:
            assert topology.nodes_of(cpus) <= merged.hint.nodes
        if isinstance(booking := book(books, request, merged.hint), Booking):
            books = booking.books
