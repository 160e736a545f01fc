"""The picture that a source of pods holds, and the fields of a pod that are let into it.

Pure. Environments, commands, volumes and last-applied-configuration end at this door: neither the memory of the
daemon nor anything that it writes or shows ever holds them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pinfold.pods.model import InvalidPod

RawPod = Mapping[str, Any]
"""A v1 Pod as its JSON was, reduced by ``trimmed``; nothing in it is validated."""

Objects = tuple[tuple[str, RawPod], ...]
"""(where it came from, the object) of each pod."""


@dataclass(frozen=True, slots=True)
class Pods:
    objects: Mapping[str, RawPod] = field(default_factory=dict)
    """By ``metadata.uid`` from the API server; by file name, ``web.yaml`` or ``web.yaml[1]``, from manifests."""
    synced: bool = False
    """Whether the picture was whole once: before that an absent pod says nothing, after it the pod is gone."""
    resource_version: str = ""
    faults: tuple[InvalidPod, ...] = ()
    """What cannot be read as an object at all."""

    @property
    def size(self) -> int:
        """How many there are, those that cannot be read included."""
        return len(self.objects) + len(self.faults)


_Shape = dict[str, "_Shape"] | tuple[str, ...] | None
"""Of an object, or of each object in a list: these fields; the fields that begin like this; all as it is."""

_WHOLE: Final = None

_CONTAINER: Final[_Shape] = {"name": _WHOLE, "restartPolicy": _WHOLE, "resources": _WHOLE}
_STATE: Final[_Shape] = {"terminated": {"containerID": _WHOLE}}
_CONTAINER_STATUS: Final[_Shape] = {
    "name": _WHOLE,
    "containerID": _WHOLE,
    "state": _STATE,
    "lastState": _STATE,
    "allocatedResources": _WHOLE,
    "resources": _WHOLE,
}
_POD: Final[dict[str, _Shape]] = {
    "kind": _WHOLE,
    "metadata": {
        "uid": _WHOLE,
        "name": _WHOLE,
        "namespace": _WHOLE,
        "resourceVersion": _WHOLE,
        "annotations": ("pinfold.dev/", "kubernetes.io/config.", "kubernetes.io/limit-ranger"),
        "creationTimestamp": _WHOLE,
        "deletionTimestamp": _WHOLE,
        "ownerReferences": {"kind": _WHOLE, "name": _WHOLE, "controller": _WHOLE},
    },
    "spec": {
        "resources": _WHOLE,
        "managedResources": _WHOLE,  # no field of the API: its author is told
        "initContainers": _CONTAINER,
        "containers": _CONTAINER,
        "ephemeralContainers": _CONTAINER,
    },
    "status": {
        "phase": _WHOLE,
        "qosClass": _WHOLE,
        "startTime": _WHOLE,
        "conditions": {"type": _WHOLE, "status": _WHOLE, "reason": _WHOLE},
        "allocatedResources": _WHOLE,
        "resources": _WHOLE,
        "initContainerStatuses": _CONTAINER_STATUS,
        "containerStatuses": _CONTAINER_STATUS,
        "ephemeralContainerStatuses": _CONTAINER_STATUS,
    },
}


def trimmed(raw: RawPod) -> RawPod:
    """Of *raw* only the fields that Pinfold reads, as new objects; a value of the wrong type stays, for the reader."""
    return {name: _kept(raw[name], shape) for name, shape in _POD.items() if name in raw}


def as_before(before: RawPod | None, pod: RawPod) -> RawPod:
    """Who changed in nothing that Pinfold reads stays the object that he was: so nobody reads it again."""
    return before if before is not None and _unversioned(before) == _unversioned(pod) else pod


def _unversioned(pod: RawPod) -> RawPod:
    return {**pod, "metadata": {**pod["metadata"], "resourceVersion": ""}}


def _kept(value: object, shape: _Shape) -> object:
    if shape is _WHOLE:
        return value
    if isinstance(value, list) and isinstance(shape, dict):
        return [_kept(one, shape) for one in value]
    if not isinstance(value, dict):
        return value
    if isinstance(shape, tuple):
        return {name: inner for name, inner in value.items() if isinstance(name, str) and name.startswith(shape)}
    return {name: _kept(value[name], inner) for name, inner in shape.items() if name in value}
