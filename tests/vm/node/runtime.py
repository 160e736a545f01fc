"""containerd and runc, played: a bundle on disk, a cgroup, a process that waits in it, then the entrypoint.

What a container's first instruction may use is recorded by that first instruction itself.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.vm.node.cgroups import Cgroupfs, join
from tests.vm.node.rules import PERIOD_US, Limits
from tests.vm.node.tasks import Task, tasks_of

BUNDLES = Path("/run/containerd/io.containerd.runtime.v2.task/k8s.io")
RECORDS = Path("/run/node-records")
BUSYBOX = "/usr/bin/busybox"
SLEEP = (BUSYBOX, "sleep", "1000000")
THREADS = ("/usr/bin/python3", "-I", "-S", str(Path(__file__).with_name("workload.py")))
_DEADLINE_S = 60
_RECORD = """
while read -r key value; do
    case $key in Cpus_allowed_list:) cpus=$value ;; Mems_allowed_list:) mems=$value ;; esac
done </proc/self/status
echo "$cpus $mems" >"$1"
shift
exec "$@"
"""


@dataclass(slots=True)
class Container:
    """A container that runc has made; the sandbox is one, too."""

    id: str
    cgroup: Path
    init: int
    born: Task
    """The first process when runc had put it in, before the entrypoint began."""
    first: tuple[str, str] = ("", "")
    """CPUs and memory nodes that the entrypoint's first instruction was allowed, as kernel lists."""
    execs: list[int] = field(default_factory=list)


class Runtime:
    """Makes containers with one of the two cgroup drivers, *gap_s* between runc's create and its start."""

    def __init__(self, cgroups: Cgroupfs, gap_s: float) -> None:
        self._cgroups = cgroups
        self._gap_s = gap_s
        RECORDS.mkdir(exist_ok=True)

    def run(
        self,
        pod: Path,
        annotations: Mapping[str, str],
        argv: Sequence[str],
        env: Mapping[str, str],
        limits: Limits,
    ) -> Container:
        """Create a container in the pod's cgroup, and start it; returns when the entrypoint runs."""
        container_id = os.urandom(32).hex()
        cgroup = self._cgroups.container(pod, container_id)
        sandbox_id = {"sandbox-id": container_id} if annotations["container-type"] == "sandbox" else {}
        self._write_bundle(container_id, cgroup, {**annotations, **sandbox_id}, argv, env, limits)
        record = RECORDS / container_id
        pid, start = spawn([BUSYBOX, "sh", "-c", _RECORD, "sh", str(record), *argv], env)
        self._cgroups.enter(cgroup, pid, limits)
        container = Container(container_id, cgroup, pid, tasks_of(pid)[0])
        time.sleep(self._gap_s)
        release(start)
        container.first = _recorded(record)
        return container

    def exec(self, container: Container, argv: Sequence[str]) -> int:
        """Run one more process in a container; give its PID."""
        pid, start = spawn(argv, {})
        join(container.cgroup, pid)
        release(start)
        container.execs.append(pid)
        return pid

    def wait(self, container: Container) -> None:
        """Wait until the entrypoint has ended, and delete the container."""
        os.waitpid(container.init, 0)
        self._delete(container)

    def kill(self, container: Container) -> None:
        """End every process of a container, and delete it."""
        for pid in (container.init, *container.execs):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._delete(container)

    def _delete(self, container: Container) -> None:
        self._cgroups.remove(container.cgroup)
        shutil.rmtree(BUNDLES / container.id)

    def _write_bundle(
        self,
        container_id: str,
        cgroup: Path,
        annotations: Mapping[str, str],
        argv: Sequence[str],
        env: Mapping[str, str],
        limits: Limits,
    ) -> None:
        """The folder with config.json that is there before runc is called. Source: containerd, runtime/v2/bundle.go."""
        cpu = {"shares": limits.cpu_shares, "quota": limits.quota_us, "period": PERIOD_US}
        config = {
            "ociVersion": "1.1.0",
            "process": {"args": list(argv), "env": [f"{name}={value}" for name, value in env.items()], "cwd": "/"},
            "root": {"path": "rootfs"},
            "annotations": {f"io.kubernetes.cri.{name}": value for name, value in annotations.items()},
            "linux": {
                "resources": {"cpu": cpu, "memory": {"limit": limits.memory_bytes}},
                "cgroupsPath": self._cgroups.oci_path(cgroup),
                "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}],
            },
        }
        bundle = BUNDLES / container_id
        (bundle / "rootfs").mkdir(parents=True)
        (bundle / "config.json").write_text(json.dumps(config))


def spawn(argv: Sequence[str], env: Mapping[str, str]) -> tuple[int, int]:
    """Fork a process that waits, as runc's init does, before it becomes *argv*; give its PID and what releases it."""
    read_end, write_end = os.pipe()
    if pid := os.fork():
        os.close(read_end)
        return pid, write_end
    try:
        os.close(write_end)
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        if os.read(read_end, 1):
            os.execve(argv[0], list(argv), {"PATH": "/usr/bin:/usr/sbin", **env})  # noqa: S606  no shell is the point
    finally:
        os._exit(127)


def release(start: int) -> None:
    """Let a spawned process become what it is to run."""
    os.write(start, b"\0")
    os.close(start)


def _recorded(record: Path) -> tuple[str, str]:
    until = time.monotonic() + _DEADLINE_S
    while not (record.exists() and (text := record.read_text())):
        if time.monotonic() > until:
            raise TimeoutError(f"no entrypoint wrote {record}")
        time.sleep(0.01)
    cpus, mems = text.split()
    return cpus, mems
