"""Who ran on exclusive CPUs: the kernel's counts, read when the timer is due or the owners changed, and never else."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pinfold.planning.ledger import Isolation
from pinfold.report.alone import Alone, Claim, Counts, Watched, interrupted_s, run_times_ns
from pinfold.report.snapshot import PodStatus
from pinfold.report.usage import CPU_STAT, ReadFiles, flat_keyed


class Witness:
    def __init__(
        self, read: ReadFiles, proc: Path = Path("/proc"), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._proc, self._clock = read, proc, clock
        self._watched = Watched()
        self._claims: tuple[Claim, ...] = ()
        self._told: tuple[Alone, ...] = ()

    def look(self, pods: Iterable[PodStatus], *, due: bool) -> tuple[Alone, ...]:
        """What came to pass for each owner until the last look; nothing where the kernel does not count."""
        now = tuple(claims(pods))
        if due or now != self._claims:
            self._claims = now
            counts = self._counts(now)
            self._watched = self._watched.followed(now, counts) if counts else Watched()
            self._told = self._watched.measured(counts) if counts else ()
        return self._told

    def now(self) -> tuple[Alone, ...]:
        """The same, measured now. May be called from any thread: it changes nothing."""
        counts = self._counts(self._claims)
        return self._watched.measured(counts) if counts else ()

    def _counts(self, wanted: tuple[Claim, ...]) -> Counts | None:
        if not wanted:
            return None
        cgroups = sorted({claim.cgroup for claim in wanted})
        before = self._used_us(cgroups)
        try:
            schedstat, at_s = (self._proc / "schedstat").read_text(), self._clock()
            after = self._used_us(cgroups)
            stat = (self._proc / "stat").read_text()
        except OSError:
            return None  # a kernel without CONFIG_SCHEDSTATS
        ticks_per_s = os.sysconf("SC_CLK_TCK")
        return Counts(at_s, run_times_ns(schedstat), interrupted_s(stat, ticks_per_s), before, after)

    def _used_us(self, cgroups: Iterable[str]) -> dict[str, int]:
        stats = ((one, flat_keyed(self._read(one, (CPU_STAT,)).get(CPU_STAT, ""))) for one in cgroups)
        return {one: stat["usage_usec"] for one, stat in stats if "usage_usec" in stat}


def claims(pods: Iterable[PodStatus]) -> Iterator[Claim]:
    """Slices and pools whose owner the kernel confines to just those CPUs."""
    for pod in pods:
        if pod.pool and pod.kernel.pod and pod.kernel.pod.cpus == pod.pool:
            yield Claim(pod.uid, pod.namespace, pod.name, "", pod.kernel.pod.cgroup, pod.pool)
        for one in pod.containers:
            if one.isolation is Isolation.CONTAINER and one.kernel and one.kernel.cpus == one.cpus:
                yield Claim(pod.uid, pod.namespace, pod.name, one.name, one.kernel.cgroup, one.cpus)
