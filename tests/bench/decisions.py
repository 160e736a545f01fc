"""(a) one decision and (b) the plan of the whole node, on machines of any size. Pure: nothing but the planner runs.

Half of each machine is owned, by so many pods as are named; where these are more than half of the CPUs, the rest of
them ask for nothing.
"""

from collections.abc import Iterator
from random import Random

from pinfold.planning.planner import World, plan
from pinfold.pods.model import Pod
from pinfold.topology.model import Topology
from tests.bench.bench_planning import NOBODY, Half, median_ms, policy_of, sized
from tests.bench.row import Row
from tests.machines import regular
from tests.planning.pods import app, pod

QUICK = (("8 x 1", 10), ("112 x 2", 100), ("512 x 16", 250), ("4096 x 64", 1000))
MORE = (("8 x 1", 1000), ("64 x 2", 10), ("512 x 16", 10), ("512 x 16", 1000), ("1024 x 64", 100), ("4096 x 64", 10))
ALL = (*QUICK, *MORE)
MACHINES = {
    "8 x 1": regular(1, 4, 2),
    "64 x 2": regular(2, 16, 2),
    "112 x 2": regular(2, 28, 2),
    "512 x 16": regular(4, 64, 2, nodes_per_socket=4),
    "1024 x 64": regular(16, 32, 2, nodes_per_socket=4),
    "4096 x 64": regular(16, 128, 2, nodes_per_socket=4),
}
"""CPUs x NUMA nodes."""
BARS_MS = {"512 x 16": 2.0, "4096 x 64": 20.0}


def measured(*, every: bool) -> Iterator[Row]:
    for machine, count in ALL if every else QUICK:
        half = filled(MACHINES[machine], count)
        yield from _rows(half, f"{machine}, {count} pods", BARS_MS.get(machine))


def _rows(half: Half, where: str, bar: float | None) -> Iterator[Row]:
    world = World(half.topology, policy_of(half.topology), half.pods)
    yield Row("a", f"one decision: hints, merge, pool; {where}", median_ms(lambda: half.admitted(0.25)), "ms", bar)
    yield Row("a", f"plan with one pod more; {where}", median_ms(half.planned), "ms")
    yield Row("b", f"plan of what stands; {where}", median_ms(lambda: plan(world, half.ledger)), "ms")
    yield Row("b", f"plan from nothing; {where}", median_ms(lambda: plan(world, NOBODY)), "ms")


def filled(topology: Topology, count: int) -> Half:
    per_node, left = len(topology.cpus) // len(topology.nodes), len(topology.cpus) // 2
    chance = Random(1)
    pods: list[Pod] = []
    for number in range(1, count + 1):
        most = left - (count - number)
        cpus = min(chance.choice([1, 2, 4, per_node // 4]), max(most, 1)) if left else 0
        left -= cpus
        pods.append(sized(cpus, per_node, number) if cpus else pod(app("app"), number=number))
    return Half.of(topology, tuple(pods))
