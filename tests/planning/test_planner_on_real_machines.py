"""Plans for machines as they are: each promise kept, each pod answered, on every archive's sysfs."""

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from pinfold.planning.planner import World, plan
from pinfold.planning.policy import Manage, Policy, TopologyPolicy, TopologyScope
from pinfold.planning.reasons import Outcome
from pinfold.planning.words import event, in_words
from pinfold.pods.model import Pod
from pinfold.topology.model import Topology
from pinfold.topology.sysfs import read_topology
from tests.archives import MACHINES, sysfs_of
from tests.planning.drawn_worlds import worlds
from tests.planning.pods import app, init, pod, sidecar
from tests.planning.promises import check

SETTINGS = [
    pytest.param(policy, scope, id=f"{policy}-{scope}")
    for policy, scope in [
        (TopologyPolicy.NONE, TopologyScope.POD),
        (TopologyPolicy.BEST_EFFORT, TopologyScope.POD),
        (TopologyPolicy.RESTRICTED, TopologyScope.CONTAINER),
        (TopologyPolicy.SINGLE_NUMA_NODE, TopologyScope.POD),
    ]
]


@cache
def machine_of(name: str) -> Topology:
    return read_topology(sysfs_of(name))


def some_pods(machine: Topology) -> list[Pod]:
    """Small ones, one of a NUMA node's size, one larger than any, and what would not even fit the machine."""
    node = max(map(len, machine.node_cpus.values()))
    return [
        pod(app("engine", 2, 0.1), app("log"), cpu=3, gib=0.5, number=1),
        pod(init("seed", 2, 0.1), sidecar("mesh", 1, 0.1), app("a"), cpu=4, gib=0.5, number=2),
        pod(app("a", 1, 0.1), app("b", 2, 0.1), number=3),
        pod(app("a"), cpu=max(1, node - 1), gib=0.5, number=4),
        pod(app("a"), cpu=node + 1, gib=0.5, number=5),
        pod(app("a"), cpu=len(machine.online), gib=0.5, number=6),
        pod(app("a"), cpu=10**9, gib=10**6, number=7),
        pod(app("a"), cpu=0.5, gib=0.5, number=8),
    ]


@pytest.mark.parametrize(("policy", "scope"), SETTINGS)
@pytest.mark.parametrize("name", MACHINES)
def test_every_pod_is_answered_and_every_promise_kept(name: str, policy: TopologyPolicy, scope: TopologyScope) -> None:
    machine = machine_of(name)
    settings = Policy(machine.online.first(1), policy, scope, manage=Manage.GUARANTEED)
    world = World(machine, settings, tuple(some_pods(machine)))
    answer = plan(world, Ledger())
    check(world, answer)
    assert plan(world, answer.ledger).ledger == answer.ledger
    for decision in answer.decisions:
        assert all(in_words(decision, answer.ledger.entries.get(decision.uid)))
        assert all(event(decision))
    fewer = replace(world, pods=world.pods[1:])
    after = plan(fewer, answer.ledger)
    check(fewer, after)
    assert world.pods[0].uid not in after.ledger.entries


@pytest.mark.parametrize("name", MACHINES)
def test_one_pod_alone_gets_its_pool_where_the_machine_has_room(name: str) -> None:
    machine = machine_of(name)
    what = pod(app("engine", 1, 0.1), app("log"), cpu=2, gib=0.25)
    free = machine.online - machine.isolated
    answer = plan(World(machine, Policy(free.first(1)), (what,)), Ledger())
    enough = len(free) > 2
    assert answer.decisions[0].outcome in ({Outcome.PINNED, Outcome.DEGRADED} if enough else {Outcome.SHARED})
    if enough:
        assert answer.ledger.entries[what.uid].cpus.isdisjoint(machine.isolated | CpuSet.of([free.lowest()]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(st.sampled_from(MACHINES).map(machine_of)))
def test_any_pods_are_placed_as_promised_on_any_real_machine(world: World) -> None:
    answer = plan(world, Ledger())
    check(world, answer)
    assert plan(world, answer.ledger).ledger == answer.ledger
