"""Print the tables of docs/systemd.md, measured anew: what systemd resets, without Pinfold and with it.

python -m tests.systemd            # six virtual machines, one after another: ten minutes and more
"""

import sys

from tests.systemd.test_in_vm import MACHINES, resets


def main() -> int:
    failed = 0
    for debian, kernel in MACHINES.items():
        for title, options in (
            ("without Pinfold", ()),
            ("with Pinfold", ("--pinfold",)),
            ("with Pinfold that cannot reach systemd's bus", ("--pinfold", "--no-bus")),
        ):
            done = resets(debian, kernel, *options)
            print(f"## Debian {debian}, {title}\n\n{done.output}", flush=True)
            failed += done.status != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
