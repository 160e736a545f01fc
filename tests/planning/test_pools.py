"""How a pod pool is divided, and when a slice would leave nothing to the others."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinfold.cpuset import CpuSet
from pinfold.planning.pod_pool import cutter
from pinfold.planning.policy import KUBELET_RULES, CpuOption, Policy, Rules, TopologyPolicy
from pinfold.planning.pools import divide, emptied_by, left_to_share
from pinfold.planning.reasons import Word
from pinfold.planning.regime import Wanted, wanted
from pinfold.planning.sharing import shared_out
from pinfold.pods.model import Container, ContainerKind, Intent, Pod
from tests.machines import H12
from tests.planning.pods import app, init, pod, sidecar

EPHEMERAL = Container("debug", ContainerKind.EPHEMERAL)


def lowest(free: CpuSet, count: int, keep: CpuSet) -> CpuSet:
    """A take that needs no machine: what is kept first, then the lowest."""
    kept = (keep & free).first(count)
    return kept | (free - kept).first(count - len(kept))


@pytest.mark.parametrize(
    ("containers", "slices", "size", "starved"),
    [
        pytest.param([init("i"), app("a")], {"i": 4}, 4, None, id="2.6-an-init-container-may-take-all"),
        pytest.param([init("i"), app("a")], {"i": 5}, 4, "i", id="2.6-an-init-container-may-not-take-more"),
        pytest.param([sidecar("s"), init("i")], {"s": 2, "i": 3}, 4, "i", id="2.6-init-beside-the-sidecars-before-it"),
        pytest.param([init("i"), sidecar("s")], {"s": 2, "i": 3}, 4, None, id="2.6-sidecars-after-it-do-not-count"),
        pytest.param([sidecar("s"), init("i")], {"s": 4}, 4, "s", id="2.6-an-init-container-that-shares"),
        pytest.param([init("i"), sidecar("s")], {"s": 4}, 4, None, id="2.6-an-init-container-that-came-before"),
        pytest.param([app("a"), app("b")], {"a": 4}, 4, "a", id="2.6-somebody-shares-and-nothing-is-left"),
        pytest.param([sidecar("s"), app("a"), app("b")], {"s": 1, "b": 3}, 4, "b", id="2.6-the-last-slice-is-named"),
        pytest.param([sidecar("s"), app("a")], {"s": 4}, 4, "s", id="2.6-it-may-be-a-sidecars"),
        pytest.param([app("a"), app("b")], {"a": 3}, 4, None, id="2.6-one-cpu-is-enough"),
        pytest.param([app("a"), app("b")], {"a": 2, "b": 2}, 4, None, id="2.6-all-have-slices"),
        pytest.param([app("a"), app("b")], {"a": 1, "b": 1}, 4, None, id="2.6-cpus-may-be-left-idle"),
        pytest.param([app("a"), app("b")], {"a": 4, "b": 0}, 4, None, id="2.6-a-share-of-nothing-is-a-share"),
        pytest.param([app("a"), EPHEMERAL], {"a": 4}, 4, None, id="2.6-ephemeral-containers-do-not-count"),
    ],
)
def test_a_slice_that_starves_the_others_is_named(
    containers: list[Container], slices: dict[str, int], size: int, starved: str | None
) -> None:
    assert emptied_by(containers, slices, size) == starved


def test_slices_are_shared_from_the_last_on_until_something_is_left() -> None:  # 9.1
    containers = [sidecar("s"), init("i"), app("a"), app("b"), app("c")]
    assert left_to_share(containers, {"s": 1, "a": 1, "b": 2}, 4) == {"s": 1, "a": 1}
    assert left_to_share(containers, {"s": 4}, 4) == {}


def settled(what: Pod, **settings: object) -> Wanted:
    policy = Policy(CpuSet.parse("0"), **settings)  # type: ignore[arg-type]
    return shared_out(what, wanted(what, policy))


CPU_STARVED = pod(app("engine", 4, 1), app("log"), cpu=4, gib=8)
HUGEPAGES_STARVED = pod(app("engine", 2, 1, {"1Gi": 4}), app("log"), cpu=4, gib=8, hugepages={"1Gi": 4})


def test_the_last_slice_is_shared_and_that_is_told() -> None:  # 9.1
    want = settled(CPU_STARVED)
    assert want.slices == {}
    assert want.starved is not None
    assert (want.starved.word, want.starved.can_pass) == (Word.EMPTY_POD_SHARED_POOL, False)
    assert "take all 4 CPUs" in want.starved.message
    assert "one less for engine" in want.starved.remedy


@pytest.mark.parametrize(
    ("policy", "word"),
    [
        pytest.param(TopologyPolicy.BEST_EFFORT, Word.EMPTY_POD_SHARED_POOL, id="2.6-best-effort"),
        pytest.param(TopologyPolicy.RESTRICTED, Word.TOPOLOGY_AFFINITY, id="2.6-restricted"),
        pytest.param(TopologyPolicy.SINGLE_NUMA_NODE, Word.TOPOLOGY_AFFINITY, id="2.6-single-numa-node"),
    ],
)
def test_the_kubelets_word_depends_on_the_policy(policy: TopologyPolicy, word: Word) -> None:
    starved = settled(CPU_STARVED, topology_policy=policy, rules=KUBELET_RULES).starved
    assert starved is not None
    assert starved.word is word
    shared = settled(CPU_STARVED, topology_policy=policy).starved
    assert shared is not None
    assert shared.word is Word.EMPTY_POD_SHARED_POOL, "no hint is impossible where the last slice is shared"


def test_memory_is_checked_and_nobody_loses_any() -> None:
    want = settled(pod(app("engine", 2, 8), app("log"), cpu=4, gib=8))
    assert want.slices == {"engine": 2}
    assert want.starved is None
    assert want.starved_memory is not None
    assert "take all memory" in want.starved_memory.message


def test_cpus_memory_and_huge_pages_that_are_all_taken_are_told_of_together() -> None:
    want = settled(pod(app("engine", 4, 8, {"1Gi": 2}), app("log"), cpu=4, gib=8, hugepages={"1Gi": 2}))
    assert want.starved is not None
    assert want.starved_memory is not None
    assert any("hugepages-1Gi" in one for one in want.traps)


def test_huge_pages_that_are_all_taken_are_told_and_by_the_kubelets_rules_refused() -> None:  # 2.6
    want = settled(HUGEPAGES_STARVED)
    assert (want.starved, want.starved_memory) == (None, None)
    assert "the kubelet would refuse it (EmptyPodSharedPoolError)" in want.traps[0]
    by_the_kubelet = settled(HUGEPAGES_STARVED, rules=replace(Rules(), empty_shared_pool_by_cpu_and_memory_only=False))
    assert by_the_kubelet.starved_memory is not None
    assert by_the_kubelet.traps == ()


def test_cpus_that_nobody_asked_for_are_told() -> None:  # 2.5
    assert settled(pod(app("a", 2, 1), cpu=4, gib=8)).traps == ("2 CPUs of the pool are left over for nobody",)
    assert settled(pod(app("a", 4, 1), cpu=4, gib=8)).traps == ()
    assert settled(pod(cpu=4, gib=8)).traps == ()


def test_a_pod_whose_containers_all_own_slices_is_told_how_that_may_have_come() -> None:  # 2.1 trap 2
    (told,) = settled(pod(app("engine", 3, 1), sidecar("log", 1, 1), cpu=4, gib=8)).traps
    assert "a LimitRange or a webhook" in told
    assert settled(pod(app("engine", 3, 1), sidecar("log"), cpu=4, gib=8)).traps == ()


def test_slices_that_do_not_fit_are_refused_and_not_shared_out() -> None:
    too_much = pod(sidecar("s"), init("i"), app("a"), cpu=1, gib=8, intent=Intent(exclusive_cpus={"s": 2}))
    want = settled(too_much)
    assert want.refused is not None
    assert (want.slices, want.starved) == ({"s": 2}, None)


def test_pods_without_a_pool_have_nothing_to_share_out() -> None:
    alone = pod(app("a", 4, 1), app("b"))
    want = wanted(alone, Policy(CpuSet.parse("0")))
    assert shared_out(alone, want) is want


def sets(
    containers: list[Container], slices: dict[str, int], held: dict[str, CpuSet], pool: str = "0-7"
) -> dict[str, str]:
    return {one.name: str(one.cpus) for one in divide(CpuSet.parse(pool), containers, slices, held, lowest)}


def test_a_pool_is_divided_in_spec_order() -> None:
    containers = [init("i"), sidecar("s"), init("j"), sidecar("t"), app("a"), app("b"), EPHEMERAL]
    assert sets(containers, {"i": 6, "s": 2, "a": 4}, {}) == {
        "i": "0-5",
        "s": "0-1",
        "j": "2-7",
        "t": "6-7",
        "a": "2-5",
        "b": "6-7",
    }


def test_what_a_container_held_it_keeps_and_no_other_takes_it() -> None:
    held = {"a": CpuSet.parse("0-1"), "s": CpuSet.parse("6"), "gone": CpuSet.parse("3")}
    assert sets([sidecar("s"), app("a"), app("b")], {"s": 2, "a": 3}, held) == {"s": "2,6", "a": "0-1,3", "b": "4-5,7"}


def test_a_slice_that_shrinks_keeps_what_fits() -> None:
    assert sets([app("a"), app("b")], {"a": 2}, {"a": CpuSet.parse("4-6")})["a"] == "4-5"
    assert sets([app("a"), app("b")], {"a": 2}, {"a": CpuSet.parse("9")})["a"] == "0-1"


def test_without_a_pool_all_run_in_the_node_shared_pool() -> None:
    assert sets([app("a"), app("b")], {}, {}, pool="") == {"a": "", "b": ""}


@pytest.mark.parametrize(
    ("free", "keep", "got"),
    [
        pytest.param("2,4,8,10", "2,8", "2,4,8,10", id="grows-by-a-core"),
        pytest.param("2,4,8,11", "2,8", "2,4,8,11", id="no-whole-core-to-grow-by"),
        pytest.param("2,4,8,10", "2", "2,4,8,10", id="from-half-a-core"),
    ],
)
def test_a_slice_of_whole_cores_grows_by_whole_cores(free: str, keep: str, got: str) -> None:
    want = settled(pod(app("a", 4, 1), app("b"), cpu=6, gib=8), cpu_options=frozenset({CpuOption.SLICE_FULL_CORES}))
    assert str(cutter(want, H12)(CpuSet.parse(free), 4, CpuSet.parse(keep))) == got


@given(st.data())
def test_slices_that_last_are_disjoint_and_nobody_is_left_without(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from([init, sidecar]), max_size=3)) + data.draw(
        st.lists(st.just(app), min_size=1, max_size=3)
    )
    containers = [make(f"c{index}") for index, make in enumerate(kinds)]
    size = data.draw(st.integers(1, 12))
    asked = {one.name: data.draw(st.integers(1, 5)) for one in containers if data.draw(st.booleans())}
    slices = left_to_share(containers, asked, size)
    lasting = [one.name for one in containers if one.kind is not ContainerKind.INIT]
    if sum(slices.get(name, 0) for name in lasting) > size:
        return
    divided = divide(CpuSet.of(range(size)), containers, slices, {}, lowest)
    own = [one.cpus for one in divided if one.name in slices and one.name in lasting]
    assert sum(map(len, own)) == len(CpuSet.union(own))
    assert all(one.cpus for one in divided)
    shared = [one.cpus for one in divided if one.name in lasting and one.name not in slices]
    assert all(cpus.isdisjoint(CpuSet.union(own)) for cpus in shared)
