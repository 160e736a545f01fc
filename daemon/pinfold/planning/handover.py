"""What a kubelet's state files say, as Pinfold's own words: to show it, and to go on from it with no pod moved.

Pure.
"""

from collections.abc import Iterable
from dataclasses import replace

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.kubelet_state import KubeletState
from pinfold.planning.ledger import ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.planning.planner import Plan
from pinfold.planning.policy import Policy
from pinfold.planning.reasons import Decision, Outcome
from pinfold.planning.regime import heard, wanted
from pinfold.pods.model import CPU, ContainerKind, Pod
from pinfold.topology.model import Topology


def taken_over(state: KubeletState, pods: Iterable[Pod], policy: Policy) -> Ledger:
    """What each of *pods* owns by *state*, as if Pinfold had placed it so under *policy*.

    A pod that nobody knows is left out: the kubelet's own entries may be older than its pods.
    """
    entries = {pod.uid: _completed(state.ledger.entries[pod.uid], pod, policy) for pod in pods if _owns(state, pod)}
    return Ledger(entries)


def observed(state: KubeletState, pods: Iterable[Pod], policy: Policy, topology: Topology) -> Plan:
    """The kubelet's decisions: nothing of this is Pinfold's to carry out."""
    known = tuple(pods)
    ledger = taken_over(state, known, policy)
    because = f'the kubelet\'s CPU manager owns the cpusets: its policy is "{state.cpu_policy}"'
    decisions = [_decided(pod, ledger.entries.get(pod.uid), because, policy) for pod in known]
    decisions.sort(key=lambda one: (one.namespace, one.name, one.uid))
    return Plan(ledger, tuple(decisions), (state.shared or topology.online - ledger.owned) & topology.online)


def _owns(state: KubeletState, pod: Pod) -> bool:
    entry = state.ledger.entries.get(pod.uid)
    return entry is not None and bool(entry.owned or entry.booked)


def _completed(entry: PodEntry, pod: Pod, policy: Policy) -> PodEntry:
    """With the containers that the kubelet does not name: they share, and it never writes down who does."""
    there = {one.name: one for one in entry.containers}
    sharing = (Isolation.POD, entry.shared) if entry.cpus else (Isolation.HOST, CpuSet())
    booked = {CPU} if entry.owned else set()
    booked |= {block.resource for block in entry.booked}
    return replace(
        entry,
        containers=tuple(
            there.get(one.name) or ContainerEntry(one.name, *sharing, kind=one.kind)
            for one in pod.containers
            if one.kind is not ContainerKind.EPHEMERAL
        ),
        asked={name: size for name, size in wanted(heard(pod, policy), policy).asked.items() if name in booked},
    )


def _decided(pod: Pod, entry: PodEntry | None, because: str, policy: Policy) -> Decision:
    return Decision(
        pod.uid,
        pod.namespace,
        pod.name,
        Outcome.PINNED if entry else Outcome.UNMANAGED,
        wanted(heard(pod, policy), policy).regime,
        because,
        wanted_cpus=len(entry.owned) if entry else 0,
        pool=entry.cpus if entry else CpuSet(),
        mems=entry.mems if entry else NodeSet(),
    )
