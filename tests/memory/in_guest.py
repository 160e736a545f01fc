"""Page cache that outlives a greedy neighbour, and running pods whose memory moves. Runs in the guest.

    python -m tests.vm --kernel 6.12 --mem 320 -- python3 -m tests.memory.in_guest

It prints what it saw and ends with ``N passed, N failed``.
"""

import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Literal

from pinfold.cgroups.migration import migrate_pages
from pinfold.cpuset import NodeSet
from tests.crash.node import put
from tests.vm.daemon import MANIFESTS, OPTIONS, Daemon, pinfold, until
from tests.vm.node import Node
from tests.vm.node.tasks import CGROUPS

HOG = ("/usr/bin/python3", "-I", "-S", str(Path(__file__).with_name("hog.py")))
MIB = 1 << 20
CACHED_MIB, GREEDY_MIB, ROOM_MIB = 64, 160, 24
"""What the database reads, what its neighbour reads again and again, and how much room he leaves beside the cache."""
MOVED_MIB = 96
FILES = Path("/var/tmp")
LRU_GEN = Path("/sys/kernel/mm/lru_gen/enabled")


class _Daemon(Daemon):
    ARGUMENTS = (
        *(*Daemon.ARGUMENTS, "--set", "cpuManagerReconcilePeriod=1s"),
        *("--set", "memoryMinNamespaces=[db]"),
    )


class Checks:
    passed = failed = 0

    def __call__(self, holds: object, what: str) -> None:
        self.passed, self.failed = self.passed + bool(holds), self.failed + (not holds)
        print(f"{'ok' if holds else 'FAILED'}: {what}", flush=True)


def pod(number: int, environment: dict[str, str], resources: dict[str, Any], **annotations: str) -> dict[str, Any]:
    env = [{"name": name, "value": value} for name, value in environment.items()]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"p{number}",
            "namespace": "db",
            "uid": f"33333333-4444-4333-8444-5555555555{number:02}",
            "annotations": {f"pinfold.dev/{name.replace('_', '-')}": value for name, value in annotations.items()},
        },
        "spec": {
            "containers": [
                {"name": "main", "image": "x", "command": list(HOG), "env": env, "resources": resources},
            ],
        },
    }


def _meminfo_mib(name: str) -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith(f"{name}:"))


def _stat_mib(cgroup: Path, name: str) -> int:
    lines = (cgroup / "memory.stat").read_text().splitlines()
    return next(int(line.split()[1]) >> 20 for line in lines if line.startswith(f"{name} "))


def _on_node_mib(cgroup: Path, node: int) -> int:
    line = next(line for line in (cgroup / "memory.numa_stat").read_text().splitlines() if line.startswith("anon "))
    return next(int(field[3:]) >> 20 for field in line.split() if field.startswith(f"N{node}="))


def cache_left(node: Node, number: int, level: str) -> int:
    """MiB of a file that a pod has read and that are still cached, after a neighbour has been at work."""
    for name, size in (("table", CACHED_MIB), ("backup", GREEDY_MIB)):
        with (FILES / f"{name}{number}").open("wb") as file:
            file.truncate(size * MIB)  # of holes: their pages are cached like any
    requests = {"requests": {"memory": f"{CACHED_MIB + 32}Mi"}}
    database = pod(
        number, {"ANONYMOUS": "1", "FILE": f"{FILES}/table{number}", "PASSES": "2"}, requests, memory_protection=level
    )
    put(database)
    cgroup = node.prepare(database)
    if level != "none":
        want = str((CACHED_MIB + 32) * MIB)
        until("it is protected", lambda: (cgroup / f"memory.{level}").read_text().strip() == want)
    node.start_pod(database)
    until("the table is cached", lambda: _stat_mib(cgroup, "file") >= CACHED_MIB)
    eaten = _meminfo_mib("MemAvailable") - CACHED_MIB - ROOM_MIB
    greedy = pod(number + 1, {"ANONYMOUS": str(eaten), "FILE": f"{FILES}/backup{number}"}, {})
    put(greedy)
    neighbour = node.prepare(greedy)
    node.start_pod(greedy)
    until("he has eaten", lambda: _stat_mib(neighbour, "anon") >= eaten - 1, 240)
    before = _refaults(neighbour)

    def has_had_enough() -> bool:
        """All of his file is cached, or he has read it over and over."""
        return _stat_mib(neighbour, "file") >= GREEDY_MIB or _refaults(neighbour) - before > 2 * GREEDY_MIB * 256

    until("he has had enough", has_had_enough, 240)
    left = _stat_mib(cgroup, "file")
    print(
        f"| {level} | {CACHED_MIB} | {left} | {eaten} | {_stat_mib(neighbour, 'file')} |",
        flush=True,
    )
    for one in (greedy, database):
        node.delete_pod(one["metadata"]["uid"])
        (MANIFESTS / f"{one['metadata']['name']}.json").unlink()
    return left


def _refaults(cgroup: Path) -> int:
    """Pages that were read again after they had been taken away."""
    lines = (cgroup / "memory.stat").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("workingset_refault_file "))


def page_cache(check: Checks, node: Node) -> None:
    daemon = _Daemon()
    print("| protection | cached MiB | left MiB | neighbour's anonymous MiB | his cache MiB |\n|---|---|---|---|---|")
    left = {level: cache_left(node, number, level) for number, level in ((1, "none"), (3, "low"), (11, "min"))}
    multi_gen = bool(int(LRU_GEN.read_text(), 16) & 1) if LRU_GEN.exists() else False
    print(f"multi-gen LRU: {'on' if multi_gen else 'off'}", flush=True)
    for level in ("min",) if multi_gen else ("low", "min"):  # the multi-gen LRU takes from low, too
        check(left[level] >= 0.9 * CACHED_MIB, f"a cache under {level} stays ({left[level]} of {CACHED_MIB} MiB)")
        check(left[level] >= 1.5 * left["none"], f"and more of it than of one without ({left['none']} MiB)")
    daemon.stop(signal.SIGTERM)
    check(pinfold("release", *OPTIONS).returncode == 0, "everything is given back")


def hog_on(node: Node, number: int, cpu: int) -> tuple[dict[str, Any], Path]:
    """A pod whose memory lies on the node of *cpu*."""
    amounts = {"cpu": "2", "memory": f"{MOVED_MIB + 64}Mi"}
    raw = pod(number, {"ANONYMOUS": str(MOVED_MIB), "ON": str(cpu)}, {})
    raw["spec"]["resources"] = {"requests": amounts, "limits": amounts}  # the pod's: it gets a pool
    cgroup = node.prepare(raw)
    node.start_pod(raw)
    until("its memory is there", lambda: _stat_mib(cgroup, "anon") >= MOVED_MIB)
    return raw, cgroup


def migration(check: Checks, node: Node) -> None:
    raw, cgroup = hog_on(node, 5, cpu=7)
    put(raw)
    check(_on_node_mib(cgroup, 1) >= MOVED_MIB - 8, f"it lies on NUMA node 1: {_on_node_mib(cgroup, 1)} MiB")
    daemon = _migrating("32Mi")
    too_large = until("it is told", lambda: daemon.metric('pinfold_memory_migrations_total{result="too-large"}') > 0)
    check(too_large and _on_node_mib(cgroup, 1) >= MOVED_MIB - 8, "more than the configured size stays where it is")
    check("memoryMigrationMaxSize" in daemon.get("/status"), "the status says why")
    daemon.stop(signal.SIGTERM)
    daemon = _migrating("1Gi")
    if until("it is under way", lambda: daemon.metric("pinfold_memory_migration_left_bytes") > 0, 20):
        print(f"killed with {daemon.metric('pinfold_memory_migration_left_bytes') / MIB:.0f} MiB left", flush=True)
    daemon.stop(signal.SIGKILL)
    daemon = _migrating("1Gi")
    there = until("it has moved", lambda: (cgroup / "cpuset.mems").read_text().strip() == "0")
    moved = _on_node_mib(cgroup, 0)
    check(there and moved >= MOVED_MIB - 8, f"after kill -9 it moves: {moved} MiB are on NUMA node 0")
    local = until("the share is told", lambda: daemon.metric("pinfold_pod_memory_local_share") > 0.9, 30)
    check(local, "the local share is told")
    daemon.stop(signal.SIGTERM)
    daemon = _Daemon()
    (cgroup / "cpuset.mems").write_text("0-1")
    back = until("its nodes are back", lambda: (cgroup / "cpuset.mems").read_text().strip() == "0")
    check(back, "nodes that somebody reset are written again where the memory is on them, without a migration")
    daemon.stop(signal.SIGTERM)
    check(pinfold("release", *OPTIONS).returncode == 0, "everything is given back")
    check((cgroup / "cpuset.mems").read_text().strip() in {"", "0-1"}, "the memory nodes too")
    node.delete_pod(raw["metadata"]["uid"])


def _migrating(most: str) -> Daemon:
    class Migrating(_Daemon):
        ARGUMENTS = (*_Daemon.ARGUMENTS, "--set", f"memoryMigrationMaxSize={most}")

    return Migrating()


def others_wait(node: Node) -> None:
    """How long a write to another cgroup's cpuset takes while pages move: inside a write, and by migrate_pages."""
    raw, cgroup = hog_on(node, 7, cpu=7)
    other = CGROUPS / "other"
    other.mkdir()
    (CGROUPS / "cgroup.subtree_control").write_text("+cpuset")
    pids = [one.pid for one in node.processes() if one.uid == raw["metadata"]["uid"]]

    def inside_a_write() -> None:
        (cgroup / "cpuset.mems").write_text("0")

    def beside() -> None:
        for pid in pids:
            migrate_pages(pid, NodeSet.parse("1"))

    print("| pages moved by | took s | slowest write to another cpuset meanwhile s |\n|---|---|---|")
    for name, move in (("a write to `cpuset.mems`", inside_a_write), ("`migrate_pages(2)`", beside)):
        thread = threading.Thread(target=move)
        began = time.monotonic()
        thread.start()
        slowest = 0.0
        while thread.is_alive():
            for cpus in ("0-3", "0-2"):
                at = time.monotonic()
                (other / "cpuset.cpus").write_text(cpus)
                slowest = max(slowest, time.monotonic() - at)
        thread.join()
        print(f"| {name} | {time.monotonic() - began:.2f} | {slowest:.2f} |", flush=True)
        (cgroup / "cpuset.mems").write_text("0-1")
    other.rmdir()
    node.delete_pod(raw["metadata"]["uid"])


def main() -> int:
    print(f"kernel {os.uname().release}", flush=True)
    shutil.rmtree(MANIFESTS, ignore_errors=True)
    MANIFESTS.mkdir(parents=True)
    check = Checks()
    driver: Literal["systemd", "cgroupfs"] = "systemd" if Path("/run/systemd/system").is_dir() else "cgroupfs"
    node = Node(driver, sandbox_gap_s=0, start_gap_s=0)
    page_cache(check, node)
    migration(check, node)
    others_wait(node)
    print(f"{check.passed} passed, {check.failed} failed", flush=True)
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
