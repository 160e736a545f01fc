"""Which rule places a pod, and what it is to get by it."""

from dataclasses import replace

import pytest

from pinfold.cpuset import CpuSet
from pinfold.planning.policy import CpuOption, Manage, MemoryPolicy, Policy, Rules, TopologyPolicy, TopologyScope
from pinfold.planning.reasons import Regime, Word
from pinfold.planning.regime import Wanted, heard, wanted
from pinfold.pods.model import CPU, MEMORY, Container, ContainerKind, Intent, InvalidIntent, Managed, Pod, QosClass
from tests.planning.pods import GIB, amounts, annotated, app, init, pod, sidecar

POLICY = Policy(CpuSet.parse("0,6"))
ALL = replace(POLICY, manage=Manage.GUARANTEED)
KUBELET = replace(ALL, rules=replace(Rules(), pools_without_hint=False))


def under(policy: TopologyPolicy, scope: TopologyScope = TopologyScope.POD, base: Policy = KUBELET) -> Policy:
    return replace(base, topology_policy=policy, scope=scope)


NONE, BEST, RESTRICTED = TopologyPolicy.NONE, TopologyPolicy.BEST_EFFORT, TopologyPolicy.RESTRICTED
SINGLE = TopologyPolicy.SINGLE_NUMA_NODE
POD, CONTAINER = TopologyScope.POD, TopologyScope.CONTAINER
GUARANTEED = pod(app("a", 2, 1))
POOLED = pod(app("a", 2, 1), app("b"), cpu=4, gib=2)
BURSTABLE = pod(app("a", 2), qos=QosClass.BURSTABLE)


@pytest.mark.parametrize(
    ("what", "policy", "regime"),
    [
        pytest.param(BURSTABLE, under(BEST), Regime.NODE_SHARED, id="2.2-not-guaranteed"),
        pytest.param(
            replace(POOLED, qos=QosClass.BURSTABLE), under(BEST), Regime.NODE_SHARED, id="2.2-pod-level-burstable"
        ),
        pytest.param(GUARANTEED, under(NONE), Regime.CONTAINER, id="2.2-guaranteed-policy-none"),
        pytest.param(GUARANTEED, under(RESTRICTED, CONTAINER), Regime.CONTAINER, id="2.2-guaranteed-container-scope"),
        pytest.param(GUARANTEED, under(SINGLE), Regime.CONTAINER, id="2.2-guaranteed-pod-scope"),
        pytest.param(POOLED, under(NONE), Regime.POD_LEVEL_BY_CONTAINER, id="2.2-pod-level-policy-none"),
        pytest.param(POOLED, under(BEST, CONTAINER), Regime.POD_LEVEL_BY_CONTAINER, id="2.2-pod-level-container-scope"),
        pytest.param(POOLED, under(BEST), Regime.POD_POOL, id="2.2-pod-level-pod-scope"),
        pytest.param(POOLED, under(NONE, POD, ALL), Regime.POD_POOL, id="2.2-P-a-pool-without-a-hint"),
    ],
)
def test_the_regime_follows_from_class_pod_level_policy_and_scope(what: Pod, policy: Policy, regime: Regime) -> None:
    want = wanted(what, policy)
    assert want.regime is regime
    assert want.refused is None
    assert want.because


@pytest.mark.parametrize(
    ("what", "policy", "asked_for"),
    [
        pytest.param(GUARANTEED, POLICY, False, id="2.2-P-a-guaranteed-pod-is-managed-only-if-all-are"),
        pytest.param(GUARANTEED, ALL, True, id="2.2-P-manage-guaranteed"),
        pytest.param(BURSTABLE, ALL, False, id="2.2-P-others-never"),
        pytest.param(POOLED, POLICY, True, id="2.2-P-pod-level-resources-ask"),
        pytest.param(
            replace(GUARANTEED, intent=Intent(given=frozenset({"scope"}))), POLICY, True, id="2.2-P-annotations-ask"
        ),
        pytest.param(
            replace(POOLED, intent=Intent(managed=frozenset(), given=frozenset({"managed-resources"}))),
            ALL,
            False,
            id="8-managed-resources-none",
        ),
    ],
)
def test_only_who_asks_is_managed(what: Pod, policy: Policy, asked_for: bool) -> None:
    want = wanted(what, policy)
    assert want.asked_for is asked_for
    assert want.anything is asked_for


def unequal(name: str, cpu: float, gib: float) -> Container:
    """Whole CPUs, but its memory request is not its limit."""
    return Container(name, ContainerKind.APP, amounts(cpu, gib), amounts(cpu, gib + 1))


@pytest.mark.parametrize(
    ("what", "policy", "pool", "slices"),
    [
        pytest.param(BURSTABLE, ALL, 0, {}, id="2.3-A-nobody"),
        pytest.param(pod(app("a", 2, 1), app("b", 1.5, 1)), ALL, 0, {"a": 2}, id="2.3-B-whole-cpus-only"),
        pytest.param(
            pod(app("a", 2, 1), unequal("b", 2, 1), app("c", 0.5, 1), cpu=5, gib=8),
            under(NONE),
            0,
            {"a": 2},
            id="2.3-C-guaranteed-equivalent-and-whole",
        ),
        pytest.param(
            pod(sidecar("s", 1, 1), app("a", 2, 1), unequal("b", 2, 1), app("c"), cpu=8, gib=8),
            under(BEST),
            8,
            {"s": 1, "a": 2},
            id="2.3-D-out-of-the-pool",
        ),
        pytest.param(
            pod(app("a", 2, 1), app("b"), cpu=3.5, gib=8), under(BEST), 0, {}, id="2.3-D-a-fraction-no-pool-no-slice"
        ),
        pytest.param(
            pod(app("a", 2, 1), app("b"), cpu=3.5, gib=8), under(NONE), 0, {"a": 2}, id="2.3-C-the-same-pod-has-one"
        ),
        pytest.param(
            pod(app("a", 2, 1), Container("e", ContainerKind.EPHEMERAL, amounts(1, 1), amounts(1, 1)), cpu=3, gib=8),
            under(BEST),
            3,
            {"a": 2},
            id="2.3-ephemeral-containers-never",
        ),
    ],
)
def test_pools_and_slices_by_regime(what: Pod, policy: Policy, pool: int, slices: dict[str, int]) -> None:
    want = wanted(what, policy)
    assert (want.pool_cpus, want.slices) == (pool, slices)
    assert want.cpus == (pool or sum(slices.values()))


@pytest.mark.parametrize(
    ("what", "policy", "of_the_pod", "of_containers"),
    [
        pytest.param(BURSTABLE, ALL, {}, {}, id="2.4-A-nothing"),
        pytest.param(
            pod(app("a", 2, 1), app("b", 0.5, 2, {"1Gi": 1})),
            ALL,
            {},
            {"a": amounts(None, 1), "b": amounts(None, 2, {"1Gi": 1})},
            id="2.4-B-every-container-whole-cpus-or-not",
        ),
        pytest.param(
            pod(app("a", 0.5, 1), unequal("b", 1, 1), cpu=4, gib=8),
            under(NONE),
            {},
            {"a": amounts(None, 1)},
            id="2.4-C-guaranteed-equivalent-ones",
        ),
        pytest.param(
            pod(app("a", 0.5, 1), app("b"), cpu=4, gib=8, hugepages={"1Gi": 2}),
            under(BEST),
            amounts(None, 8, {"1Gi": 2}),
            {"a": amounts(None, 1)},
            id="2.4-D-once-for-the-pod",
        ),
        pytest.param(
            pod(app("a", 2, 1), cpu=3.5, gib=8),
            under(BEST),
            amounts(None, 8),
            {"a": amounts(None, 1)},
            id="2.4-D-whole-or-not",
        ),
        pytest.param(
            POOLED, replace(under(BEST), memory_policy=MemoryPolicy.NONE), {}, {}, id="2.4-memory-policy-none"
        ),
    ],
)
def test_memory_by_regime(
    what: Pod, policy: Policy, of_the_pod: dict[str, int], of_containers: dict[str, dict[str, int]]
) -> None:
    want = wanted(what, policy)
    assert (want.memory, want.container_memory) == (of_the_pod, of_containers)


def with_intent(**words: object) -> Pod:
    return replace(POOLED, intent=Intent(given=frozenset(words), **words))  # type: ignore[arg-type]


def test_annotations_override_the_nodes_settings() -> None:  # 8
    want = wanted(
        with_intent(numa_policy="restricted", scope="pod", cpu_options=frozenset({"full-pcpus-only"})),
        under(BEST, CONTAINER),
    )
    assert want.regime is Regime.POD_POOL
    assert want.policy.topology_policy is RESTRICTED
    assert want.policy.cpu_options == {CpuOption.FULL_PCPUS_ONLY}
    assert "restricted" in want.because


@pytest.mark.parametrize(
    ("managed", "pool", "memory"),
    [
        pytest.param({Managed.CPU}, 4, {}, id="8-cpu-alone"),
        pytest.param({Managed.MEMORY}, 0, {MEMORY: 2 * GIB}, id="8-memory-alone"),
    ],
)
def test_only_managed_resources_are_pooled(managed: set[Managed], pool: int, memory: dict[str, int]) -> None:
    want = wanted(with_intent(managed=frozenset(managed)), under(BEST))
    assert (want.pool_cpus, want.memory) == (pool, memory)
    assert set(want.asked) == ({CPU} if pool else {MEMORY})


def test_invalid_annotations_refuse_the_pool_and_name_themselves() -> None:  # 8
    refused = wanted(
        replace(POOLED, intent=InvalidIntent(("pinfold.dev/scope: x", "pinfold.dev/y: z"))), POLICY
    ).refused
    assert refused is not None
    assert (refused.word, refused.can_pass) == (Word.INVALID_ANNOTATION, False)
    assert refused.message == "pinfold.dev/scope: x; pinfold.dev/y: z"


def asking(cpu: float, **words: object) -> Wanted:
    """A Burstable pod whose containers request *cpu*, with amounts from annotations."""
    containers = (Container("engine", ContainerKind.APP, amounts(cpu)), Container("log", ContainerKind.APP))
    return wanted(annotated(*containers, intent=Intent(given=frozenset(words), **words)), POLICY)  # type: ignore[arg-type]


def test_amounts_from_annotations_make_a_pod_guaranteed_for_pinning() -> None:  # 8, rule 2
    want = asking(4, amounts=amounts(4, 8), exclusive_cpus={"engine": 3})
    assert (want.regime, want.pool_cpus, want.slices) == (Regime.POD_POOL, 4, {"engine": 3})
    assert want.memory == amounts(None, 8)


def test_what_annotations_give_no_amount_of_is_not_managed() -> None:
    want = asking(4, amounts=amounts(4))
    assert (want.pool_cpus, want.memory, want.refused) == (4, {}, None)
    assert asking(4, amounts=amounts(4), managed=frozenset(Managed)).regime is Regime.NODE_SHARED


def test_a_guaranteed_pod_with_annotated_amounts_has_both_managed() -> None:
    what = annotated(app("a", 2, 1), intent=Intent(amounts=amounts(2)), qos=QosClass.GUARANTEED)
    want = wanted(what, POLICY)
    assert (want.pool_cpus, want.memory) == (2, {})


def test_a_pool_larger_than_what_was_scheduled_is_refused() -> None:  # 8, rule 3
    refused = asking(3.5, amounts=amounts(4, 8)).refused
    assert refused is not None
    assert (refused.word, refused.can_pass) == (Word.POOL_NOT_SCHEDULED, False)
    assert "take 4 CPUs, and the scheduler counted 3500m" in refused.message
    assert asking(4, amounts=amounts(4, 8)).refused is None


def test_unscheduled_pools_may_be_allowed() -> None:
    what = annotated(app("engine"), intent=Intent(amounts=amounts(4, 8), given=frozenset({"pod-cpu"})))
    assert wanted(what, POLICY).refused is not None
    assert wanted(what, replace(POLICY, allow_unscheduled_pools=True)).refused is None


def test_slices_by_annotation_come_from_the_node_where_nothing_is_pooled() -> None:  # 9.2
    want = asking(4, exclusive_cpus={"engine": 3})
    assert (want.regime, want.slices, want.pool_cpus) == (Regime.POD_LEVEL_BY_CONTAINER, {"engine": 3}, 0)
    refused = asking(2, exclusive_cpus={"engine": 3}).refused
    assert refused is not None
    assert refused.word is Word.POOL_NOT_SCHEDULED


def test_an_annotation_speaks_for_the_containers_that_it_names_and_amounts_for_the_others() -> None:
    what = pod(app("a", 2, 1), app("b", 1, 1), app("c"), cpu=8, gib=8, intent=Intent(exclusive_cpus={"a": 3, "c": 1}))
    assert wanted(what, POLICY).slices == {"a": 3, "b": 1, "c": 1}


def test_slices_that_together_exceed_the_pool_are_refused() -> None:
    refused = wanted(
        pod(app("a", 2, 1), app("b"), cpu=4, gib=8, intent=Intent(exclusive_cpus={"b": 3})), POLICY
    ).refused
    assert refused is not None
    assert refused.word is Word.INVALID_ANNOTATION
    assert "take 5 CPUs at a time, its pool has 4" in refused.message


def test_annotations_are_heard_only_from_the_configured_namespaces() -> None:  # 8, rule 4
    policy = replace(POLICY, annotation_namespaces=frozenset({"trading"}))
    intent = Intent(amounts=amounts(4, 8), given=frozenset({"pod-cpu", "pod-memory"}))
    loud = annotated(app("a", 4), intent=intent, namespace="trading")
    unheard = annotated(app("a", 4), intent=intent)
    assert heard(loud, policy) == loud
    assert heard(loud, POLICY) == loud
    silenced = heard(unheard, policy)
    assert (silenced.resources, silenced.intent) == (None, Intent())
    assert "are not heard" in silenced.notes[0]
    assert not wanted(silenced, policy).asked_for
    assert heard(POOLED, policy) == POOLED
    assert heard(replace(POOLED, intent=intent), policy).resources == POOLED.resources


def test_the_memory_of_a_pod_that_runs_can_be_left_out() -> None:
    want = wanted(POOLED, POLICY).without_memory({})
    assert (want.memory, want.container_memory, want.asked) == ({}, {}, {CPU: 4000})
    assert wanted(POOLED, POLICY).without_memory({MEMORY: 1}).asked == {CPU: 4000, MEMORY: 2 * GIB}


def test_an_init_container_counts_beside_what_runs_with_it_only() -> None:
    want = wanted(pod(init("i", 4, 1), app("a", 2, 1), app("b", 2, 1), cpu=4, gib=8), POLICY)
    assert want.refused is None
