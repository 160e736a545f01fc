"""CPUs, memory blocks and NUMA nodes that come and go, told by the kernel.

A source for the loop's selector: it wakes and says what came; the machine is then read anew from sysfs. pyudev, and
through it libudev, is loaded only when a monitor is made.
"""

import os
import socket
from dataclasses import dataclass
from typing import Any

from pinfold.errors import PinfoldError

SUBSYSTEMS = ("cpu", "memory", "node")


class HotplugUnavailableError(PinfoldError):
    """No events can be had; whoever wanted them must look by itself from time to time."""


@dataclass(frozen=True, slots=True)
class Hotplug:
    """One event, such as ``offline cpu5``."""

    action: str
    """The kernel's word, ``online``, ``offline``, ``add``, ``remove``, ``change``; ``lost`` for events it dropped."""
    device: str
    """The name in sysfs, ``cpu5``, ``memory32``, ``node1``; empty for ``lost``."""


class HotplugMonitor:
    """Listens to the kernel itself, which needs no udev daemon: sysfs is up to date when its event arrives.

    The kernel sends to the network namespaces of the first user namespace: a container in a user namespace gets none.
    """

    def __init__(self) -> None:
        """Listen from now on. Raises HotplugUnavailableError."""
        try:
            import pyudev

            self._monitor: Any = pyudev.Monitor.from_netlink(pyudev.Context(), source="kernel")
            for subsystem in SUBSYSTEMS:
                self._monitor.filter_by(subsystem)
            self._monitor.start()
        except (ImportError, OSError) as error:
            raise HotplugUnavailableError(
                f"CPU hotplug is not told as it happens ({error}): install libudev and allow AF_NETLINK sockets"
            ) from error

    def fileno(self) -> int:
        """Readable when an event waits."""
        return int(self._monitor.fileno())

    def drain(self) -> tuple[Hotplug, ...]:
        """The events that wait, oldest first; never blocks."""
        events: list[Hotplug] = []
        try:
            while (device := self._monitor.poll(timeout=0)) is not None:
                events.append(Hotplug(device.action, device.sys_name))
        except OSError:
            # ENOBUFS: the kernel dropped events because we were slow. It stands until the socket's error is asked for.
            with socket.socket(fileno=os.dup(self.fileno())) as netlink:
                netlink.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            events.append(Hotplug("lost", ""))
        return tuple(events)
