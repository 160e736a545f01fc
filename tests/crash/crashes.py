"""Pinfold dies by SIGKILL in place of each of its writes; what it left and what the next one makes of it is checked.

    python -m tests.vm --kernel 6.12 --smp 12 -- python3 -m tests.crash.crashes

Runs as root in the guest. A pod is admitted, grows, shrinks and is let go again, beside another that keeps its pool;
then everything is released. In round *k* whoever makes each of these steps dies instead of its write number *k*, and
an ordinary process takes over; rounds go on until none dies any more. Each process is forked from this one, which has
imported everything and opened nothing. A line for each step that failed, then `N passed, N failed`.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import combinations, count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pinfold.agent import outside
from pinfold.agent.enforcement import NodeCgroups
from pinfold.agent.loop import Agent
from pinfold.cgroups.files import Cgroupfs
from pinfold.cgroups.paths import CgroupPath
from pinfold.config import Config, config_of
from pinfold.errors import PinfoldError
from pinfold.planning.ledger import Ledger
from pinfold.report.logs import configure
from pinfold.state import StateDirectory, StateError, boot_id, load
from tests.crash.node import boot, pod, put
from tests.vm.daemon import LOG, MANIFESTS, STATE
from tests.vm.main_job import Checks, released
from tests.vm.node import Node, everyone
from tests.vm.node.tasks import parse, settings

CONFIG = config_of(
    {
        "stateDir": str(STATE),
        "sources": {"manifests": {"path": str(MANIFESTS)}, "apiServer": {"enabled": False}},
    }
)
STEPS: dict[str, dict[str, Any] | None] = {
    "admission": pod(1, 4, engine=3),
    "grown to 6": pod(1, 6, engine=4),
    "shrunk to 3": pod(1, 3, engine=2),
    "let go": {**pod(1, 3, engine=2), "spec": {"containers": [{"name": "engine"}, {"name": "proxy"}]}},
    "admission again": pod(1, 3, engine=2),
    "release": None,
}
"""What the first pod's manifest becomes; None: `pinfold release`."""
TURNS = 12
UNFINISHED = 99
MOST_WRITES = 200


class Failures(Checks):
    """Of thousands of checks only those that failed are told."""

    def __call__(self, holds: bool, what: str, found: object = "") -> None:
        if holds:
            self.passed += 1
        else:
            super().__call__(holds, what, found)


class Mortal(Cgroupfs):
    """The kernel, until the process dies in place of a write."""

    lives = -1

    def write(self, path: CgroupPath, file: str, value: str) -> None:
        if self.lives == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.lives -= 1
        super().write(path, file, value)


class MortalCgroups(NodeCgroups):
    def __init__(self, config: Config) -> None:
        super().__init__(config, Mortal(Path(config.cgroup_mount)))


def forked(what: Callable[[], bool], lives: int = -1) -> int:
    """*what* in a process of its own, which dies after *lives* writes; 0: it came to its end, and held."""
    if pid := os.fork():
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)
    try:
        log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        configure("json", "info")
        Mortal.lives = lives
        holds = what()
        sys.stderr.flush()
        os._exit(not holds)
    except PinfoldError as error:
        print(repr(error), file=sys.stderr, flush=True)
    finally:
        os._exit(UNFINISHED)


def serve() -> bool:
    """The daemon, until a turn finds nothing to do; whether there is one."""
    with closing(StateDirectory(STATE)) as state, closing(Agent(CONFIG, state, MortalCgroups(CONFIG))) as agent:
        for _ in range(TURNS):
            before = agent.snapshot()
            again = agent.reconcile()
            after = agent.snapshot()
            if after is None:
                continue
            quiet = before is not None and before.counters.writes == after.counters.writes
            if after.counters.faults:
                print(after.counters.faults, file=sys.stderr)
                return False
            if quiet and not again:
                return not any(pod.kernel.drift for pod in after.pods)
    return False


def give_back() -> bool:
    with patch.object(outside, "NodeCgroups", MortalCgroups):
        enforced = outside.release(CONFIG).enforced
    return enforced is not None and not enforced.drift


@dataclass(frozen=True, slots=True)
class Sight:
    """The kernel's word: each task's CPUs."""

    cpus: dict[tuple[int, int], frozenset[int]]
    names: dict[tuple[int, int], str]

    @classmethod
    def of(cls, node: Node) -> "Sight":
        tasks = everyone()
        places = {process.cgroup: f"{process.pod} {process.container}" for process in node.processes()}
        return cls(
            {(one.pid, one.tid): parse(one.cpus) for one in tasks},
            {(one.pid, one.tid): places.get(one.cgroup, one.cgroup) for one in tasks},
        )

    def of_pod(self, name: str) -> frozenset[int]:
        return frozenset().union(*(cpus for who, cpus in self.cpus.items() if self.names[who].startswith(f"{name} ")))

    def of_others(self, name: str) -> frozenset[int]:
        found = (cpus for who, cpus in self.cpus.items() if not self.names[who].startswith(f"{name} "))
        return frozenset().union(*found)

    def wrong_between(self, before: "Sight", after: "Sight") -> list[str]:
        """Who has no CPU, and who shares one that he shares neither before nor afterwards."""
        wrong = [f"{self.names[who]} has no CPU" for who, cpus in self.cpus.items() if not cpus]
        lasting = sorted(self.cpus.keys() & before.cpus.keys() & after.cpus.keys())
        for one, other in combinations(lasting, 2):
            allowed = (before.cpus[one] & before.cpus[other]) | (after.cpus[one] & after.cpus[other])
            if met := (self.cpus[one] & self.cpus[other]) - allowed:
                wrong.append(f"{self.names[one]} and {self.names[other]} meet on {sorted(met)}")
        return wrong


def ledger() -> Ledger | str:
    try:
        checkpoint = load(STATE, boot_id())
    except StateError as error:
        return str(error)
    return checkpoint.ledger if checkpoint else Ledger()


def promises(sight: Sight) -> list[str]:
    """What the ledger says against the kernel's word."""
    books = ledger()
    if isinstance(books, str):
        return [books]
    wrong = []
    for entry in books.entries.values():
        name = f"{entry.namespace}/{entry.name}"
        own, others = sight.of_pod(name), sight.of_others(name)
        if own != frozenset(entry.cpus):
            wrong.append(f"{name} runs on {sorted(own)}, its pool is {entry.cpus}")
        if met := frozenset(entry.cpus) & others:
            wrong.append(f"others run on {sorted(met)} of {name}")
        for one in entry.containers:
            cpus = [cpus for who, cpus in sight.cpus.items() if sight.names[who] == f"{name} {one.name}"]
            wrong += [f"{name} {one.name} runs on {sorted(each)}" for each in cpus if each != frozenset(one.cpus)]
    return wrong


@dataclass(slots=True)
class Round:
    """All steps, each of which dies after *lives* writes."""

    check: Checks
    node: Node
    before: dict[str, str]
    lives: int
    died: list[str] = field(default_factory=list)

    def play(self) -> None:
        for name, manifest in STEPS.items():
            self._step(f"{name}, killed after {self.lives} writes", manifest)
        put(STEPS["let go"] or {})
        self.check(forked(serve) == 0, f"round {self.lives}: the neighbour has its pool again", _log())

    def _step(self, name: str, manifest: dict[str, Any] | None) -> None:
        before = Sight.of(self.node)
        if manifest:
            put(manifest)
        what = serve if manifest else give_back
        status = forked(what, self.lives)
        killed = status == -signal.SIGKILL
        if not killed:
            self.check(status == 0, f"{name}: nothing was left to do", (status, _log()))
        between, books = Sight.of(self.node), ledger()
        if killed:
            self.died.append(name.partition(",")[0])
            self.check(not isinstance(books, str), f"{name}: the checkpoint is whole", books)
            self.check(forked(what) == 0, f"{name}: the next one comes to an end", _log())
        after = Sight.of(self.node)
        self.check.each(between.wrong_between(before, after), f"{name}: nobody meets whom he should not")
        if manifest:
            size = int(manifest["spec"].get("resources", {"requests": {"cpu": 0}})["requests"]["cpu"])
            now = ledger()
            pools = {} if isinstance(now, str) else {one.name: len(one.cpus) for one in now.entries.values()}
            self.check(
                pools == {"p2": 2, **({"p1": size} if size else {})}, f"{name}: the pools have their sizes", pools
            )
            self.check.each(promises(after), f"{name}: the kernel keeps the promise")
            if killed:
                self.check(books == ledger(), f"{name}: the restart moves nothing", (books, ledger()))
        else:
            released(self.check, self.before, name)


def _log() -> str:
    return LOG.read_text()[-3000:]


def main() -> int:
    check = Failures()
    node = boot()
    for number in (1, 2):
        node.start_pod(pod(number, 3, engine=2))
    before = settings()
    put(pod(2, 2, engine=1))
    put(STEPS["let go"] or {})
    check(forked(serve) == 0, "the neighbour has its pool", _log())
    deaths = 0
    for lives in count():
        one = Round(check, node, before, lives)
        one.play()
        deaths += len(one.died)
        print(f"after {lives} writes: {', '.join(one.died) or 'nobody'} died", flush=True)
        if not one.died or lives > MOST_WRITES or check.failed:
            break
    check(deaths > 0, "somebody died", deaths)
    print(f"{deaths} deaths", flush=True)
    print(f"{check.passed} passed, {check.failed} failed", flush=True)
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
