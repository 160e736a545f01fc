"""What a kubelet's state files say, as Pinfold's own words: who owns what, and what is told of each pod."""

from dataclasses import replace

import pytest

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.handover import observed, taken_over
from pinfold.planning.kubelet_state import KubeletState
from pinfold.planning.ledger import Block, ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.planning.policy import Manage, Policy
from pinfold.planning.reasons import Outcome, Regime
from pinfold.pods.model import CPU, MEMORY, Container, ContainerKind, Pod
from tests.machines import H12
from tests.planning.pods import GIB, app, pod, sidecar

POLICY = Policy(CpuSet.parse("0,6"), manage=Manage.GUARANTEED)
DEBUG = Container("debug", ContainerKind.EPHEMERAL, {}, {})
POOLED = pod(app("engine", 3, 1), app("log"), sidecar("mesh"), DEBUG, cpu=4, gib=8, number=1, namespace="b")
SLICED = pod(app("engine", 2, 1), app("log", 0.5, 1), number=2, namespace="a")
BOUND = pod(app("cache", 0.5, 1), number=3, namespace="c")
OTHER = pod(app("web"), number=4, namespace="a", name="another")
NODE_0, NODE_1 = NodeSet.of([0]), NodeSet.of([1])
BLOCK = Block(NODE_0, MEMORY, 8 * GIB)
ENGINE = ContainerEntry("engine", Isolation.CONTAINER, CpuSet.parse("2,4,8"))
STATE = KubeletState(
    "static",
    "Static",
    CpuSet.parse("0-1,5-7,11"),
    Ledger(
        {
            POOLED.uid: PodEntry(
                POOLED.uid, "b", "pod-1", CpuSet.parse("2,4,8,10"), NODE_0, containers=(ENGINE,), blocks=(BLOCK,)
            ),
            SLICED.uid: PodEntry(
                SLICED.uid, "a", "pod-2", containers=(replace(ENGINE, cpus=CpuSet.parse("3,9"), blocks=()),)
            ),
            BOUND.uid: PodEntry(
                BOUND.uid,
                "c",
                "pod-3",
                mems=NODE_1,
                containers=(ContainerEntry("cache", Isolation.HOST, blocks=(Block(NODE_1, MEMORY, GIB),)),),
            ),
            OTHER.uid: PodEntry(OTHER.uid, "a", "another", containers=(ContainerEntry("web", Isolation.HOST),)),
        }
    ),
)
PODS = (POOLED, SLICED, BOUND, OTHER)


@pytest.mark.parametrize(
    ("what", "containers", "asked"),
    [
        pytest.param(
            POOLED,
            {
                "engine": (Isolation.CONTAINER, "2,4,8", ContainerKind.APP),
                "log": (Isolation.POD, "10", ContainerKind.APP),
                "mesh": (Isolation.POD, "10", ContainerKind.SIDECAR),
            },
            {CPU, MEMORY},
            id="who-is-not-named-shares-the-pool",
        ),
        pytest.param(
            SLICED,
            {
                "engine": (Isolation.CONTAINER, "3,9", ContainerKind.APP),
                "log": (Isolation.HOST, "", ContainerKind.APP),
            },
            {CPU},
            id="without-a-pool-the-node-s-and-memory-that-is-not-booked-was-not-asked-for",
        ),
        pytest.param(
            BOUND, {"cache": (Isolation.HOST, "", ContainerKind.APP)}, {MEMORY}, id="memory-alone-is-owned-too"
        ),
    ],
)
def test_a_pod_is_taken_over_with_all_its_lasting_containers_and_what_was_placed_of_its_amounts(
    what: Pod, containers: dict[str, tuple[Isolation, str, ContainerKind]], asked: set[str]
) -> None:
    entry = taken_over(STATE, PODS, POLICY).entries[what.uid]
    assert {one.name: (one.isolation, str(one.cpus), one.kind) for one in entry.containers} == containers
    assert entry.asked.keys() == asked


def test_who_is_not_known_or_owns_nothing_is_not_taken_over() -> None:
    assert taken_over(STATE, [SLICED, OTHER], POLICY).entries.keys() == {SLICED.uid}


def test_what_a_kubelet_decided_is_told_of_each_pod() -> None:
    plan = observed(STATE, PODS, POLICY, H12)
    assert plan.ledger == taken_over(STATE, PODS, POLICY)
    assert [
        (one.uid, one.full_name, one.outcome, one.regime, one.wanted_cpus, str(one.pool), str(one.mems))
        for one in plan.decisions
    ] == [
        (OTHER.uid, "a/another", Outcome.UNMANAGED, Regime.CONTAINER, 0, "", ""),
        (SLICED.uid, "a/pod-2", Outcome.PINNED, Regime.CONTAINER, 2, "", ""),
        (POOLED.uid, "b/pod-1", Outcome.PINNED, Regime.POD_POOL, 4, "2,4,8,10", "0"),
        (BOUND.uid, "c/pod-3", Outcome.PINNED, Regime.CONTAINER, 0, "", "1"),
    ]


@pytest.mark.parametrize(
    ("said", "shared"),
    [
        pytest.param("0-1,5-7,11,64", "0-1,5-7,11", id="what-it-says-as-far-as-it-is-online"),
        pytest.param("", "0-1,5-7,11", id="all-that-nobody-owns-where-it-says-nothing"),
    ],
)
def test_the_shared_pool_is_the_kubelets(said: str, shared: str) -> None:
    assert str(observed(replace(STATE, shared=CpuSet.parse(said)), PODS, POLICY, H12).node_shared) == shared
