"""Vectors about single CPUs: which are taken, and in which order what is free would be."""

from pinfold.cpuset import CpuSet
from pinfold.planning.order import Order
from pinfold.planning.packed import Packing
from pinfold.planning.reasons import Refused
from pinfold.planning.take import take
from pinfold.planning.units import units
from tests.vectors.case import Case, Outcome, op, refusal


@op("take")
def taken(case: Case) -> Outcome:
    group = case.given["options"].get("cpu_group_size")
    cpus = take(case.topology, case.cpus("available"), case.given["request"], case.options, case.rules, group)
    return refusal(cpus) if isinstance(cpus, Refused) else {"cpus": cpus}


@op("free free_sockets")
def free_sockets(case: Case) -> Outcome:
    """The order does not count."""
    packing = Packing.under(units(case.topology), frozenset(), case.rules)
    return {"ids": sorted(unit.id for unit in packing.whole_sockets(case.cpus("available").bits))}


@op("free free_numa")
def free_nodes(case: Case) -> Outcome:
    packing = Packing.under(units(case.topology), frozenset(), case.rules)
    return {"ids": [unit.id for unit in packing.whole_nodes(case.cpus("available").bits)]}


@op("free free_cores")
def free_cores(case: Case) -> Outcome:
    packing = Packing.under(units(case.topology), frozenset(), case.rules)
    return {"ids": [unit.id for unit in packing.whole_cores(case.cpus("available").bits)]}


@op("free free_cpus")
def free_cpus(case: Case) -> Outcome:
    return {"ids": list(Order(units(case.topology), case.cpus("available").bits).cpus(spread=False))}


@op("free accumulate")
def accumulated(case: Case) -> Outcome:
    """What is still needed once some sets are taken, and whether it can be had."""
    got = CpuSet.union(map(CpuSet.parse, case.given["take"]))
    needed = case.given["request"] - len(got)
    rest = take(case.topology, case.cpus("available") - got, needed, frozenset(), case.rules)
    return {"satisfied": needed < 1, "failed": isinstance(rest, Refused), "still_needed": needed}
