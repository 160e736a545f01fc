"""What a person should know of the node, a sentence each."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pinfold.agent.patience import LONGEST_S, Patience
from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.reclaim import WEAK_LOW, is_multi_gen
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from pinfold.planning.protection import Level


def fights(patience: Patience) -> Iterator[str]:
    for path in sorted(patience.fought):
        yield f"somebody keeps rewriting {path}: it is repaired when he pauses or after {LONGEST_S} s. Find him."


def strangers(held_by_others: Mapping[CgroupPath, CpuSet]) -> Iterator[str]:
    for path, cpus in sorted(held_by_others.items()):
        yield f"CPUs {cpus} are held by /{path}, of which somebody else made a cpuset partition: no pod gets them."


def weakly_protected(ledger: Ledger, sysfs: Path) -> Iterator[str]:
    """Where pods have memory.low and the kernel reclaims from it all the same."""
    if any(one.level is Level.LOW for one in ledger.protections.values()) and is_multi_gen(sysfs):
        yield WEAK_LOW
