"""Hotplug events from the running kernel: ``uevent`` files let root ask for one."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from pinfold.topology.hotplug import Hotplug, HotplugMonitor

UEVENT = Path("/sys/devices/system/cpu/cpu0/uevent")


@pytest.fixture
def monitor() -> HotplugMonitor:
    if not os.access(UEVENT, os.W_OK):
        pytest.skip(f"{UEVENT} cannot be written here")
    return HotplugMonitor()


def test_an_event_makes_the_descriptor_readable_and_is_drained(monitor: HotplugMonitor) -> None:
    assert monitor.drain() == ()
    UEVENT.write_text("change")
    assert select.select([monitor], [], [], 30)[0] == [monitor]
    assert monitor.drain() == (Hotplug("change", "cpu0"),)
    assert select.select([monitor], [], [], 0)[0] == []


def test_other_subsystems_do_not_wake(monitor: HotplugMonitor) -> None:
    Path("/sys/devices/virtual/mem/null/uevent").write_text("change")
    UEVENT.write_text("change")
    assert select.select([monitor], [], [], 30)[0] == [monitor]
    assert monitor.drain() == (Hotplug("change", "cpu0"),)


def test_events_that_the_kernel_dropped_are_told(monitor: HotplugMonitor) -> None:
    monitor._monitor.set_receive_buffer_size(1)
    for _ in range(100):
        UEVENT.write_text("change")
    assert monitor.drain()[-1] == Hotplug("lost", "")
    while monitor.drain():
        pass
    UEVENT.write_text("change")
    assert monitor.drain() == (Hotplug("change", "cpu0"),)


def test_without_libudev_there_is_a_report_with_a_remedy() -> None:
    """In a process of its own: libudev hidden from it by an empty library search."""
    code = (
        "import ctypes.util; ctypes.util.find_library = lambda name: None\n"
        "from pinfold.topology.hotplug import HotplugMonitor, HotplugUnavailableError\n"
        "try: HotplugMonitor()\n"
        "except HotplugUnavailableError as error: print(error)\n"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert "not told as it happens" in said
    assert "install libudev" in said
