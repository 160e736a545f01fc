"""The parts of the core whose mutants are tried, each with the tests that are quick and should notice."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    sources: tuple[str, ...]
    """Modules below ``daemon/pinfold``."""
    tests: tuple[str, ...]
    """Files and directories below ``tests``."""


def _planning(*modules: str) -> Part:
    tests = ("take", "life", "planner", "regime", "pools", "startup", "options", "hints", "merge", "memory", "books")
    return Part(
        tuple(f"planning/{module}.py" for module in modules), tuple(f"planning/test_{test}.py" for test in tests)
    )


PARTS: Mapping[str, Part] = {
    "cpuset": Part(("cpuset.py",), ("test_cpuset.py",)),
    "moves": Part(
        ("cgroups/moves.py", "cgroups/protocol.py"),
        (
            "cgroups/test_protocol.py",
            "cgroups/test_disturbances.py",
            "cgroups/test_lives.py",
            "memory/test_migration.py",
            "memory/test_protection.py",
        ),
    ),
    "layout": Part(
        ("cgroups/layout.py", "cgroups/shrinking.py", "cgroups/partitions.py"),
        (
            "cgroups/test_protocol.py",
            "cgroups/test_layout.py",
            "cgroups/test_verify.py",
            "cgroups/test_disturbances.py",
        ),
    ),
    "planner": _planning("planner", "standing", "sharing", "take"),
    "placing": _planning("regime", "pod_pool", "by_container", "placement", "vacancy", "units", "order", "reuse"),
    "numa": _planning("hints", "hinting", "merge", "intersection", "closeness", "nearest", "packed", "distribution"),
    "memory": _planning("memory", "books", "pools", "sets", "options", "policy", "protection", "ledger"),
}
