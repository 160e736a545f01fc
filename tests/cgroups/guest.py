"""Lives of a node on this machine's own kernel, with real cgroups and processes. Runs as root in the guest.

    python -m tests.vm --kernel 6.12 -- python3 -m tests.cgroups.guest --lives 20

It prints a line for each life that failed and ends with ``N passed, N failed``.
"""

import argparse
import os
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from pinfold.cgroups.capability import capability, may_administer
from pinfold.cgroups.files import Cgroupfs
from pinfold.cgroups.held import held
from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.paths import ROOT, CgroupPath, File
from pinfold.cpuset import CpuSet

from .lives import Life
from .node import PlayedNode

MOUNT = Path("/sys/fs/cgroup")
CPUS = Path("/sys/devices/system/cpu")
PATIENCE_S = 60.0


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "gave up waiting"
        time.sleep(0.001)


class RealGround(Cgroupfs):
    """This machine: everything that Pinfold does not do is done with plain files and processes."""

    def __init__(self) -> None:
        super().__init__(MOUNT)
        self.possible = CpuSet.parse((CPUS / "possible").read_text())
        self._pids: dict[CgroupPath, int] = {}

    @property
    def online(self) -> CpuSet:
        return CpuSet.parse((CPUS / "online").read_text())

    def spawn(self, path: CgroupPath, /) -> None:
        pid = os.fork()
        if not pid:
            signal.pause()
        (MOUNT / path / File.PROCS).write_text(str(pid))
        _until(lambda: Path(f"/proc/{pid}/cgroup").read_text().strip() == f"0::/{path}")
        self._pids[path] = pid

    def end(self, path: CgroupPath, /) -> None:
        if pid := self._pids.pop(path, 0):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            _until(lambda: path == ROOT or "populated 0" in (MOUNT / path / File.EVENTS).read_text())

    def allowed(self) -> Mapping[CgroupPath, CpuSet]:
        return {path: CpuSet.of(os.sched_getaffinity(pid)) for path, pid in self._pids.items()}

    def switch(self, cpu: int, /, *, on: bool) -> bool:
        try:
            (CPUS / f"cpu{cpu}" / "online").write_text(str(int(on)))
        except OSError:  # 6.12 keeps the last CPU of a partition (EBUSY)
            return False
        return True


def enforcement(ground: RealGround) -> Enforcement:
    return capability(held(ground, [ROOT]), may_administer=may_administer()).enforcement


def clean(node: PlayedNode) -> None:
    """Nothing of a life is left for the next one."""
    for path in node.paths():
        node.ground.end(path)
    for path in reversed(node.paths()):
        if path:
            node.ground.remove(path)
    node.ground.write(ROOT, File.SUBTREE_CONTROL, "-cpuset")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lives", type=int, default=20)
    parser.add_argument("--events", type=int, default=15)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first life")
    parser.add_argument("--shrink", action="store_true", help="as if there were no remote partitions")
    args = parser.parse_args()
    passed = failed = writes = transitions = 0
    for seed in range(args.first, args.first + args.lives):
        with RealGround() as ground:
            node = PlayedNode.boot(ground, Enforcement.SHRINK if args.shrink else enforcement(ground))
            life = Life(node, seed)
            try:
                life.live(args.events)
                passed += 1
            except Exception:  # noqa: BLE001  whatever it was, the next life is tried
                failed += 1
                print(f"FAILED: seed {seed}: {' → '.join(life.story)}\n{traceback.format_exc()[-1500:]}", flush=True)
            writes, transitions = writes + life.writes, transitions + life.transitions
            clean(node)
    print(f"{node.enforcement}: {transitions} transitions, {writes} writes")
    print(f"{passed} passed, {failed} failed")
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main()
