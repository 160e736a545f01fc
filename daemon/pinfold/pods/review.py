"""A manifest as people paste it, beside what the API takes: what is wrong with it, and the manifest that was meant.

Pure. For ``pinfold plan``; the daemon itself only sees what an API server or a kubelet let through.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pinfold.pods.annotations import PREFIX
from pinfold.pods.asked import read_asked, read_quantities
from pinfold.pods.fields import Field, FieldError
from pinfold.pods.model import CPU, HUGEPAGES, MEMORY, Container, ContainerKind
from pinfold.pods.needs import together
from pinfold.pods.quantity import amount_text
from pinfold.pods.traps import unknown_fields

_LISTS = ("initContainers", "containers", "ephemeralContainers")


@dataclass(frozen=True, slots=True)
class Review:
    findings: tuple[str, ...] = ()
    """One sentence for each thing that the API does not take, or that gives no pool."""
    meant: Mapping[str, Any] | None = None
    """The manifest that was meant; None where it is as it should be, or where nobody can tell."""


def review(raw: object) -> Review:
    """Look over a manifest before it is read as a pod. Raises nothing."""
    findings: list[str] = []
    try:
        _walkable(Field(raw))
        meant: dict[str, Any] = deepcopy(dict(Field(raw).mapping()))
        findings.extend(_mended(meant))
        read_asked(Field(meant["spec"], "spec"), Field(None))
    except FieldError as error:
        return Review((*findings, str(error)))
    return Review(tuple(findings), meant) if findings else Review()


def _walkable(root: Field) -> None:
    """Raise FieldError where something that is walked below has another shape."""
    root["metadata"]["annotations"].mapping()
    for resources in (
        root["spec"]["resources"],
        *(one["resources"] for key in _LISTS for one in root["spec"][key].items()),
    ):
        resources["requests"].mapping()
        resources["limits"].mapping()
        tuple(resources.children())


def _mended(meant: dict[str, Any]) -> Iterator[str]:
    """Turn *meant* into what was meant, one finding for each change."""
    spec = meant.get("spec")
    if spec is None:
        raise FieldError("spec", "is missing: this is no pod")
    yield from _in_the_form_of_the_api("spec", spec)
    for key in _LISTS:
        for index, one in enumerate(spec.get(key) or ()):
            yield from _in_the_form_of_the_api(f"spec.{key}[{index}]", one or {})
    if "managedResources" in spec:
        managed = spec.pop("managedResources")
        words = ",".join(map(str, managed)) if isinstance(managed, list) else str(managed)
        meant["metadata"] = {**(meant.get("metadata") or {})}
        meant["metadata"]["annotations"] = {
            **(meant["metadata"].get("annotations") or {}),
            PREFIX + "managed-resources": words,
        }
        yield f"spec.managedResources: unknown field; meant is the annotation {PREFIX}managed-resources: {words}"
    if spec.get("resources"):
        yield from _guaranteed(spec["resources"])
        yield from _large_enough(spec)


def _in_the_form_of_the_api(path: str, owner: dict[str, Any]) -> Iterator[str]:
    """``resources: {cpu: "8"}`` says nothing: requests and limits do."""
    resources: dict[str, Any] = owner.get("resources") or {}
    for name in unknown_fields(Field(resources, f"{path}.resources")):
        value = resources.pop(name)
        if name in {CPU, MEMORY} or name.startswith(HUGEPAGES):
            for form in ("requests", "limits"):
                resources[form] = {name: value, **(resources.get(form) or {})}
            yield f"{path}.resources.{name}: unknown field; meant are requests.{name} and limits.{name} in it"
        else:
            yield f"{path}.resources.{ascii(name[:40])[1:-1]}: unknown field"


def _guaranteed(resources: dict[str, Any]) -> Iterator[str]:
    """A pool needs request = limit of cpu and memory at pod level; a request left out is not the limit."""
    for name in (CPU, MEMORY):
        for form, other in (("requests", "limits"), ("limits", "requests")):
            value = (resources.get(other) or {}).get(name)
            if value is not None and (resources.get(form) or {}).get(name) is None:
                resources[form] = {**(resources.get(form) or {}), name: value}
                yield f"spec.resources.{form}.{name}: missing, and without it the pod gets no pool; meant is {value}"


def _large_enough(spec: dict[str, Any]) -> Iterator[str]:
    """The pod's amounts cover its containers', CPUs are whole, and those that share have one."""
    containers = read_asked(Field({**spec, "resources": None}, "spec"), Field(None)).containers
    resources = Field(spec["resources"], "spec.resources")
    for name, given in read_quantities(resources["requests"]):
        asking = [one for one in containers if one.requests.get(name) and one.kind is not ContainerKind.EPHEMERAL]
        needed = together((one.kind, one.requests[name]) for one in asking)
        sum_text = " + ".join(f"{one.name} {amount_text(name, one.requests[name])}" for one in asking)
        least, why = max(given, needed), f"the containers ask for {sum_text}"
        if name == CPU:
            least = -(-least // 1000) * 1000
            if given >= needed:
                why = "a pool has whole CPUs"
            if (taken := _slices_beside_others(containers)) >= least:
                least, why = taken + 1000, f"{sum_text} leaves nothing to the others"
        if least > given:
            text = amount_text(name, least)
            for form in ("requests", "limits"):
                spec["resources"][form] = {**(spec["resources"].get(form) or {}), name: text}
            yield f"spec.resources.requests.{name}: {amount_text(name, given)} is too small: {why}; meant is {text}"


def _slices_beside_others(containers: tuple[Container, ...]) -> int:
    """Millicpu of the slices that last, if a sidecar or app container has to live off what they leave; else 0."""
    lasting = [one for one in containers if one.kind in {ContainerKind.SIDECAR, ContainerKind.APP}]
    slices = [one.requests[CPU] for one in lasting if one.guaranteed_equivalent and one.requests[CPU] % 1000 == 0]
    return sum(slices) if len(slices) < len(lasting) else 0
