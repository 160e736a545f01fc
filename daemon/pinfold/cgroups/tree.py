"""Which cgroups are there: the one kubepods root, its pods at their fixed depth, their containers, and the others.

Only directories are listed. A pod is known by its place and its name alone; what its name cannot be is an outsider.
Source of the names: kubelet ``cm.NewCgroupName`` and ``ToSystemd``; runc and crun for the containers.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

from pinfold.cgroups.paths import ROOT, CgroupPath, above, base, below, parent
from pinfold.pods.model import PodUid, QosClass

_UID = r"([0-9a-f]{32}|[0-9a-f]{8}(?:SEP[0-9a-f]{4}){3}SEP[0-9a-f]{12})"
_CONTAINER = re.compile(r"(?:(cri-containerd|crio|docker)-)?([0-9a-f]{64})(?:\.scope)?")
_POD = re.compile(rf"(?:.*-)?pod{_UID.replace('SEP', '[-_]')}(?:\.slice)?")
_KUBEPODS = re.compile(r"kubepods|(?:[^-].*-)?kubepods\.slice")
_NESTED_DEPTH = 6
"""kind puts its kubepods four cgroups deep; a pod's own cgroups begin three below that."""
_REMEMBERED = 2048
"""Of so many pods nothing is made anew while nothing comes or goes in them."""


class Driver(StrEnum):
    """Who makes the pods' cgroups, and so how they are called. Source: kubelet ``cgroupDriver``."""

    SYSTEMD = "systemd"
    CGROUPFS = "cgroupfs"


class Runtime(StrEnum):
    CONTAINERD = "containerd"
    CRI_O = "cri-o"
    DOCKER = "docker"


_RUNTIMES = {"cri-containerd": Runtime.CONTAINERD, "crio": Runtime.CRI_O, "docker": Runtime.DOCKER}


@dataclass(frozen=True, slots=True)
class ContainerCgroup:
    """A cgroup directly below a pod's."""

    path: CgroupPath
    id: str | None
    """The runtime's id, 64 hex digits; None where the name is no container's: *unknown*."""
    runtime: Runtime | None = None
    """None too where the name does not tell: containerd and docker under the cgroupfs driver."""


@dataclass(frozen=True, slots=True)
class PodCgroup:
    uid: PodUid
    path: CgroupPath
    qos: QosClass
    """By its place: Guaranteed pods lie directly in the kubepods root."""
    containers: tuple[ContainerCgroup, ...] = ()

    @property
    def paths(self) -> tuple[CgroupPath, ...]:
        """Its own cgroup, and those in it."""
        return (self.path, *[one.path for one in self.containers])


@dataclass(frozen=True, slots=True)
class Tree:
    """The cgroups of a node at one moment."""

    kubepods: CgroupPath
    driver: Driver
    qos_slices: Mapping[QosClass, CgroupPath]
    """Burstable and BestEffort, those that are there."""
    pods: Mapping[PodUid, PodCgroup]
    outsiders: tuple[CgroupPath, ...] = ()
    """Top-level cgroups, those beside the way to a nested kubepods root, and what is no pod among the pods."""
    twice: Mapping[PodUid, tuple[CgroupPath, ...]] = field(default_factory=dict)
    """UIDs with several cgroups: none of them is that pod's; they are outsiders."""
    owners: Mapping[CgroupPath, PodUid] = field(init=False, repr=False, compare=False)
    """Each cgroup of *pods*, and each in one of these → whose it is."""

    def __post_init__(self) -> None:
        owners = {path: pod.uid for pod in self.pods.values() for path in pod.paths}
        object.__setattr__(self, "owners", owners)

    @property
    def way(self) -> tuple[CgroupPath, ...]:
        """The cgroups from the root to the kubepods root, both included."""
        return (*reversed(tuple(above(self.kubepods))), self.kubepods)

    def pods_in(self, path: CgroupPath) -> Iterator[PodCgroup]:
        """The pods whose cgroups lie directly in *path*."""
        return (pod for pod in self.pods.values() if parent(pod.path) == path)


@dataclass(frozen=True, slots=True)
class NoTree:
    """There is not exactly one kubepods root."""

    message: str
    """What was looked for, what was found, what to do."""
    candidates: tuple[CgroupPath, ...] = ()


class Listing(Protocol):
    """Whoever can list cgroups: `files.Cgroupfs`."""

    def children(self, path: CgroupPath, /) -> tuple[str, ...]: ...


def discover(listing: Listing, cgroup_root: str = "/", driver: Driver | None = None) -> Tree | NoTree:
    """Walk to the kubepods root below *cgroup_root* and list what is in it and beside it; *driver* None: find out.

    With ``/``, where no kubepods root lies directly below, it is searched for deeper down (kind).
    """
    parts = [part for part in cgroup_root.split("/") if part]
    exact = [way for one in ([driver] if driver else Driver) if _is_there(listing, way := _kubepods(parts, one))]
    found = exact or ([] if parts else list(_nested(listing, ROOT, driver)))
    if len(found) > 1:  # a node whose driver was changed keeps the old root, empty, until it boots anew
        found = [path for path in found if _has_pods(listing, path)] or found
    match found:
        case [kubepods]:
            return _tree(listing, kubepods)
        case []:
            return NoTree(f"no kubepods cgroup below {cgroup_root}: no kubelet has run here, or cgroupRoot differs")
        case several:
            names = ", ".join(f"/{path}" for path in several)
            return NoTree(f"several kubepods cgroups: {names}. Set cgroupRoot and cgroupDriver.", tuple(several))


def _kubepods(parts: list[str], driver: Driver) -> CgroupPath:
    """Where the kubelet puts its pods. ``-`` is hierarchy in a slice's name, so in a component it becomes ``_``."""
    names = [*parts, "kubepods"]
    if driver is Driver.CGROUPFS:
        return CgroupPath("/".join(names))
    slices = [name.replace("-", "_") for name in names]
    return CgroupPath("/".join("-".join(slices[: end + 1]) + ".slice" for end in range(len(slices))))


def _is_there(listing: Listing, path: CgroupPath) -> bool:
    return base(path) in listing.children(parent(path))


def _has_pods(listing: Listing, kubepods: CgroupPath) -> bool:
    return bool(_tree(listing, kubepods).pods)


def _nested(listing: Listing, path: CgroupPath, driver: Driver | None) -> Iterator[CgroupPath]:
    """All kubepods roots in or below *path*; none that lies below another."""
    for name in listing.children(path):
        inner = below(path, name)
        if _KUBEPODS.fullmatch(name):
            if driver in {None, _driver(inner)}:
                yield inner
        elif inner.count("/") + 1 < _NESTED_DEPTH:
            yield from _nested(listing, inner, driver)


def _driver(kubepods: CgroupPath) -> Driver:
    return Driver.SYSTEMD if kubepods.endswith(".slice") else Driver.CGROUPFS


def _tree(listing: Listing, kubepods: CgroupPath) -> Tree:
    driver = _driver(kubepods)
    way = (*reversed(tuple(above(kubepods))), kubepods)
    beside = [
        below(outer, name)
        for outer, inner in pairwise(way)
        for name in listing.children(outer)
        if below(outer, name) != inner
    ]
    there = {below(kubepods, name) for name in listing.children(kubepods)}
    slices = {qos: path for qos, path in _qos_slices(kubepods, driver).items() if path in there}
    pods: list[PodCgroup] = []
    strangers: list[CgroupPath] = []
    for qos, outer in {QosClass.GUARANTEED: kubepods, **slices}.items():
        form = _pod_form(outer, driver)
        for name in listing.children(outer):
            path = below(outer, name)
            if uid := _uid(form, name):
                pods.append(_pod(uid, path, qos, listing.children(path)))
            elif path not in slices.values():
                strangers.append(path)
    seen = Counter(pod.uid for pod in pods)
    twice = {uid: tuple(pod.path for pod in pods if pod.uid == uid) for uid, count in seen.items() if count > 1}
    return Tree(
        kubepods=kubepods,
        driver=driver,
        qos_slices=slices,
        pods={pod.uid: pod for pod in pods if pod.uid not in twice},
        outsiders=(*beside, *strangers, *(path for paths in twice.values() for path in paths)),
        twice=twice,
    )


def _qos_slices(kubepods: CgroupPath, driver: Driver) -> dict[QosClass, CgroupPath]:
    words = {QosClass.BURSTABLE: "burstable", QosClass.BEST_EFFORT: "besteffort"}
    if driver is Driver.CGROUPFS:
        return {qos: below(kubepods, word) for qos, word in words.items()}
    stem = base(kubepods).removesuffix(".slice")
    return {qos: below(kubepods, f"{stem}-{word}.slice") for qos, word in words.items()}


def _pod_form(outer: CgroupPath, driver: Driver) -> re.Pattern[str]:
    """What a pod's cgroup in *outer* is called; group 1 is the UID, with ``_`` for ``-`` where systemd names it."""
    if driver is Driver.CGROUPFS:
        return re.compile("pod" + _UID.replace("SEP", "-"))
    stem = base(outer).removesuffix(".slice")
    return re.compile(re.escape(stem) + "-pod" + _UID.replace("SEP", "_") + r"\.slice")


def pod_at(tree: Tree, path: CgroupPath) -> PodCgroup | None:
    """The pod that a new cgroup is, by its place and name, without its containers; None where it is none."""
    outers = {outer: qos for qos, outer in {QosClass.GUARANTEED: tree.kubepods, **tree.qos_slices}.items()}
    qos = outers.get(parent(path))
    uid = _uid(_pod_form(parent(path), tree.driver), base(path)) if qos else None
    return PodCgroup(uid, path, qos) if uid and qos else None


@lru_cache(_REMEMBERED)
def _uid(form: re.Pattern[str], name: str) -> PodUid | None:
    match = form.fullmatch(name)
    return PodUid(match[1].replace("_", "-")) if match else None


@lru_cache(_REMEMBERED)
def _pod(uid: PodUid, path: CgroupPath, qos: QosClass, inside: tuple[str, ...]) -> PodCgroup:
    return PodCgroup(uid, path, qos, tuple(container(below(path, name)) for name in inside))


def bears_pods_name(path: CgroupPath) -> bool:
    """Whether a cgroup is called as the kubelet calls a pod's."""
    return _POD.fullmatch(base(path)) is not None


def container(path: CgroupPath) -> ContainerCgroup:
    """What a cgroup in a pod is, by its name."""
    match = _CONTAINER.fullmatch(base(path))  # crio-conmon-<id> is none: the monitor's cgroup is unknown
    return ContainerCgroup(path, match[2], _RUNTIMES.get(match[1])) if match else ContainerCgroup(path, None)
