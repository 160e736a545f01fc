"""Which NUMA nodes a pod or container is given, and what was weighed for that.

Pure. The providers' hints and their merge are the kubelet's; the words about them are for ``explain``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.hints import Hint, Hints, cpu_hints
from pinfold.planning.ledger import Block
from pinfold.planning.merge import merge
from pinfold.planning.policy import TopologyPolicy
from pinfold.planning.reasons import HintWeighed, Refused, Word
from pinfold.planning.regime import Wanted
from pinfold.planning.vacancy import NotPlaced, Vacant
from pinfold.pods.model import Amounts

MOST_WEIGHED = 8
"""Single nodes whose hints are told."""


@dataclass(frozen=True, slots=True)
class Hinted:
    hint: Hint
    weighed: tuple[HintWeighed, ...] = ()


def hint(
    want: Wanted,
    vacant: Vacant,
    count: int,
    free: CpuSet,
    keep: CpuSet,
    memory: Amounts,
    mems: NodeSet = NodeSet(),
    reusable: Sequence[Block] = (),
) -> Hinted | NotPlaced:
    """The hint for *count* CPUs out of *keep*, which it must hold, and *free*, and for *memory*.

    The memory is bound to *mems* already, where these are not empty; else it may use *reusable* blocks.
    """
    policy, topology = want.policy, vacant.topology
    if policy.topology_policy is TopologyPolicy.NONE:
        return Hinted(Hint(None, preferred=False))
    said = [
        cpu_hints(topology, free, keep, count, policy.cpu_options),
        vacant.said_of_memory(memory, mems, reusable),
        _device(want, vacant),
    ]
    nodes = NodeSet.of(topology.node)
    distances = {node.id: node.distances for node in topology.nodes} if policy.prefer_closest_numa_nodes else None
    merged = merge(policy.topology_policy, nodes, said, distances)
    weighed = _weighed(vacant, said, merged.hint, merged.admit, count, free | keep)
    if not merged.admit:
        return NotPlaced(_not_admitted(want, vacant, count, free | keep, memory), weighed)
    return Hinted(merged.hint, weighed)


def _device(want: Wanted, vacant: Vacant) -> Hints | None:
    """The nodes of the device that the pod wants to be near; no preference where the machine does not tell them.

    No such device, no hint: that is impossible.
    """
    if want.near_device is None:
        return None
    told = vacant.devices.get(want.near_device)
    if told is None:
        return Hints((want.near_device,))
    near = tuple(Hint(NodeSet.of([node]), preferred=True) for node in told if node in vacant.topology.node)
    return Hints((want.near_device,), near) if near else None


def _not_admitted(want: Wanted, vacant: Vacant, count: int, cpus: CpuSet, memory: Amounts) -> Refused:
    policy = want.policy.topology_policy
    wants = [f"{count} CPUs"] if count else []
    wants += [f"{_size(amount)} {resource}" for resource, amount in memory.items()]
    wants += [f"to be near {want.near_device}"] if want.near_device else []
    alone = "one NUMA node" if policy is TopologyPolicy.SINGLE_NUMA_NODE else "as few NUMA nodes as can hold them"
    topology = vacant.topology
    free = {node: len(own & cpus) for node, own in topology.node_cpus.items()}
    emptiest = sorted(sorted(free, key=lambda node: free[node], reverse=True)[:MOST_WEIGHED])
    told = [", ".join([f"node {node} has {free[node]} CPUs", *_free_memory(vacant, node, memory)]) for node in emptiest]
    return Refused(
        Word.TOPOLOGY_AFFINITY,
        f"wants {', '.join(wants)} on {alone} ({policy}); free are: {'; '.join(told)}",
        can_pass=True,
        remedy="room on those nodes, or numa-policy best-effort",
    )


def _free_memory(vacant: Vacant, node: int, memory: Amounts) -> Iterator[str]:
    for resource in memory:
        yield f"{_size(vacant.books.free(resource).get(node, 0))} {resource}"


def _size(amount_bytes: int) -> str:
    return f"{amount_bytes / (1 << 30):.4g}Gi"


def _weighed(
    vacant: Vacant, said: Sequence[Hints | None], chosen: Hint, admit: bool, count: int, cpus: CpuSet
) -> tuple[HintWeighed, ...]:
    """What the resources say of each single node and of the set that was chosen."""
    topology = vacant.topology
    asked = [one for one in said if one is not None]
    every = NodeSet.of(topology.node)
    picked = every if chosen.nodes is None else chosen.nodes
    singles = [one for node in list(topology.node)[:MOST_WEIGHED] if (one := NodeSet.of([node])) != picked]
    found = []
    for nodes in (picked, *singles):
        hints = [one.of(nodes) for one in asked]
        short = [name for one, got in zip(asked, hints, strict=True) if got is None for name in one.resources]
        preferred = all(got is not None and got.preferred for got in hints)
        if nodes == picked:
            why = "taken" if admit else "the best there is, and not admitted"
        elif short:
            why = f"no room for {', '.join(short)}"
        else:
            why = "as good, and a higher node" if preferred else "not preferred"
        if "cpu" in short:
            why += f": {len(topology.cpus_of(nodes) & cpus)} of {count} CPUs free"
        found.append(
            HintWeighed(nodes, chosen.preferred if nodes == picked else preferred, nodes == picked and admit, why)
        )
    return tuple(found)
