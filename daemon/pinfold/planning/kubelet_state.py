"""What a kubelet's ``cpu_manager_state`` and ``memory_manager_state`` say about who owns what.

Pure: text in, a ledger or the reason why not out. The checksums are not checked: up to 1.36 they hash the kubelet's own
Go values. Source: the kubelet's ``cpumanager/state`` and ``memorymanager/state``, checkpoints V1 to V3.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pinfold.cpuset import CpuListError, CpuSet, NodeSet
from pinfold.planning.ledger import Block, ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.planning.policy import Policy
from pinfold.planning.regime import heard, wanted
from pinfold.pods.fields import Field, FieldError
from pinfold.pods.model import ContainerKind, Pod, PodUid
from pinfold.pods.reader import is_uid

_MOST_NODES = 1 << 10  # the kernel's MAX_NUMNODES; damaged text may not size an int


@dataclass(frozen=True, slots=True)
class KubeletState:
    cpu_policy: str
    """``none`` or ``static``."""
    memory_policy: str
    """``None`` or ``Static``; empty where its file was not given."""
    shared: CpuSet
    """``defaultCpuSet``; empty under policy none."""
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class UnreadableState:
    message: str
    """What is wrong with which file, one sentence."""


def read_kubelet_state(
    cpu_text: str, memory_text: str | None = None, pods: Iterable[Pod] = (), policy: Policy | None = None
) -> KubeletState | UnreadableState:
    """The files' text; *pods* name what the files only give as UIDs, and tell a slice from a shared set of one."""
    try:
        cpu = _data(cpu_text, "cpu_manager_state")
        memory = _data(memory_text, "memory_manager_state") if memory_text is not None else Field(None)
        known = {pod.uid: pod for pod in pods}
        uids = sorted(
            {uid for part in (cpu, memory) for key in ("entries", "podEntries") for uid, _ in part[key].children()}
        )
        entries = [_entry(uid, known.get(PodUid(uid)), cpu, memory, policy) for uid in uids]
        return KubeletState(
            cpu["policyName"].text(),
            memory["policyName"].text(),
            _cpus(cpu["defaultCpuSet"]),
            Ledger({entry.uid: entry for entry in entries}),
        )
    except FieldError as error:
        return UnreadableState(str(error))


def _data(text: str, file: str) -> Field:
    """From 1.37 the state stands a second time, as a string with a checksum of its own: that one holds then."""
    try:
        whole = Field(json.loads(text), file)
        return Field(json.loads(whole["data"].text()), f"{file}.data") if whole["data"] else whole
    except (ValueError, RecursionError) as error:
        raise FieldError(file, f"is no JSON: {error}") from error


def _cpus(field: Field) -> CpuSet:
    try:
        return CpuSet.parse(field.text())
    except CpuListError as error:
        raise FieldError(field.path, str(error)) from error


def _blocks(field: Field) -> tuple[Block, ...]:
    return tuple(_block(one) for one in field.items())


def _block(field: Field) -> Block:
    nodes = [_number(one, _MOST_NODES) for one in field["numaAffinity"].items()]
    return Block(NodeSet.of(nodes), field["type"].text(), _number(field["size"]))


def _number(field: Field, below: int = 1 << 63) -> int:
    if isinstance(field.value, bool) or not isinstance(field.value, int) or not 0 <= field.value < below:
        raise FieldError(field.path, f"is no number from 0 to {below - 1}")
    return field.value


def _entry(uid: str, pod: Pod | None, cpu: Field, memory: Field, policy: Policy | None) -> PodEntry:
    if not is_uid(uid):
        raise FieldError(cpu["entries"].path, f"{uid[:40]!a} is no pod UID")
    cpus = {name: _cpus(one) for name, one in cpu["entries"][uid].children()}
    blocks = {name: _blocks(one) for name, one in memory["entries"][uid].children()}
    pool = _cpus(cpu["podEntries"][uid]["cpuSet"])
    booked = _blocks(memory["podEntries"][uid]["memoryBlocks"])
    kinds = {one.name: one.kind for one in pod.containers} if pod else {}
    names = [name for name in kinds if name in cpus or name in blocks]
    names += sorted({*cpus, *blocks} - set(names))
    alone = _slices(pod, policy, pool, cpus)
    return PodEntry(
        PodUid(uid),
        pod.namespace if pod else "",
        pod.name if pod else "",
        pool,
        NodeSet.union(block.nodes for block in booked),
        tuple(
            ContainerEntry(
                name,
                _isolation(name, alone, cpus),
                cpus.get(name, CpuSet()),
                blocks.get(name, ()),
                kinds.get(name, ContainerKind.APP),
            )
            for name in names
        ),
        booked,
    )


def _isolation(name: str, alone: frozenset[str], cpus: Mapping[str, CpuSet]) -> Isolation:
    if name in alone:
        return Isolation.CONTAINER
    return Isolation.POD if name in cpus else Isolation.HOST


def _slices(pod: Pod | None, policy: Policy | None, pool: CpuSet, cpus: Mapping[str, CpuSet]) -> frozenset[str]:
    """The containers that own what they have alone. Without the pod's spec, those whose CPUs no other one names."""
    if not pool:
        return frozenset(cpus)
    if pod is not None and policy is not None:
        return frozenset(wanted(heard(pod, policy), policy).slices)
    return frozenset(
        name for name, own in cpus.items() if all(own.isdisjoint(other) for one, other in cpus.items() if one != name)
    )
