"""Run in a machine: prints what the reader and the monitor say while CPU 5 leaves and comes back, as one JSON line."""

import json
import select
from pathlib import Path

from pinfold.topology.hotplug import HotplugMonitor
from pinfold.topology.sysfs import read_topology
from pinfold.topology.words import described

ONLINE = Path("/sys/devices/system/cpu/cpu5/online")


def main() -> None:
    monitor = HotplugMonitor()
    told = {"booted": described(read_topology()), "events": []}
    for state in "01":
        ONLINE.write_text(state)
        assert select.select([monitor], [], [], 60)[0], "no event"
        told["events"] += [f"{event.action} {event.device}" for event in monitor.drain()]
        told["back" if state == "1" else "without-5"] = described(read_topology())
    print(json.dumps(told))


if __name__ == "__main__":
    main()
