"""The parts of the core whose mutants are tried, each with the tests that are quick and should notice."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    sources: tuple[str, ...]
    """Modules below ``daemon/pinfold``."""
    tests: tuple[str, ...]
    """Files and directories below ``tests``."""


def _part(package: str, modules: str, tests: str) -> Part:
    return Part(tuple(f"{package}/{module}.py" for module in modules.split()), tuple(tests.split()))


PARTS: Mapping[str, Part] = {
    "cpuset": Part(("cpuset.py",), ("test_cpuset.py",)),
    "protocol": _part(
        "cgroups",
        "protocol partitions moves wanted verify shrinking layout",
        "cgroups memory/test_migration.py memory/test_protection.py agent/test_cpus_of_others.py",
    ),
    "planner": _part("planning", "planner standing sharing take ledger", "planning test_vectors.py"),
    "placing": _part(
        "planning",
        "regime pod_pool by_container placement vacancy units order reuse packed distribution nearest closeness",
        "planning test_vectors.py memory/test_protection.py",
    ),
    "numa": _part(
        "planning",
        "hints hinting merge intersection memory books pools sets options startup",
        "planning test_vectors.py memory/test_protection.py",
    ),
    "handing": _part("planning", "handover kubelet_state whatif protection", "planning memory agent/test_handover.py"),
}
