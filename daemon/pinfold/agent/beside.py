"""What goes on beside the loop, in threads of its own: systemd's properties and migrations of memory.

Both follow from what stands in the kernel after a turn, and both are on disk as Pinfold's before they are asked for.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pinfold.agent.enforcement import Enforced, NodeCgroups
from pinfold.agent.migrations import Migrations
from pinfold.agent.systemd_units import SystemdUnits
from pinfold.cgroups.found import Found, noted
from pinfold.cgroups.migration import pending
from pinfold.cgroups.paths import base
from pinfold.cgroups.systemd_bus import SYSTEMD_MOUNT
from pinfold.cgroups.systemd_properties import FILES, Place, Values, given_back, wanted_properties
from pinfold.cgroups.verify import Drift
from pinfold.cgroups.writes import Write
from pinfold.config import Config
from pinfold.report.migration import Migrated


@dataclass(frozen=True, slots=True)
class Due:
    """What is to go on after a turn."""

    found: Found
    """What a release gives back, with what is begun now."""
    properties: Values
    returned: Values
    """Properties that are given back."""
    migrations: tuple[Write, ...]

    probes: bool = False
    """There are properties to be told, once systemd is known to hear."""

    @property
    def places(self) -> frozenset[Place]:
        """For the checkpoint: the properties that are ours."""
        return frozenset(self.properties.keys() | self.returned.keys())


class Beside:
    def __init__(self, config: Config, cgroups: NodeCgroups, wake: Callable[[], None]) -> None:
        self.units = SystemdUnits(wake) if config.cgroup_mount == SYSTEMD_MOUNT else None
        most = config.memory_migration_max_size
        self._migrations = Migrations(cgroups.fs, most, wake) if most else None

    @property
    def migrated(self) -> Migrated:
        return self._migrations.progress if self._migrations else Migrated()

    @property
    def moves_memory(self) -> bool:
        """Whether pods that are found running may be bound to memory nodes."""
        return self._migrations is not None

    def due(self, enforced: Enforced, ours: frozenset[tuple[str, str]]) -> Due:
        """*ours*: the properties that the checkpoint has."""
        node = enforced.node
        moves = pending(enforced.layout, node.held) if self._migrations else ()
        found = noted(enforced.kept.files, node.held, moves)
        if self.units is None:
            return Due(found, {}, {}, moves)
        properties = wanted_properties(node, enforced.layout)
        probes = bool(properties) and not self.units.reached
        if probes:  # nothing new is begun
            properties = {place: text for place, text in properties.items() if place in ours}
        returned = given_back(node, ours - self.units.returned() - properties.keys())
        return Due(found, properties, returned, moves, probes)

    def ask(self, due: Due, drifted: Iterable[Drift]) -> None:
        """Once *due* is on disk; *drifted*: what others wrote before this turn."""
        if self.units and due.probes and not (due.properties or due.returned):
            self.units.probe()
        elif self.units:
            files = set(FILES.values())
            self.units.ask(due.properties, due.returned, {base(one.path) for one in drifted if one.file in files})
        if self._migrations:
            self._migrations.ask(due.migrations)

    def warnings(self) -> tuple[str, ...]:
        waiting = self.migrated.waiting
        stays = (f"the memory of {path} stays on its NUMA nodes: {waiting[path]}" for path in sorted(waiting))
        return (*(self.units.warnings() if self.units else ()), *stays)

    def close(self) -> None:
        for thread in (self.units, self._migrations):
            if thread:
                thread.close()
