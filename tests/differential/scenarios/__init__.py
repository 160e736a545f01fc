"""What nodes do to each other, as short runs of steps: the shapes of docs/kernel.md.

A scenario looks at the world before each of its steps; mostly it starts `calm`: the whole tree there, cpuset on, no set
written, no partition, all CPUs online.
"""

from collections.abc import Callable

from tests.cpuset_model import Kernel

from . import local_and_hotplug as local
from . import partitions as remote
from . import plain
from .stage import TREE, Stage, Steps, calm, tree

Scenario = Callable[[Stage], Steps]

ALWAYS: tuple[Scenario, ...] = (
    remote.made,
    remote.refused_root,
    remote.controller_goes,
    remote.removed,
    local.invalid_parent,
    local.chain,
    local.overlap,
    local.takes_all,
    local.one_of_two,
    local.last_one,
    plain.parent_moves,
    plain.offline_sets,
    plain.odd_texts,
    plain.no_more,
    plain.inner_processes,
    plain.without_files,
    plain.chosen_cpus,
    plain.memory,
)
WITH_EXCLUSIVE: tuple[Scenario, ...] = (
    remote.grown,
    remote.swapped,
    remote.below_burstable,
    remote.container,
    remote.takes_all,
    remote.overlapping,
    remote.ancestor_shrinks,
    remote.without_privilege,
    remote.emptied,
    local.made_offline,
    plain.memory_at_odds,
)
WITH_ISOLCPUS: tuple[Scenario, ...] = (remote.isolcpus,)


def of(kernel: Kernel, *, isolated: bool) -> tuple[Scenario, ...]:
    """Those that *kernel* can play; *isolated*: on a machine that was booted with isolcpus=."""
    return (*ALWAYS, *(WITH_EXCLUSIVE if kernel.exclusive else ()), *(WITH_ISOLCPUS if isolated else ()))


__all__ = ["TREE", "Scenario", "Stage", "calm", "of", "tree"]
