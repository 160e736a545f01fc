"""Where one pod goes, or why it cannot: the entrance to the regimes.

Pure. All or nothing: a pod that cannot have what it must have gets nothing here.
"""

from pinfold.cpuset import NodeSet
from pinfold.planning.by_container import place_containers
from pinfold.planning.ledger import PodEntry
from pinfold.planning.options import illegal
from pinfold.planning.pod_pool import place_pool
from pinfold.planning.reasons import Refused, Regime, Word
from pinfold.planning.regime import Wanted
from pinfold.planning.vacancy import Held, NotPlaced, Placed, Vacant
from pinfold.pods.model import ContainerKind, Pod


def place(pod: Pod, want: Wanted, vacant: Vacant, held: PodEntry | None = None) -> Placed | NotPlaced:
    """Place *pod*. What it *held* stays with it, as far as it may own it: it grows or shrinks around that."""
    policy = want.policy
    if problem := illegal(policy.cpu_options, policy.topology_policy, vacant.topology):
        return NotPlaced(Refused(Word.INVALID_ANNOTATION, problem, can_pass=False, remedy="leave one of them out"))
    if held is not None and not held.booked:
        want = want.without_memory(held.asked)
    around = kept(pod, vacant, held)
    if want.regime is Regime.POD_POOL:
        return place_pool(pod, want, vacant, around)
    return place_containers(pod, want, vacant, around)


def kept(pod: Pod, vacant: Vacant, held: PodEntry | None) -> Held:
    """What *pod* keeps of what it *held*.

    No CPU, where a container that comes later in its spec has a record and an earlier one has not: such a ledger was
    not made for this pod.
    """
    if held is None:
        return Held()
    nodes = NodeSet.of(vacant.topology.node)
    container_mems = {one.name: one.mems & nodes for one in held.containers}
    mems = held.mems or NodeSet.union(container_mems.values())
    lasting = [one.name for one in pod.containers if one.kind is not ContainerKind.EPHEMERAL]
    if [one.name for one in held.containers] != lasting[: len(held.containers)]:
        return Held(mems=mems & nodes, container_mems=container_mems)
    may = vacant.usable - vacant.owned
    slices = {name: cpus & may for name, cpus in held.slices.items()}
    return Held(held.owned & may, slices, mems & nodes, container_mems)
