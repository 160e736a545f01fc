"""The pods that are started by the dozen: four kinds, as light as each can be, and what each is promised."""

from dataclasses import dataclass
from typing import Any

from tests.cri import probe

NODE = "vm"
NAMESPACE = "starts"
_WHOLE = {"requests": {"cpu": "1", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}}
_POD = {"requests": {"cpu": "2", "memory": "160Mi"}, "limits": {"cpu": "2", "memory": "160Mi"}}
_PART = {"requests": {"cpu": "100m"}}
_INIT = {"name": "init", "image": "busybox", "command": ["/bin/true"]}


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    spec: dict[str, Any]
    pool: int = 0
    """CPUs of the pod pool; 0: it has none."""
    slices: tuple[str, ...] = ()
    """Containers that own one CPU each."""


KINDS = (
    Kind(
        "pool", {"resources": _POD, "containers": [{"name": "app", "resources": _WHOLE}, {"name": "help"}]}, 2, ("app",)
    ),
    Kind(
        "sidecar",
        {
            "resources": _POD,
            "initContainers": [_INIT, {"name": "side", "restartPolicy": "Always"}],
            "containers": [{"name": "app", "resources": _WHOLE}],
        },
        2,
        ("app",),
    ),
    Kind("guaranteed", {"containers": [{"name": "app", "resources": _WHOLE}]}, 0, ("app",)),
    Kind("burstable", {"containers": [{"name": "app", "resources": _PART}]}),
)
RUNC_EVERY = 4
"""One pod in so many runs below runc, the others below crun, which the emulator runs several times faster."""


def uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def kind_of(number: int) -> Kind:
    return KINDS[number % len(KINDS)]


def containers(number: int) -> list[str]:
    spec = kind_of(number).spec
    return [one["name"] for key in ("initContainers", "containers") for one in spec.get(key, ())]


def pod(number: int, kind: Kind | None = None) -> dict[str, Any]:
    """As the API server has it: scheduled to the node, and not yet seen by its kubelet."""
    handler = "runc" if number // len(KINDS) % RUNC_EVERY == 0 else "crun"
    spec = (kind or kind_of(number)).spec
    filled = {
        key: [{"image": "busybox", "command": list(probe.PAUSE), **each} for each in spec[key]]
        for key in ("initContainers", "containers")
        if key in spec
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"p{number}", "namespace": NAMESPACE, "uid": uid(number)},
        "spec": {**spec, **filled, "nodeName": NODE, "hostNetwork": True, "runtimeClassName": handler},
        "status": {"phase": "Pending"},
    }
