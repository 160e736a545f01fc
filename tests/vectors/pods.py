"""The pods of vectors, as the API server would send them, read by the daemon's own reader."""

from collections.abc import Iterator, Mapping

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.planning.policy import Manage, MemoryPolicy, Policy, TopologyPolicy
from pinfold.planning.regime import Wanted, wanted
from pinfold.pods.model import Container, InvalidPod, Pod, PodUid
from pinfold.pods.reader import read_pod
from tests.vectors.case import Case, Told

UID = "00000000-0000-4000-8000-000000000001"


def pod_of(told: Told) -> Pod:
    """*told* gives an amount of CPU, or amounts of memory in MiB; the other resource is requested and limited alike."""
    spec = {
        "initContainers": [container_of(f"init-{place}", one) for place, one in enumerate(told.get("init", ()))],
        "containers": [container_of(f"app-{place}", one) for place, one in enumerate(told["containers"])],
    }
    pod = read_pod({"metadata": {"name": "pod", "namespace": "vectors", "uid": UID}, "spec": spec}, "vector")
    if isinstance(pod, InvalidPod):
        raise TypeError(pod.message)
    return pod


def container_of(name: str, told: Told) -> Told:
    amounts = {"requests": amounts_of(told["request"]), "limits": amounts_of(told["limit"])}
    restart = {"restartPolicy": told["restart"]} if "restart" in told else {}
    return {"name": name, "resources": amounts, **restart}


def amounts_of(told: object) -> dict[str, str]:
    match told:
        case Mapping():
            return {"cpu": "1", **{name: f"{size}Mi" for name, size in told.items()}}
        case None:
            return {"memory": "1Gi"}
        case _:
            return {"cpu": str(told), "memory": "1Gi"}


def wanted_of(case: Case, pod: Pod) -> Wanted:
    """What the pod is to get where every Guaranteed pod is managed, container by container."""
    policy = Policy(
        case.reserved,
        topology_policy=TopologyPolicy.NONE,
        cpu_options=case.options,
        memory_policy=MemoryPolicy.STATIC,
        manage=Manage.GUARANTEED,
        rules=case.rules,
    )
    return wanted(pod, policy)


def named_containers(told: Told, pod: Pod) -> Iterator[tuple[str, Container]]:
    """The containers of *pod* with their names as the vector gives them, in spec order."""
    names = [one["name"] for one in (*told.get("init", ()), *told["containers"])]
    return zip(names, pod.containers, strict=True)


def ledger_of(case: Case) -> Ledger:
    """Every pod of the vector's assignments with its slices; its name is its UID."""
    held: dict[str, list[ContainerEntry]] = {}
    for full_name, cpus in case.given["assignments"].items():
        pod, _, name = full_name.partition("/")
        held.setdefault(pod, []).append(ContainerEntry(name, Isolation.CONTAINER, CpuSet.parse(cpus)))
    entries = [PodEntry(PodUid(pod), "vectors", pod, containers=tuple(slices)) for pod, slices in held.items()]
    return Ledger({entry.uid: entry for entry in entries})
