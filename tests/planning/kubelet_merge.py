"""The merge as the kubelet does it: every hint of each resource with every hint of the others. For few nodes only."""

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import combinations, product

from pinfold.cpuset import NodeSet
from pinfold.planning.closeness import Distances
from pinfold.planning.hints import Hint, Hints
from pinfold.planning.merge import Merged
from pinfold.planning.policy import TopologyPolicy


def subsets(nodes: NodeSet) -> Iterator[NodeSet]:
    """By size, then lexicographically; not the empty one."""
    for size in range(1, len(nodes) + 1):
        for ids in combinations(nodes, size):
            yield NodeSet.of(ids)


def spelled_out(said: Hints, nodes: NodeSet) -> list[Hint]:
    """Every hint for a set of *nodes*."""
    return [hint for one in subsets(nodes) if (hint := said.of(one)) is not None]


def merge_all(
    policy: TopologyPolicy, nodes: NodeSet, said: Sequence[Hints | None], distances: Distances | None
) -> Merged:
    lists = []
    for one in said:
        if one is None:
            lists.append([Hint(None, True)])
        else:
            hints = [hint for hint in one.listed if hint.nodes is None] + spelled_out(one, nodes)
            lists += [hints or [Hint(None, False)]] * len(one.resources)
    if policy is TopologyPolicy.SINGLE_NUMA_NODE:
        distances = None
        lists = [
            [hint for hint in one if hint.preferred and (hint.nodes is None or len(hint.nodes) == 1)] for one in lists
        ]
    aim = max((min((len(hint.nodes) for hint in one if hint.nodes is not None), default=0) for one in lists), default=0)
    best: tuple[NodeSet, bool] | None = None
    for chosen in product(*lists):
        sets = [hint.nodes for hint in chosen if hint.nodes is not None]
        merged = reduce(NodeSet.__and__, sets, nodes)
        if merged:
            candidate = merged, all(hint.preferred for hint in chosen) and len(set(sets)) <= 1
            best = candidate if best is None else better(best, candidate, aim, distances)
    hint = Hint(nodes, False) if best is None else Hint(*best)
    if policy is TopologyPolicy.SINGLE_NUMA_NODE and hint.nodes == nodes:
        hint = Hint(None, hint.preferred)
    return Merged(hint, policy is TopologyPolicy.BEST_EFFORT or hint.preferred)


def better(
    current: tuple[NodeSet, bool], candidate: tuple[NodeSet, bool], aim: int, distances: Distances | None
) -> tuple[NodeSet, bool]:
    """The kubelet's comparison of two merged hints, case by case."""
    if current[1] != candidate[1]:
        return candidate if candidate[1] else current
    if not current[1]:
        was, now = len(current[0]), len(candidate[0])
        if was == aim and now != aim:
            return current
        if was < aim and now > aim:
            return current
        if was < aim and now != was:
            return candidate if now == aim or now > was else current
    return candidate if fitter(candidate[0], current[0], distances) else current


def fitter(one: NodeSet, than: NodeSet, distances: Distances | None) -> bool:
    if len(one) != len(than) or one == than:
        return len(one) < len(than)
    if distances is not None and average(one, distances) != average(than, distances):
        return average(one, distances) < average(than, distances)
    return one.bits < than.bits


def average(nodes: NodeSet, distances: Distances) -> float:
    pairs = [distances[one][two] for one in nodes for two in nodes]
    return sum(pairs) / len(pairs)
