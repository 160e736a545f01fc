"""Vectors about the static CPU policy and its hints, for pods that are placed container by container."""

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.hints import Hints, cpu_hints
from pinfold.planning.options import smt_misaligned
from pinfold.planning.reasons import Refused
from pinfold.planning.reuse import given_back, reusable_after
from pinfold.planning.startup import NotStarted, started
from pinfold.planning.take import allocate
from pinfold.pods.model import PodUid
from pinfold.pods.needs import together
from tests.planning.kubelet_merge import spelled_out
from tests.vectors.case import Case, Outcome, op, refusal
from tests.vectors.merge_ops import hint_of, told
from tests.vectors.pods import ledger_of, named_containers, pod_of, wanted_of


@op("cpu hints")
def hints(case: Case) -> Outcome:
    """Those of the pod's first container: what it holds already says where it is."""
    topology, pod = case.topology, pod_of(case.given["pod"])
    name, container = next(named_containers(case.given["pod"], pod))
    count = wanted_of(case, pod).slices.get(container.name, 0)
    held = case.held(name)
    said = cpu_hints(topology, CpuSet() if held else case.cpus("default"), held, count, case.options)
    if said is not None and held and len(held) != count:
        said = Hints(said.resources)
    return {"hints": None if said is None else [told(one) for one in spelled_out(said, NodeSet.of(topology.node))]}


@op("cpu pod-cpus")
def pod_cpus(case: Case) -> Outcome:
    """The whole CPUs that the pod needs at a time."""
    pod = pod_of(case.given["pod"])
    slices = wanted_of(case, pod).slices
    return {"cpus": together((one.kind, slices.get(one.name, 0)) for one in pod.containers)}


@op("cpu take-with-affinity")
def taken_with_affinity(case: Case) -> Outcome:
    nodes = case.given["affinity"]
    hint = None if nodes is None else NodeSet.of(nodes)
    shared = case.cpus("default")
    count = case.given["request"]
    cpus = allocate(case.topology, shared - case.reserved, CpuSet(), count, hint, case.options, case.rules)
    return refusal(cpus) if isinstance(cpus, Refused) else {"exclusive": cpus, "default": shared - cpus}


@op("cpu allocate")
def allocated(case: Case) -> Outcome:
    outcome = allocated_containers(case)
    return outcome if "error" in outcome else {**outcome, "exclusive": outcome["first"]}


@op("cpu allocate-containers")
def allocated_containers(case: Case) -> Outcome:
    """One container after the other, each with the hint that is given."""
    topology, pod, shared = case.topology, pod_of(case.given["pod"]), case.cpus("default")
    hint = None if case.given["hint"] is None else hint_of(case.given["hint"]).nodes
    slices = wanted_of(case, pod).slices
    got: dict[str, CpuSet] = {}
    reusable = CpuSet()
    for name, one in named_containers(case.given["pod"], pod):
        count, cpus = slices.get(one.name, 0), case.held(name)
        if count and not cpus:
            refused = smt_misaligned(topology, count, shared, case.reserved, case.options)
            free = shared - case.reserved
            placed = refused or allocate(topology, free, reusable, count, hint, case.options, case.rules)
            if isinstance(placed, Refused):
                return refusal(placed)
            cpus = placed
        if cpus:
            got[name], shared, reusable = cpus, shared - cpus, reusable_after(reusable, one.kind, cpus)
    caches = {topology.by_id[cpu].uncore for cpus in got.values() for cpu in cpus}
    first = got.get(case.given["pod"]["containers"][0]["name"])
    return {"containers": got, "first": first, "default": shared, "uncore": sorted(caches)}


@op("cpu remove")
def removed(case: Case) -> Outcome:
    pod, _, container = case.given["remove"].partition("/")
    entry = ledger_of(case).entries.get(PodUid(pod))
    freed = given_back(entry, container) if entry else CpuSet()
    return {"default": case.cpus("default") | freed}


@op("cpu start")
def start(case: Case) -> Outcome:
    count = case.given["reserved_count"]
    found = started(case.topology, case.cpus("default"), ledger_of(case), case.reserved, count, case.options)
    if isinstance(found, NotStarted):
        return {"error": found.why.value, "error_text": found.message}
    return {"default": found}
