"""Which CPUs a request gets: every example of the specification, and what holds for all machines."""

import pytest

from pinfold.cpuset import CpuSet
from pinfold.planning.policy import KUBELET_RULES, CpuOption, Rules
from pinfold.planning.take import reserved_from_count, take
from pinfold.topology.model import Topology
from tests.machines import D80, H12, Q32, W80

FULL = CpuOption.FULL_PCPUS_ONLY
BOTH = pytest.mark.parametrize("rules", [KUBELET_RULES, Rules()], ids=["kubelet", "own"])


def taken(machine: Topology, used: str, count: int, rules: Rules, *options: CpuOption) -> str:
    return str(take(machine, machine.online - CpuSet.parse(used), count, frozenset(options), rules))


@BOTH
@pytest.mark.parametrize(
    ("machine", "used", "count", "cpus"),
    [
        pytest.param(H12, "0,6", 1, "2", id="4.4-H12-1-socket-0-has-fewer-free"),
        pytest.param(H12, "0,6", 2, "2,8", id="4.4-H12-2-a-whole-core"),
        pytest.param(H12, "0,6", 3, "2,4,8", id="4.4-H12-3-a-whole-core-and-one-more"),
        pytest.param(H12, "0,6", 5, "1-2,4,8,10", id="4.4-H12-5-two-whole-cores-then-socket-0-is-used-up"),
        pytest.param(H12, "0,6", 6, "1,3,5,7,9,11", id="4.4-H12-6-node-1-is-wholly-free"),
        pytest.param(H12, "0,2,6", 1, "8", id="4.4-H12-1-mends-a-broken-core"),
        pytest.param(H12, "0,2,6", 2, "4,10", id="4.4-H12-2-wants-a-whole-core"),
        pytest.param(D80, "0,40", 20, "1-10,41-50", id="4.4-D80-20"),
        pytest.param(D80, "0,40", 38, "1-19,41-59", id="4.4-D80-38"),
        pytest.param(D80, "0,40", 42, "1,20-39,41,60-79", id="4.4-D80-42-more-than-the-40-of-node-1"),
        pytest.param(W80, "0,40", 19, "1-10,41-49", id="4.4-W80-19-nine-cores-of-node-0-then-10"),
        pytest.param(W80, "0,40", 20, "10-19,50-59", id="4.4-W80-20-node-1-whole"),
        pytest.param(W80, "0,40", 21, "1,10-19,50-59", id="4.4-W80-21"),
        pytest.param(W80, "0,40", 40, "20-39,60-79", id="4.4-W80-40-socket-1-whole"),
        pytest.param(W80, "0,40", 58, "1-9,20-39,41-49,60-79", id="4.4-W80-58-then-cores-of-node-0"),
        pytest.param(Q32, "0,16", 12, "1-2,4-7,17-18,20-23", id="4.4-Q32-12-socket-1-whole-then-the-fullest"),
    ],
)
def test_a_request_is_packed(machine: Topology, used: str, count: int, cpus: str, rules: Rules) -> None:
    assert taken(machine, used, count, rules) == cpus


@BOTH
def test_reserved_cpus_are_taken_from_all_where_only_their_number_is_known(rules: Rules) -> None:
    assert str(reserved_from_count(H12, 2, frozenset(), rules)) == "0,6"
