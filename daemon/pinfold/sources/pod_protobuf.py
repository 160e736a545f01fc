"""A v1 Pod out of protobuf, as the same object that its JSON would be; and the events of the kubelet's Pods API.

Only the fields that ``picture`` lets in are described; all others are passed over as they are read. Numbers and names:
``k8s.io/api/core/v1/generated.proto``, ``k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto`` and
``k8s.io/kubelet/pkg/apis/pods/v1alpha1/api.proto`` of 1.37.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pinfold.sources.answers import Change, Event
from pinfold.sources.picture import trimmed
from pinfold.sources.protobuf import ProtobufError, Table, classes, parsed, text

if TYPE_CHECKING:
    from google.protobuf.message import Message

_FIELDS: Final[Table] = {
    "WatchPodsEvent": {"type": (1, "int32"), "pod": (2, "bytes")},
    "Pod": {"metadata": (1, "ObjectMeta"), "spec": (2, "PodSpec"), "status": (3, "PodStatus")},
    "ObjectMeta": {
        "name": (1, "string"),
        "namespace": (3, "string"),
        "uid": (5, "string"),
        "resourceVersion": (6, "string"),
        "creationTimestamp": (8, "Time"),
        "deletionTimestamp": (9, "Time"),
        "annotations": (12, "map string"),
        "ownerReferences": (13, "repeated OwnerReference"),
    },
    "OwnerReference": {"kind": (1, "string"), "name": (3, "string"), "controller": (6, "bool")},
    "PodSpec": {
        "containers": (2, "repeated Container"),
        "initContainers": (20, "repeated Container"),
        "ephemeralContainers": (34, "repeated EphemeralContainer"),
        "resources": (40, "ResourceRequirements"),
    },
    "Container": {"name": (1, "string"), "resources": (8, "ResourceRequirements"), "restartPolicy": (24, "string")},
    "EphemeralContainer": {"ephemeralContainerCommon": (1, "Container")},
    "ResourceRequirements": {"limits": (1, "map Quantity"), "requests": (2, "map Quantity")},
    "PodStatus": {
        "phase": (1, "string"),
        "conditions": (2, "repeated PodCondition"),
        "startTime": (7, "Time"),
        "containerStatuses": (8, "repeated ContainerStatus"),
        "qosClass": (9, "string"),
        "initContainerStatuses": (10, "repeated ContainerStatus"),
        "ephemeralContainerStatuses": (13, "repeated ContainerStatus"),
        "allocatedResources": (19, "map Quantity"),
        "resources": (20, "ResourceRequirements"),
    },
    "PodCondition": {"type": (1, "string"), "status": (2, "string"), "reason": (5, "string")},
    "ContainerStatus": {
        "name": (1, "string"),
        "state": (2, "ContainerState"),
        "lastState": (3, "ContainerState"),
        "containerID": (8, "string"),
        "allocatedResources": (10, "map Quantity"),
        "resources": (11, "ResourceRequirements"),
    },
    "ContainerState": {"terminated": (3, "ContainerStateTerminated")},
    "ContainerStateTerminated": {"containerID": (7, "string")},
    "Quantity": {"string": (1, "string")},
    "Time": {"seconds": (1, "int64")},
}
_CHANGES: Final = {1: Change.ADDED, 2: Change.MODIFIED, 3: Change.DELETED, 4: Change.BOOKMARK}


def watch_event(data: bytes) -> Event | None:
    """A ``WatchPodsEvent``; INITIAL_SYNC_COMPLETE is a bookmark, and None an event of a kind that is not known.

    Of a pod that was deleted only the name and the UID are sure. Raises ProtobufError.
    """
    event = parsed(messages()["WatchPodsEvent"], data)
    if (change := _CHANGES.get(event.type)) is None:
        return None
    if change is Change.BOOKMARK:
        return Event(change, "")
    pod = _json(parsed(messages()["Pod"], event.pod))
    metadata = pod.get("metadata", {})
    if "uid" not in metadata:
        raise ProtobufError("a pod without metadata.uid")
    return Event(change, metadata.get("resourceVersion", ""), metadata["uid"], trimmed(pod))


def _json(message: "Message") -> Any:  # noqa: ANN401  a JSON value
    """As JSON has it: what is empty is left out, as ``omitempty`` does."""
    match message.DESCRIPTOR.name:
        case "Quantity":
            return text(message.string)  # type: ignore[attr-defined]
        case "Time":
            return _time(message.seconds)  # type: ignore[attr-defined]
        case "EphemeralContainer":
            return _json(message.ephemeralContainerCommon)  # type: ignore[attr-defined]
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.message_type and field.message_type.GetOptions().map_entry:
            held: Any = _entries(value)
        elif field.message_type:
            held = [_json(one) for one in value] if field.is_repeated else _json(value)
        else:
            held = text(value)
        if held != "":
            found[field.name] = held
    return found


def _entries(value: Mapping[str, Any]) -> dict[str, Any]:
    """Of a map; none where one of its keys is no text: the API takes no such name."""
    try:
        return {key: _json(one) if hasattr(one, "DESCRIPTOR") else text(one) for key, one in value.items()}
    except UnicodeDecodeError:
        return {}


def _time(seconds: int) -> str:
    """Empty where there is none, or one that no year has."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else ""
    except (ValueError, OverflowError, OSError):
        return ""


@lru_cache(maxsize=1)
def messages() -> Mapping[str, Any]:
    """Their classes by name."""
    return classes(_FIELDS)
