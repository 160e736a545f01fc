"""The entrypoint of every container here: it tells what its first instruction was allowed, and stays.

A shell without a child: busybox reads its own /proc entry before it does anything else.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.vm.node.rules import Json

RECORDS = Path("/run/probes")
MOUNT = "/probes"
_SCRIPT = """
while read -r key value; do
    case $key in Cpus_allowed_list:) cpus=$value ;; Mems_allowed_list:) mems=$value ;; esac
done </proc/self/status
read -r up idle </proc/uptime
echo "$cpus $mems $up" >/probes/"$1"
shift
"""
_BECOMES = f'{_SCRIPT} exec "$@"'
_HEEDS = f"{_SCRIPT} trap 'sleep 2; exit 0' TERM; while :; do sleep 1; done"
PAUSE = ("/bin/sleep", "1000000")
HEEDS_TERM = ("heeds-term",)
"""A program that ends two seconds after a SIGTERM, which what runs as PID 1 has to ask for."""
_DEADLINE_S = 180.0


@dataclass(frozen=True, slots=True)
class Born:
    """Kernel lists, and the machine's uptime when they were read."""

    cpus: str
    mems: str
    up_s: float


def folder(pod_uid: str) -> Path:
    """Where the containers of a pod leave their records."""
    return RECORDS / pod_uid


def command(record: str, container: Json) -> list[str]:
    """What *container* is to run: it leaves *record*, and becomes what its spec says; HEEDS_TERM where it says so."""
    argv = container.get("command", PAUSE)
    script = _HEEDS if tuple(argv) == HEEDS_TERM else _BECOMES
    return ["/bin/sh", "-c", script, "probe", record, *argv]


def born(pod_uid: str, record: str) -> Born:
    """What a container's entrypoint said; waits for it."""
    path, until = folder(pod_uid) / record, time.monotonic() + _DEADLINE_S
    while not (path.exists() and (text := path.read_text()).endswith("\n")):
        if time.monotonic() > until:
            raise TimeoutError(f"no entrypoint wrote {path}")
        time.sleep(0.02)
    cpus, mems, up_s = text.split()
    return Born(cpus, mems, float(up_s))
