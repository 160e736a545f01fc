"""The main job on a real kernel: pods start beside a running daemon, and every promise is checked by the kernel's word.

    python -m tests.vm --init systemd -- python3 -m tests.vm.main_job --driver systemd

Runs as root in the guest. It prints a line for each check and ends with `N passed, N failed`. The daemon is a process
of its own, `pinfold run`; its reconcile period is an hour, so that what is repaired was seen by inotify.
"""

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tests.vm.daemon import MANIFESTS, OPTIONS, Daemon, pinfold, until
from tests.vm.node import SANDBOX, Node, Process, Task, everyone
from tests.vm.node.tasks import CGROUPS, parse, settings

WORKLOADS = Path(__file__).with_name("workloads")
ONLINE = frozenset(parse(Path("/sys/devices/system/cpu/online").read_text()))
SLICES = {"engine": 3, "postgres": 2, "server": 2, "feed": 1}
"""Container → CPUs of its exclusive slice, as the manifests ask."""
UID = "11111111-2222-4333-8444-5555555555"
BAD = {
    "no-pod.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n",
    "path.yaml": "metadata: {name: a, uid: ../../system.slice}\nspec: {containers: [{name: a}]}\n",
    "nameless.yaml": f"metadata: {{name: b, uid: {UID}01}}\nspec: {{containers: [{{image: x}}]}}\n",
    "quantity.yaml": f"metadata: {{name: c, uid: {UID}02}}\n"
    "spec: {containers: [{name: a, resources: {requests: {cpu: 2x}}}]}\n",
    "twice.yaml": f"metadata: {{name: d, uid: {UID}03}}\nspec: {{containers: [{{name: a}}]}}\n",
    "again.yaml": f"metadata: {{name: e, uid: {UID}03}}\nspec: {{containers: [{{name: a}}]}}\n",
    "torn.yaml": "metadata: {name: [",
}
"""Manifests that are none: each is told, and harms nobody else."""
TOO_BIG = f"""
metadata: {{name: too-big, namespace: bad, uid: {UID}04}}
spec:
  resources: {{requests: {{cpu: 99, memory: 64Mi}}, limits: {{cpu: 99, memory: 64Mi}}}}
  containers: [{{name: a}}]
"""
POOLS = {"trading/match-engine": 4, "db/postgres": 3, "ml/inference": 3, "legacy/feed": 2}


QUIET_S = 2.0


class Checks:
    def __init__(self) -> None:
        self.passed = self.failed = 0

    def __call__(self, holds: bool, what: str, found: object = "") -> None:
        self.passed, self.failed = self.passed + holds, self.failed + (not holds)
        print(f"{'ok' if holds else 'FAILED'}: {what}" + ("" if holds else f": {found}"), flush=True)

    def each(self, wrong: Iterable[object], what: str) -> None:
        found = list(wrong)
        self(not found, what, found[:5])


def confined(check: Checks, when: str, processes: list[Process], daemon: Daemon) -> None:
    """The promise itself: slices and pools belong to their containers and pods alone."""
    pods = daemon.pods()
    pools = {name: parse(pods[name]["pool"]) for name in POOLS}
    slices = {
        one["name"]: parse(one["cpus"]) for name in POOLS for one in pods[name]["containers"] if one["name"] in SLICES
    }
    check({name: len(cpus) for name, cpus in pools.items()} == POOLS, f"{when}: each pool has its size", pools)
    check({name: len(cpus) for name, cpus in slices.items()} == SLICES, f"{when}: each slice has its size", slices)
    sets = list(pools.values())
    check(len(frozenset().union(*sets)) == sum(map(len, sets)), f"{when}: no CPU is in two pools", pools)
    nodes = [parse(path.read_text()) for path in Path("/sys/devices/system/node").glob("node[0-9]*/cpulist")]
    check.each(
        (name for name, pool in pools.items() if not any(pool <= node for node in nodes)), f"{when}: one node each"
    )
    running = until(f"{when}: all are in place", lambda: not list(_strays(everyone(), processes, pools, slices)), 30)
    check.each(
        [] if running else _strays(everyone(), processes, pools, slices), f"{when}: nobody is where another is alone"
    )


def _strays(
    tasks: list[Task], processes: list[Process], pools: dict[str, Any], slices: dict[str, Any]
) -> Iterable[str]:
    """Every user task of the machine against what it may use."""
    container = {process.cgroup: (process.pod, process.container) for process in processes}
    everything = frozenset().union(*pools.values())
    lasting = frozenset().union(*slices.values())
    for task in tasks:
        pod, name = container.get(task.cgroup, ("", ""))
        cpus = parse(task.cpus)
        if name in slices and pod in pools:
            if cpus != slices[name]:
                yield f"{task} is not on its slice {sorted(slices[name])}"
        elif pod in pools:
            if not cpus <= pools[pod] - lasting:
                yield f"{task} of {pod}/{name} is outside the pod shared pool"
        elif cpus & everything:
            yield f"{task} of {pod or 'the host'} is on a pool"


def bad_input(check: Checks, daemon: Daemon) -> None:
    """Each bad manifest is told by name, and a pod that asks for too much is refused with a reason."""
    told = {event["where"]: event["reason"] for event in daemon.events() if event["event"] == "pod.invalid"}
    check.each((name for name in BAD if not any(name in where for where in told)), "bad input: each manifest is told")
    refused = daemon.pods()["bad/too-big"]
    check(refused["outcome"] == "shared" and bool(refused["refusal"]), "bad input: too large a pod is refused", refused)


def drift(check: Checks, node: Node, daemon: Daemon) -> None:
    """Somebody rewrites a pinned container's set by hand."""
    engine = next(process for process in node.processes() if process.container == "engine")
    file = CGROUPS / engine.cgroup.lstrip("/") / "cpuset.cpus"
    held, before = file.read_text(), daemon.metric("pinfold_drift_repaired_total")
    file.write_text(_text(ONLINE))
    check(
        until("drift is repaired", lambda: file.read_text() == held),
        "drift: a rewritten cpuset is repaired",
        file.read_text(),
    )
    counted = until("it is counted", lambda: daemon.metric("pinfold_drift_repaired_total") > before, 20)
    check(counted, "drift: the repair is counted", daemon.get("/metrics"))
    told = [event for event in daemon.events() if event["event"] == "cpuset.drifted"]
    check(
        any(event["have"] == _text(ONLINE) and event["want"] == held.strip() for event in told),
        "drift: an event tells it",
        told,
    )


def standing() -> dict[str, str]:
    """Every file once nobody writes for a while: systemd, told of a pod's properties, takes its own time."""
    seen = [settings()]

    def are_still() -> bool:
        time.sleep(QUIET_S)
        seen.append(settings())
        return seen[-1] == seen[-2]

    until("nobody writes", are_still)
    return seen[-1]


def killed(check: Checks, node: Node, daemon: Daemon) -> Daemon:
    """The daemon dies at once and comes back."""
    check(until("the status shows it", lambda: _shown(daemon) >= _running(node), 30), "the status shows what runs")
    held = standing()
    before = _ledger(daemon)
    daemon.stop(signal.SIGKILL)
    daemon = Daemon()
    until("settled after the restart", lambda: daemon.settled(*POOLS))
    after = _ledger(daemon)
    check(before == after, "kill -9: the same ledger", (before, after))
    check(settings() == held, "kill -9: the same files")
    writes = [event for event in daemon.events() if event["event"] == "cgroup.written"]
    check(not writes and daemon.metric("pinfold_writes_total") == 0, "kill -9: not one write", writes)
    confined(check, "after kill -9", node.processes(), daemon)
    return daemon


def _ledger(daemon: Daemon) -> dict[str, Any]:
    """What each pod owns, and each of its containers; what the kernel makes of it stands in the files."""
    return {
        name: (pod["pool"], [{key: one[key] for key in one.keys() - {"kernel"}} for one in pod["containers"]])
        for name, pod in daemon.pods().items()
    }


def _shown(daemon: Daemon) -> set[str]:
    """The cgroups of containers of pools, as the status has them."""
    containers = (one for pod in daemon.pods().values() if pod["pool"] for one in pod["containers"])
    return {one["kernel"]["cgroup"] for one in containers if one["kernel"]}


def _running(node: Node) -> set[str]:
    containers = (one for one in node.processes() if one.pod in POOLS and one.container != SANDBOX)
    return {one.cgroup.lstrip("/") for one in containers}


def released(check: Checks, before: dict[str, str], when: str) -> None:
    """Every file holds what it held: all CPUs or nodes where a populated cgroup takes no empty set.

    Of a cgroup that was not there *before*, what others write into it is theirs; what only Pinfold writes is gone.
    """
    everything = {
        "cpuset.cpus": Path("/sys/devices/system/cpu/possible").read_text().strip(),
        "cpuset.mems": Path("/sys/devices/system/node/has_memory").read_text().strip(),
    }
    unowned = {"cpuset.cpus": "", "cpuset.mems": "", "cpuset.cpus.exclusive": "", "cpuset.cpus.partition": "member"}
    wrong = []
    for path, text in settings().items():
        name = path.rpartition("/")[2]
        was = before.get(path, unowned.get(name, text))
        if name != "cgroup.subtree_control" and text not in {was, was or everything.get(name)}:
            wrong.append(f"{path}: {was!r} became {text!r}")
    check.each(wrong, f"{when}: every file holds what it held before")


def stop_and_release(check: Checks, daemon: Daemon, before: dict[str, str], when: str) -> None:
    held = standing()
    check(daemon.stop(signal.SIGTERM) == 0, f"{when}: SIGTERM ends the daemon with 0")
    check(settings() == held, f"{when}: SIGTERM leaves the pins")
    done = pinfold("release", *OPTIONS)
    check(done.returncode == 0, f"{when}: release ends with 0", done.stdout + done.stderr)
    released(check, before, when)
    if when == "second release":
        masks = {task.cpus for task in everyone()}
        check(masks == {_text(ONLINE)}, f"{when}: every task may use every CPU again", masks)


def _text(cpus: Iterable[int]) -> str:
    return f"{min(cpus)}-{max(cpus)}"


def play(driver: str, root: str) -> Checks:
    check = Checks()
    shutil.rmtree(MANIFESTS, ignore_errors=True)
    MANIFESTS.mkdir(parents=True)
    node = Node("systemd" if driver == "systemd" else "cgroupfs", root)
    pods = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(WORKLOADS.glob("*.yaml"))}
    node.start_service("backup")
    node.start_task()
    before = settings()
    daemon = Daemon()
    for path in WORKLOADS.glob("*.yaml"):
        shutil.copy(path, MANIFESTS)
    for name, text in {**BAD, "too-big.yaml": TOO_BIG}.items():
        (MANIFESTS / name).write_text(text)
    until("the manifests are read", lambda: len(daemon.pods()) == len(pods) + 1)
    for pod in pods.values():
        node.start_pod(pod)
    check(until("all pods are pinned", lambda: daemon.settled(*POOLS)), "all four pools are made", daemon.pods())
    confined(check, "started", node.processes(), daemon)
    bad_input(check, daemon)
    print(pinfold("status").stdout, flush=True)
    explained = pinfold("explain", "trading/match-engine")
    check(explained.returncode == 0 and "engine" in explained.stdout, "explain tells of the pod", explained)
    verified = pinfold("verify", *OPTIONS)
    check(verified.returncode == 0, "verify finds no drift", verified.stdout + verified.stderr)
    drift(check, node, daemon)
    node.exec(pods["match-engine"]["metadata"]["uid"], "engine")
    node.restart_container(pods["match-engine"]["metadata"]["uid"], "exporter")
    confined(check, "after exec and restart", node.processes(), daemon)
    daemon = killed(check, node, daemon)
    node.delete_pod(pods["postgres"]["metadata"]["uid"])
    (MANIFESTS / "postgres.yaml").unlink()
    check(until("the pool is freed", lambda: "db/postgres" not in daemon.pods()), "a pod that is gone frees its pool")
    node.start_pod(pods["postgres"])
    shutil.copy(WORKLOADS / "postgres.yaml", MANIFESTS)
    check(
        until("the late pod is pinned", lambda: daemon.settled(*POOLS)),
        "a pod known only after it runs is pinned",
        daemon.pods(),
    )
    confined(check, "after a late pod", node.processes(), daemon)
    stop_and_release(check, daemon, before, "first release")
    running = settings()
    daemon = Daemon()
    check(
        until("pods found running are pinned", lambda: daemon.settled(*POOLS)),
        "pods found running are pinned",
        daemon.pods(),
    )
    stop_and_release(check, daemon, running, "second release")
    return check


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", choices=("systemd", "cgroupfs"), default="cgroupfs")
    parser.add_argument("--root", default="/", help="the kubelet's --cgroup-root")
    args = parser.parse_args()
    check = play(args.driver, args.root)
    print(f"{check.passed} passed, {check.failed} failed", flush=True)
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
