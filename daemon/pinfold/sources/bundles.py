"""What a container is called, from the OCI bundle that its runtime writes before it makes the cgroup.

A bundle gives names and nothing else: the pod is who its cgroup's path says it is, and sizes come from pods. Of the
``config.json`` a few annotations are kept; the environment, arguments and mounts in it are never held.
Source: containerd ``internal/cri/annotations``; CRI-O, which carries the kubelet's labels as annotations.
"""

import json
import os
import re
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

DEFAULT_PLACES: Final = (
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json",
    "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json",
    "/var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json",
    "/run/containers/storage/overlay-containers/{id}/userdata/config.json",
)
MAX_BUNDLE_BYTES: Final = 4 << 20

_ID: Final = re.compile(r"[0-9a-f]{64}")
_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")
_UID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}")

_TYPE: Final = ("io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType")
_NAME: Final = ("io.kubernetes.cri.container-name", "io.kubernetes.container.name")
_POD_UID: Final = ("io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid")
_POD_NAME: Final = ("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name")
_POD_NAMESPACE: Final = ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace")


class BundleKind(StrEnum):
    SANDBOX = "sandbox"
    """The pause container."""
    CONTAINER = "container"


@dataclass(frozen=True, slots=True)
class BundleName:
    kind: BundleKind
    name: str = ""
    """The container's in the pod's spec, a DNS label; empty for a sandbox."""
    pod_uid: str = ""
    """Empty before containerd 1.7, as are its other fields where the runtime does not tell."""
    pod_namespace: str = ""
    pod_name: str = ""


class Bundles:
    """Each bundle is read once: a container never changes its name."""

    def __init__(self, places: Iterable[str] = DEFAULT_PLACES) -> None:
        """*places* are paths of a ``config.json`` with ``{id}`` for the container's id."""
        self._places = self._there = tuple(places)
        """All, and those whose directory was there when it was looked for last."""
        self._known: dict[str, BundleName] = {}

    def look(self) -> None:
        """Find out which of the places are there: a node has one runtime."""
        self._there = tuple(one for one in self._places if Path(one.partition("{id}")[0]).is_dir())

    def name_of(self, container_id: str) -> BundleName | None:
        """None where no bundle is there that names a container of Kubernetes: it may come yet. Raises nothing."""
        if (known := self._known.get(container_id)) is not None:
            return known
        if not is_container_id(container_id):  # it is about to become a path
            return None
        for place in self._there:
            content = _content(place.replace("{id}", container_id))
            if content is not None and (name := named(content)) is not None:
                self._known[container_id] = name
                return name
        return None

    def keep(self, container_ids: Collection[str]) -> None:
        """Forget all other containers: they are gone."""
        self._known = {one: self._known[one] for one in container_ids if one in self._known}


def named(content: bytes) -> BundleName | None:
    """The name in a ``config.json``; None where it is none, or names no container of Kubernetes."""
    try:
        annotations = json.loads(content)["annotations"]
        kind = BundleKind(_given(annotations, _TYPE))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    name = _given(annotations, _NAME)
    if kind is BundleKind.SANDBOX:
        name = ""
    elif not is_container_name(name):
        return None
    return BundleName(
        kind,
        name,
        pod_uid=_sound(annotations, _POD_UID, _UID),
        pod_namespace=_sound(annotations, _POD_NAMESPACE, _LABEL),
        pod_name=_sound(annotations, _POD_NAME, _SUBDOMAIN),
    )


def is_container_id(text: str) -> bool:
    """Whether a runtime may call a container so: 64 hex digits."""
    return _ID.fullmatch(text) is not None


def is_container_name(text: str) -> bool:
    """Whether a container may be called so in its pod's spec: a DNS label."""
    return _LABEL.fullmatch(text) is not None


def _given(annotations: Mapping[str, object], keys: tuple[str, ...]) -> str:
    return next((text for key in keys if isinstance(text := annotations.get(key), str)), "")


def _sound(annotations: Mapping[str, object], keys: tuple[str, ...], form: re.Pattern[str]) -> str:
    text = _given(annotations, keys)
    return text if form.fullmatch(text) else ""


def _content(path: str) -> bytes | None:
    """None where there is no such file, or it is longer than any bundle."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            return None
        with os.fdopen(fd, "rb", closefd=False) as file:
            content = file.read(min(about.st_size, MAX_BUNDLE_BYTES) + 1)  # room for more would be mapped each time
        return content if len(content) <= MAX_BUNDLE_BYTES else None
    except OSError:
        return None
    finally:
        os.close(fd)
