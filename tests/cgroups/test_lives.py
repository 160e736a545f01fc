"""The write protocol on model kernels: lives of a node, others who write, and a crash after every single write.

PINFOLD_LIVES=200 has each test try as many lives as that; `prefixes` counts by transitions.
"""

import os
from collections.abc import Callable

import pytest

from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.paths import ROOT, CgroupPath, File, holds
from tests.cpuset_model import Kernel

from .lives import Life
from .model import ModelGround
from .node import KUBEPODS, PlayedNode
from .prefixes import CPUS, EVENTS, GROUNDS, Prefixes

LIVES = int(os.environ.get("PINFOLD_LIVES", "12"))
WORDS = ("member", "root", "isolated")
LISTS = ("", "0-11", "2-5", "0-1", "1-11", "4", "8-11")

on_every_kernel = pytest.mark.parametrize(("kernel", "enforcement"), GROUNDS.values(), ids=GROUNDS)


class MeddledLife(Life):
    """Others write into Pinfold's files, too."""

    def __init__(self, node: PlayedNode, ground: ModelGround, seed: int) -> None:
        super().__init__(node, seed)
        self.ground = ground

    def events(self) -> list[Callable[[], None]]:
        return [*super().events(), *[self.somebody_else_writes] * 4]

    def somebody_else_writes(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            path = self.random.choice([path for path in self.node.paths() if self._files_of_ours(path)])
            file = self.random.choice(self._files_of_ours(path))
            self.ground.meddle(path, file, self.random.choice(WORDS if file is File.PARTITION else LISTS))
        self.node.settle(self.ledger)

    def _files_of_ours(self, path: CgroupPath) -> list[File]:
        """What Pinfold mends: partitions made elsewhere are others', and the kubelet rewrites its root cgroup."""
        managed = [self.pods[pod] for pod in self.ledger.entries]
        if path == ROOT:
            return []
        cpus = [File.CPUS] * (path != KUBEPODS)
        if self.node.shrinks:
            return cpus
        if any(holds(pod, path) for pod in managed):
            return [*cpus, File.EXCLUSIVE, File.PARTITION]
        return [*cpus, File.EXCLUSIVE] if any(holds(path, pod) for pod in managed) else cpus


def _life(kernel: Kernel, enforcement: Enforcement, seed: int) -> MeddledLife:
    ground = ModelGround.boot(kernel, CPUS)
    return MeddledLife(PlayedNode.boot(ground, enforcement), ground, seed)


@on_every_kernel
def test_no_write_lets_anybody_meet_an_owner_and_a_crash_converges(kernel: Kernel, enforcement: Enforcement) -> None:
    for seed in range(LIVES):
        life = _life(kernel, enforcement, seed)
        try:
            life.live(EVENTS)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {' → '.join(life.story)}") from error


@on_every_kernel
def test_a_crash_after_every_single_write_converges(kernel: Kernel, enforcement: Enforcement) -> None:
    run = Prefixes(kernel, enforcement)
    for seed in range(1000, 1000 + max(LIVES // 6, 1)):
        run.live(seed)
    assert run.failures == []
    assert run.passed > run.writes > LIVES
