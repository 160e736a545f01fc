"""Run one command as root in a virtual machine that has the kernel and the NUMA nodes you ask for.

    python -m tests.vm --kernel 6.12 --numa 4 -- python3 -c 'import psutil; print(psutil.cpu_count())'
    python -m tests.vm --init systemd --tty -- bash -i

QEMU in software emulation, so no /dev/kvm is needed; the guest is a small Debian on a throw-away disk, with this
checkout in it. stdout and stderr come back as one stream, the exit status is the command's. 124: past --timeout.
125: the machine failed, or there can be none here.
"""

import argparse
import signal
import sys
from pathlib import Path

from tests.vm import host, images
from tests.vm.machine import LATE, run_in_vm

FAILED = 125


def _parsed() -> argparse.Namespace:
    """The options, named as run_in_vm names them; what was not given is left to its defaults."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.vm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("--setup", action="store_true", help="only install what is missing (apt, as root on Debian), or say what is")
    add("--kernel", choices=images.KERNELS, help="Debian's cloud kernel; new: of Debian 13 backports (6.12)")
    add("--debian", choices=images.PYTHONS, help="12: Python 3.11, systemd 252; 13: Python 3.13, systemd 257 (12)")
    add("--init", choices=("command", "systemd"), help="PID 1 is a shell, or a real systemd (command)")
    add("--smp", help="QEMU's -smp: 8, or 8,sockets=2,cores=2,threads=2")
    add("--numa", help="nodes of equal size, or the CPUs of each: 0-3/4-6,8/7/ (last: memory only) (2)")
    add("--dist", help="node distances, a row for each node: 10,21/21,10")
    add("--mem", dest="mem_mib", type=int, help="MiB in each node (512)")
    add("--offline", help="CPUs taken offline before the command: 3,7")
    add("--append", help="more kernel parameters: 'isolcpus=2 hugepages=64'")
    add("--packages", type=str.split, help="more of Debian's packages: 'containerd runc crun'")
    add("--wheels", type=str.split, help="more of PyPI's packages, for the guest's Python")
    add("--share", dest="shares", type=Path, action="append", help="one more directory, at the same path, as a copy")
    add("--env", type=lambda pair: pair.split("=", 1), action="append", metavar="NAME=VALUE")
    add("--timeout", dest="timeout_s", type=float, help="seconds from power on (300)")
    add("--console", type=Path, help="keep the kernel's console in this file")
    add("--tty", action="store_true", help="give the command the terminal: --tty -- bash -i")
    add("-v", "--verbose", action="store_true", default=False, help="say when the command began")
    add("command", nargs="*", default=[])
    args = parser.parse_args()
    if not args.command and not hasattr(args, "setup"):
        parser.error("which command?")
    return args


def main() -> int:
    options = vars(_parsed())
    try:
        if options.pop("setup", False):
            print(f"tests.vm: {host.install_missing()}")
            return 0
        verbose = options.pop("verbose")
        done = run_in_vm(**options | {"env": dict(options.get("env", ()))}, echo=True)
    except (host.BenchError, host.NotAvailableError) as error:
        print(f"tests.vm: {error}", file=sys.stderr)
        return FAILED
    if done.status == LATE:
        print(f"tests.vm: timed out {'in' if done.began_s else 'before'} the command", file=sys.stderr)
    if verbose and done.began_s:
        print(f"tests.vm: the command began {done.began_s:.1f} s after power on", file=sys.stderr)
    return done.status


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
