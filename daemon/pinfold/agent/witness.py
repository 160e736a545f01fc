"""Who ran on exclusive CPUs: the kernel's counts, read of new owners once, and of all when somebody asks."""

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
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
        self._pods: Sequence[PodStatus] = ()

    def follow(self, pods: Sequence[PodStatus]) -> None:
        """For the loop: whoever owns CPUs from now on is followed from now on. Where nobody is new, nothing is read."""
        if pods is self._pods:
            return
        self._pods = pods
        now = dict.fromkeys(claims(pods))
        self._watched = self._watched.followed(now, self._counts(now.keys() - self._watched.begun.keys()))

    def measured(self) -> tuple[Alone, ...]:
        """What came to pass for each until now. May be called from any thread: it changes nothing."""
        watched = self._watched
        return watched.measured(self._counts(watched.begun.keys()))

    def _counts(self, wanted: Collection[Claim]) -> Counts:
        """Of no CPU where nobody is wanted, or where the kernel does not count (CONFIG_SCHEDSTATS)."""
        cgroups = sorted({claim.cgroup for claim in wanted})
        if not cgroups:
            return Counts()
        before = self._used_us(cgroups)
        try:
            schedstat, at_s = (self._proc / "schedstat").read_text(), self._clock()
            after = self._used_us(cgroups)
            stat = (self._proc / "stat").read_text()
        except OSError:
            return Counts()
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
