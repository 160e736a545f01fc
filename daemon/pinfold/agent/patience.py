"""How long to wait for the next look at cgroups that somebody writes to all the time.

Pure. A cgroup that is written to more often than now and then is *muted*: writes to it ring no more. Instead it is
asked every `QUIET_S` whether there was one; what he wrote is repaired once there was none, and after `LONGEST_S` though
he goes on, who would undo at once what is repaired amid his writes. So however fast somebody writes, he causes few
turns, and after his last write two `QUIET_S` and one turn pass until everything is as it should be. What comes and goes
there, rings as ever. A muted cgroup that must be repaired again and again is *fought over*.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pinfold.cgroups.paths import CgroupPath

BURST = 5.0
"""So many turns because of one cgroup are ordinary: systemd, the kubelet and runc write several times."""
PER_S = 1.0
"""And so many a second for good: a slower writer costs less when each of his writes is answered at once."""
QUIET_S, LONGEST_S = 0.25, 2.5
CALM_S = 4.0
"""Nothing was seen to be written for so long: it is over."""


@dataclass(frozen=True, slots=True)
class _Record:
    """One cgroup that others wrote to of late."""

    at_s: float
    """When that was seen last."""
    level: float = 0.0
    """Turns because of it that `PER_S` has not made up for."""
    looks: int = 0
    """Since it is muted; 0: it is not."""
    repairs: int = 0
    """Of these."""


@dataclass(frozen=True, slots=True)
class Patience:
    records: Mapping[CgroupPath, _Record] = field(default_factory=dict)

    def after(self, written: Collection[CgroupPath], repaired: Collection[CgroupPath], now_s: float) -> "Patience":
        """After a turn, at *now_s* of a monotonic clock, before which others had *written* to some cgroups.

        What they wrote to those *repaired* had to go.
        """
        now = {path: _calmed(one, now_s) for path, one in self.records.items() if not _is_forgotten(one, now_s)}
        for path in {*written, *repaired}:
            before = now.get(path, _Record(now_s))
            level = max(0.0, before.level - PER_S * (now_s - before.at_s)) + 1
            muted = before.looks > 0 or level > BURST
            now[path] = _Record(now_s, level, before.looks + muted, before.repairs + (muted and path in repaired))
        return Patience(now)

    @property
    def muted(self) -> frozenset[CgroupPath]:
        return frozenset(path for path, one in self.records.items() if one.looks)

    @property
    def fought(self) -> frozenset[CgroupPath]:
        return frozenset(path for path, one in self.records.items() if one.repairs)

    def is_due(self, waited_s: float, *, stirred: bool, quiet: bool) -> bool:
        """Whether to look again, *waited_s* after the last turn.

        *stirred*: somebody has written to a muted cgroup since that turn began, be it the turn itself. *quiet*: but not
        within the last `QUIET_S`.
        """
        if not self.muted:
            return False
        return (stirred and quiet) or waited_s >= (LONGEST_S if stirred else CALM_S)


def _is_forgotten(one: _Record, now_s: float) -> bool:
    return not one.looks and PER_S * (now_s - one.at_s) >= one.level


def _calmed(one: _Record, now_s: float) -> _Record:
    """Heard again. Where nothing had to be repaired nobody saw whether he goes on: if he does, it shows at once."""
    return _Record(now_s, BURST) if one.looks and now_s - one.at_s >= CALM_S else one
