"""Vectors about the topology manager: the merge of all providers' hints, and which of two merged hints wins."""

from pinfold.cpuset import NodeSet
from pinfold.planning.hints import Hint, Hints
from pinfold.planning.merge import merge, rank
from pinfold.planning.policy import TopologyPolicy
from tests.vectors.case import Case, Outcome, Told, op


def hint_of(told: Told) -> Hint:
    return Hint(None if told["numa"] is None else NodeSet.of(told["numa"]), told["preferred"])


def told(hint: Hint) -> Told:
    return {"numa": None if hint.nodes is None else list(hint.nodes), "preferred": hint.preferred}


@op("merge")
def merged(case: Case) -> Outcome:
    table = case.tables["distances"][case.given["nodes"]]
    said: list[Hints | None] = []
    for provider in case.given["providers"]:
        for resource, hints in (provider or {"": None}).items():
            said.append(None if hints is None else Hints((resource,), tuple(map(hint_of, hints))))
    closest = case.given["options"].get("prefer-closest-numa-nodes")
    result = merge(
        TopologyPolicy(case.given["policy"]),
        NodeSet.of(range(len(table))),
        said,
        {node: dict(enumerate(row)) for node, row in enumerate(table)} if closest else None,
    )
    return {"hint": told(result.hint), "admit": result.admit}


@op("compare")
def compared(case: Case) -> Outcome:
    """A candidate without nodes is dropped; one as good as the hint that is held does not replace it."""
    hints = {name: hint_of(one) for name in ("current", "candidate") if (one := case.given[name]) is not None}
    held = hints.get("current")
    if held is not None and not hints["candidate"].nodes:
        return {"expect": "current"}
    return {"expect": min(hints, key=lambda name: rank(hints[name], case.given["best_non_preferred_count"], None))}
