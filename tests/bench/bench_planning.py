"""How long one decision takes, from 16 CPUs to 4,096: ``python -m tests.bench.bench_planning`` prints a table.

Every machine is half full, in one of three ways. ``even``: half of the CPUs and of the memory of each NUMA node are in
use; ``ragged``: of each node as much as chance gives; ``packed``: pods were placed one after the other until half of
the machine was theirs. The columns are milliseconds, the median of many runs on one core:

``take``     half a node's CPUs, out of all that are free
``one``      admission of a pod that needs a quarter of a node: hints of CPU and memory, merge, pool, booking
``several``  of one that needs four nodes and a half, as far as the machine has so many
``nearest``  the same with prefer-closest-numa-nodes
``effort``   the same under policy best-effort, which must find something
``plan``     the plan of the whole node when one pod comes to those that stand

A minus says that the pod is refused. But for ``effort`` the policy is restricted, and the search has to be sure.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.books import Books, empty_books
from pinfold.planning.hints import cpu_hints
from pinfold.planning.ledger import Block, Ledger
from pinfold.planning.memory import book, memory_hints
from pinfold.planning.merge import merge
from pinfold.planning.planner import World, plan
from pinfold.planning.policy import CpuOption, Policy, Rules, TopologyPolicy
from pinfold.planning.reasons import Refused
from pinfold.planning.take import allocate, take
from pinfold.pods.model import MEMORY, Pod
from pinfold.topology.model import Topology
from tests.machines import GIB, regular
from tests.planning.pods import app, pod

MACHINES = {
    "16 x 1": regular(1, 8, 2),
    "112 x 2": regular(2, 28, 2),
    "512 x 16": regular(4, 64, 2, nodes_per_socket=4),
    "1024 x 64": regular(16, 32, 2, nodes_per_socket=4),
    "4096 x 64": regular(16, 128, 2, nodes_per_socket=4),
}
"""CPUs x NUMA nodes; two threads a core, 64 GiB a node."""
COLUMNS = ("take", "one", "several", "nearest", "effort", "plan")
OPTIONS: frozenset[CpuOption] = frozenset()
RULES = Rules()
RESTRICTED = TopologyPolicy.RESTRICTED
NOBODY = Ledger()
WORTHWHILE_S = 0.5


@dataclass(frozen=True, slots=True)
class Half:
    """A machine that is half full."""

    topology: Topology
    free: CpuSet
    books: Books
    pods: tuple[Pod, ...] = ()
    ledger: Ledger = NOBODY
    """Empty where the machine was not filled by plans."""

    @classmethod
    def of(cls, topology: Topology, pods: tuple[Pod, ...]) -> "Half":
        """Filled by a plan of *pods*."""
        ledger = plan(World(topology, policy_of(topology), pods), Ledger()).ledger
        blocks = [block for entry in ledger.entries.values() for block in entry.blocks]
        return cls(topology, topology.online - ledger.owned, empty_books(topology, {}).booked(blocks), pods, ledger)

    @property
    def per_node(self) -> int:
        return len(self.topology.cpus) // len(self.topology.nodes)

    def admitted(self, nodes: float, nearest: bool = False, policy: TopologyPolicy = RESTRICTED) -> bool:
        """Whether a pod is that needs so many nodes' CPUs and nine tenths of their memory."""
        cpus, request = max(int(nodes * self.per_node), 1), {MEMORY: int(nodes * 0.9 * 64 * GIB)}
        topology = self.topology
        said = [cpu_hints(topology, self.free, CpuSet(), cpus, OPTIONS), memory_hints(self.books, request)]
        distances = {node.id: node.distances for node in topology.nodes} if nearest else None
        merged = merge(policy, NodeSet.of(topology.node), said, distances)
        if not merged.admit:
            return False
        pool = allocate(topology, self.free, CpuSet(), cpus, merged.hint.nodes, OPTIONS, RULES)
        return not isinstance(pool, Refused) and not isinstance(book(self.books, request, merged.hint), Refused)

    def planned(self) -> bool:
        """Whether one more pod is placed beside those that stand, which stay where they are."""
        new = sized(self.per_node // 4, self.per_node, number=len(self.pods) + 1)
        after = plan(World(self.topology, policy_of(self.topology), (*self.pods, new)), self.ledger)
        return new.uid in after.ledger.entries


def policy_of(topology: Topology) -> Policy:
    return Policy(topology.online.first(1), RESTRICTED)


def sized(cpus: int, per_node: int, number: int) -> Pod:
    """A pod with as much of a node's memory as of its CPUs, or a little less."""
    return pod(app("app"), cpu=cpus, gib=int(cpus * 60 / per_node) or 1, number=number)


def even(topology: Topology) -> Half:
    used = [Block(NodeSet.of([node]), MEMORY, 32 * GIB) for node in topology.node]
    free = CpuSet.union(own.first(len(own) // 2) for own in topology.node_cpus.values())
    return Half(topology, free, empty_books(topology, {}).booked(used))


def ragged(topology: Topology) -> Half:
    """No memory is booked: a node in use would be good for no pod that needs several."""
    chance = Random(1)
    own = topology.node_cpus.values()
    free = CpuSet.union(CpuSet.of(chance.sample(list(cpus), chance.randint(0, len(cpus)))) for cpus in own)
    return Half(topology, free, empty_books(topology, {}))


def packed(topology: Topology) -> Half:
    chance = Random(1)
    per_node, left = len(topology.cpus) // len(topology.nodes), len(topology.cpus) // 2
    pods: list[Pod] = []
    while left > 1:
        cpus = min(chance.choice([2, 2, 4, per_node // 4, per_node // 2]), left)
        pods.append(sized(cpus, per_node, number=len(pods) + 1))
        left -= cpus
    return Half.of(topology, tuple(pods))


def median_ms(run: Callable[[], object]) -> float:
    run()
    took: list[float] = []
    while len(took) < 5 or sum(took) < WORTHWHILE_S:
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1000


def measured(half: Half) -> dict[str, tuple[float, bool]]:
    """Column → milliseconds, and whether there was a place."""
    several = min(4.5, 0.4 * len(half.topology.nodes))
    runs: dict[str, Callable[[], object]] = {
        "take": lambda: take(half.topology, half.free, max(half.per_node // 2, 1), OPTIONS, RULES),
        "one": lambda: half.admitted(0.25),
        "several": lambda: half.admitted(several),
        "nearest": lambda: half.admitted(several, nearest=True),
        "effort": lambda: half.admitted(several, policy=TopologyPolicy.BEST_EFFORT),
    }
    if half.pods:
        runs["plan"] = half.planned
    return {name: (median_ms(run), bool(run())) for name, run in runs.items()}


def main() -> int:
    print(f"{'CPUs x nodes':13}{'half full':11}" + "".join(f"{name:>10}" for name in COLUMNS) + "  pods")
    times: dict[tuple[str, str], dict[str, tuple[float, bool]]] = {}
    for machine, topology in MACHINES.items():
        for fill in (even, ragged, packed):
            half = fill(topology)
            row = times[machine, fill.__name__] = measured(half)
            cells = [
                f"{row[name][0]:9.2f}{' ' if row[name][1] else '-'}" if name in row else " " * 10 for name in COLUMNS
            ]
            print(f"{machine:13}{fill.__name__:11}{''.join(cells)}{len(half.pods):6}", flush=True)
    print("\ngrowth from 512 x 16 to 4096 x 64: eight times the CPUs, four times the nodes")
    for name in ("even", "ragged", "packed"):
        small, large = times["512 x 16", name], times["4096 x 64", name]
        growth = {column: large[column][0] / small[column][0] for column in small}
        print(f"{'':13}{name:11}" + "".join(f"{growth[one]:8.1f}x " if one in growth else " " * 10 for one in COLUMNS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
