"""Boot a machine with two NUMA nodes, run Pinfold on it as in production, start the README's workloads, and look.

python -m tests.demo
"""

import argparse
import sys
from typing import Literal, cast

from tests.vm.host import BenchError, NotAvailableError
from tests.vm.machine import run_in_vm

SMP, NUMA = "16,sockets=2,cores=4,threads=2", "2"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", choices=("6.1", "6.12", "new"), default="new")
    kernel = cast("Literal['6.1', '6.12', 'new']", parser.parse_args().kernel)
    print(
        "Booting a virtual machine: 16 CPUs, 8 cores, 2 sockets, 2 NUMA nodes, systemd. No KVM is needed.", flush=True
    )
    try:
        done = run_in_vm(
            ["python3", "-m", "tests.demo.guest"],
            kernel=kernel, init="systemd", smp=SMP, numa=NUMA, timeout_s=600, echo=True,
        )  # fmt: skip
    except (BenchError, NotAvailableError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return done.status


if __name__ == "__main__":
    sys.exit(main())
