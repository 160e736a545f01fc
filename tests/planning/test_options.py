"""Which CPU manager options go together, and which requests fill whole cores."""

import pytest

from pinfold.cpuset import CpuSet
from pinfold.planning.options import illegal, smt_misaligned
from pinfold.planning.policy import CpuOption, TopologyPolicy
from pinfold.planning.reasons import Word
from pinfold.topology.model import Cpu, Topology
from tests.machines import D80, H12, HYBRID20, W80, machine

FULL = CpuOption.FULL_PCPUS_ONLY
ACROSS_NUMA = CpuOption.DISTRIBUTE_CPUS_ACROSS_NUMA
ACROSS_CORES = CpuOption.DISTRIBUTE_CPUS_ACROSS_CORES
BY_SOCKET = CpuOption.ALIGN_BY_SOCKET
STRICT = CpuOption.STRICT_CPU_RESERVATION
BY_CACHE = CpuOption.PREFER_ALIGN_CPUS_BY_UNCORECACHE

BEST_EFFORT = TopologyPolicy.BEST_EFFORT
TWO_SOCKETS_ONE_NODE = machine([Cpu(id=cpu, core=cpu, socket=cpu // 2, node=0, uncore=cpu // 2) for cpu in range(4)])


@pytest.mark.parametrize(
    ("options", "policy", "topology", "why"),
    [
        pytest.param(
            [FULL, ACROSS_CORES],
            BEST_EFFORT,
            D80,
            "full-pcpus-only and distribute-cpus-across-cores can not be used together",
            id="4.10-full-cores-and-spread-over-cores",
        ),
        pytest.param(
            [ACROSS_NUMA, ACROSS_CORES],
            BEST_EFFORT,
            D80,
            "distribute-cpus-across-numa and distribute-cpus-across-cores can not be used together",
            id="4.10-both-distributions",
        ),
        pytest.param(
            [BY_CACHE, ACROSS_CORES],
            BEST_EFFORT,
            D80,
            "prefer-align-cpus-by-uncorecache and distribute-cpus-across-cores can not be used together",
            id="4.10-caches-and-spread-over-cores",
        ),
        pytest.param(
            [BY_CACHE, ACROSS_NUMA],
            BEST_EFFORT,
            D80,
            "prefer-align-cpus-by-uncorecache and distribute-cpus-across-numa can not be used together",
            id="4.10-caches-and-distribution-over-nodes",
        ),
        pytest.param(
            [BY_SOCKET],
            TopologyPolicy.SINGLE_NUMA_NODE,
            W80,
            "align-by-socket can not be used with topology policy single-numa-node",
            id="4.10-socket-and-single-node",
        ),
        pytest.param(
            [BY_SOCKET],
            BEST_EFFORT,
            TWO_SOCKETS_ONE_NODE,
            "align-by-socket needs no more sockets than NUMA nodes: there are 2 and 1",
            id="4.10-more-sockets-than-nodes",
        ),
    ],
)
def test_a_combination_is_refused_by_name(
    options: list[CpuOption], policy: TopologyPolicy, topology: Topology, why: str
) -> None:
    assert illegal(frozenset(options), policy, topology) == why


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="none"),
        pytest.param([FULL, ACROSS_NUMA, STRICT, BY_SOCKET], id="full-cores-distribution-strict-socket"),
        pytest.param([FULL, BY_CACHE, STRICT], id="full-cores-and-caches"),
        pytest.param([ACROSS_CORES, STRICT], id="spread-over-cores"),
        pytest.param([BY_SOCKET], id="as-many-sockets-as-nodes"),
    ],
)
def test_what_is_not_refused_is_allowed(options: list[CpuOption]) -> None:
    assert illegal(frozenset(options), TopologyPolicy.RESTRICTED, D80) is None


@pytest.mark.parametrize(
    ("count", "message", "can_pass", "remedy"),
    [
        pytest.param(
            3,
            "SMT Alignment Error: requested 3 cpus not multiple cpus per core = 2",
            False,
            "a multiple of 2 CPUs: 2 or 4",
            id="4.5-H12-3-no-multiple",
        ),
        pytest.param(
            12,
            "SMT Alignment Error: not enough free physical CPUs: available physical CPUs = 10, requested CPUs = 12,"
            " CPUs per core = 2",
            True,
            "1 more free core",
            id="4.5-H12-12-the-sibling-of-a-reserved-cpu-does-not-count",
        ),
    ],
)
def test_a_request_that_fills_no_whole_cores_is_refused(count: int, message: str, can_pass: bool, remedy: str) -> None:
    refused = smt_misaligned(H12, count, H12.online, CpuSet.of([0]), frozenset({FULL}))
    assert refused is not None
    assert (refused.word, refused.message) == (Word.SMT_ALIGNMENT, message)
    assert (refused.can_pass, refused.remedy) == (can_pass, remedy)


@pytest.mark.parametrize(
    ("topology", "count", "options"),
    [
        pytest.param(H12, 10, [FULL], id="4.5-H12-10-all-that-is-free"),
        pytest.param(H12, 3, [], id="without-the-option-anything-goes"),
        pytest.param(HYBRID20, 3, [FULL], id="4.1-one-thread-a-core-on-average"),
    ],
)
def test_a_request_that_fills_whole_cores_is_not_refused(
    topology: Topology, count: int, options: list[CpuOption]
) -> None:
    assert smt_misaligned(topology, count, topology.online, CpuSet.of([0]), frozenset(options)) is None


def test_a_core_that_is_missing_in_part_is_a_core_more() -> None:
    refused = smt_misaligned(H12, 12, H12.online - CpuSet.parse("3,5,11"), CpuSet(), frozenset({FULL}))
    assert refused is not None
    assert refused.remedy == "2 more free cores"


def test_offline_cpus_in_the_shared_pool_do_not_count() -> None:
    assert smt_misaligned(H12, 12, H12.online | CpuSet.parse("12-20"), CpuSet(), frozenset({FULL})) is None
    assert smt_misaligned(H12, 14, H12.online | CpuSet.parse("12-20"), CpuSet(), frozenset({FULL})) is not None
