"""What the loop reads for one change on a real kernel, with few pods and with many. Runs as root in the guest.

    python -m tests.vm --kernel 6.12 -- python3 -m tests.agent.in_guest --pods 200

System calls and bytes are the kernel's own count of what this process read (/proc/self/io). It prints a line for each
check and ends with `N passed, N failed`.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pinfold.agent.loop import Agent
from pinfold.report.logs import configure
from pinfold.state import StateDirectory
from tests.crash.crashes import CONFIG
from tests.crash.node import UID, boot, pod, put
from tests.vm.daemon import MANIFESTS, STATE
from tests.vm.main_job import Checks
from tests.vm.node import Node
from tests.vm.node.tasks import CGROUPS

COMING = pod(2, 2, engine=1)
FEW = 10
MOST = 1.5
"""How much more may be read with many pods than with few: the list of a directory grows with it."""


class Read(NamedTuple):
    calls: int
    kib: float

    @classmethod
    def now(cls) -> "Read":
        said = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return cls(int(said["syscr"]), int(said["rchar"]) / 1024)


def settle(agent: Agent) -> None:
    """As the daemon: a turn for what rang, until nothing does any more."""
    deadline = time.monotonic() + 60
    while agent.sources.wait(0.5) or agent.reconcile():
        agent.reconcile()
        if time.monotonic() > deadline:
            raise TimeoutError("the loop never comes to rest")


def cost(agent: Agent, change: Callable[[], object]) -> Read:
    change()
    before = Read.now()
    settle(agent)
    after = Read.now()
    return Read(after.calls - before.calls, after.kib - before.kib)


def crowd(first: int, last: int) -> None:
    """Pods that ask for nothing: a manifest, a cgroup with one container's, nobody in it."""
    for number in range(first, last):
        raw: dict[str, Any] = pod(number, 1, engine=1)
        raw["metadata"] |= {"name": f"c{number}", "uid": f"{UID[:-4]}{number:06}"}
        raw["spec"] = {"containers": [{"name": "one", "image": "x"}]}
        put(raw)
        (CGROUPS / f"kubepods/besteffort/pod{raw['metadata']['uid']}/{number:064x}").mkdir(parents=True)


def come(node: Node) -> None:
    put(COMING)
    node.start_pod(COMING)


def go(node: Node) -> None:
    node.delete_pod(COMING["metadata"]["uid"])
    (MANIFESTS / "p2.json").unlink()


def play(most: int) -> Checks:
    check = Checks()
    configure("json", "critical")
    node = boot()
    with closing(StateDirectory(STATE)) as state, closing(Agent(CONFIG, state)) as agent:
        put(standing := pod(1, 2, engine=1))
        node.start_pod(standing)
        seen: dict[int, dict[str, Read]] = {}
        there = 0
        for pods in (FEW, most):
            crowd(there, pods)
            there = pods
            settle(agent)
            engine = next(one for one in node.processes() if one.container == "engine")
            file = CGROUPS / engine.cgroup.lstrip("/") / "cpuset.cpus"
            held = file.read_text()
            seen[pods] = {
                "nothing": cost(agent, lambda: None),
                "a pod comes": cost(agent, partial(come, node)),
                "a set is rewritten": cost(agent, partial(file.write_text, "0-7")),
                "a pod grows": cost(agent, lambda: put(pod(2, 3, engine=1))),
                "a pod goes": cost(agent, partial(go, node)),
            }
            check(file.read_text() == held, f"{pods} pods: what was rewritten is repaired", file.read_text())
    print(f"{'':20}" + "".join(f"{pods:>8} pods: calls      KiB" for pods in seen))
    for what in seen[FEW]:
        print(f"{what:20}" + "".join(f"{one[what].calls:20} {one[what].kib:8.1f}" for one in seen.values()), flush=True)
    for what, few in seen[FEW].items():
        many = seen[most][what]
        check(many.calls <= MOST * few.calls + 20, f"{what}: as many calls with {most} pods", (few, many))
    snapshot = agent.snapshot()
    check(
        snapshot is not None and not snapshot.counters.faults, "no turn failed", snapshot and snapshot.counters.faults
    )
    return check


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=100)
    check = play(parser.parse_args().pods)
    print(f"{check.passed} passed, {check.failed} failed", flush=True)
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
