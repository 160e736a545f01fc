"""Vectors about pods with pod-level resources, placed as a unit: afresh, or around what the saved state holds."""

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.books import Books
from pinfold.planning.hinting import Hinted
from pinfold.planning.hints import Hint, cpu_hints
from pinfold.planning.ledger import ContainerEntry, Isolation, PodEntry
from pinfold.planning.placement import kept
from pinfold.planning.pod_pool import place_pool
from pinfold.planning.policy import MemoryPolicy, Policy, TopologyPolicy, TopologyScope
from pinfold.planning.reasons import Word
from pinfold.planning.regime import Wanted, wanted
from pinfold.planning.sharing import shared_out
from pinfold.planning.standing import Standing, standing
from pinfold.planning.vacancy import NotPlaced, Vacant
from pinfold.pods.model import InvalidPod, Pod
from pinfold.pods.reader import read_pod
from tests.planning.kubelet_merge import spelled_out
from tests.vectors.case import Case, Outcome, op, refusal
from tests.vectors.merge_ops import hint_of
from tests.vectors.pods import UID, container_of, named_containers


def read(case: Case) -> tuple[Pod, Wanted]:
    """The pod, and what it is to get in pod scope, where memory is nobody's business."""
    told = case.given["pod"]
    spec = {
        "initContainers": [container_of(f"init-{place}", one) for place, one in enumerate(told["init"])],
        "containers": [container_of(f"app-{place}", one) for place, one in enumerate(told["containers"])],
        "resources": {
            form: {"cpu": told[word], "memory": "64Gi"} for form, word in (("requests", "request"), ("limits", "limit"))
        },
    }
    pod = read_pod({"metadata": {"name": "pod", "namespace": "vectors", "uid": UID}, "spec": spec}, "vector")
    if isinstance(pod, InvalidPod):
        raise TypeError(pod.message)
    policy = Policy(
        case.reserved,
        TopologyPolicy.BEST_EFFORT,
        TopologyScope(case.given["scope"]),
        case.options,
        memory_policy=MemoryPolicy.NONE,
        rules=case.rules,
    )
    return pod, shared_out(pod, wanted(pod, policy))


def held_of(case: Case, pod: Pod, want: Wanted) -> PodEntry | None:
    """What the saved state holds of the pod. A pool that the shared pool holds too is nobody's."""
    pool = CpuSet.parse(case.given.get("pod_cpus") or "")
    if not pool or not pool.isdisjoint(case.cpus("default")):
        return None
    containers = tuple(
        ContainerEntry(
            one.name,
            Isolation.CONTAINER if one.name in want.slices else Isolation.POD,
            cpus,
            kind=one.kind,
        )
        for name, one in named_containers(case.given["pod"], pod)
        if (cpus := case.held(name))
    )
    return PodEntry(pod.uid, pod.namespace, pod.name, pool, containers=containers)


def vacant_of(case: Case, held: PodEntry | None) -> Vacant:
    """What is neither in the shared pool nor the pod's own belongs to other pods."""
    own = held.cpus if held else CpuSet()
    online = case.topology.online
    return Vacant(case.topology, online - case.reserved, online - case.cpus("default") - own, Books({}))


@op("cpu allocate-pod")
def allocated(case: Case) -> Outcome:
    pod, want = read(case)
    hint = Hint(None, preferred=False) if case.given["hint"] is None else hint_of(case.given["hint"])
    entry = before = held_of(case, pod, want)
    vacant = vacant_of(case, before)
    for _ in range(case.given.get("times", 1)):
        if entry is not None and standing(pod, want, entry, vacant.usable - vacant.owned) is Standing.FITS:
            continue
        placed = place_pool(pod, want, vacant, kept(pod, vacant, entry), Hinted(hint))
        if isinstance(placed, NotPlaced):
            told = refusal(placed.refused)
            starved = placed.refused.word is Word.EMPTY_POD_SHARED_POOL
            return {**told, "error": "empty-pod-shared-pool"} if starved else told
        entry = placed.entry
    assert entry is not None
    cpus = {one.name: one.cpus for one in entry.containers}
    return {
        "containers": {name: cpus[one.name] for name, one in named_containers(case.given["pod"], pod)},
        "pod_cpus": entry.cpus,
        "default": (case.cpus("default") | (before.cpus if before else CpuSet())) - entry.cpus,
    }


@op("cpu validate-pod")
def validated(case: Case) -> Outcome:
    return {"valid": read(case)[1].starved is None}


@op("cpu hints-pod")
def hints(case: Case) -> Outcome:
    pod, want = read(case)
    held = held_of(case, pod, want)
    vacant = vacant_of(case, held)
    keep = kept(pod, vacant, held).cpus
    free = vacant.candidates(want, want.pool_cpus) - keep
    said = cpu_hints(case.topology, CpuSet() if keep else free, keep, want.pool_cpus, case.options)
    spelled = spelled_out(said, NodeSet.of(case.topology.node)) if said else []
    preferred = [list(one.nodes) for one in spelled if one.preferred and one.nodes]
    node = case.given["expect"].get("some_preferred_has")
    return {
        "hints": [list(one.nodes or ()) for one in spelled],
        "all_preferred": preferred[0] if len(preferred) == 1 else preferred,
        "some_preferred_has": node if any(node in nodes for nodes in preferred) else preferred,
    }
