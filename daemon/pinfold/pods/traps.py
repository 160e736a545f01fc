"""What the author of a pod's spec would want to know, because it does not do what it seems to.

Pure. One sentence each, for ``explain``; nothing here decides anything.
"""

from pinfold.pods.annotations import PREFIX
from pinfold.pods.fields import Field
from pinfold.pods.model import CPU, MEMORY, Intent, Pod, PodResources, QosClass
from pinfold.pods.needs import requests
from pinfold.pods.quantity import amount_text


def notes(pod: Pod, spec: Field, limit_ranger: str) -> tuple[str, ...]:
    """*limit_ranger* is the annotation that the LimitRanger admission plugin leaves on what it changed."""
    return (
        *_unknown(spec),
        *_overruled(pod),
        *_not_guaranteed(pod),
        *_injected(pod, limit_ranger),
        *_unprotected(pod),
    )


def unknown_fields(resources: Field) -> tuple[str, ...]:
    """What stands in a ``resources`` object beside what the API takes: ``cpu`` for ``requests.cpu``."""
    return tuple(name for name, _ in resources.children() if name not in {"requests", "limits", "claims"})


def _unknown(spec: Field) -> list[str]:
    nothing = "is no field of the API and says nothing: write"
    found = [
        f"spec.resources.{ascii(name[:40])[1:-1]} {nothing} spec.resources.requests and spec.resources.limits"
        for name in unknown_fields(spec["resources"])
    ]
    if spec["managedResources"]:
        found.append(f"spec.managedResources {nothing} the annotation {PREFIX}managed-resources")
    return found


def _unprotected(pod: Pod) -> list[str]:
    if not isinstance(pod.intent, Intent) or pod.intent.memory_protection not in {"low", "min"}:
        return []
    scheduled = pod.resources.requests if pod.resources and not pod.resources_from_annotations else None
    if (requests(pod.containers) if scheduled is None else scheduled).get(MEMORY):
        return []
    return [f"{PREFIX}memory-protection protects as much memory as the pod requests, and it requests none"]


def _overruled(pod: Pod) -> list[str]:
    if not isinstance(pod.intent, Intent) or pod.resources is None or pod.resources_from_annotations:
        return []
    return [
        f"spec.resources wins over {PREFIX}pod-{name}, which says {amount_text(name, amount)}"
        for name, amount in pod.intent.amounts.items()
        if pod.resources.requests.get(name) != amount
    ]


def _not_guaranteed(pod: Pod) -> list[str]:
    if pod.resources is None or pod.resources_from_annotations or pod.qos is QosClass.GUARANTEED:
        return []
    causes = [cause for name in (CPU, MEMORY) if (cause := _cause(name, pod.resources))]
    why = " and ".join(causes) or "the API server says so"
    told = f"spec.resources is set, but the pod is {pod.qos}, not Guaranteed, and gets no pool: {why}."
    return [f"{told} A request left out becomes the sum of the containers' requests: write requests and limits"]


def _cause(name: str, resources: PodResources) -> str:
    request, limit = resources.requests.get(name), resources.limits.get(name)
    if request == limit:
        return "" if request else f"it has no {name}"
    if not request or not limit:
        return f"it has no {name} {'limit' if request else 'request'}"
    return f"its {name} request {amount_text(name, request)} is not its limit {amount_text(name, limit)}"


def _injected(pod: Pod, limit_ranger: str) -> list[str]:
    """*limit_ranger* reads ``LimitRanger plugin set: cpu, memory request for container log; cpu limit for …``."""
    remedy = "give it a CPU request of its own to let it share"
    named = {
        container
        for change in limit_ranger.removeprefix("LimitRanger plugin set:").split(";")
        for what, _, container in [change.strip().partition(" for container ")]
        if CPU in what
    }
    return [
        f"container {one.name} owns CPUs alone because a LimitRange gave it {amount_text(CPU, one.requests[CPU])}:"
        f" {remedy}"
        for one in pod.containers
        if one.name in named and one.guaranteed_equivalent and one.requests[CPU] % 1000 == 0
    ]
