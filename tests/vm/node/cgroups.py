"""The two cgroup drivers of the kubelet and of runc, which share one library and so do the same writes in one order.

Source: opencontainers/cgroups, fs2/create.go (every supported controller is enabled in every ancestor) and
systemd/v2.go (a transient unit, then the same by file, then the limits as properties and again by file).
"""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from tests.vm.node.bus import Bus, Properties
from tests.vm.node.rules import PERIOD_US, Limits
from tests.vm.node.tasks import CGROUPS, cgroup_of, parse

_DEADLINE_S = 60


class Cgroupfs:
    """Driver ``cgroupfs``: plain directories."""

    def place(self, names: Sequence[str]) -> Path:
        """The cgroup that the kubelet calls by these names, from its root down."""
        return CGROUPS.joinpath(*names)

    def container(self, pod: Path, container_id: str) -> Path:
        return pod / container_id

    def oci_path(self, cgroup: Path) -> str:
        """``linux.cgroupsPath`` of a container's bundle."""
        return f"/{cgroup.relative_to(CGROUPS)}"

    def create(self, cgroup: Path, limits: Limits) -> None:
        """Make a cgroup without processes, or find it there."""
        _make_path(cgroup)
        self.set(cgroup, limits)

    def enter(self, cgroup: Path, pid: int, limits: Limits) -> None:
        """Make a container's cgroup with its first process; returns when it is in."""
        _make_path(cgroup)
        join(cgroup, pid)
        self.set(cgroup, limits)

    def set(self, cgroup: Path, limits: Limits) -> None:
        for name, value in {
            "cpuset.cpus": limits.cpus,
            "cpu.weight": limits.cpu_weight,
            "cpu.max": None if limits.quota_us is None else f"{limits.quota_us} {PERIOD_US}",
            "memory.max": limits.memory_bytes,
        }.items():
            if value is not None:
                (cgroup / name).write_text(f"{value}")

    def remove(self, cgroup: Path) -> None:
        """Remove a cgroup whose processes are gone. The kernel needs a moment after they were waited for."""
        until = time.monotonic() + _DEADLINE_S
        while cgroup.exists():
            try:
                cgroup.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)


class Systemd(Cgroupfs):
    """Driver ``systemd``: slices and scopes, which systemd owns."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def place(self, names: Sequence[str]) -> Path:
        escaped = [name.replace("-", "_") for name in names]  # "-" is hierarchy in a slice's name
        return CGROUPS.joinpath(*(f"{'-'.join(escaped[:depth])}.slice" for depth in range(1, len(names) + 1)))

    def container(self, pod: Path, container_id: str) -> Path:
        return pod / f"cri-containerd-{container_id}.scope"

    def oci_path(self, cgroup: Path) -> str:
        _, container_id = cgroup.stem.rsplit("-", 1)
        return f"{cgroup.parent.name}:cri-containerd:{container_id}"

    def create(self, cgroup: Path, limits: Limits) -> None:
        parent = "-.slice" if cgroup.parent == CGROUPS else cgroup.parent.name
        self._bus.start(cgroup.name, _unit(cgroup) | {"Wants": ("as", [parent])})
        super().create(cgroup, limits)

    def enter(self, cgroup: Path, pid: int, limits: Limits) -> None:
        belongs: Properties = {
            "Slice": ("s", cgroup.parent.name),
            "PIDs": ("au", [pid]),
            "Delegate": ("b", True),
        }
        self._bus.start(cgroup.name, {**_unit(cgroup), **belongs})
        super().enter(cgroup, pid, limits)

    def set(self, cgroup: Path, limits: Limits) -> None:
        properties: dict[str, tuple[str, object]] = {}
        if limits.memory_bytes is not None:
            properties["MemoryMax"] = ("t", limits.memory_bytes)
        if limits.cpu_weight is not None:
            properties["CPUWeight"] = ("t", limits.cpu_weight)
        if limits.quota_us is not None:
            properties["CPUQuotaPeriodUSec"] = ("t", PERIOD_US)
            properties["CPUQuotaPerSecUSec"] = ("t", limits.quota_us * 1_000_000 // PERIOD_US)
        if limits.cpus is not None:
            properties["AllowedCPUs"] = ("ay", _bits(limits.cpus))
        self._bus.set(cgroup.name, properties)
        super().set(cgroup, limits)

    def remove(self, cgroup: Path) -> None:
        self._bus.stop(cgroup.name)
        super().remove(cgroup)


def join(cgroup: Path, pid: int) -> None:
    """Move a process into a cgroup; returns when it is in."""
    if cgroup_of(pid) != cgroup:
        (cgroup / "cgroup.procs").write_text(f"{pid}")


def _unit(cgroup: Path) -> dict[str, tuple[str, object]]:
    accounting = {f"{what}Accounting": ("b", True) for what in ("Memory", "CPU", "IO", "Tasks")}
    return {
        "Description": ("s", f"libcontainer container {cgroup.name}"),
        "DefaultDependencies": ("b", False),
        **accounting,
    }


def _bits(cpus: str) -> bytes:
    """A CPU list as systemd takes it: bit *n* of the little-endian bytes is CPU *n*."""
    mask = sum(1 << cpu for cpu in parse(cpus))
    return mask.to_bytes(mask.bit_length() // 8 + 1, "little")


def _make_path(cgroup: Path) -> None:
    controllers = [f"+{name}" for name in (CGROUPS / "cgroup.controllers").read_text().split()]
    for above in reversed(cgroup.relative_to(CGROUPS).parents):
        control = CGROUPS / above / "cgroup.subtree_control"
        control.parent.mkdir(exist_ok=True)
        try:
            control.write_text(" ".join(controllers))
        except OSError:
            for one in controllers:  # as runc does: what can't be had is found out when a limit needs it
                with contextlib.suppress(OSError):
                    control.write_text(one)
    cgroup.mkdir(exist_ok=True)
