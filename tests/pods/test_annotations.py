"""The ``pinfold.dev/`` annotations: all of them, or none with every reason told."""

import pytest

from pinfold.planning.policy import CpuOption, OnUnsatisfied, TopologyPolicy, TopologyScope
from pinfold.pods.annotations import CPU_OPTIONS, NUMA_POLICIES, SCOPES, read_intent
from pinfold.pods.model import CPU, MEMORY, Container, ContainerKind, Intent, InvalidIntent, Managed

GIB = 1 << 30
CONTAINERS = (
    Container("seed", ContainerKind.INIT),
    Container("engine", ContainerKind.APP),
    Container("feed", ContainerKind.APP),
    Container("debug", ContainerKind.EPHEMERAL),
)


def read(**annotations: object) -> Intent | InvalidIntent:
    """Names with ``_`` for ``-``."""
    prefixed = {f"pinfold.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return read_intent({"other.io/x": "y", **prefixed}, CONTAINERS)


def sound(**annotations: object) -> Intent:
    intent = read(**annotations)
    assert isinstance(intent, Intent), intent
    return intent


def problems(**annotations: object) -> tuple[str, ...]:
    intent = read(**annotations)
    assert isinstance(intent, InvalidIntent), intent
    return intent.problems


def test_without_annotations_nothing_is_said() -> None:
    assert read() == Intent()


def test_all_annotations_are_read() -> None:  # 8
    intent = sound(
        managed_resources="cpu,memory",
        pod_cpu="4",
        pod_memory="8Gi",
        pod_hugepages_2Mi="64Mi",
        pod_hugepages_1Gi="1Gi",
        exclusive_cpus="engine=3, feed=1",
        scope="pod",
        numa_policy="restricted",
        cpu_options="full-pcpus-only, slice-full-cores",
        on_unsatisfied="evict",
        isolated="true",
        memory_protection="low",
        near_device="0000:3b:00.0",
    )
    assert intent.amounts == {CPU: 4000, MEMORY: 8 * GIB, "hugepages-2Mi": 64 << 20, "hugepages-1Gi": GIB}
    assert intent.managed == frozenset({Managed.CPU, Managed.MEMORY})
    assert intent.exclusive_cpus == {"engine": 3, "feed": 1}
    assert (intent.scope, intent.numa_policy, intent.on_unsatisfied) == ("pod", "restricted", "evict")
    assert intent.cpu_options == frozenset({"full-pcpus-only", "slice-full-cores"})
    assert (intent.isolated, intent.memory_protection, intent.near_device) == ("true", "low", "0000:3b:00.0")
    assert len(intent.given) == 13


@pytest.mark.parametrize(
    ("text", "managed"),
    [
        pytest.param("cpu", {Managed.CPU}, id="cpu"),
        pytest.param("memory", {Managed.MEMORY}, id="memory"),
        pytest.param("memory, cpu", {Managed.CPU, Managed.MEMORY}, id="in-any-order"),
        pytest.param("none", set(), id="none"),
    ],
)
def test_managed_resources_are_a_set(text: str, managed: set[Managed]) -> None:
    assert sound(managed_resources=text).managed == frozenset(managed)


def test_no_options_are_a_word_too() -> None:
    assert sound(cpu_options="").cpu_options == frozenset()


def test_a_resource_name_is_a_device() -> None:
    assert sound(near_device="example.com/nic").near_device == "example.com/nic"


@pytest.mark.parametrize(
    ("annotations", "says"),
    [
        pytest.param({"pod_cpu": "0"}, "pinfold.dev/pod-cpu: '0' is no whole number of CPUs", id="no-cpus"),
        pytest.param({"pod_cpu": "0.5"}, "'0.5' is no whole number", id="half-a-cpu"),
        pytest.param({"pod_cpu": "-1"}, "'-1' is no whole number", id="less-than-none"),
        pytest.param({"pod_cpu": 4}, "pinfold.dev/pod-cpu: is no text", id="a-number-in-yaml"),
        pytest.param({"pod_memory": "8Gx"}, "pinfold.dev/pod-memory: '8Gx' is no quantity", id="memory-of-no-unit"),
        pytest.param({"pod_memory": "0"}, "pinfold.dev/pod-memory: is zero", id="no-memory"),
        pytest.param({"managed_resources": "cpu,cpu"}, "'cpu,cpu' is none of", id="one-resource-twice"),
        pytest.param({"managed_resources": "gpu"}, "'gpu' is none of cpu; memory; cpu,memory; none", id="no-resource"),
        pytest.param({"exclusive_cpus": "engine"}, "'' is no whole number", id="a-slice-of-no-size"),
        pytest.param({"exclusive_cpus": "engine=1,engine=2"}, "names 'engine' twice", id="two-sizes-for-one-slice"),
        pytest.param({"exclusive_cpus": "other=1"}, "the pod has no container 'other'", id="no-such-container"),
        pytest.param({"exclusive_cpus": "debug=1"}, "the pod has no container 'debug'", id="an-ephemeral-container"),
        pytest.param({"exclusive_cpus": "<b>=1"}, "no container '<b>'", id="markup-is-quoted"),
        pytest.param(
            {"exclusive_cpus": "\x1b[1m=1"}, r"no container '\x1b[1m'", id="a-terminals-escape-is-written-out"
        ),
        pytest.param({"scope": "node"}, "'node' is none of pod, container", id="no-scope"),
        pytest.param({"numa_policy": "strict"}, "'strict' is none of none, best-effort", id="no-policy"),
        pytest.param({"cpu_options": "fast"}, "'fast' is none of full-pcpus-only", id="no-option"),
        pytest.param({"on_unsatisfied": "kill"}, "'kill' is none of share, evict", id="no-such-answer"),
        pytest.param({"isolated": "yes"}, "'yes' is none of true, insist", id="not-isolated"),
        pytest.param({"memory_protection": "max"}, "'max' is none of none, low, min", id="no-protection"),
        pytest.param({"near_device": "../x"}, "'../x' is neither a PCI address", id="a-path-is-no-device"),
        pytest.param({"pod_cpus": "4"}, "pinfold.dev/pod-cpus: is not known; known are", id="a-slip-of-the-pen"),
        pytest.param(
            {"pod_cpu": "4", "exclusive_cpus": "engine=3,feed=2"},
            "exclusive-cpus: takes 5 CPUs at a time, pinfold.dev/pod-cpu gives 4",
            id="slices-larger-than-the-pod",
        ),
        pytest.param(
            {"managed_resources": "none", "pod_cpu": "4"},
            "managed-resources: none contradicts pinfold.dev/numa-policy, pinfold.dev/pod-cpu",
            id="none-and-a-pool",
        ),
        pytest.param(
            {"managed_resources": "memory", "exclusive_cpus": "engine=1"},
            "without cpu contradicts pinfold.dev/exclusive-cpus",
            id="slices-and-no-cpu",
        ),
    ],
)
def test_a_bad_value_leaves_nothing_of_the_others(annotations: dict[str, object], says: str) -> None:
    found = problems(**{"numa_policy": "restricted", **annotations})
    assert len(found) == 1
    assert says in found[0]


def test_every_problem_is_told() -> None:
    assert [problem.partition(":")[0] for problem in problems(pod_cpu="x", scope="y")] == [
        "pinfold.dev/pod-cpu",
        "pinfold.dev/scope",
    ]


def test_none_may_stand_beside_what_asks_for_nothing() -> None:
    assert sound(managed_resources="none", on_unsatisfied="share").managed == frozenset()
    assert sound(managed_resources="memory", pod_cpu="4").managed == frozenset({Managed.MEMORY})


def test_an_init_containers_slice_is_counted_beside_those_that_run_with_it() -> None:
    assert sound(pod_cpu="4", exclusive_cpus="seed=4,engine=3,feed=1").exclusive_cpus["seed"] == 4


def test_the_words_are_those_of_the_policy() -> None:
    assert set(NUMA_POLICIES) == set(TopologyPolicy)
    assert set(SCOPES) == set(TopologyScope)
    assert set(CPU_OPTIONS) == set(CpuOption)
    assert {sound(on_unsatisfied=word).on_unsatisfied for word in OnUnsatisfied} == set(OnUnsatisfied)
