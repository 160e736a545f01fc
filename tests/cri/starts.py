"""Pod starts by the hundred through a real runtime, and who was born outside of what it was promised.

    python -m tests.vm --init systemd --packages "..." --wheels "..." -- python3 -m tests.cri.starts --driver systemd

Runs as root in the guest. Pods start in waves of eight at once. Each container's entrypoint says what its first
instruction was allowed; what it was promised is what the kernel has for it once the pod is settled. The phases:

- floor: no Pinfold; a bare inotify loop writes the same files.
- prompt: the API server tells Pinfold of a pod before the kubelet makes its cgroup.
- late: it tells up to five seconds after, and Pinfold asks the kubelet. With --api-server-only nobody can say: such a
  pod may be on no CPU that another one owns, and is narrowed then. The counters tell of whoever the probes saw
  outside; whoever begins amid the write that narrows him may count, too.
- busy: as prompt, while two hundred other pods change all the time and its metrics are scraped without a pause.
- stopped: the daemon is stopped while a wave starts, and for two seconds more: its counters equal what the probes saw,
  init containers that were gone when it went on included.

Prints a line for each phase and for each birth outside; the last line is all of it as JSON.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.apiserver.certificates import server_context
from tests.apiserver.server import LocalApiServer
from tests.cri import pods, probe
from tests.cri.bundles import Bundles
from tests.cri.containerd import Containerd
from tests.cri.kubelet import Kubelet, RunningPod, Runtime
from tests.cri.over_cri import OverCri
from tests.cri.pods import KINDS, Kind
from tests.cri.quantiles import of_histogram, of_values
from tests.vm.daemon import MANIFESTS, Daemon, until
from tests.vm.node.tasks import CGROUPS, parse

RESIDENTS = (999_999_999_996, 999_999_999_998)
"""The numbers of pods that run all the time, with a pool and with a slice."""
LATE_S = 5.0
STOPPED_S = 2.0
_FLOOR_OUT = Path("/run/floor.jsonl")
_KUBELET_ROOT = Path("/run/kubelet")
_DELETED_AT_ONCE = 2
"""More take containerd so long in an emulated machine that it gives up on its own shims."""


@dataclass(slots=True)
class Tally:
    pods: int = 0
    containers: int = 0
    outside_pool: int = 0
    outside_slice: int = 0
    on_others: int = 0
    unsettled: int = 0
    budgets: dict[str, list[float]] = field(default_factory=dict)
    """Runtime → seconds from the pod's cgroup to its first entrypoint."""


@dataclass(slots=True)
class Settled:
    number: int
    kind: Kind
    born: dict[str, probe.Born]
    pool: frozenset[int]
    own: dict[str, frozenset[int]]
    """Container → what it is promised; none where no pod has promised it anything."""
    alone: frozenset[int]
    """What no one else may be on."""


class Starts:
    def __init__(self, api: LocalApiServer, pods_of_kubelet: LocalApiServer, kubelet: Kubelet, at_once: int) -> None:
        self._api, self._pods_of_kubelet, self._kubelet, self._at_once = api, pods_of_kubelet, kubelet, at_once
        self._next = 0
        self._random = random.Random(7)
        self._residents: list[Settled] = []

    def phase(
        self,
        count: int,
        *,
        pinned: bool = True,
        late: bool = False,
        during: Callable[[Sequence[int]], None] | None = None,
        at_most_s: float = float("inf"),
    ) -> Tally:
        """Start *count* pods, a wave at a time; *during* runs beside each wave; without *pinned* nobody looks.

        Fewer where no wave may begin later than *at_most_s* after the first.
        """
        tally, began = Tally(), time.monotonic()
        while tally.pods < count and time.monotonic() - began <= at_most_s:
            wave = [self._next + place for place in range(min(self._at_once, count - tally.pods))]
            self._next += len(wave)
            beside = threading.Thread(target=during, args=(wave,)) if during else None
            if beside:
                beside.start()
            running = _together(wave, lambda number: self._start(number, late), self._at_once)
            if beside:
                beside.join()
            tally.pods += len(wave)
            tally.containers += sum(len(pod.started) for pod in running)
            for pod in running:
                first = min(probe.born(pod.uid, one.record).up_s for one in pod.started)
                tally.budgets.setdefault(pod.spec["spec"]["runtimeClassName"], []).append(first - pod.cgroup_at)
            if pinned:
                settled = [one for number, pod in zip(wave, running, strict=True) if (one := self._settle(number, pod))]
                tally.unsettled += len(wave) - len(settled)
                self._judge(settled, tally)
            _together(running, self._delete, _DELETED_AT_ONCE)
        return tally

    def stop(self, daemon: Daemon, wave: Sequence[int]) -> None:
        """Stop the daemon until every program of the wave has begun, and for STOPPED_S more."""
        records = [probe.folder(pods.uid(number)) / f"{name}.0" for number in wave for name in pods.containers(number)]
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            until("every program runs", lambda: all(record.exists() for record in records), 600)
            time.sleep(STOPPED_S)
        finally:
            daemon.process.send_signal(signal.SIGCONT)

    @contextmanager
    def residents(self) -> Iterator[None]:
        running = [self._start(number, late=False) for number in RESIDENTS]
        self._residents = [one for one in map(self._settle, RESIDENTS, running) if one]
        if len(self._residents) < len(RESIDENTS):
            raise TimeoutError("the resident pods were not pinned")
        yield
        for one in running:
            self._delete(one)

    def _start(self, number: int, late: bool) -> RunningPod:
        pod = pods.pod(number)
        told = threading.Timer(self._random.uniform(0, LATE_S) if late else 0, self._api.put_pod, (pod,))
        if late:
            told.start()
        else:
            self._api.put_pod(pod)
        self._pods_of_kubelet.put_pod(pod)
        running = self._kubelet.start_pod(pod)
        if late:
            told.join()
        self._tell(_with_status(running))
        return running

    def _delete(self, running: RunningPod) -> None:
        meta = {**running.spec["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
        self._tell({**_with_status(running), "metadata": meta})
        self._kubelet.delete_pod(running)
        for server in (self._pods_of_kubelet, self._api):
            server.delete_pod(running.uid)

    def _tell(self, pod: dict[str, Any]) -> None:
        for server in (self._pods_of_kubelet, self._api):
            server.put_pod(pod)

    def _settle(self, number: int, running: RunningPod) -> Settled | None:
        kind = pods.kind_of(number)
        living = {one.container: one.cgroup for one in running.started if not one.removed}

        def sizes() -> bool:
            return (not kind.pool or len(_cpus(running.cgroup)) == kind.pool) and all(
                len(_cpus(living[name])) == 1 for name in kind.slices
            )

        if not until(f"{running.spec['metadata']['name']} is pinned", sizes):
            print(f"FAILED: {kind.name} {number} was not pinned: {_cpus(running.cgroup)}", flush=True)
            return None
        slices = {name: _cpus(living[name]) for name in kind.slices}
        pool = _cpus(running.cgroup) if kind.pool else frozenset[int]()
        rest = pool - frozenset().union(*slices.values()) if kind.pool else frozenset[int]()
        own = dict.fromkeys((one.container for one in running.started), rest) | slices
        if "init" in own:  # it ends before any slice is there, and may use the whole pool
            own["init"] = pool
        born = {one.container: probe.born(running.uid, one.record) for one in running.started}
        alone = pool or frozenset().union(*slices.values())
        return Settled(number, kind, born, pool, own, alone)

    def _judge(self, settled: Sequence[Settled], tally: Tally) -> None:
        everybody = [*settled, *self._residents]
        owned = Counter(cpu for one in everybody for cpu in one.alone)
        if shared := {cpu for cpu, owners in owned.items() if owners > 1}:
            print(f"FAILED: CPUs {sorted(shared)} have two owners", flush=True)
            tally.unsettled += 1
        for one in settled:
            for name, born in one.born.items():
                cpus = parse(born.cpus)
                on_others = [other.number for other in self._residents if cpus & other.alone]
                outside_pool = bool(one.pool) and not cpus <= one.pool
                outside_slice = bool(one.own[name]) and not cpus <= one.own[name]
                tally.on_others += bool(on_others)
                tally.outside_pool += outside_pool
                tally.outside_slice += outside_slice
                if on_others or outside_pool or outside_slice:
                    promised = f"pool {sorted(one.pool)} own {sorted(one.own[name])} others {on_others}"
                    print(f"outside: {one.kind.name} {one.number} {name}: born on {born.cpus}, {promised}", flush=True)


def _together(items: Sequence[Any], what: Callable[[Any], Any], at_once: int) -> list[Any]:
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(what, items))


def _with_status(running: RunningPod) -> dict[str, Any]:
    """As the kubelet reports it once all runs: an init container that has ended, too."""
    init = {one["name"] for one in running.spec["spec"].get("initContainers", ())}
    statuses: dict[str, list[dict[str, Any]]] = {"initContainerStatuses": [], "containerStatuses": []}
    for one in running.started:
        container_id = f"containerd://{one.id}"
        status = {"name": one.container, "containerID": container_id, "image": "busybox", "imageID": ""}
        state = {"terminated": {"exitCode": 0, "containerID": container_id}} if one.removed else {"running": {}}
        key = "initContainerStatuses" if one.container in init else "containerStatuses"
        statuses[key].append({**status, "ready": not one.removed, "state": state})
    return {**running.spec, "status": {"phase": "Running", **statuses}}


def _cpus(cgroup: Path) -> frozenset[int]:
    """Where the kernel lets it run; without cpuset files of its own, where the nearest cgroup above may."""
    for path in (cgroup, *cgroup.parents):
        try:
            return parse((path / "cpuset.cpus.effective").read_text())
        except FileNotFoundError:
            continue
    return frozenset()


@contextmanager
def _busy(api: LocalApiServer, daemon: Daemon) -> Iterator[None]:
    """Two hundred other pods change all the time, and the metrics are scraped without a pause."""
    over = threading.Event()
    idle = Kind("idle", {"containers": [{"name": "app"}]})  # it asks for nothing that the node shared pool would owe it
    others = [pods.pod(500_000_000_000 + place, idle) for place in range(200)]
    for pod in others:
        api.put_pod(pod)
    names = {f"{pods.NAMESPACE}/{pod['metadata']['name']}" for pod in others}
    if not until("the other pods are known", lambda: names <= daemon.pods().keys(), 300):
        raise TimeoutError("the other pods were not known")

    def change() -> None:
        while not over.wait(0.1):
            pod = random.choice(others)
            api.put_pod({**pod, "metadata": {**pod["metadata"], "labels": {"at": f"{time.monotonic()}"}}})

    def scrape() -> None:
        while not over.wait(0.2):
            daemon.get("/metrics")

    threads = [threading.Thread(target=each) for each in (change, scrape)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
        for pod in others:
            api.delete_pod(pod["metadata"]["uid"])


def _measured_floor(starts: Starts, way: str, kubepods: Path, count: int) -> dict[str, Any]:
    floor = subprocess.Popen([sys.executable, "-m", "tests.cri.floor", way, str(kubepods), str(_FLOOR_OUT)])
    until("the floor loop has begun", _FLOOR_OUT.exists)
    time.sleep(3)
    try:
        tally = starts.phase(count, pinned=False)
    finally:
        floor.terminate()
        floor.wait()
    _reset(kubepods)
    said = [json.loads(line) for line in _FLOOR_OUT.read_text().splitlines()]
    is_pod = {
        True: [one for one in said if _is_pod(one["path"])],
        False: [one for one in said if not _is_pod(one["path"])],
    }
    return {
        "budgets_s": {name: of_values(values) for name, values in tally.budgets.items()},
        **{
            scope: of_values([one["done"] - one["made"] for one in is_pod[scope == "pod"]])
            for scope in ("pod", "container")
        },
        **{
            f"{scope}_own": of_values([one["done"] - one["seen"] for one in is_pod[scope == "pod"]])
            for scope in ("pod", "container")
        },
    }


def _is_pod(path: str) -> bool:
    return "pod0000" in Path(path).name


def _reset(kubepods: Path) -> None:
    """Give back what the floor loop took."""
    exclusive = kubepods / "cpuset.cpus.exclusive"
    if exclusive.exists():
        exclusive.write_text("\n")


def _confinement(metrics: str) -> dict[str, Any]:
    """Of all pods and containers so far."""
    return {
        f"{scope}_{phase}": of_histogram(metrics, "pinfold_confinement_seconds", scope=scope, phase=phase)
        for scope in ("pod", "container")
        for phase in ("seen", "known", "decided", "written", "verified")
    }


def _counters(daemon: Daemon) -> tuple[int, int]:
    return (
        int(daemon.metric("pinfold_started_outside_pool_total")),
        int(daemon.metric("pinfold_started_outside_slice_total")),
    )


def play(args: argparse.Namespace) -> dict[str, Any]:
    if args.runtime == "crio":
        runtime: Runtime = Bundles(args.driver)
        version = "bundles as CRI-O makes them"
    else:
        containerd = Containerd(args.driver)
        runtime, version = OverCri(containerd.runtime), containerd.version()
    print(version, flush=True)
    tls = server_context(_KUBELET_ROOT / "pki", pods.NODE, "kubelet")
    with LocalApiServer() as api, LocalApiServer(tls=tls) as pods_of_kubelet:
        pods_of_kubelet.configz = {"cpuManagerPolicy": "none", "cgroupDriver": args.driver}
        kubelet = Kubelet(runtime, args.driver)
        starts = Starts(api, pods_of_kubelet, kubelet, args.at_once)
        kubepods = CGROUPS / ("kubepods.slice" if args.driver == "systemd" else "kubepods")
        partition = (kubepods / "cpuset.cpus.exclusive").exists() or _remote_partitions()
        way = "shrink" if args.shrink or not partition else "partition"
        result: dict[str, Any] = {"runtime": version, "way": way, "api_server_only": args.api_server_only}
        if args.floor:
            result["floor"] = _measured_floor(starts, way, kubepods, args.floor)
            print("floor", json.dumps(result["floor"]), flush=True)
        options = ["--set", f"sources.apiServer.kubeconfig={api.kubeconfig(Path('/run/kubeconfig'))}"]
        options += ["--set", f"nodeName={pods.NODE}", "--set", "manage=guaranteed", "--set", f"exclusivity={way}"]
        if not args.api_server_only:
            address = pods_of_kubelet.url.removeprefix("https://")
            options += ["--set", "sources.kubelet.enabled=true", "--set", f"sources.kubelet.address={address}"]
            options += ["--set", f"sources.kubelet.rootDir={_KUBELET_ROOT}"]
        MANIFESTS.mkdir(exist_ok=True)
        daemon = Daemon(*options)
        told = 0
        with starts.residents():
            for name, count, late, during in (
                ("prompt", args.prompt, False, None),
                ("late", args.late, True, None),
                ("busy", args.busy, False, None),
                ("stopped", args.stopped, False, partial(starts.stop, daemon)),
            ):
                before = _counters(daemon)
                if name == "busy" and count:
                    with _busy(api, daemon):
                        tally = starts.phase(count, late=late, during=during)
                else:
                    tally = starts.phase(count, late=late, during=during, at_most_s=args.at_most_s)
                after = _counters(daemon)
                result[name] = {
                    **{key: getattr(tally, key) for key in ("pods", "containers", "unsettled", "on_others")},
                    "probes": [tally.outside_pool, tally.outside_slice],
                    "counters": [after[0] - before[0], after[1] - before[1]],
                    "budgets_s": {runtime: of_values(values) for runtime, values in tally.budgets.items()},
                }
                result["confinement"] = _confinement(daemon.get("/metrics"))
                print(name, json.dumps(result[name] | result["confinement"]), flush=True)
                for one in daemon.events()[told:]:
                    told += 1
                    if one["event"] == "container.started_outside":
                        print(
                            f"counted: {one['pod']} {one['container']}, outside pool: {one['outside_pool']}", flush=True
                        )
        daemon.stop(signal.SIGTERM)
    return result


def _remote_partitions() -> bool:
    return any(CGROUPS.glob("*/cpuset.cpus.exclusive")) or (CGROUPS / "cpuset.cpus.isolated").exists()


def _failures(result: dict[str, Any]) -> Iterable[str]:
    for name in ("prompt", "late", "busy", "stopped"):
        phase = result[name]
        if phase["unsettled"] or (phase["on_others"] and name != "stopped"):
            yield f"{name}: {phase}"
        is_known = name in {"prompt", "busy"} or (name == "late" and not result["api_server_only"])
        if is_known and any(phase["probes"] + phase["counters"]):
            yield f"{name}: somebody was born outside: {phase}"
        fewer = any(told < seen for told, seen in zip(phase["counters"], phase["probes"], strict=True))
        if fewer if name == "late" and not is_known else phase["counters"] != phase["probes"]:
            yield f"{name}: the counters say another thing than the probes: {phase}"
        if name == "stopped" and phase["pods"] and not phase["counters"][1]:
            yield f"{name}: nobody was counted: {phase}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--driver", choices=("systemd", "cgroupfs"), default="systemd")
    add("--runtime", choices=("containerd", "crio"), default="containerd", help="crio: its layout, and no sandbox")
    add("--shrink", action="store_true", help="the fallback, where the kernel has partitions too")
    add("--api-server-only", action="store_true", help="the kubelet is not asked for its pods")
    add("--at-once", type=int, default=8)
    add(
        "--at-most-s",
        type=float,
        default=float("inf"),
        help="no wave of a phase begins later than this after its first",
    )
    for name, count in (("floor", 8), ("prompt", 16), ("late", 8), ("busy", 8), ("stopped", 8)):
        add(f"--{name}", type=int, default=count, help="so many pods of this phase")
    result = play(parser.parse_args())
    failures = list(_failures(result))
    for failure in failures:
        print(f"FAILED: {failure}", flush=True)
    print(json.dumps(result), flush=True)
    return len(failures) > 0


if __name__ == "__main__":
    print(len(KINDS), "kinds", flush=True)
    sys.exit(main())
