"""A pod from raw Kubernetes JSON: the door where text becomes types.

Pure: objects in, values out; never a typed client model. What comes from here may become a path or be shown.
Source: Kubernetes API v1 Pod; ``pkg/apis/core/v1/defaults.go`` (defaulting), ``qos.ComputePodQOS`` (QoS class).
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from pinfold.pods.annotations import read_intent
from pinfold.pods.asked import read_asked
from pinfold.pods.fields import Field, FieldError
from pinfold.pods.model import Intent, InvalidPod, Pod, PodResources, PodUid, QosClass
from pinfold.pods.traps import notes

CONFIG_HASH = "kubernetes.io/config.hash"
CONFIG_MIRROR = "kubernetes.io/config.mirror"
LIMIT_RANGER = "kubernetes.io/limit-ranger"

_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}")
_HASH = re.compile(r"[0-9a-f]{32}")
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z")
_CONTAINER_ID = re.compile(r"[a-z][a-z0-9-]{0,31}://([0-9a-f]{64})")
_VERSION = re.compile(r"[0-9]{1,20}")
_QOS = frozenset(QosClass)


def read_pods(
    objects: Iterable[tuple[str, object]], read: Callable[[object, str], Pod | InvalidPod] | None = None
) -> tuple[tuple[Pod, ...], tuple[InvalidPod, ...]]:
    """Read (where it came from, object) pairs, each from any source; *read* is `read_pod`, or what remembers that.

    One pod seen by two sources is one pod: the newest ``resourceVersion`` wins. One UID under two names is a lie or a
    slip, and its cgroup cannot be both: neither is taken.
    """
    seen: dict[PodUid, list[tuple[object, str, Pod]]] = {}
    invalid: list[InvalidPod] = []
    for where, raw in objects:
        pod = (read or read_pod)(raw, where)
        if isinstance(pod, InvalidPod):
            invalid.append(pod)
        else:
            seen.setdefault(pod.uid, []).append((raw, where, pod))
    pods: list[Pod] = []
    for uid, several in seen.items():
        if len(several) == 1:
            pods.append(several[0][2])
            continue
        names = sorted({pod.full_name for _, _, pod in several})
        if len(names) == 1:
            pods.append(max(several, key=lambda one: _resource_version(one[0]))[2])
            continue
        for _, where, pod in several:
            others = ", ".join(name for name in names if name != pod.full_name)
            message = f"metadata.uid: {uid} is also the UID of {others}: give each pod its own; neither is pinned"
            invalid.append(InvalidPod("DuplicateUid", message, where, uid))
    return tuple(pods), tuple(invalid)


def _resource_version(raw: object) -> int:
    text = Field(raw)["metadata"]["resourceVersion"].value
    return int(text) if isinstance(text, str) and _VERSION.fullmatch(text) else 0


def read_pod(raw: object, where: str) -> Pod | InvalidPod:
    """Read one object as it came from the API server, the kubelet or a manifest. Raises nothing."""
    uid: PodUid | None = None
    try:
        root = Field(raw)
        if root["kind"].text() not in {"", "Pod"}:
            raise FieldError("kind", f"{_shown(root['kind'].text())} is no Pod")
        uid = _uid(root["metadata"])
        return _pod(root, uid)
    except FieldError as error:
        return InvalidPod(error.reason, str(error), where, uid)


def is_uid(text: str) -> bool:
    """Whether a pod may have this UID: a UUID in lower case, or the config hash of a static pod."""
    return _UID.fullmatch(text) is not None


def _shown(text: str) -> str:
    return ascii(text[:40])


def _is_static(metadata: Field) -> bool:
    """By the kubelet's own word, where the hash is the UID, or by that of the mirror pod that it made.

    Anybody may write ``config.hash``; a mirror pod that the kubelet did not make is deleted by it, and never runs.
    """
    annotations = metadata["annotations"]
    given = annotations[CONFIG_HASH]
    return bool(given) and given.value in (metadata["uid"].value, annotations[CONFIG_MIRROR].value)


def _uid(metadata: Field) -> PodUid:
    """A static pod's cgroup bears its ``config.hash``; the mirror pod in the API has another ``metadata.uid``."""
    given, form = metadata["uid"], _UID
    if _is_static(metadata):
        given, form = metadata["annotations"][CONFIG_HASH], _HASH
    if form.fullmatch(given.text()) is None:
        problem = f"{_shown(given.text())} is no pod UID, which names a cgroup: give a UUID in lower case"
        raise FieldError(given.path, problem, "InvalidUid")
    return PodUid(given.text())


def _named(field: Field, form: re.Pattern[str]) -> str:
    if form.fullmatch(field.text()) is None:
        problem = f"{_shown(field.text())} is no Kubernetes name (lower-case letters, digits, '-')"
        raise FieldError(field.path, problem if field else "is missing")
    return field.text()


def _pod(root: Field, uid: PodUid) -> Pod:
    metadata, spec, status = root["metadata"], root["spec"], root["status"]
    if not spec:
        raise FieldError("spec", "is missing: this is no pod")
    name = _named(metadata["name"], _SUBDOMAIN)
    namespace = _named(metadata["namespace"], _LABEL) if metadata["namespace"] else "default"
    asked = read_asked(spec, status)
    annotations, api_uid = metadata["annotations"], metadata["uid"].text()
    intent = read_intent({name: one.value for name, one in annotations.children()}, asked.containers)
    annotated = intent.amounts if isinstance(intent, Intent) else {}
    own = PodResources(annotated, annotated) if annotated and asked.resources is None else None
    qos = status["qosClass"].text()
    ids, ended = _container_ids(status, {one.name for one in asked.containers})
    pod = Pod(
        uid=uid,
        namespace=namespace,
        name=name,
        qos=QosClass(qos) if qos in _QOS else asked.qos,
        containers=asked.containers,
        resources=own or asked.resources,
        resources_from_annotations=own is not None,
        intent=intent,
        api_uid=api_uid if _UID.fullmatch(api_uid) else "",
        terminal=status["phase"].text() in {"Succeeded", "Failed"},
        deleting=bool(metadata["deletionTimestamp"]),
        static=_is_static(metadata),
        started_at=_time(status["startTime"]) or _time(metadata["creationTimestamp"]),
        container_ids=ids,
        ended=ended,
        owner=_owner(metadata),
        resize_pending=asked.resize_pending,
    )
    return replace(pod, notes=notes(pod, spec, annotations[LIMIT_RANGER].text()))


def _time(field: Field) -> str:
    return text if _TIME.fullmatch(text := field.text()) else ""


def _container_ids(status: Field, names: Collection[str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Runtime's id → name, of the containers *names*: as they are, and those whose program has ended."""
    ids: dict[str, str] = {}
    ended: dict[str, str] = {}
    for key in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for one in status[key].items():
            if (name := one["name"].text()) not in names:
                continue
            for found, place in ((ids, one), *((ended, one[state]["terminated"]) for state in ("lastState", "state"))):
                if place and (match := _CONTAINER_ID.fullmatch(place["containerID"].text())):
                    found[match[1]] = name
    return ids, ended


def _owner(metadata: Field) -> str:
    for reference in metadata["ownerReferences"].items():
        kind, name = reference["kind"].text(), reference["name"].text()
        if reference["controller"].value is True and _KIND.fullmatch(kind) and _SUBDOMAIN.fullmatch(name):
            return f"{kind}/{name}"
    return ""
