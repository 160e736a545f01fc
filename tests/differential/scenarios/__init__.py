"""What nodes do to each other, as short runs of steps: the shapes of docs/kernel.md.

A scenario looks at the world before each of its steps; mostly it starts `calm`: the whole tree there, cpuset on, no set
written, no partition, all CPUs online. How often each is played is tuned so that a long run meets every row.
"""

from collections.abc import Callable, Mapping

from tests.cpuset_model import Kernel

from . import local_and_hotplug as local
from . import partitions as remote
from . import plain
from .stage import TREE, Stage, Steps, calm, tree

Scenario = Callable[[Stage], Steps]

ALWAYS: Mapping[Scenario, int] = {
    remote.made: 1,
    remote.refused_root: 2,
    remote.controller_goes: 2,
    local.invalid_parent: 1,
    local.chain: 2,
    local.overlap: 3,
    local.takes_all: 3,
    local.one_of_two: 2,
    local.last_one: 5,
    plain.parent_moves: 3,
    plain.offline_sets: 2,
    plain.odd_texts: 2,
    plain.no_more: 2,
    plain.inner_processes: 2,
    plain.without_files: 1,
    plain.chosen_cpus: 2,
    plain.memory: 3,
}
WITH_EXCLUSIVE: Mapping[Scenario, int] = {
    remote.grown: 1,
    remote.swapped: 1,
    remote.below_burstable: 2,
    remote.container: 1,
    remote.takes_all: 4,
    remote.overlapping: 3,
    remote.ancestor_shrinks: 9,
    remote.without_privilege: 2,
    remote.emptied: 6,
    remote.controller_goes: 1,
    local.made_offline: 3,
    local.takes_all: 2,
    local.one_of_two: 3,
    local.last_one: 4,
    plain.memory_at_odds: 1,
}
WITH_ISOLCPUS: Mapping[Scenario, int] = {remote.isolcpus: 24}


def of(kernel: Kernel, *, isolated: bool) -> list[Scenario]:
    """Each as often as it is to be played."""
    decks = [ALWAYS]
    if kernel.exclusive:
        decks.append(WITH_EXCLUSIVE)
    if isolated:
        decks.append(WITH_ISOLCPUS)
    return [scenario for deck in decks for scenario, times in deck.items() for _ in range(times)]


__all__ = ["TREE", "Scenario", "Stage", "calm", "of", "tree"]
