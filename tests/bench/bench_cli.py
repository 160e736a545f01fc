"""How long each command takes to its answer, over a bare Python: ``python -m tests.bench.bench_cli`` prints a table.

Every command is a process of its own, as in a shell; those that ask the daemon ask an endpoint of this process. The
figures are the least of many runs: ``ms`` until it ended, and ``cpu`` of that in user and system time, which is what it
takes where nothing else disturbs it. ``over`` is the ``cpu`` beyond that of ``python -c pass``, ``ratio`` the whole in
units of it. The bar is 0.15 s over.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from pinfold.report.http import Endpoint
from pinfold.report.logs import configure
from pinfold.report.routes import Readings
from tests.report.samples import picture

ROOT = Path(__file__).parents[2]
MANIFEST = str(ROOT / "tests/vm/workloads/match-engine.yaml")
BAR_S = 0.15
RUNS = 20


class Took(NamedTuple):
    """Seconds of one run."""

    cpu_s: float
    whole_s: float


def measured(*argv: str, status: int = 0) -> Took:
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "daemon")}
    began = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, environment, file_actions=null)
    _, code, usage = os.wait4(pid, 0)
    took_s, ended = time.perf_counter() - began, os.waitstatus_to_exitcode(code)
    if ended != status:
        raise SystemExit(f"{' '.join(argv)} ended with {ended}, not {status}")
    return Took(usage.ru_utime + usage.ru_stime, took_s)


def commands(socket: str, scratch: str) -> dict[str, tuple[tuple[str, ...], int]]:
    """Name → the arguments, and how the command ends here: the commands of a node find no node."""
    asked = ("--socket", socket)
    nowhere = ("--set", f"stateDir={scratch}/state", "--set", f"cgroupMount={scratch}")
    return {
        "version": (("version",), 0),
        "status": (("status", *asked), 0),
        "explain": (("explain", "trading/match-engine", *asked), 0),
        "events": (("events", *asked), 0),
        "completion": (("completion", "bash"), 0),
        "topology": (("topology",), 0),
        "plan": (("plan", "--pods", MANIFEST, "--machine", "2x8x2"), 0),
        "plan, configured": (("plan", "--pods", MANIFEST, "--machine", "2x8x2", "--set", "manage=guaranteed"), 0),
        "config check": (("config", "check"), 0),
        "bundle": (("bundle", "-", *asked, *nowhere), 0),
        "verify": (("verify", *nowhere), 1),
        "release": (("release", "--dry-run", *nowhere), 1),
    }


def main() -> None:
    configure("console", "error")
    with tempfile.TemporaryDirectory(prefix="pinfold-bench-") as scratch:
        socket = f"{scratch}/socket"
        readings = Readings(picture, dict, lambda: 0.0, 30.0, decision=dict)
        with Endpoint(readings, unix_socket=socket):
            bare = least(sys.executable, "-c", "pass")
            print(f"{'command':20}{'ms':>8}{'cpu':>8}{'over':>8}{'ratio':>8}")
            told("python -c pass", bare, bare)
            for name, (arguments, status) in commands(socket, scratch).items():
                told(name, least(sys.executable, "-m", "pinfold", *arguments, status=status), bare)


def least(*argv: str, status: int = 0) -> Took:
    runs = [measured(*argv, status=status) for _ in range(RUNS)]
    return Took(min(one.cpu_s for one in runs), min(one.whole_s for one in runs))


def told(name: str, took: Took, bare: Took) -> None:
    over_s = took.cpu_s - bare.cpu_s
    figures = f"{1000 * took.whole_s:8.0f}{1000 * took.cpu_s:8.0f}{1000 * over_s:8.0f}{took.cpu_s / bare.cpu_s:8.1f}"
    print(f"{name:20}{figures}{'  over the bar' * (over_s > BAR_S)}", flush=True)


if __name__ == "__main__":
    main()
