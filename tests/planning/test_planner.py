"""The decision of the whole node: who is placed where, and who not, and why."""

import pytest

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Isolation, Ledger, PodEntry
from pinfold.planning.planner import Plan, World, plan
from pinfold.planning.policy import Manage, Policy, TopologyPolicy
from pinfold.planning.reasons import Outcome, Word
from pinfold.pods.model import Pod
from pinfold.topology.model import Topology
from tests.machines import D80, H12
from tests.planning.pods import app, init, pod, sidecar

NO_LEDGER = Ledger()


def policy(reserved: str = "0,6", **settings: object) -> Policy:
    return Policy(CpuSet.parse(reserved), **settings)  # type: ignore[arg-type]


def planned(machine: Topology, settings: Policy, *pods: Pod, ledger: Ledger = NO_LEDGER) -> Plan:
    return plan(World(machine, settings, pods), ledger)


def cpus_by_container(entry: PodEntry) -> dict[str, str]:
    return {one.name: str(one.cpus) for one in entry.containers}


@pytest.mark.parametrize(
    ("machine", "reserved", "wanted", "pool", "containers"),
    [
        pytest.param(
            H12,
            "0,6",
            pod(app("engine", 3, 1), app("exporter"), app("proxy"), cpu=4, gib=8),
            "2,4,8,10",
            {"engine": "2,4,8", "exporter": "10", "proxy": "10"},
            id="2.5-engine-of-three",
        ),
        pytest.param(
            H12,
            "0,6",
            pod(app("engine", 1, 1), app("exporter"), cpu=4, gib=8),
            "2,4,8,10",
            {"engine": "2", "exporter": "4,8,10"},
            id="2.5-the-sibling-is-in-the-pods-own-shared-pool",
        ),
        pytest.param(
            D80,
            "0-19,40-59",
            pod(
                init("init-a", 6, 1),
                sidecar("mesh", 2, 1),
                init("init-b"),
                sidecar("tail"),
                app("app", 4, 1),
                app("log"),
                cpu=8,
                gib=8,
            ),
            "20-23,60-63",
            {
                "init-a": "20-22,60-62",
                "mesh": "20,60",
                "init-b": "21-23,61-63",
                "tail": "23,63",
                "app": "21-22,61-62",
                "log": "23,63",
            },
            id="3.2-worked-D",
        ),
    ],
)
def test_a_pod_pool_is_divided_as_in_the_examples(
    machine: Topology, reserved: str, wanted: Pod, pool: str, containers: dict[str, str]
) -> None:
    answer = planned(machine, policy(reserved), wanted)
    entry = answer.ledger.entries[wanted.uid]
    assert str(entry.cpus) == pool
    assert cpus_by_container(entry) == containers
    assert answer.node_shared == machine.online - entry.cpus
    assert [decision.outcome for decision in answer.decisions] == [Outcome.PINNED]


def test_container_by_container_an_init_containers_cpus_are_used_again() -> None:  # 3.2-worked-B
    wanted = pod(init("init", 4, 1), app("a", 2, 1), app("b", 3, 1))
    settings = policy(manage=Manage.GUARANTEED, topology_policy=TopologyPolicy.NONE)
    entry = planned(H12, settings, wanted).ledger.entries[wanted.uid]
    assert cpus_by_container(entry) == {"init": "2,4,8,10", "a": "2,8", "b": "1,4,10"}
    assert {one.isolation for one in entry.containers} == {Isolation.CONTAINER}


def test_a_full_ledger_stays_as_it_is() -> None:
    pods = [pod(app("a", 2, 1), app("b"), cpu=4, gib=2, number=number) for number in range(2)]
    first = planned(H12, policy(), *pods)
    again = planned(H12, policy(), *reversed(pods), ledger=first.ledger)
    assert again.ledger == first.ledger
    assert [one.outcome for one in again.decisions] == [Outcome.PINNED] * 2


def test_who_does_not_fit_shares_and_the_others_stay() -> None:
    small, large = pod(app("a"), cpu=4, gib=1, number=1), pod(app("a"), cpu=7, gib=1, number=2)
    answer = planned(H12, policy(topology_policy=TopologyPolicy.RESTRICTED), small, large)
    pinned, shared = answer.decisions
    assert (pinned.outcome, shared.outcome) == (Outcome.PINNED, Outcome.SHARED)
    assert shared.refusal is not None
    assert shared.refusal.word is Word.TOPOLOGY_AFFINITY
    assert shared.refusal.can_pass


def test_an_entry_is_told_by_its_pods_name() -> None:
    """With a pool and without."""
    pooled = pod(app("a"), cpu=2, gib=1, number=1, namespace="trading", name="engine")
    sliced = pod(app("a", 2, 1), number=2, namespace="db", name="postgres")
    entries = planned(H12, policy(manage=Manage.GUARANTEED), pooled, sliced).ledger.entries
    assert [entries[one.uid].full_name for one in (pooled, sliced)] == ["trading/engine", "db/postgres"]
