"""The cgroups that the kubelet itself makes: its root, the QoS classes' and the pods'."""

import os
from pathlib import Path
from typing import Literal

from tests.vm.node import rules
from tests.vm.node.bus import Bus
from tests.vm.node.cgroups import Cgroupfs, Systemd
from tests.vm.node.rules import Json, Limits


class PodCgroups:
    """*driver* is the cgroup driver and *root* the kubelet's ``--cgroup-root``; *bus* is None where no systemd runs."""

    def __init__(self, driver: Literal["systemd", "cgroupfs"], bus: Bus | None, root: str = "/") -> None:
        if driver == "systemd" and bus is None:
            raise ValueError("driver systemd, but PID 1 is not systemd")
        self.cgroups = Systemd(bus) if driver == "systemd" and bus else Cgroupfs()
        self._root = tuple(part for part in root.split("/") if part)
        self._pods: dict[str, Json] = {}
        self._make_node_cgroups()

    def create(self, pod: Json) -> Path:
        """Make the pod's cgroup, which is the first that a node shows of a pod."""
        self._pods[rules.uid(pod)] = pod
        self._update_qos_cgroups()
        cgroup = self._place(*rules.place(pod))
        self.cgroups.create(cgroup, rules.pod_limits(pod))
        return cgroup

    def remove(self, pod: Json) -> None:
        """Remove the pod's cgroup, whose processes are gone."""
        self._pods.pop(rules.uid(pod))
        self.cgroups.remove(self._place(*rules.place(pod)))

    def _place(self, *names: str) -> Path:
        return self.cgroups.place((*self._root, *names))

    def _make_node_cgroups(self) -> None:
        """Source: kubelet's node_container_manager_linux.go and qos_container_manager_linux.go.

        From 1.31 the kubelet with policy ``none`` gives its root cgroup all CPUs by name.
        """
        for depth in range(1, len(self._root) + 1):
            self.cgroups.create(self.cgroups.place(self._root[:depth]), Limits())
        cpus = Path("/sys/devices/system/cpu/online").read_text().strip()
        memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
        count = os.cpu_count() or 1
        allocatable = Limits(cpu_shares=rules.shares(count), memory_bytes=memory_kib << 10, cpus=cpus)
        self.cgroups.create(self._place("kubepods"), allocatable)
        for qos in ("burstable", "besteffort"):
            self.cgroups.create(self._place("kubepods", qos), Limits(cpu_shares=rules.shares(0)))

    def _update_qos_cgroups(self) -> None:
        """Weigh the QoS cgroups anew, as the kubelet does before each new pod (and once a minute)."""
        pods = self._pods.values()
        burstable = sum(rules.cpu_request(pod) for pod in pods if rules.qos_class(pod) == "Burstable")
        for qos, cpus in (("burstable", burstable), ("besteffort", 0.0)):
            self.cgroups.set(self._place("kubepods", qos), Limits(cpu_shares=rules.shares(cpus)))
