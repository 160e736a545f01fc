"""How fast and how small Pinfold is, against the bars that it has set itself: ``python -m tests.bench``.

The quick selection takes two to three minutes on a quiet machine; ``--all`` adds machines and the planner's own table.
``--json FILE`` also writes the figures, with the machine, the versions and the commit. All but (a) and (b) runs on a
node of plain files (`files.py`): this machine need not have cgroup v2, and nothing here says how fast a kernel is.
(f), how long a new container is unconfined over the least that any program can do, needs real cgroups: `tests.cri`.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from pinfold import __version__
from tests.bench import bench_planning, decisions, resident, startup, turns
from tests.bench.machine import described
from tests.bench.row import Row

PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "decisions": lambda args: decisions.measured(every=args.all),
    "turns": lambda _: turns.measured(),
    "startup": lambda _: startup.measured(),
    "resident": lambda args: resident.measured(args.seconds),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all where none is named")
    parser.add_argument("--all", action="store_true", help="all machines, and the planner's table")
    parser.add_argument("--seconds", type=float, default=30, help="how long the resident daemon is looked at, twice")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    about = described(__version__)
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"load {os.getloadavg()[0]:.1f}; (c) to (e) on a tree of plain files in place of cgroup v2\n", flush=True)
    rows: list[Row] = []
    for part in args.parts or PARTS:
        for row in PARTS[part](args):
            rows.append(row)
            print(row, flush=True)
    if args.all:
        print()
        bench_planning.main()
    if args.json:
        figures = [{**asdict(row), "met": row.is_met} for row in rows]
        args.json.parent.mkdir(exist_ok=True)
        args.json.write_text(json.dumps({**about, "load": os.getloadavg()[0], "rows": figures}, indent=1))
    missed = [row for row in rows if row.is_met is False]
    print(f"\n{len([row for row in rows if row.is_met])} bars met, {len(missed)} not")
    return 0


if __name__ == "__main__":
    sys.exit(main())
