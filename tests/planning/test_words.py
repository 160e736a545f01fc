"""A decision in plain sentences, and as an Event."""

from dataclasses import replace

import pytest

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import Ledger
from pinfold.planning.planner import World, plan
from pinfold.planning.policy import Manage, Policy, TopologyPolicy
from pinfold.planning.reasons import Decision, HintWeighed, Outcome, Refused, Regime, Word
from pinfold.planning.words import NOTE_BYTES, event, in_words, trap_event
from pinfold.pods.model import Intent, Managed, Pod, PodUid, QosClass
from tests.machines import D80, H12
from tests.planning.pods import app, init, pod, sidecar

POLICY = Policy(CpuSet.parse("0,6"))
ENGINE = pod(app("engine", 3, 1), app("exporter"), app("proxy"), cpu=4, gib=8)


def told(what: Pod, policy: Policy = POLICY) -> tuple[str, ...]:
    answer = plan(World(H12, policy, (what,)), Ledger())
    return in_words(answer.decisions[0], answer.ledger.entries.get(what.uid))


def test_a_pool_is_told_from_the_whole_to_its_parts() -> None:
    assert told(ENGINE) == (
        "default/pod-1 owns CPUs 2,4,8,10 as its pod pool.",
        (
            "default/pod-1 is placed by rule D: it is Guaranteed with pod-level resources, topology policy best-effort,"
            " scope pod: one pool for the pod."
        ),
        "Container engine owns CPUs 2,4,8 alone.",
        "exporter, proxy run on CPU 10 of the pod.",
        "The pause container and ephemeral containers run on CPU 10.",
        "Its memory is bound to NUMA node 0.",
        "NUMA node 0: preferred, taken.",
        "NUMA node 1: preferred, as good, and a higher node.",
    )


def test_init_containers_and_sidecars_are_called_so() -> None:
    sentences = told(pod(init("seed", 2, 1), sidecar("mesh", 1, 1), app("a"), cpu=4, gib=8))
    assert "Init container seed owns CPUs 2,8 alone while it runs." in sentences
    assert "Sidecar mesh owns CPU 2 alone." in sentences
    assert "a runs on CPUs 4,8,10 of the pod." in sentences


def test_slices_without_a_pool_are_told_by_container() -> None:
    sentences = told(pod(app("a", 2, 1), app("b", 0.5, 1)), replace(POLICY, manage=Manage.GUARANTEED))
    assert sentences[0] == "default/pod-1 owns slices of the node: a 2,8."
    assert "b runs in the node shared pool." in sentences
    assert "The memory of a is bound to NUMA node 0." in sentences


def test_a_pod_that_owns_only_memory_is_told_so() -> None:
    sentences = told(replace(ENGINE, intent=Intent(managed=frozenset({Managed.MEMORY}))))
    assert sentences[0] == "default/pod-1 owns no CPUs, only memory."
    assert "Its memory is bound to NUMA node 0." in sentences


def test_memory_on_several_nodes_is_told_in_the_plural() -> None:
    sentences = told(replace(ENGINE, resources=pod(cpu=4, gib=100).resources))
    assert "Its memory is bound to NUMA nodes 0-1." in sentences


def test_a_refusal_says_what_was_wanted_what_there_was_and_what_it_would_take() -> None:
    strict = replace(POLICY, topology_policy=TopologyPolicy.SINGLE_NUMA_NODE)
    sentences = told(pod(app("a"), cpu=7, gib=1), strict)
    assert sentences[0] == "default/pod-1 runs in the node shared pool, because it was refused what it asked for."
    assert sentences[1] == (
        "TopologyAffinityError: wants 7 CPUs, 1Gi memory on one NUMA node (single-numa-node); free are:"
        " node 0 has 4 CPUs, 64Gi memory; node 1 has 6 CPUs, 64Gi memory."
    )
    assert sentences[2].startswith("What it would take: room on those nodes")
    assert sentences[3] == "It is tried again when CPUs or memory come free."
    assert "NUMA node 1: not preferred, no room for cpu: 6 of 7 CPUs free." in sentences


def test_a_pod_with_less_than_it_asked_for_is_told_what_is_missing() -> None:
    sentences = told(pod(app("engine", 4, 1), app("log"), cpu=4, gib=8))
    assert sentences[0].endswith("owns CPUs 2,4,8,10 as its pod pool, which is less than it asked for.")
    assert sentences[1].startswith("EmptyPodSharedPoolError: its slices take all 4 CPUs")
    assert "It is not tried again before the pod, the node's settings or its machine change." in sentences


def test_a_pod_that_nobody_asked_for_is_told_why_it_shares() -> None:
    sentences = told(pod(app("a", 1), qos=QosClass.BURSTABLE))
    assert sentences[0] == "default/pod-1 is left in the node shared pool: it asks for no pool and no slice."


def test_the_traps_of_a_spec_are_told_last() -> None:
    assert told(replace(ENGINE, notes=("mind the gap",)))[-1] == "mind the gap."


def decision(outcome: Outcome, refusal: Refused | None = None, **rest: object) -> Decision:
    return Decision(PodUid("u"), "ns", "name", outcome, Regime.POD_POOL, "because", refusal=refusal, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "reason", "note"),
    [
        pytest.param(decision(Outcome.PINNED, pool=CpuSet.parse("2-5")), "PoolPinned", "owns CPUs 2-5", id="pinned"),
        pytest.param(decision(Outcome.PINNED), "PoolPinned", "container by container", id="slices"),
        pytest.param(decision(Outcome.UNMANAGED), "PoolNotManaged", "because.", id="not-managed"),
        pytest.param(
            decision(Outcome.SHARED, Refused(Word.SMT_ALIGNMENT, "no cores", can_pass=False)),
            "SMTAlignmentError",
            "SMTAlignmentError: no cores. It is not tried again",
            id="refused",
        ),
    ],
)
def test_an_event_has_the_kubelets_word_and_all_that_its_author_should_know(
    what: Decision, reason: str, note: str
) -> None:
    assert event(what)[0] == reason
    assert note in event(what)[1]


def test_an_events_note_is_never_longer_than_the_api_server_takes() -> None:
    reason, note = trap_event(decision(Outcome.PINNED, pool=CpuSet.parse("2"), notes=("ä" * 2000,)))
    assert reason == "PodSpecTrap"
    assert NOTE_BYTES - 3 < len(note.encode()) <= NOTE_BYTES
    assert note.endswith("...")


def test_every_set_that_was_weighed_is_told() -> None:
    weighed = HintWeighed(NodeSet.of([0, 1]), preferred=False, chosen=True, why="taken")
    what = decision(Outcome.PINNED, pool=D80.online, hints=(weighed,))
    assert "NUMA nodes 0-1: not preferred, taken." in in_words(what)
