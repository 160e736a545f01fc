"""All sources of one node behind one selector: what rings, and the newest picture of what each of them watches."""

import selectors
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from pinfold.agent.naming import Naming
from pinfold.agent.servers import SourceError, api_server, cri, kubelet, pods_api
from pinfold.agent.view import near_device
from pinfold.cgroups.known import Stirred
from pinfold.cgroups.paths import CgroupPath, File, below, parent
from pinfold.config import Config
from pinfold.cpuset import NodeSet
from pinfold.planning.planner import own_device
from pinfold.pods.model import InvalidPod, Pod, PodUid
from pinfold.pods.reader import read_pod, read_pods
from pinfold.report.snapshot import SourceHealth
from pinfold.sources.apiserver import ApiServerPods
from pinfold.sources.cgroup_events import CgroupEvents, Change, Changes, Happening
from pinfold.sources.first_writes import FirstWrites
from pinfold.sources.inotify import InotifyLimitError
from pinfold.sources.kubelet import KubeletPods
from pinfold.sources.kubelet_config import KubeletConfig
from pinfold.sources.kubelet_devices import device_nodes
from pinfold.sources.kubelet_events import KubeletEvents
from pinfold.sources.kubelet_state import Peace, cpu_manager, memory_manager, peace
from pinfold.sources.manifests import Manifests
from pinfold.sources.partition_events import PartitionEvents
from pinfold.sources.picture import Objects, Pods, RawPod
from pinfold.sources.pods_api import PodsApi
from pinfold.sources.wakeup import Wakeup
from pinfold.topology.devices import nodes_of_pci
from pinfold.topology.hotplug import HotplugMonitor, HotplugUnavailableError

API_SERVER, KUBELET, PODS_API, MANIFESTS, CRI = "api-server", "kubelet", "pods-api", "manifests", "cri"
CGROUPS, HOTPLUG = "cgroups", "hotplug"

_NOTHING = Pods()
_FILES = frozenset(File) - {File.PROCS, File.MEMORY_CURRENT}
_Read = tuple[tuple[Pod, ...], tuple[InvalidPod, ...]]


class Sources:
    """Raises PinfoldError where no pods can be asked for. What should ring and cannot is reported: the timer serves."""

    def __init__(self, config: Config) -> None:
        self.wakeup = Wakeup()
        self._cri = cri(config, self.wakeup.wake)
        self.naming = Naming(self._cri)
        self._sysfs_root = Path(config.sysfs_root)
        self._kubelet_root = Path(config.sources.kubelet.root_dir)
        self.server = api_server(config)
        self._api = ApiServerPods(self.server, config.node_name, self.wakeup.wake) if self.server else None
        self._kubelet = kubelet(config, self.wakeup.wake)
        self._pods_api = pods_api(config, self.wakeup.wake)
        self._manifests = Manifests(Path(path)) if (path := config.sources.manifests.path) else None
        if not (self._manifests or self._api or self._kubelet or self._pods_api):
            raise SourceError(
                "no source of pods: set sources.apiServer.kubeconfig, run in a cluster, or name --manifests DIR."
            )
        self._faults: dict[str, str] = {}
        self._cgroups: CgroupEvents | None = None
        self._partitions = PartitionEvents(Path(config.cgroup_mount))
        self.first_writes = FirstWrites(Path(config.cgroup_mount), _FILES)
        self._kubelet_events: KubeletEvents | None = None
        self._hotplug: HotplugMonitor | None = None
        self._hotplugged = False
        self._rang_at: dict[str, float] = {}
        """Source → seconds since the epoch."""
        self._pending = False
        """Something rang while the loop was at its writes."""
        self._written: set[CgroupPath] = set()
        self._stirred = Stirred()
        self._made: set[CgroupPath] = set()
        self._passed: set[CgroupPath] = set()
        try:
            self._cgroups = CgroupEvents(Path(config.cgroup_mount))
            self._kubelet_events = KubeletEvents(self._kubelet_root)
        except InotifyLimitError as error:
            self._faults[CGROUPS] = str(error)
        try:
            self._hotplug = HotplugMonitor()
        except HotplugUnavailableError as error:
            self._faults[HOTPLUG] = str(error)
        self._met: set[PodUid] = set()
        """Pods whose cgroups are there, and that are or were known, or were asked for."""
        self._told_by_api: set[str] = set()
        """UIDs of pods that the API server knows, or has told the end of."""
        self._beyond = Pods()
        """What the kubelet alone knew at the last look."""
        self.objects: Objects = ()
        """What the last `pods` were read from."""
        self._read: tuple[tuple[Pods, ...], _Read] = ((), ((), ()))
        self._of_watches = (_NOTHING, _NOTHING)
        """What the API server's and the kubelet's watch had told at the last look."""
        self._pods: dict[str, tuple[object, Pod | InvalidPod]] = {}
        """Where an object came from → it, and what was made of it."""
        self._selector = selectors.DefaultSelector()
        for source in (*self._ringing(), self._hotplug):
            if source:
                self._selector.register(source, selectors.EVENT_READ)
        for asker in (*self._asking(), self._cri):
            if asker:
                asker.start()

    def wait(self, timeout_s: float) -> bool:
        """Sleep until something rings or *timeout_s* is over, and take all that rang: many rings are one turn.

        False: nothing that concerns Pinfold.
        """
        rang, self._pending = self._pending, False
        for key, _ in self._selector.select(0 if rang else None if timeout_s == float("inf") else timeout_s):
            match key.fileobj:
                case HotplugMonitor() as hotplug:
                    self._hotplugged |= bool(hotplug.drain())
                    rang |= self._hotplugged
                    self._rang_at[HOTPLUG] = time.time()
                case CgroupEvents() as cgroups:
                    changes = self._noted(cgroups.drain())
                    self._rang_at[CGROUPS] = time.time()
                    concerning = tuple(filter(_concerns, changes.seen))
                    self._written.update(CgroupPath(one.path) for one in concerning if _is_write(one))
                    rang |= changes.overflowed or bool(concerning)
                case PartitionEvents() as partitions:
                    changed = frozenset(map(CgroupPath, partitions.drain()))
                    self._stirred |= Stirred(files=changed)
                    self._written.update(changed)
                    rang |= bool(changed)
                case Manifests() as manifests:
                    rang |= manifests.drain()
                    self._rang_at[MANIFESTS] = time.time()
                case Wakeup() | KubeletEvents() as source:
                    rang |= source.drain()
        return rang

    def overlook_writes(self) -> None:
        """Take the rings of writes to cpusets and quotas away: whoever looks at these from now on sees what they left.

        Most of them are our own. Whatever else rang is kept.
        """
        self._stirred |= Stirred(files=frozenset(map(CgroupPath, self._partitions.drain())))
        if self._cgroups:
            changes = self._noted(self._cgroups.drain())
            self._pending |= changes.overflowed or not all(map(_is_write, changes.seen))

    def written(self) -> set[CgroupPath]:
        """Cgroups whose cpusets, quotas or controllers rang since the last call."""
        written, self._written = self._written, set()
        return written

    def stirred(self) -> Stirred:
        """What else is to be looked at again than before the last call."""
        stirred, self._stirred = self._stirred, Stirred()
        return stirred

    def passed(self) -> set[CgroupPath]:
        """Cgroups that were made and removed again, both since the last call."""
        passed, self._passed, self._made = self._passed, set(), set()
        return passed

    def _noted(self, changes: Changes) -> Changes:
        self._stirred |= _stirred(changes)
        for one in changes.seen:
            path = below(CgroupPath(one.path), one.name)
            if one.happening is Happening.CREATED:
                self._made.add(path)
            elif one.happening is Happening.REMOVED and path in self._made:
                self._passed.add(path)
        return changes

    def refresh(self) -> None:
        """For the timer: look at what may have changed without a ring."""
        self.naming.refresh()
        for source in (self._manifests, self._kubelet_events):
            if source:
                source.refresh()

    def hotplugged(self) -> bool:
        """Whether CPUs or memory came or went since the last call."""
        happened, self._hotplugged = self._hotplugged, False
        return happened

    @property
    def synced(self) -> bool:
        """Whether all pods of the node were heard once: before that an absent pod says nothing.

        The API server and the kubelet, asked either way, know the same pods; manifests know others.
        """
        each = [one.picture.synced for one in self._asking()]
        return (any(each) or not each) and (self._manifests is None or self._manifests.picture.synced)

    def pods(self) -> _Read:
        """What all sources hold now; read again only where a picture is another one."""
        named = tuple(self._pictures())
        pictures = tuple(picture for _, picture in named)
        if any(new is not old for new, old in zip(pictures, self._read[0], strict=False)) or not self._read[0]:
            self.objects = tuple(_objects(named))
            before, self._pods = self._pods, {}

            def read(raw: object, where: str) -> Pod | InvalidPod:
                """What was made of it before, if any: a source holds an object as long as it is the same."""
                known = before.get(where)
                pod = known[1] if known and known[0] is raw else read_pod(raw, where)
                self._pods[where] = raw, pod
                return pod

            pods, invalid = read_pods(self.objects, read)
            faults = dict.fromkeys(fault for picture in pictures for fault in picture.faults)
            self._read = (pictures, (pods, (*faults, *invalid)))
        return self._read[1]

    def has_newcomers(self) -> bool:
        """Whether a watch has told of a pod that the last `pods` did not give."""
        of_api, of_kubelet = before = self._of_watches
        fresh = [now for now, old in zip(self._watched(), before, strict=True) if now is not old]
        return any(not now.objects.keys() <= of_api.objects.keys() | of_kubelet.objects.keys() for now in fresh)

    def devices(self, pods: Iterable[Pod]) -> dict[str, NodeSet]:
        """The devices that *pods* want to be near → their NUMA nodes, of those that are there."""
        wanted = [(pod.uid, name) for pod in pods if (name := near_device(pod))]
        given = device_nodes(self._kubelet_root) if any("/" in name for _, name in wanted) else {}
        nodes = {name: nodes_of_pci(name, self._sysfs_root) for _, name in wanted}
        nodes |= {own_device(*one): given[one] for one in wanted if one in given}
        return {name: near for name, near in nodes.items() if near is not None}

    def watch(
        self, cgroups: Collection[str], muted: Collection[str] = (), partitions: Collection[str] = frozenset()
    ) -> bool:
        """Have every change in *cgroups* ring; in those that are *muted*, only cgroups that come and go.

        *partitions* ring too when the kernel breaks or mends them. Whether more of some is heard than before, so that
        they must be looked at once more.
        """
        self._partitions.watch(frozenset(partitions) - frozenset(muted))
        if self._cgroups is None:
            return False
        fresh = self._cgroups.watch(cgroups, muted)
        self._faults[CGROUPS] = self._cgroups.fault or self._partitions.fault
        return bool(fresh)

    def listens(self, cgroup: str) -> bool:
        """Have *cgroup* ring too, before somebody lists it; whether it does."""
        return self._cgroups is not None and self._cgroups.also(cgroup)

    @property
    def heard(self) -> frozenset[CgroupPath]:
        """The cgroups in which every change rings."""
        return cast("frozenset[CgroupPath]", self._cgroups.heard) if self._cgroups else frozenset()

    @property
    def listed(self) -> frozenset[CgroupPath]:
        """Those in which it rings that cgroups come and go: the muted ones, too."""
        return cast("frozenset[CgroupPath]", frozenset(self._cgroups.watched)) if self._cgroups else frozenset()

    def peace(self) -> Peace:
        """What the kubelet leaves to Pinfold."""
        said = self.kubelet_config or KubeletConfig()
        return peace(
            cpu_manager(self._kubelet_root, said.cpu_manager_policy),
            memory_manager(self._kubelet_root, said.memory_manager_policy),
        )

    @property
    def kubelet_config(self) -> KubeletConfig | None:
        """As the kubelet told it last; None while it has told nothing."""
        return self._kubelet.config if self._kubelet else None

    @property
    def ready(self) -> bool:
        """Whether the kubelet, which may own the cpusets, and the API server were asked once, where they are to be.

        Before that nobody can say who a container is, where no bundle does; and it might be put where it is not to be.
        """
        api = self._api
        heard = api is None or api.picture.synced or api.health.away_since is not None
        return heard and all(one.health.asked for one in (self._kubelet, self._pods_api) if one)

    def seen(self, there: Collection[PodUid], known: Collection[PodUid]) -> None:
        """Whose cgroups are *there*, and who is *known*: of a stranger the source that may know him is asked, once.

        Who was known before has ended, and is none.
        """
        if self.synced:
            strangers = set(there) - set(known) - self._met
            if strangers and (asked := self._kubelet or self._api):
                asked.ask()
            self._met = self._met.intersection(there) | strangers | set(known).intersection(there)

    def health(self) -> tuple[SourceHealth, ...]:
        found = [
            SourceHealth(name, not (fault := self._faults.get(name, "")), fault, self._rang_at.get(name))
            for name in (CGROUPS, HOTPLUG)
        ]
        if self._manifests:
            fault, picture = self._manifests.fault, self._manifests.picture
            faults = [*([fault] if fault else []), *(f"{one.where}: {one.message}" for one in picture.faults)]
            healthy = picture.synced and not fault
            found.append(SourceHealth(MANIFESTS, healthy, "; ".join(faults), self._rang_at.get(MANIFESTS)))
        if self._api:
            health = self._api.health
            away = health.away_since is not None
            found.append(SourceHealth(API_SERVER, not away, health.error, health.heard_at, health.reconnects))
        if self._kubelet:
            told = self._kubelet.health
            found.append(SourceHealth(KUBELET, told.asked and not told.error, told.error, told.heard_at))
        if self._pods_api:
            told = self._pods_api.health
            found.append(SourceHealth(PODS_API, self._pods_api.stands, told.error, told.heard_at))
        if self._cri:
            found.append(SourceHealth(CRI, not self._cri.error, self._cri.error, None))
        return tuple(sorted(found, key=lambda source: source.name))

    def close(self) -> None:
        self._selector.close()
        for asker in (*self._asking(), self._cri):
            if asker:
                asker.close()
        for source in (*self._ringing(), self.first_writes):
            source.close()
        for server in (self.server, self._kubelet.server if self._kubelet else None):
            if server:
                server.close()

    def _asking(self) -> tuple[ApiServerPods | KubeletPods | PodsApi, ...]:
        return tuple(one for one in (self._api, self._kubelet, self._pods_api) if one)

    def _ringing(self) -> "tuple[Manifests | CgroupEvents | PartitionEvents | KubeletEvents | Wakeup, ...]":
        every = (self._manifests, self._cgroups, self._partitions, self._kubelet_events, self.wakeup)
        return tuple(one for one in every if one and one.fileno() >= 0)

    def _pictures(self) -> Iterator[tuple[str, Pods]]:
        """Of two that know one pod equally well, the earlier is believed."""
        pods, watched = self._of_watches = self._watched()
        if kubelet := self._of_kubelet(watched):
            away = not (self._api and pods.synced and self._api.health.away_since is None)
            yield KUBELET, self._kubelet_only(kubelet, pods, away=away)
        if self._api:
            yield API_SERVER, pods
        if self._manifests:
            yield MANIFESTS, self._manifests.picture

    def _watched(self) -> tuple[Pods, Pods]:
        """What the API server's and the kubelet's watch tell."""
        return self._api.picture if self._api else _NOTHING, self._pods_api.picture if self._pods_api else _NOTHING

    def _of_kubelet(self, watched: Pods) -> Pods | None:
        """Its pods: what is *watched* is told at once, while the watch stands."""
        if self._pods_api and (self._pods_api.stands or self._kubelet is None):
            return watched
        return self._kubelet.picture if self._kubelet else None

    def _kubelet_only(self, kubelet: Pods, api: Pods, *, away: bool) -> Pods:
        """What the kubelet knows beyond the API server; while that is *away*, all that it knows.

        The kubelet goes on to tell of a pod for a while whose end the API server has told.
        """
        self._told_by_api |= api.objects.keys()
        self._told_by_api &= kubelet.objects.keys() | api.objects.keys()
        if away:
            return kubelet
        beyond = {uid: pod for uid, pod in kubelet.objects.items() if uid not in self._told_by_api}
        if (beyond, kubelet.faults) != (self._beyond.objects, self._beyond.faults):
            self._beyond = replace(kubelet, objects=beyond)
        return self._beyond


def _concerns(change: Change) -> bool:
    """Not what a runtime writes all day: processes that enter, weights, limits of memory."""
    return change.happening is not Happening.WRITTEN or change.name in _FILES


def _stirred(changes: Changes) -> Stirred:
    listings: set[CgroupPath] = set()
    files: set[CgroupPath] = set()
    for one in changes.seen:
        path = CgroupPath(one.path)
        match one.happening:
            case Happening.WRITTEN if one.name in _FILES or one.name == File.PROCS:
                files.add(path)
            case Happening.CREATED | Happening.REMOVED:
                listings.add(path)
            case Happening.GONE:
                listings |= {path, parent(path)}
                files.add(path)
    return Stirred(frozenset(listings), frozenset(files), changes.overflowed)


def _is_write(change: Change) -> bool:
    """By somebody; the kernel itself writes ``cgroup.events``, which no look at cpusets replaces."""
    return change.happening is Happening.WRITTEN and change.name != File.EVENTS


def _objects(pictures: Iterable[tuple[str, Pods]]) -> Iterator[tuple[str, RawPod]]:
    """(where it came from, object): a manifest's file, or namespace/name as the API server has them."""
    for source, picture in pictures:
        for key, raw in picture.objects.items():
            yield (key if source == MANIFESTS else _shown(raw, key)), raw


def _shown(raw: Mapping[str, object], uid: str) -> str:
    metadata = raw.get("metadata")
    name = f"{metadata.get('namespace')}/{metadata.get('name')}" if isinstance(metadata, Mapping) else uid
    return ascii(name[:200])[1:-1]
