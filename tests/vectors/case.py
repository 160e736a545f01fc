"""One vector: what it is given, which operation runs it, and how what came out differs from what it expects."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinfold.cpuset import CpuSet
from pinfold.planning.policy import CpuOption, Rules
from pinfold.planning.reasons import Refused
from pinfold.planning.take import reserved_from_count
from pinfold.topology.model import Cpu, Topology
from tests.machines import machine

Told = Mapping[str, Any]
"""A JSON object."""

Outcome = Mapping[str, Any]
"""Under the names of ``expect``. CPU sets are text; ``error`` is a kind of failure."""

KINDS_OF_ERRORS = {
    "not enough cpus available": "insufficient-cpus",
    "SMT Alignment Error": "smt-alignment",
    "failed to find the default preferred hint": "no-preferred-default",
    "failed to find the extended preferred hint": "no-preferred-extended",
}
"""Words of a refusal's message → the vectors' name for it."""


@dataclass(frozen=True)
class Case:
    given: Told
    """The vector."""
    tables: Told
    """Its file: ``topologies``, ``distances``."""
    rules: Rules

    @property
    def id(self) -> str:
        return str(self.given["id"])

    @property
    def options(self) -> frozenset[CpuOption]:
        """The CPU manager options that are on; ``cpu_group_size`` is no option but an amount."""
        return frozenset(CpuOption(name) for name, on in self.given.get("options", {}).items() if on is True)

    @property
    def topology(self) -> Topology:
        cpus = self.tables["topologies"][self.given["topology"]]["cpus"]
        return machine(Cpu(int(id_), at["core"], at["socket"], at["numa"], at["uncore"]) for id_, at in cpus.items())

    def cpus(self, name: str) -> CpuSet:
        return CpuSet.parse(self.given[name] or "")

    @property
    def reserved(self) -> CpuSet:
        """The list; where only a number is given, the CPUs that the take gives for it; none where neither is."""
        if (listed := self.given.get("reserved")) is not None:
            return CpuSet.parse(listed)
        if not self.given.get("reserved_count"):
            return CpuSet()
        cpus = reserved_from_count(self.topology, self.given["reserved_count"], self.options, self.rules)
        return CpuSet() if isinstance(cpus, Refused) else cpus

    def held(self, container: str) -> CpuSet:
        """The CPUs that this container of the vector's pod has."""
        return CpuSet.parse(self.given["assignments"].get(self.full_name(container), ""))

    def full_name(self, container: str) -> str:
        return f"{self.given['pod']['name']}/{container}"


Op = Callable[[Case], Outcome]
OPS: dict[str, Op] = {}
"""Kind → operation."""


def op(kind: str) -> Callable[[Op], Op]:
    def register(run: Op) -> Op:
        OPS[kind] = run
        return run

    return register


def cases(path: Path, rules: Rules) -> Iterator[Case]:
    tables = json.loads(path.read_text())
    for vector in tables["vectors"]:
        yield Case(vector, tables, rules)


def refusal(refused: Refused) -> Outcome:
    kinds = [kind for words, kind in KINDS_OF_ERRORS.items() if words in refused.message]
    return {"error": kinds[0] if kinds else refused.word.value, "error_text": refused.message}
