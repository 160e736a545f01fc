"""Every operation, by the kind of vector that it runs, and the comparison of what comes out with what is expected."""

import json
from collections.abc import Mapping

from pinfold.cpuset import CpuListError, CpuSet, NodeSet
from tests.vectors import cpu_ops, memory_ops, merge_ops, pod_ops, take_ops
from tests.vectors.case import OPS, Case

MODULES = (cpu_ops, memory_ops, merge_ops, pod_ops, take_ops)
"""Imported, they register their operations."""


def kind_of(case: Case) -> str:
    given = case.given
    if "op" in given:
        return f"{'memory' if 'nodes' in given else 'cpu'} {given['op']}"
    if "query" in given:
        return f"free {given['query']}"
    for name, kind in (("providers", "merge"), ("best_non_preferred_count", "compare"), ("available", "take")):
        if name in given:
            return kind
    return "unknown"


def differences(case: Case) -> list[str]:
    """What differs, one line each; none: the vector passes."""
    kind = kind_of(case)
    if kind not in OPS:
        return [f"no operation for vectors of the kind {kind!r}"]
    try:
        outcome = OPS[kind](case)
    except (LookupError, TypeError, ValueError) as error:
        return [f"no vector of the kind {kind!r}: {error!r}"]
    expect = case.given["expect"]
    expected = dict(expect) if isinstance(expect, Mapping) else {"expect": expect}
    expected.pop("error_text", None)
    if "error" in outcome and "error" not in expected:
        return [f"refused: {outcome.get('error_text', outcome['error'])}"]
    return [
        f"{name}: expected {plain(value)}, got {plain(outcome[name])}" if name in outcome else f"{name}: not told"
        for name, value in expected.items()
        if name not in outcome or plain(outcome[name]) != plain(value)
    ]


def plain(value: object) -> object:
    """A value in the one form in which two can be compared: CPU lists as the kernel writes them, hints sorted."""
    match value:
        case CpuSet() | NodeSet():
            return str(value)
        case str():
            try:
                return str(CpuSet.parse(value))
            except CpuListError:
                return value
        case Mapping():
            return {key: plain(one) for key, one in value.items()}
        case [{"numa": _}, *_]:
            return sorted((plain(one) for one in value), key=json.dumps)
        case list() | tuple():
            return [plain(one) for one in value]
        case _:
            return value
