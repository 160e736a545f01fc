"""The loop on a node of files, as a process of its own: ``python -m tests.bench.served ROOT PERIOD``.

Ends at SIGTERM.
"""

import signal
import sys
from pathlib import Path

from pinfold.report.logs import configure
from tests.bench.files import FileNode


def main() -> None:
    configure("json", "error")
    node = FileNode(Path(sys.argv[1]))
    fs, state = node.cgroups(), node.state()
    agent = node.agent(fs, state, cpuManagerReconcilePeriod=sys.argv[2])
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: agent.interrupt())
    agent.run()
    agent.close()
    state.close()


if __name__ == "__main__":
    main()
