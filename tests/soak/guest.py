"""Churn of the real daemon on a real kernel, drawn from a seed; every promise is checked by the kernel's word.

    python -m tests.vm --init systemd --smp 12 --timeout 900 -- python3 -m tests.soak.guest --seconds 120 --seed 1

Runs as root in the guest. Pods come, grow, go, and their containers are restarted; the daemon is killed, or away for a
while; somebody else writes into the cpusets of pods and of system.slice; systemd reloads; a CPU leaves and comes back.
There is room for all pods at any time, so each must be pinned as it asked. A line for each event, once the daemon says
that it is settled and the kernel says the same; the first that is not ends the run with what the daemon told last.
Nobody makes partitions of containers: within a pod's they break on every kernel.
"""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from tests.crash.hotplug import online, switch
from tests.crash.node import boot, put
from tests.soak.growth import BEARABLE_DESCRIPTORS, BEARABLE_THREADS
from tests.soak.living import CONTAINERS, Living, broken
from tests.vm.daemon import MANIFESTS, OPTIONS, Daemon, pinfold, until
from tests.vm.node.tasks import CGROUPS, settings

MOST = 5
"""Pods at once."""
LARGEST = 4
SPARE = 3
"""CPUs that no pod may ask for: a reserved one, one that may be offline, one for everybody."""
PATIENCE_S = 180.0
STEADY_S = 0.5
LISTS = ("", "0-3", "2-5", "0-1", "4", "8-11", "0-11")
WORDS = ("member", "root", "isolated")


class Churn:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.node = boot("systemd")
        self.machine = online()
        self.pods: dict[int, Living] = {}
        self.count = 0
        self.start()

    def start(self) -> None:
        self.daemon = Daemon()
        self.at_first: tuple[int, int] | None = None

    def draw(self) -> str:
        """One event; what it was."""
        events = [self._kill, self._stop, self._reload, *[self._switch] * 2]
        events += [self._come] * 3 * (len(self.pods) < MOST)
        if self.pods:
            events += [self._go, self._restart, *[self._write] * 3]
        events += [self._resize] * 2 * any(one.cpus for one in self.pods.values())
        return self.random.choice(events)()

    # --- what happens -------------------------------------------------------------------------------------------

    def _come(self) -> str:
        """Told before its cgroup is made, or after it runs."""
        self.count += 1
        cpus = min(self._room(), self.random.choice((0, *range(1, LARGEST + 1))))
        one = Living.of(self.count, cpus, self.random.randint(0, max(0, cpus - 1)))
        self.pods[self.count] = one
        for step in self.random.sample((put, self.node.start_pod), 2):
            step(one.manifest)
        return f"{one.name} comes, with {one.cpus} CPUs, {one.engine} of them for its engine"

    def _go(self) -> str:
        one = self._one()
        manifest = MANIFESTS / f"{one.name}.json"
        steps: list[Callable[[], None]] = [lambda: self.node.delete_pod(one.uid), manifest.unlink]
        for step in self.random.sample(steps, 2):
            step()
        self.pods = {number: other for number, other in self.pods.items() if other is not one}
        return f"{one.name} goes"

    def _restart(self) -> str:
        one, container = self._one(), self.random.choice(CONTAINERS)
        self.node.restart_container(one.uid, container)
        return f"the {container} of {one.name} is restarted"

    def _resize(self) -> str:
        one = self._one(lambda one: one.cpus > 0)
        before, most = one.cpus, min(LARGEST + 1, one.cpus + self._room())
        one.resize(self.random.choice([size for size in range(one.engine + 1, most + 1) if size != before] or [before]))
        put(one.manifest)
        return f"{one.name} is resized from {before} to {one.cpus}"

    def _also(self) -> str:
        events = [self._resize] if any(one.cpus for one in self.pods.values()) else []
        events += [self._come] if len(self.pods) < MOST else [self._go, self._restart]
        return self.random.choice(events)()

    def _kill(self) -> str:
        """While it does what the next event asks for."""
        what = self._also()
        time.sleep(self.random.random())
        self.daemon.stop(signal.SIGKILL)
        self.start()
        return f"{what}, and the daemon is killed"

    def _stop(self) -> str:
        self.daemon.stop(signal.SIGTERM)
        what = self._also()
        self.start()
        return f"{what}, while the daemon is away"

    def _write(self) -> str:
        """Somebody else does."""
        return f"somebody writes {', '.join(self._written() for _ in range(self.random.randint(1, 4)))}"

    def _written(self) -> str:
        one = self._one()
        cgroup = self.node.prepare(one.manifest)
        places = {each.container: each.cgroup.lstrip("/") for each in self.node.processes() if each.uid == one.uid}
        kubepods = CGROUPS / "kubepods.slice"
        files = [cgroup / "cpuset.cpus", CGROUPS / "system.slice/cpuset.cpus"]
        files += [kubepods / "cpuset.cpus.exclusive", kubepods / "kubepods-burstable.slice/cpuset.cpus"]
        files += [CGROUPS / places[container] / "cpuset.cpus" for container in CONTAINERS] * 2
        files += [cgroup / "cpuset.cpus.exclusive", cgroup / "cpuset.cpus.partition"] * 2 * bool(one.cpus)
        file = self.random.choice(files)
        value = self.random.choice(WORDS if file.name.endswith("partition") else LISTS)
        with suppress(OSError):  # refused, or there is no such file: created there is none in cgroupfs
            file.write_text(f"{value}\n")
        return f"{value!r} to {file.name} of {one.name if cgroup in file.parents else file.parent.name}"

    def _reload(self) -> str:
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        return "systemd reloads"

    def _switch(self) -> str:
        away = sorted(self.machine - online())
        cpu = away[0] if away else self.random.choice(sorted(self.machine - {0}))
        try:
            switch(cpu, on=bool(away))
        except OSError as error:  # the last CPU of a partition may not leave on 6.12
            return f"CPU {cpu} may not leave: {error.strerror}"
        return f"CPU {cpu} {'is back' if away else 'leaves'}"

    # --- what comes of it ---------------------------------------------------------------------------------------

    def wrong(self) -> list[str]:
        """What the daemon says, and then what the kernel does, against what was asked for."""
        if self.daemon.process.poll() is not None:
            return [f"the daemon ended with {self.daemon.process.returncode}"]
        try:
            known = self.daemon.pods()
            pools = {f"test/{one.name}" for one in self.pods.values() if one.cpus}
            if known.keys() != {f"test/{one.name}" for one in self.pods.values()} or not self.daemon.settled(*pools):
                return [f"{one['name']}: {one['outcome']}, {one['pool']}, {one['drift']}" for one in known.values()]
        except ValueError:
            return ["the daemon does not answer"]
        faults = [one for one in self.daemon.events() if one["event"].endswith((".failed", ".faulted"))]
        return [*map(str, faults), *broken(self.pods.values(), self.node), *self._grown()]

    def _grown(self) -> list[str]:
        """Of this process of the daemon, since it was settled first; a pool has a descriptor of its own."""
        process = Path(f"/proc/{self.daemon.process.pid}")
        now = (len(list((process / "fd").iterdir())), len(list((process / "task").iterdir())))
        self.at_first = self.at_first or now
        bearable = (BEARABLE_DESCRIPTORS + MOST, BEARABLE_THREADS)
        grown = any(one > first + more for one, first, more in zip(now, self.at_first, bearable, strict=True))
        return [f"descriptors and threads: {now}, at first {self.at_first}"] * grown

    def settled(self, what: str) -> bool:
        """All is right, and still is a moment later."""

        def holds() -> bool:
            if self.wrong():
                return False
            time.sleep(STEADY_S)
            return not self.wrong()

        return until(what, holds, PATIENCE_S)

    def end(self) -> list[str]:
        """Every pod goes, and the daemon gives back what it holds."""
        while self.pods:
            self._go()
        self.settled("the last pod has gone")
        wrong, status, done = self.wrong(), self.daemon.stop(signal.SIGTERM), pinfold("release", *OPTIONS)
        left = [path for path, text in settings().items() if path.endswith("partition") and text != "member"]
        return [*wrong, *(str(one) for one in (status, done.returncode and done.stderr, left) if one)]

    # --- hands --------------------------------------------------------------------------------------------------

    def _one(self, fits: Callable[[Living], bool] = lambda _: True) -> Living:
        return self.random.choice([one for one in self.pods.values() if fits(one)])

    def _room(self) -> int:
        """CPUs that one more pod may ask for."""
        return len(self.machine) - SPARE - sum(one.cpus for one in self.pods.values())


def play(seed: int, seconds: float) -> tuple[int, int]:
    """How many steps there were, and how many failed: none, or the last."""
    churn, began, steps, wrong = Churn(seed), time.monotonic(), 0, list[str]()
    while time.monotonic() - began < seconds and not wrong:
        at_s = time.monotonic() - began
        what, steps = churn.draw(), steps + 1
        wrong = [] if churn.settled(what) else churn.wrong() or ["it is settled only now"]
        took_s = time.monotonic() - began - at_s
        print(f"{'FAILED' if wrong else 'ok'} {at_s:6.0f} s: {what} ({took_s:.1f} s)", flush=True)
    if wrong := wrong or churn.end():
        print(*churn.daemon.events()[-40:], *wrong, sep="\n", flush=True)
    return steps, int(bool(wrong))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    steps, failed = play(args.seed, args.seconds)
    print(f"{steps} steps, {failed} failed, seed {args.seed}", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
