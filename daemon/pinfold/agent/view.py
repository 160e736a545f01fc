"""What the sources say at the beginning of a turn. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pinfold.cgroups.tree import Tree
from pinfold.cpuset import NodeSet
from pinfold.planning.planner import own_device
from pinfold.pods.model import Intent, InvalidPod, Pod, PodUid
from pinfold.sources.picture import Objects


def active(pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """Those that have not come to their end."""
    return tuple(pod for pod in pods if not pod.terminal)


def near_device(pod: Pod) -> str | None:
    """The device that it wants to be near."""
    return pod.intent.near_device if isinstance(pod.intent, Intent) else None


@dataclass(frozen=True, slots=True)
class View:
    pods: tuple[Pod, ...]
    invalid: tuple[InvalidPod, ...]
    tree: Tree
    names: Mapping[str, str]
    """Container's id → its name."""
    objects: Objects
    """What the pods were read from."""
    by_uid: Mapping[PodUid, Pod] = field(init=False, repr=False, compare=False)
    full_names: Mapping[PodUid, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_uid", {pod.uid: pod for pod in self.pods})
        object.__setattr__(self, "full_names", {pod.uid: pod.full_name for pod in self.pods})

    def runs(self, uid: PodUid) -> bool:
        """Whether a container of the pod's spec is there already; the sandbox has nothing worth moving."""
        pod = self.tree.pods.get(uid)
        return pod is not None and any(one.id in self.names for one in pod.containers)

    def awaits_device(self, pod: Pod, devices: Mapping[str, NodeSet]) -> bool:
        """Whether the kubelet has not admitted it yet: only then it is known which device the pod gets."""
        name = near_device(pod)
        return (
            name is not None
            and "/" in name
            and own_device(pod.uid, name) not in devices
            and pod.uid not in self.tree.pods
        )
